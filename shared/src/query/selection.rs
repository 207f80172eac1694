//! Which properties an answer shows.

use super::QueryError;
use crate::edm::{Model, TypeId};

/// The properties that `$select` chose. Keys are not added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Positions of declared properties, ascending, each once.
    pub properties: Vec<usize>,
    /// Names that are not declared, of an open type, in the order sent.
    pub dynamic: Vec<String>,
}

/// Finds the properties of `$select` in a type. `None` means all: no `$select`, or one with `*`.
///
/// Navigation properties may be named and add nothing.
pub fn select(model: &Model, ty: TypeId, names: &Option<Vec<String>>) -> Result<Option<Selection>, QueryError> {
    let Some(names) = names else { return Ok(None) };
    let ty = model.ty(ty);
    let mut selection = Selection::default();
    let mut all = false;
    for name in names {
        match ty.property(name) {
            _ if name == "*" => all = true,
            Some(position) => selection.properties.push(position),
            None if ty.navigation(name).is_some() => {}
            None if ty.is_open => selection.dynamic.push(name.clone()),
            None => return Err(QueryError::BadProperty { name: name.clone(), ty: ty.qualified_name.clone() }),
        }
    }
    selection.properties.sort_unstable();
    selection.properties.dedup();
    Ok((!all).then_some(selection))
}
