//! Types and facets as they are declared.

use super::source::{Element, Fault};

/// Type and facets of a property or a type definition; names are not resolved yet.
#[derive(Clone, Debug)]
pub(super) struct Facets {
    /// Name of the type, or of the type of an item.
    pub(super) type_name: String,
    pub(super) collection: bool,
    pub(super) nullable: bool,
    pub(super) max_length: Option<usize>,
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
}

impl Facets {
    /// Reads the attributes of an element; `attribute` names the one with the type.
    pub(super) fn read(element: &Element, attribute: &'static str) -> Result<Self, Fault> {
        let (type_name, collection) = match element.get(attribute) {
            Some(text) => item_type(text),
            None => ("Edm.String".into(), false),
        };
        Ok(Self {
            type_name,
            collection,
            // Of a collection the facet speaks about the items, and has no default there (CSDL 4.01 §7.2.1).
            nullable: element.flag("Nullable")?.unwrap_or(!collection),
            max_length: number(element, "MaxLength", &["max"])?,
            precision: number(element, "Precision", &[])?,
            scale: number(element, "Scale", &["variable", "floating"])?,
        })
    }

    /// Takes the facets of a type definition where this has none.
    pub(super) fn inherit(&mut self, definition: &Self) {
        self.type_name.clone_from(&definition.type_name);
        self.max_length = self.max_length.or(definition.max_length);
        self.precision = self.precision.or(definition.precision);
        self.scale = self.scale.or(definition.scale);
    }
}

/// Takes `Collection(…)` off.
pub(super) fn item_type(text: &str) -> (String, bool) {
    match text.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        Some(item) => (item.trim().into(), true),
        None => (text.into(), false),
    }
}

/// A number; one of `words` means no limit.
fn number<N: std::str::FromStr>(
    element: &Element,
    attribute: &'static str,
    words: &[&str],
) -> Result<Option<N>, Fault> {
    let Some(text) = element.get(attribute) else { return Ok(None) };
    if words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| element.bad(attribute, text))
}
