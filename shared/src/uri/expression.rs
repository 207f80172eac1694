//! The syntax tree of `$filter`.

/// An expression. `and` and `or` are lists, so that their length costs no depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A literal, as text: quotes and prefix included, percent-decoded.
    Literal(String),
    /// A path of properties: `a`, `nav/b`, `complex/c`. Never empty.
    Member(Vec<String>),
    /// A comparison.
    Compare {
        /// How to compare.
        operator: Operator,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// All of two or more.
    And(Vec<Expr>),
    /// Any of two or more.
    Or(Vec<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// A call of a function: two arguments.
    Call {
        /// Which one.
        function: Function,
        /// Its arguments in order.
        args: Vec<Expr>,
    },
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
}

/// A function of two strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `contains(text,part)`
    Contains,
    /// `startswith(text,part)`
    StartsWith,
    /// `endswith(text,part)`
    EndsWith,
}

impl Operator {
    /// The operator of a word, in any case.
    pub(super) fn of(word: &str) -> Option<Self> {
        let names = [
            ("eq", Self::Eq),
            ("ne", Self::Ne),
            ("gt", Self::Gt),
            ("ge", Self::Ge),
            ("lt", Self::Lt),
            ("le", Self::Le),
        ];
        names.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, operator)| operator)
    }
}

impl Function {
    /// The function of a name, in any case.
    pub(super) fn of(name: &str) -> Option<Self> {
        let names = [("contains", Self::Contains), ("startswith", Self::StartsWith), ("endswith", Self::EndsWith)];
        names.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, function)| function)
    }
}
