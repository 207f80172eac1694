//! What can be wrong with a value a client sends.

use std::fmt;

use thiserror::Error;

use super::primitive::TextError;

/// Characters of a client's text that a message repeats.
const SHOWN_CHARS: usize = 100;

/// Why a body or a literal is no value of the model. `property` is the path of the property (`lines/0/amount`), empty
/// where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are named by the messages")]
pub enum ValueError {
    /// The body is no JSON.
    #[error("malformed JSON at line {line}, column {column}: {message}")]
    Json { line: usize, column: usize, message: String },
    /// An object has a member twice.
    #[error("{} is given twice", Named(property))]
    DuplicateMember { property: String },
    /// The type neither declares the property nor is open.
    #[error("{} is no property of type '{type_name}'", Named(property))]
    UnknownProperty { property: String, type_name: String },
    /// The value has another type.
    #[error("{} must be of type {expected}, not {got}", Named(property))]
    WrongType { property: String, expected: String, got: String },
    /// `Nullable="false"`.
    #[error("{} must not be null", Named(property))]
    NotNullable { property: String },
    /// `MaxLength`, in characters of a String or bytes of a Binary.
    #[error("{} of type '{type_name}' has length {got}, the maximum is {max}", Named(property))]
    TooLong { property: String, max: usize, got: usize, type_name: String },
    /// No member of the enumeration.
    #[error("'{value}' is not an option. The existing options are: {}", options.join(","))]
    NotAnOption { property: String, value: String, options: Vec<String> },
    /// The value has the form of the type but is beyond a limit.
    #[error("{} is out of range ({got}): {limit}", Named(property))]
    OutOfRange { property: String, limit: String, got: String },
    /// Values are nested too deep.
    #[error("{} is nested deeper than {max} levels", Named(property))]
    TooDeep { property: String, max: usize },
    /// `@odata.type` names no type that may be here.
    #[error("the type '{got}' of {} is not '{expected}' and does not derive from it", Named(property))]
    WrongTypeAnnotation { property: String, expected: String, got: String },
    /// The body, or an item of it, must be an object.
    #[error("{} must be a JSON object, not {got}", Named(property))]
    NotAnObject { property: String, got: String },
    /// Control information that is beyond this service: changes of related entities, parts of collections.
    #[error("{} is not supported in a request", Named(property))]
    UnsupportedControl { property: String },
    /// A type that the model does not have.
    #[error("the type '{got}' of {} is not known", Named(property))]
    UnknownType { property: String, got: String },
    /// `Core.Permissions` of a navigation property leaves out Write.
    #[error("{} is read-only", Named(property))]
    ReadOnly { property: String },
    /// No JSON holds the value of a stream.
    #[error("{} is a stream: PUT or PATCH its bytes at its own URL", Named(property))]
    Stream { property: String },
    /// A key the service computes is given by the client. Raised by who knows the kind of request.
    #[error("{} is computed by the service", Named(property))]
    ComputedKey { property: String },
}

impl ValueError {
    /// Path of the property that is wrong: the `target` of an OData error.
    pub fn property(&self) -> Option<&str> {
        let property = match self {
            Self::Json { .. } => return None,
            Self::DuplicateMember { property }
            | Self::UnknownProperty { property, .. }
            | Self::WrongType { property, .. }
            | Self::NotNullable { property }
            | Self::TooLong { property, .. }
            | Self::NotAnOption { property, .. }
            | Self::OutOfRange { property, .. }
            | Self::TooDeep { property, .. }
            | Self::WrongTypeAnnotation { property, .. }
            | Self::NotAnObject { property, .. }
            | Self::UnsupportedControl { property }
            | Self::UnknownType { property, .. }
            | Self::ReadOnly { property }
            | Self::Stream { property }
            | Self::ComputedKey { property } => property,
        };
        Some(property.as_str()).filter(|path| !path.is_empty())
    }

    /// The same error without what the client sent: it may be a secret.
    #[must_use]
    pub fn without_value(mut self) -> Self {
        match &mut self {
            Self::WrongType { got, .. } | Self::OutOfRange { got, .. } | Self::NotAnObject { got, .. } => {
                "what was sent".clone_into(got);
            }
            Self::NotAnOption { value, .. } => "What was sent".clone_into(value),
            _ => {}
        }
        self
    }

    /// The same error met inside of something: `amount` within `lines/0` is `lines/0/amount`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        match &mut self {
            Self::Json { .. } => {}
            Self::DuplicateMember { property }
            | Self::UnknownProperty { property, .. }
            | Self::WrongType { property, .. }
            | Self::NotNullable { property }
            | Self::TooLong { property, .. }
            | Self::NotAnOption { property, .. }
            | Self::OutOfRange { property, .. }
            | Self::TooDeep { property, .. }
            | Self::WrongTypeAnnotation { property, .. }
            | Self::NotAnObject { property, .. }
            | Self::UnsupportedControl { property }
            | Self::UnknownType { property, .. }
            | Self::ReadOnly { property }
            | Self::Stream { property }
            | Self::ComputedKey { property } => {
                *property = if property.is_empty() { outer.into() } else { format!("{outer}/{property}") };
            }
        }
        self
    }

    /// The error of a text that is no value of the type `expected`.
    pub(crate) fn of_text(error: TextError, property: String, expected: &str, got: &str) -> Self {
        match error {
            TextError::Malformed => Self::WrongType { property, expected: expected.into(), got: shorten(got) },
            TextError::OutOfRange(limit) => Self::OutOfRange { property, limit: limit.into(), got: shorten(got) },
        }
    }
}

/// The beginning of a client's text, for a message.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into(),
    }
}

/// How a message names the place of an error.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the value") } else { write!(f, "'{}'", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_answered_with_the_options() {
        let options = ["Inventory", "Service", "Non-Inventory"].map(String::from).to_vec();
        let error = ValueError::NotAnOption { property: "type".into(), value: "Invalid Type".into(), options };
        assert_eq!(
            error.to_string(),
            "'Invalid Type' is not an option. The existing options are: Inventory,Service,Non-Inventory"
        );
        assert_eq!(error.property(), Some("type"));
    }

    #[test]
    fn paths_grow_outwards() {
        let error = ValueError::NotNullable { property: "amount".into() }.within("lines/0").within("order");
        assert_eq!(error.property(), Some("order/lines/0/amount"));
        assert_eq!(error.to_string(), "'order/lines/0/amount' must not be null");
    }

    #[test]
    fn long_texts_are_shortened_between_characters() {
        assert_eq!(shorten(&"ä".repeat(101)), format!("{}…", "ä".repeat(100)));
        assert_eq!(shorten("short"), "short");
    }
}
