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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::fixture::{ACCOUNT, OPEN, model};

    fn chosen(ty: TypeId, names: &[&str]) -> Result<Option<Selection>, QueryError> {
        select(&model(), ty, &Some(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    #[test]
    fn properties_come_in_declared_order_once() {
        let expected = Selection { properties: vec![0, 2, 3], dynamic: vec![] };
        assert_eq!(chosen(ACCOUNT, &["revenue", "name", "parent", "accountid", "name"]), Ok(Some(expected)));
        assert_eq!(chosen(ACCOUNT, &["orders"]), Ok(Some(Selection::default())));
    }

    #[test]
    fn a_star_and_no_option_mean_all() {
        assert_eq!(select(&model(), ACCOUNT, &None), Ok(None));
        assert_eq!(chosen(ACCOUNT, &["name", "*"]), Ok(None));
    }

    #[test]
    fn unknown_names_are_refused_on_closed_types_alone() {
        let refused = QueryError::BadProperty { name: "nothing".into(), ty: "NS.Account".into() };
        assert_eq!(chosen(ACCOUNT, &["nothing"]), Err(refused.clone()));
        assert_eq!(chosen(ACCOUNT, &["*", "nothing"]), Err(refused));
        let open = Selection { properties: vec![0], dynamic: vec!["b".into(), "a".into()] };
        assert_eq!(chosen(OPEN, &["b", "id", "a"]), Ok(Some(open)));
    }
}
