//! Duplicates in a seed: of a member of an object, of a key of a set.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::{Problem, ServiceError, seed::Members};
use crate::{
    edm::{self, EntityKey, Model, Nested, Record, SetId, TypeId, Value, ValueError},
    text_file::{self, Position},
    uri,
};

/// How deep the values of a row may be nested.
const MAX_DEPTH: usize = 64;

/// The rows of a file that were looked at, and their keys.
pub(super) struct Once<'a> {
    file: &'a str,
    text: &'a str,
    model: &'a Model,
    /// Collection, position of the alternate key, encoded key → where the row begins.
    keys: HashMap<(String, Option<usize>, String), usize>,
}

/// A collection that keys are unique in.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Index of the company.
    pub(super) company: Option<usize>,
    /// The entity set; `None` for contained entities.
    pub(super) set: Option<SetId>,
    /// The text that tells it from all others.
    pub(super) name: String,
    /// Declared type of its entities.
    pub(super) ty: TypeId,
}

impl Place {
    /// An entity set of a company.
    pub(super) fn of_set(model: &Model, company: Option<usize>, set: SetId) -> Self {
        let (name, ty) = (format!("{company:?}/{}", model.set(set).name), model.set(set).entity_type);
        Self { company, set: Some(set), name, ty }
    }
}

impl<'a> Once<'a> {
    pub(super) fn new(file: &'a str, text: &'a str, model: &'a Model) -> Self {
        Self { file, text, model, keys: HashMap::new() }
    }

    /// Looks at a row and at all that is nested in it.
    pub(super) fn row(&mut self, place: &Place, row: &RawValue) -> Result<(), ServiceError> {
        self.members(row, 0)?;
        self.entity(place, row)
    }

    /// No object in a value has a member twice.
    fn members(&self, value: &RawValue, depth: usize) -> Result<(), ServiceError> {
        let json = |error: serde_json::Error| self.problem(value, Problem::Json(text_file::json_message(&error)));
        if depth > MAX_DEPTH {
            return Err(self.problem(value, Problem::Json(format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        match value.get().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str::<Members<'_, &RawValue>>(value.get()).map_err(json)?;
                let mut names = HashSet::new();
                for (name, value) in members {
                    let text: String = serde_json::from_str(name.get()).map_err(json)?;
                    if !names.insert(text.clone()) {
                        return Err(self.problem(name, Problem::SeedTwice(text)));
                    }
                    self.members(value, depth + 1)?;
                }
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(json)?;
                items.into_iter().try_for_each(|item| self.members(item, depth + 1))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// An entity and those inserted with it have keys of their own.
    fn entity(&mut self, place: &Place, row: &RawValue) -> Result<(), ServiceError> {
        let model = self.model;
        let payload =
            edm::read_entity(model, place.ty, row.get().as_bytes()).map_err(|error| self.row_problem(row, error))?;
        self.keys(place, &payload.record, row)?;
        for (nav, nested) in &payload.nested {
            let Some(navigation) = model.ty(payload.record.ty).navigation.get(*nav) else { continue };
            let inner = if navigation.contains_target {
                let name = format!("{}/{}/{}", place.name, self.offset(row), navigation.name);
                Place { company: place.company, set: None, name, ty: navigation.target }
            } else {
                let bound = place.set.and_then(|set| model.set(set).bindings.get(&navigation.name).copied());
                let only = || model.sets().find(|(_, set)| set.entity_type == navigation.target).map(|(id, _)| id);
                let Some(set) = bound.or_else(only) else { continue };
                Place::of_set(model, place.company, set)
            };
            let rows = match nested {
                Nested::One(row) => std::slice::from_ref(row),
                Nested::Many(rows) => rows.as_slice(),
            };
            rows.iter().try_for_each(|row| self.entity(&inner, row))?;
        }
        Ok(())
    }

    fn keys(&mut self, place: &Place, record: &Record, row: &RawValue) -> Result<(), ServiceError> {
        let model = self.model;
        let given = |positions: &[usize]| -> Option<EntityKey> {
            let value = |at: &usize| record.values.get(*at)?.clone().filter(|value| !is_nothing(value));
            positions.iter().map(value).collect::<Option<_>>().map(EntityKey)
        };
        let ty = model.ty(record.ty);
        if let Some(key) = given(&ty.key) {
            let shown = uri::write_key(model, place.ty, &key);
            self.claim(place, None, &key, shown, row)?;
        }
        for (index, alternate) in ty.alternate_keys.iter().enumerate() {
            let positions: Vec<usize> = alternate.properties.iter().map(|(_, at)| *at).collect();
            if let Some(key) = given(&positions) {
                let shown = uri::write_alternate_key(model, record.ty, index, &key.0);
                self.claim(place, Some(index), &key, shown, row)?;
            }
        }
        Ok(())
    }

    fn claim(
        &mut self,
        place: &Place,
        index: Option<usize>,
        key: &EntityKey,
        shown: String,
        row: &RawValue,
    ) -> Result<(), ServiceError> {
        // A key that cannot be encoded is refused when the row is created.
        let Ok(encoded) = key.encode() else { return Ok(()) };
        let at = self.offset(row);
        let Some(first) = self.keys.insert((place.name.clone(), index, encoded), at) else { return Ok(()) };
        let line = Position::of(self.text, first).line;
        let set = place.name.rsplit('/').next().unwrap_or_default().to_owned();
        Err(self.problem(row, Problem::SeedKey { set, key: shown, line }))
    }

    /// The problem of a row. Faults of JSON have a place in the row.
    fn row_problem(&self, row: &RawValue, error: ValueError) -> ServiceError {
        let ValueError::Json { line, column, message } = error else {
            return self.problem(row, Problem::SeedRow(Box::new(error)));
        };
        let before = row.get().split('\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum::<usize>();
        let offset = self.offset(row) + before;
        let rest = self.text.get(offset..).unwrap_or_default();
        let inside = rest.char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at);
        Problem::Json(message).at(self.file, self.text, offset + inside)
    }

    fn problem(&self, at: &RawValue, problem: Problem) -> ServiceError {
        problem.at(self.file, self.text, self.offset(at))
    }

    /// Where a part of the file begins.
    fn offset(&self, at: &RawValue) -> usize {
        at.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }
}

/// Null and the empty text are no key values: several rows may lack a number.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::String(text) if text.is_empty())
}
