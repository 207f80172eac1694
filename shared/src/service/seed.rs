//! `seed.json`: the rows of an empty store, as the payloads that would create them.
//!
//! `{"set": [{…}, …], …}`, created in the order of the file. Where the service keeps companies apart, these rows are the
//! default company's; `{"companies": {"name or key": {"set": [{…}]}}}` names others. A payload is OData JSON: nested
//! collections (deep insert) and `@odata.bind` with paths relative to the service root work as in a request. It is trusted:
//! it may give values of computed properties, too, so that historic data keeps its times and counters.
//!
//! A duplicate stops the start with its line: of a member of an object, of a set of one company, of a key of a set.

use std::{collections::HashSet, fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{
    Companies, Problem, ServiceError,
    once::{Once, Place},
};
use crate::{
    edm::{Model, SetId},
    text_file::{self, Position},
};

/// Rows of one entity set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedGroup {
    /// Index of the company, where the service has companies.
    pub company: Option<usize>,
    /// The entity set.
    pub set: SetId,
    /// The create payloads, each the bytes of the file, in its order.
    pub payloads: Vec<Bytes>,
    /// The whole file.
    file: Bytes,
}

impl SeedGroup {
    /// Where in the file a payload begins.
    pub fn position(&self, payload: &Bytes) -> Position {
        let text = std::str::from_utf8(&self.file).unwrap_or_default();
        Position::of(text, payload.as_ptr().addr().saturating_sub(self.file.as_ptr().addr()))
    }
}

/// The members of a JSON object in their order; repeated names stay.
#[derive(Debug)]
pub(super) struct Members<'a, T>(pub(super) Vec<(&'a RawValue, T)>);

/// What stands behind a name at the top.
#[derive(Debug)]
enum Section<'a> {
    Rows(Vec<&'a RawValue>),
    Groups(Vec<(&'a RawValue, Members<'a, Vec<&'a RawValue>>)>),
}

/// Reads the file.
pub(super) fn parse(
    file: &str,
    json: &Bytes,
    model: &Model,
    companies: Option<&Companies>,
) -> Result<Vec<SeedGroup>, ServiceError> {
    let text = text_file::decode(json).map_err(|problem| ServiceError::not_text(file, problem))?;
    let json = &json.slice_ref(text.as_bytes());
    let sections: Members<'_, Section<'_>> = serde_json::from_str(text).map_err(|error| ServiceError {
        file: file.into(),
        position: Some(Position::of_json(text, &error)),
        problem: Box::new(Problem::Json(text_file::json_message(&error))),
    })?;
    let (once, sets) = (Once::new(file, text, model), HashSet::new());
    let mut reader = Reader { file, json, text, model, companies, once, sets };
    let mut seen = HashSet::new();
    let default = companies.map(|companies| companies.default);
    let mut groups = Vec::new();
    for (name, section) in sections.0 {
        if !seen.insert(string(name)) {
            return Err(reader.problem(name, Problem::SeedTwice(string(name))));
        }
        match section {
            Section::Rows(rows) => groups.push(reader.group(default, name, &rows)?),
            Section::Groups(named) => reader.companies(name, named, &mut groups)?,
        }
    }
    Ok(groups)
}

struct Reader<'a> {
    file: &'a str,
    json: &'a Bytes,
    text: &'a str,
    model: &'a Model,
    companies: Option<&'a Companies>,
    once: Once<'a>,
    /// The sets that were named, by company.
    sets: HashSet<(Option<usize>, SetId)>,
}

impl Reader<'_> {
    fn companies(
        &mut self,
        section: &RawValue,
        named: Vec<(&RawValue, Members<'_, Vec<&RawValue>>)>,
        groups: &mut Vec<SeedGroup>,
    ) -> Result<(), ServiceError> {
        let Some(companies) = self.companies.filter(|_| string(section) == "companies") else {
            return Err(self.problem(section, Problem::SeedCompanies));
        };
        for (name, sets) in named {
            let company = companies
                .by_name(&string(name))
                .or_else(|| companies.by_key_text(self.model, &string(name)))
                .ok_or_else(|| self.problem(name, Problem::UnknownCompany(string(name))))?;
            for (set, rows) in sets.0 {
                groups.push(self.group(Some(company), set, &rows)?);
            }
        }
        Ok(())
    }

    fn group(
        &mut self,
        company: Option<usize>,
        name: &RawValue,
        rows: &[&RawValue],
    ) -> Result<SeedGroup, ServiceError> {
        let set =
            self.model.set_id(&string(name)).ok_or_else(|| self.problem(name, Problem::UnknownSet(string(name))))?;
        if self.companies.is_some_and(|companies| companies.set == set) {
            return Err(self.problem(name, Problem::SeedReadOnly(string(name))));
        }
        if !self.sets.insert((company, set)) {
            return Err(self.problem(name, Problem::SeedTwice(string(name))));
        }
        let place = Place::of_set(self.model, company, set);
        rows.iter().try_for_each(|row| self.once.row(&place, row))?;
        let payloads = rows.iter().map(|row| self.json.slice_ref(row.get().as_bytes())).collect();
        Ok(SeedGroup { company, set, payloads, file: self.json.clone() })
    }

    fn problem(&self, at: &RawValue, problem: Problem) -> ServiceError {
        let offset = at.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        problem.at(self.file, self.text, offset)
    }
}

/// The text of a JSON string.
fn string(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Members<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a, T>(PhantomData<(&'a RawValue, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> de::Visitor<'de> for MembersVisitor<'a, T> {
    type Value = Members<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Section<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SectionVisitor(PhantomData))
    }
}

struct SectionVisitor<'a>(PhantomData<&'a RawValue>);

impl<'de: 'a, 'a> de::Visitor<'de> for SectionVisitor<'a> {
    type Value = Section<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entities, or an object with one member a company")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(row) = rows.next_element()? {
            all.push(row);
        }
        Ok(Section::Rows(all))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let Members(groups) = MembersVisitor(PhantomData).visit_map(map)?;
        Ok(Section::Groups(groups))
    }
}
