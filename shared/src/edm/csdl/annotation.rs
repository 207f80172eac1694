//! The annotations this service understands (vocabularies `Org.OData.Core.V1` and `Org.OData.Capabilities.V1`).

use std::collections::HashMap;

use super::capability::Stated;
use super::declared::{Aliases, Declared};
use super::expression::Expression;
use super::source::{Element, Fault, Source};
use crate::edm::Capabilities;

const CORE: &str = "Org.OData.Core.V1";
const CAPABILITIES: &str = "Org.OData.Capabilities.V1";

/// What the annotations of one element say.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an annotation of its own")]
pub(super) struct Facts {
    /// `Core.Computed`
    pub(super) computed: bool,
    /// `Core.Immutable`
    pub(super) immutable: bool,
    /// `Core.Permissions` is without Write
    pub(super) read_only: bool,
    /// `Core.Permissions` is without Read
    pub(super) write_only: bool,
    /// Restrictions of what clients may do
    pub(super) stated: Stated,
    /// `Core.AlternateKeys`: for each key (path, alias) of its properties
    pub(super) alternate_keys: Vec<Vec<(String, String)>>,
    /// `Core.MediaType`: path of the property that holds it
    pub(super) media_type: Option<String>,
    /// `Core.AcceptableMediaTypes`
    pub(super) accepts: Vec<String>,
    /// `Capabilities.IsolationSupported` is Snapshot
    pub(super) snapshots: bool,
}

impl Facts {
    /// Adds what others say about the same element.
    pub(super) fn merge(&mut self, other: Self) {
        self.computed |= other.computed;
        self.immutable |= other.immutable;
        self.read_only |= other.read_only;
        self.write_only |= other.write_only;
        self.stated.merge(other.stated);
        self.alternate_keys.extend(other.alternate_keys);
        self.media_type = self.media_type.take().or(other.media_type);
        self.accepts.extend(other.accepts);
        self.snapshots |= other.snapshots;
    }

    /// Reads an `Annotation` element that was just met.
    pub(super) fn read(&mut self, source: &mut Source<'_>, element: &Element, aliases: &Aliases) -> Result<(), Fault> {
        let term = element.require("Term")?;
        let (namespace, name) = term.rsplit_once('.').unwrap_or(("", &term));
        if element.get("Qualifier").is_some() {
            return source.skip();
        }
        match (aliases.namespace(namespace), name) {
            (CORE, "Computed") => self.computed = flag(source, element)?,
            (CORE, "Immutable") => self.immutable = flag(source, element)?,
            (CORE, "Permissions") => {
                let members = members(source, element)?;
                (self.read_only, self.write_only) = (lacks(&members, "/Write"), lacks(&members, "/Read"));
            }
            (CORE, "MediaType") => {
                self.media_type = element.get("Path").map(str::to_owned);
                source.skip()?;
            }
            (CORE, "AcceptableMediaTypes") => self.accepts.extend(strings(source)?),
            (CORE, "AlternateKeys") => self.alternate_keys.extend(alternate_keys(source)?),
            (CAPABILITIES, "IsolationSupported") => {
                self.snapshots = members(source, element)?.split_whitespace().any(|level| level.ends_with("/Snapshot"));
            }
            (CAPABILITIES, term) => self.stated.read(term, &Expression::of(source, element)?),
            _ => source.skip()?,
        }
        Ok(())
    }

    /// The capabilities of clients with the annotated entities.
    pub(super) fn capabilities(&self) -> Capabilities {
        let permitted = if self.read_only { Capabilities::READ } else { Capabilities::ALL };
        let readable = !self.write_only;
        self.stated.capabilities().and(Capabilities { readable, readable_by_key: readable, ..permitted })
    }
}

/// Gives each element the annotations that target it from outside, and each type those of its entity sets.
pub(super) fn attach(declared: &mut Declared) {
    let types: HashMap<String, usize> =
        declared.types.iter().enumerate().map(|(at, ty)| (ty.qualified_name.clone(), at)).collect();
    let sets: HashMap<String, usize> =
        declared.sets.iter().enumerate().map(|(at, set)| (set.target.clone(), at)).collect();
    for (target, facts) in std::mem::take(&mut declared.targets) {
        let (first, rest) = target.split_once('/').map_or((target.as_str(), None), |(ty, rest)| (ty, Some(rest)));
        let qualified = declared.aliases.qualify(first);
        let ty = types.get(&qualified).and_then(|at| declared.types.get_mut(*at));
        match (ty, rest) {
            (Some(ty), None) => ty.facts.merge(facts),
            (Some(ty), Some(name)) => {
                if let Some(property) = ty.properties.iter_mut().find(|property| property.name == name) {
                    property.facts.merge(facts);
                } else if let Some(navigation) = ty.navigation.iter_mut().find(|nav| nav.name == name) {
                    navigation.facts.merge(facts);
                }
            }
            (None, Some(path)) => {
                let (set, navigation) = path.split_once('/').map_or((path, None), |(set, path)| (set, Some(path)));
                let set = sets.get(&format!("{qualified}/{set}")).and_then(|at| declared.sets.get_mut(*at));
                match (set, navigation) {
                    (Some(set), None) => set.facts.merge(facts),
                    (Some(set), Some(path)) => set.facts.stated.of_navigation(path, facts.stated),
                    (None, _) => {}
                }
            }
            (None, None) => {}
        }
    }
    for set in &mut declared.sets {
        let at = types.get(&declared.aliases.qualify(&set.type_name));
        if let Some(ty) = at.and_then(|at| declared.types.get_mut(*at)) {
            ty.facts.alternate_keys.append(&mut set.facts.alternate_keys);
        }
    }
}

/// A Boolean term: true unless it says otherwise.
fn flag(source: &mut Source<'_>, element: &Element) -> Result<bool, Fault> {
    let mut value = element.flag("Bool")?.unwrap_or(true);
    while let Some(child) = source.child()? {
        let is_bool = child.name() == "Bool";
        let text = source.text()?;
        if is_bool {
            value = text != "false";
        }
    }
    Ok(value)
}

/// The members of an enumeration, with spaces between them.
fn members(source: &mut Source<'_>, element: &Element) -> Result<String, Fault> {
    let mut value = element.get("EnumMember").unwrap_or_default().to_owned();
    while let Some(child) = source.child()? {
        let is_member = child.name() == "EnumMember";
        let text = source.text()?;
        if is_member {
            value = text;
        }
    }
    Ok(value)
}

/// Whether permissions are stated, and this one is not among them. Several stand apart by spaces, or by commas.
fn lacks(members: &str, permission: &str) -> bool {
    let mut all = members.split([' ', ',', '\n', '\t']).filter(|member| !member.is_empty());
    !members.trim().is_empty() && !all.any(|member| member.ends_with(permission) || member.ends_with("/ReadWrite"))
}

/// `Collection` of `String`s.
fn strings(source: &mut Source<'_>) -> Result<Vec<String>, Fault> {
    let mut strings = Vec::new();
    while source.child()?.is_some() {
        while let Some(item) = source.child()? {
            let is_string = item.name() == "String";
            let text = source.text()?;
            strings.extend(is_string.then_some(text));
        }
    }
    Ok(strings)
}

/// `Collection` of `Record`s with a `PropertyValue` named `Key`.
fn alternate_keys(source: &mut Source<'_>) -> Result<Vec<Vec<(String, String)>>, Fault> {
    let mut keys = Vec::new();
    while let Some(collection) = source.child()? {
        if collection.name() != "Collection" {
            source.skip()?;
            continue;
        }
        while source.child()?.is_some() {
            while let Some(member) = source.child()? {
                if member.get("Property") == Some("Key") {
                    keys.push(key_properties(source)?);
                } else {
                    source.skip()?;
                }
            }
        }
    }
    Ok(keys)
}

/// `Collection` of `Record`s with `PropertyValue`s named `Name` and `Alias`.
fn key_properties(source: &mut Source<'_>) -> Result<Vec<(String, String)>, Fault> {
    let mut properties = Vec::new();
    while source.child()?.is_some() {
        while source.child()?.is_some() {
            let (mut name, mut alias) = (String::new(), String::new());
            while let Some(member) = source.child()? {
                let value = constant(source, &member)?;
                match member.get("Property") {
                    Some("Name") => name = value,
                    Some("Alias") => alias = value,
                    _ => {}
                }
            }
            if alias.is_empty() {
                alias.clone_from(&name);
            }
            properties.push((name, alias));
        }
    }
    Ok(properties)
}

/// A path or a string, as an attribute or as an element.
fn constant(source: &mut Source<'_>, element: &Element) -> Result<String, Fault> {
    let attribute = element.get("PropertyPath").or_else(|| element.get("String"));
    let mut value = attribute.unwrap_or_default().to_owned();
    while let Some(child) = source.child()? {
        let is_constant = matches!(child.name(), "PropertyPath" | "String");
        let text = source.text()?;
        if is_constant {
            value = text;
        }
    }
    Ok(value)
}
