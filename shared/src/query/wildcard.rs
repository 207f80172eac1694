//! Finance & Operations writes "contains" as `Field eq '*text*'`.

use crate::uri::{Expr, Function, Operator};

/// Turns comparisons of a member with a pattern into the functions they stand for. `ne` is the opposite of `eq`.
pub(crate) fn wildcards(expr: &Expr) -> Expr {
    match expr {
        Expr::And(parts) => Expr::And(parts.iter().map(wildcards).collect()),
        Expr::Or(parts) => Expr::Or(parts.iter().map(wildcards).collect()),
        Expr::Not(part) => Expr::Not(Box::new(wildcards(part))),
        Expr::Compare { operator, left, right } => match (operator, pattern(right)) {
            (Operator::Eq, Some((function, text))) => call(function, left, text),
            (Operator::Ne, Some((function, text))) => Expr::Not(Box::new(call(function, left, text))),
            _ => expr.clone(),
        },
        _ => expr.clone(),
    }
}

fn call(function: Function, member: &Expr, text: &str) -> Expr {
    Expr::Call { function, args: vec![member.clone(), Expr::Literal(format!("'{text}'"))] }
}

/// The function and the text of a pattern: `'*x*'`, `'x*'` or `'*x'`.
fn pattern(expr: &Expr) -> Option<(Function, &str)> {
    let Expr::Literal(literal) = expr else { return None };
    let text = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    match (text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some(rest), Some(_)) => Some((Function::Contains, rest.strip_suffix('*').unwrap_or_default())),
        (Some(rest), None) => Some((Function::EndsWith, rest)),
        (None, Some(rest)) => Some((Function::StartsWith, rest)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_functions() {
        let cases = [
            ("'*bank*'", Some((Function::Contains, "bank"))),
            ("'bank*'", Some((Function::StartsWith, "bank"))),
            ("'*bank'", Some((Function::EndsWith, "bank"))),
            ("'*'", Some((Function::Contains, ""))),
            ("'ba*nk'", None),
            ("5", None),
        ];
        for (literal, expected) in cases {
            assert_eq!(pattern(&Expr::Literal(literal.into())), expected, "{literal}");
        }
    }
}
