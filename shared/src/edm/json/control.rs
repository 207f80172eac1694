//! Control information and annotations: the members of a JSON object that are no values (JSON Format §4.6, §20).
//!
//! The meaning of each kind in a request, with the prefix `odata.` or without it:
//!
//! | control information | in a request |
//! |---|---|
//! | `type` | the type of an entity, a complex value or a dynamic property; has to agree with a declared property |
//! | `id`, `bind` | references to entities that are linked |
//! | `etag` | the version of an entity that is changed |
//! | `delta`, `removed`, `nextLink`, a `context` of changes | changes, or a part of a collection: refused by name |
//! | all other kinds, annotations, operations | information about an answer: ignored |

use serde_json::value::RawValue;

use super::object::{Shape, shape};
use super::path::Path;
use crate::edm::{StructuredType, ValueError};

/// The meaning of the name of a member that is no declared property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member<'n> {
    /// A name: of a navigation property, or a dynamic one.
    Plain,
    /// Control information that a request is read for, and what it is about: the object itself where that is empty.
    Control(&'n str, Control),
    /// Control information of an answer, an annotation or an operation.
    Information,
}

/// Control information that a request is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Context,
    Type,
    Id,
    Etag,
    Bind,
    Delta,
    Removed,
    NextLink,
}

impl<'n> Member<'n> {
    /// Reads the name of a member of an object of this type.
    pub(super) fn of(name: &'n str, ty: Option<&StructuredType>) -> Self {
        let Some((target, term)) = name.split_once('@') else {
            let declared =
                |name: &str| ty.is_some_and(|ty| ty.navigation(name).or_else(|| ty.property(name)).is_some());
            let operation = name.split_once('#').is_some_and(|(target, _)| target.is_empty() || declared(target));
            return if operation { Self::Information } else { Self::Plain };
        };
        let control = match term.strip_prefix("odata.").unwrap_or(term) {
            "context" => Control::Context,
            "type" => Control::Type,
            "id" => Control::Id,
            "etag" => Control::Etag,
            "bind" => Control::Bind,
            "delta" => Control::Delta,
            "removed" => Control::Removed,
            "nextLink" => Control::NextLink,
            _ => return Self::Information,
        };
        Self::Control(target, control)
    }
}

/// Refuses control information that says of an object, or of a part of it, that it is a change or not all there is.
pub(super) fn refuse_changes(name: &str, raw: &RawValue, path: &Path<'_>) -> Result<(), ValueError> {
    let Member::Control(_, control) = Member::of(name, None) else { return Ok(()) };
    let refused = match control {
        Control::Delta | Control::Removed | Control::NextLink => shape(raw) != Shape::Null,
        Control::Context => is_of_changes(raw.get().trim_matches('"')),
        Control::Type | Control::Id | Control::Etag | Control::Bind => false,
    };
    if refused { Err(ValueError::UnsupportedControl { property: path.to_string() }) } else { Ok(()) }
}

/// Whether a context URL is one of changes (Protocol §10.10–10.13): `#Customers/$deletedEntity`, `#$delta`.
fn is_of_changes(context: &str) -> bool {
    let last = context.rsplit(['#', '/']).next().unwrap_or_default();
    matches!(last, "$delta" | "$deletedEntity" | "$link" | "$deletedLink") || context.ends_with("$delta/$entity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same() {
        for (name, expected) in [
            ("@odata.type", Member::Control("", Control::Type)),
            ("@type", Member::Control("", Control::Type)),
            ("Lines@odata.delta", Member::Control("Lines", Control::Delta)),
            ("Lines@delta", Member::Control("Lines", Control::Delta)),
            ("@removed", Member::Control("", Control::Removed)),
            ("Lines@odata.count", Member::Information),
            ("Name@Core.Description", Member::Information),
            ("@Ns.Term#q", Member::Information),
            ("Name@Ns.Term@odata.type", Member::Information),
            ("#Ns.Act", Member::Information),
            ("Name", Member::Plain),
            ("a#b", Member::Plain),
        ] {
            assert_eq!(Member::of(name, None), expected, "{name}");
        }
    }

    #[test]
    fn contexts_of_changes_are_known() {
        for context in ["#$delta", "http://h/s/$metadata#Customers/$deletedEntity", "#Customers/$delta/$entity"] {
            assert!(is_of_changes(context), "{context}");
        }
        for context in ["$metadata#Customers/$entity", "#Deltas", "http://h/$delta/$metadata#Customers"] {
            assert!(!is_of_changes(context), "{context}");
        }
    }
}
