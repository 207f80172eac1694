//! Companies of a service: configuration, shown as a read-only entity set.

use std::collections::HashMap;

use super::{Problem, config::CompaniesConfig, derived::Located, literal};
use crate::edm::{EntityKey, Model, Record, SetId, Value};

/// The companies whose data a service keeps apart.
///
/// They come from `service.toml`: reading them costs no call to the table.
#[derive(Clone, Debug)]
pub struct Companies {
    /// The entity set that shows them.
    pub set: SetId,
    /// One record each, of the set's type.
    pub rows: Vec<Record>,
    /// Position of the property that the `Company` header and `?company=` name.
    pub name_property: usize,
    /// Index in `rows` of the one that is meant when a request names none.
    pub default: usize,
    keys: Vec<EntityKey>,
    /// Lower-case name → index in `rows`.
    names: HashMap<String, usize>,
}

impl Companies {
    /// Index of the company of a key.
    pub fn by_key(&self, key: &EntityKey) -> Option<usize> {
        self.keys.iter().position(|own| own == key)
    }

    /// Index of the company of a name, whatever its case.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_lowercase()).copied()
    }

    /// Key of a company. Indexes come from these companies only.
    #[expect(clippy::indexing_slicing, reason = "an index is made by the companies it indexes")]
    pub fn key(&self, company: usize) -> &EntityKey {
        &self.keys[company]
    }

    /// Name of a company; empty for an index that none has.
    pub fn name(&self, company: usize) -> &str {
        match self.rows.get(company).and_then(|row| row.values.get(self.name_property)) {
            Some(Some(Value::String(name))) => name,
            _ => "",
        }
    }

    /// Index of the company whose key is this Guid or string.
    pub(super) fn by_key_text(&self, model: &Model, text: &str) -> Option<usize> {
        let &[key] = model.ty(model.set(self.set).entity_type).key.as_slice() else { return None };
        self.rows.iter().position(|row| match row.values.get(key) {
            Some(Some(Value::Guid(guid))) => uuid::Uuid::parse_str(text) == Ok(*guid),
            Some(Some(Value::String(key))) => key == text,
            _ => false,
        })
    }

    pub(super) fn new(model: &Model, config: &CompaniesConfig) -> Result<Self, Located> {
        let set_at = config.set.span().start;
        let set = model
            .set_id(config.set.as_ref())
            .ok_or_else(|| (set_at, Problem::UnknownSet(config.set.as_ref().clone())))?;
        let id = model.set(set).entity_type;
        let ty = model.ty(id);
        let name = config.name_property.as_ref();
        let name_property = ty.property(name).ok_or_else(|| {
            let problem = Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: name.clone() };
            (config.name_property.span().start, problem)
        })?;
        let mut companies =
            Self { set, rows: Vec::new(), name_property, default: 0, keys: Vec::new(), names: HashMap::new() };
        for row in &config.rows {
            let at = row.span().start;
            let record = literal::record(model, id, row.as_ref()).map_err(|problem| (at, problem))?;
            companies.add(model, record, name).map_err(|problem| (at, problem))?;
        }
        if companies.rows.is_empty() {
            return Err((set_at, Problem::NoCompany));
        }
        let default = config.default.as_ref();
        companies.default = companies
            .by_name(default)
            .ok_or_else(|| (config.default.span().start, Problem::UnknownCompany(default.clone())))?;
        Ok(companies)
    }

    fn add(&mut self, model: &Model, record: Record, name_property: &str) -> Result<(), Problem> {
        let Some(Some(Value::String(name))) = record.values.get(self.name_property) else {
            return Err(Problem::CompanyName(name_property.into()));
        };
        let key = EntityKey::of(model, &record).ok_or_else(|| Problem::NoCompanyKey(name.clone()))?;
        key.encode().map_err(Problem::CompanyKey)?;
        if self.by_key(&key).is_some() || self.names.insert(name.to_lowercase(), self.rows.len()).is_some() {
            return Err(Problem::SameCompany(name.clone()));
        }
        self.keys.push(key);
        self.rows.push(record);
        Ok(())
    }
}
