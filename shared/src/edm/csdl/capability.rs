//! Restrictions of what clients may do (`Org.OData.Capabilities.V1`): of entity sets and of navigation properties.

use super::expression::Expression;
use crate::edm::Capabilities;

/// The capabilities that annotations state; `None` where they state none.
#[derive(Clone, Debug, Default)]
pub(super) struct Stated {
    insertable: Option<bool>,
    updatable: Option<bool>,
    deletable: Option<bool>,
    readable: Option<bool>,
    readable_by_key: Option<bool>,
    /// Of what navigation leads to, by path.
    navigation: Vec<(String, Stated)>,
}

impl Stated {
    /// Reads a term of the vocabulary, or a member of `NavigationPropertyRestriction`, which has the same names.
    pub(super) fn read(&mut self, term: &str, value: &Expression) {
        let flag = |member: &str| value.member(member).and_then(Expression::flag);
        match term {
            "InsertRestrictions" => self.insertable = flag("Insertable"),
            "UpdateRestrictions" => self.updatable = flag("Updatable"),
            "DeleteRestrictions" => self.deletable = flag("Deletable"),
            "ReadRestrictions" => {
                self.readable = flag("Readable");
                let by_key = value.member("ReadByKeyRestrictions").and_then(|by_key| by_key.member("Readable"));
                self.readable_by_key = by_key.and_then(Expression::flag);
            }
            "NavigationRestrictions" => {
                let restricted = value.member("RestrictedProperties").map_or(&[][..], Expression::items);
                for restriction in restricted {
                    let path = restriction.member("NavigationProperty").and_then(Expression::text);
                    let Some(path) = path else { continue };
                    let mut stated = Self::default();
                    for term in ["InsertRestrictions", "UpdateRestrictions", "DeleteRestrictions", "ReadRestrictions"] {
                        if let Some(value) = restriction.member(term) {
                            stated.read(term, value);
                        }
                    }
                    self.of_navigation(path, stated);
                }
            }
            _ => {}
        }
    }

    /// Adds what is said of navigation along a path. Casts on the way do not matter.
    pub(super) fn of_navigation(&mut self, path: &str, stated: Self) {
        let names: Vec<&str> = path.split('/').filter(|segment| !segment.contains('.')).collect();
        self.navigation.push((names.join("/"), stated));
    }

    /// Adds what others say about the same.
    pub(super) fn merge(&mut self, other: Self) {
        self.insertable = self.insertable.or(other.insertable);
        self.updatable = self.updatable.or(other.updatable);
        self.deletable = self.deletable.or(other.deletable);
        self.readable = self.readable.or(other.readable);
        self.readable_by_key = self.readable_by_key.or(other.readable_by_key);
        self.navigation.extend(other.navigation);
    }

    /// The remaining capabilities.
    pub(super) fn capabilities(&self) -> Capabilities {
        let readable = self.readable.unwrap_or(true);
        Capabilities {
            insertable: self.insertable.unwrap_or(true),
            updatable: self.updatable.unwrap_or(true),
            deletable: self.deletable.unwrap_or(true),
            readable,
            readable_by_key: self.readable_by_key.unwrap_or(readable),
        }
    }

    /// The remaining capabilities of navigation, by path.
    pub(super) fn navigation(&self) -> impl Iterator<Item = (&str, Capabilities)> {
        self.navigation.iter().map(|(path, stated)| (path.as_str(), stated.capabilities()))
    }
}
