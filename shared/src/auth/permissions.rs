//! Which scopes and roles give which permission, for one service.

use std::collections::{BTreeMap, BTreeSet};

use super::{Caller, Grants, Permission};

/// A service's table: permission → the scopes and roles that give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(BTreeMap<Permission, BTreeSet<String>>);

impl Default for Permissions {
    /// Each permission is given by the scope or role of the same name.
    fn default() -> Self {
        Self(Permission::ALL.into_iter().map(|p| (p, BTreeSet::from([p.name().to_owned()]))).collect())
    }
}

impl Permissions {
    /// Replaces the scopes and roles that give a permission.
    pub fn set(&mut self, permission: Permission, given_by: BTreeSet<String>) {
        self.0.insert(permission, given_by);
    }

    /// The scopes and roles that give a permission, those that give `admin` among them.
    pub fn given_by(&self, permission: Permission) -> impl Iterator<Item = &str> {
        let admin = (permission != Permission::Admin).then_some(Permission::Admin);
        [Some(permission), admin].into_iter().flatten().filter_map(|p| self.0.get(&p)).flatten().map(String::as_str)
    }

    /// Whether a caller has a permission. `admin` includes all others.
    pub fn permit(&self, caller: &Caller, permission: Permission) -> bool {
        let Grants::Named(granted) = &caller.grants else { return true };
        [permission, Permission::Admin]
            .iter()
            .filter_map(|p| self.0.get(p))
            .any(|given_by| !given_by.is_disjoint(granted))
    }
}
