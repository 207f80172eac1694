//! What a CSDL document declares, as it stands there.

use std::collections::HashMap;

use super::CsdlProblem;
use super::annotation::Facts;
use super::facets::{Facets, item_type};
use super::source::{Element, Fault, Source};

/// Everything a document declares that matters here.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) aliases: Aliases,
    pub(super) types: Vec<Structured>,
    pub(super) enums: Vec<Enumeration>,
    /// Type definitions: qualified name and underlying type.
    pub(super) definitions: HashMap<String, Facets>,
    pub(super) sets: Vec<Set>,
    /// Offsets and names of singletons, which bindings may lead to.
    pub(super) singletons: Vec<(usize, String)>,
    pub(super) actions: Vec<BoundAction>,
    /// Annotations by target path.
    pub(super) targets: Vec<(String, Facts)>,
}

/// Aliases of namespaces.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<String, String>);

#[derive(Debug)]
pub(super) struct Structured {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) qualified_name: String,
    pub(super) base: Option<String>,
    pub(super) is_abstract: bool,
    pub(super) is_open: Option<bool>,
    /// (offset, name)
    pub(super) key: Vec<(usize, String)>,
    pub(super) properties: Vec<Property>,
    pub(super) navigation: Vec<Navigation>,
    pub(super) facts: Facts,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) facets: Facets,
    pub(super) default: Option<String>,
    pub(super) facts: Facts,
}

#[derive(Debug)]
pub(super) struct Navigation {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) collection: bool,
    pub(super) nullable: bool,
    pub(super) contains_target: bool,
    pub(super) partner: Option<String>,
    /// (property, referenced property)
    pub(super) constraints: Vec<(String, String)>,
    pub(super) facts: Facts,
}

#[derive(Debug)]
pub(super) struct Enumeration {
    pub(super) offset: usize,
    pub(super) qualified_name: String,
    pub(super) is_flags: bool,
    /// (offset, name, value)
    pub(super) members: Vec<(usize, String, i64)>,
}

#[derive(Debug)]
pub(super) struct BoundAction {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) qualified_name: String,
    /// Name of the type it is bound to.
    pub(super) binding: String,
    /// Bound to a collection of that type.
    pub(super) on_collection: bool,
}

#[derive(Debug)]
pub(super) struct Set {
    pub(super) offset: usize,
    pub(super) name: String,
    /// Qualified name of the container and the set's name, as annotations target it.
    pub(super) target: String,
    pub(super) type_name: String,
    /// (offset, path, target)
    pub(super) bindings: Vec<(usize, String, String)>,
    pub(super) facts: Facts,
}

impl Aliases {
    /// The namespace of an alias; anything else is taken for a namespace.
    pub(super) fn namespace<'a>(&'a self, alias: &'a str) -> &'a str {
        self.0.get(alias).map_or(alias, String::as_str)
    }

    /// A qualified name with the namespace in place of an alias.
    pub(super) fn qualify(&self, name: &str) -> String {
        match name.rsplit_once('.') {
            Some((prefix, last)) => format!("{}.{last}", self.namespace(prefix)),
            None => name.into(),
        }
    }

    /// All (alias, namespace).
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    fn add(&mut self, element: &Element) -> Result<(), Fault> {
        if let (Some(alias), Some(namespace)) = (element.get("Alias"), element.get("Namespace")) {
            let before = self.0.insert(alias.to_owned(), namespace.to_owned());
            if before.is_some_and(|before| before != namespace) {
                return Err(element.fault(CsdlProblem::Duplicate(alias.to_owned())));
            }
        }
        Ok(())
    }
}

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Declared, Fault> {
    let mut source = Source::new(text);
    let mut declared = Declared::default();
    let missing = || Fault { offset: 0, problem: CsdlProblem::Xml("there is no <edmx:Edmx> element".into()) };
    let root = source.child()?.filter(|root| root.name() == "Edmx").ok_or_else(missing)?;
    root.require("Version")?;
    while let Some(part) = source.child()? {
        match part.name() {
            "Reference" => {
                while let Some(include) = source.child()? {
                    declared.aliases.add(&include)?;
                    source.skip()?;
                }
            }
            "DataServices" => {
                while let Some(schema) = source.child()? {
                    declared.schema(&mut source, &schema)?;
                }
            }
            _ => source.skip()?,
        }
    }
    Ok(declared)
}

impl Declared {
    fn schema(&mut self, source: &mut Source<'_>, schema: &Element) -> Result<(), Fault> {
        if schema.name() != "Schema" {
            return source.skip();
        }
        let namespace = schema.require("Namespace")?;
        self.aliases.add(schema)?;
        while let Some(element) = source.child()? {
            match element.name() {
                "EntityType" | "ComplexType" => {
                    let ty = self.structured(source, &element, &namespace)?;
                    self.types.push(ty);
                }
                "EnumType" => self.enums.push(enumeration(source, &element, &namespace)?),
                "TypeDefinition" => {
                    let name = format!("{namespace}.{}", element.require("Name")?);
                    if self.definitions.insert(name.clone(), Facets::read(&element, "UnderlyingType")?).is_some() {
                        return Err(element.fault(CsdlProblem::Duplicate(name)));
                    }
                    source.skip()?;
                }
                "Action" => self.actions.extend(bound_action(source, &element, &namespace)?),
                "EntityContainer" => self.container(source, &element, &namespace)?,
                "Annotations" => self.annotations(source, &element)?,
                _ => source.skip()?,
            }
        }
        Ok(())
    }

    fn structured(&self, source: &mut Source<'_>, ty: &Element, namespace: &str) -> Result<Structured, Fault> {
        let name = ty.require("Name")?;
        let mut structured = Structured {
            offset: ty.offset,
            qualified_name: format!("{namespace}.{name}"),
            name,
            base: ty.get("BaseType").map(str::to_owned),
            is_abstract: ty.flag("Abstract")?.unwrap_or(false),
            is_open: ty.flag("OpenType")?,
            key: Vec::new(),
            properties: Vec::new(),
            navigation: Vec::new(),
            facts: Facts::default(),
        };
        while let Some(element) = source.child()? {
            match element.name() {
                "Key" => {
                    while let Some(property) = source.child()? {
                        structured.key.push((property.offset, property.require("Name")?));
                        source.skip()?;
                    }
                }
                "Property" => structured.properties.push(self.property(source, &element)?),
                "NavigationProperty" => structured.navigation.push(self.navigation(source, &element)?),
                "Annotation" => structured.facts.read(source, &element, &self.aliases)?,
                _ => source.skip()?,
            }
        }
        Ok(structured)
    }

    fn property(&self, source: &mut Source<'_>, element: &Element) -> Result<Property, Fault> {
        let name = element.require("Name")?;
        element.require("Type")?;
        let facets = Facets::read(element, "Type")?;
        let default = element.get("DefaultValue").map(str::to_owned);
        Ok(Property { offset: element.offset, name, facets, default, facts: self.facts(source)? })
    }

    fn navigation(&self, source: &mut Source<'_>, element: &Element) -> Result<Navigation, Fault> {
        let (target, collection) = item_type(&element.require("Type")?);
        let (mut constraints, mut facts) = (Vec::new(), Facts::default());
        while let Some(child) = source.child()? {
            match child.name() {
                "ReferentialConstraint" => {
                    constraints.push((child.require("Property")?, child.require("ReferencedProperty")?));
                    source.skip()?;
                }
                "Annotation" => facts.read(source, &child, &self.aliases)?,
                _ => source.skip()?,
            }
        }
        Ok(Navigation {
            offset: element.offset,
            name: element.require("Name")?,
            target,
            collection,
            nullable: element.flag("Nullable")?.unwrap_or(true),
            contains_target: element.flag("ContainsTarget")?.unwrap_or(false),
            partner: element.get("Partner").map(str::to_owned),
            constraints,
            facts,
        })
    }

    /// The annotations among the children of the element just met.
    fn facts(&self, source: &mut Source<'_>) -> Result<Facts, Fault> {
        let mut facts = Facts::default();
        while let Some(child) = source.child()? {
            match child.name() {
                "Annotation" => facts.read(source, &child, &self.aliases)?,
                _ => source.skip()?,
            }
        }
        Ok(facts)
    }

    fn annotations(&mut self, source: &mut Source<'_>, element: &Element) -> Result<(), Fault> {
        let target = element.require("Target")?;
        let facts = self.facts(source)?;
        self.targets.push((target, facts));
        Ok(())
    }

    fn container(&mut self, source: &mut Source<'_>, container: &Element, namespace: &str) -> Result<(), Fault> {
        let container = format!("{namespace}.{}", container.require("Name")?);
        while let Some(element) = source.child()? {
            match element.name() {
                "EntitySet" => {
                    let set = self.set(source, &element, &container)?;
                    self.sets.push(set);
                }
                "Singleton" => {
                    self.singletons.push((element.offset, element.require("Name")?));
                    source.skip()?;
                }
                "Annotation" => {
                    let mut facts = Facts::default();
                    facts.read(source, &element, &self.aliases)?;
                    self.targets.push((container.clone(), facts));
                }
                _ => source.skip()?,
            }
        }
        Ok(())
    }

    fn set(&self, source: &mut Source<'_>, element: &Element, container: &str) -> Result<Set, Fault> {
        let name = element.require("Name")?;
        let type_name = element.require("EntityType")?;
        let (mut bindings, mut facts) = (Vec::new(), Facts::default());
        while let Some(child) = source.child()? {
            match child.name() {
                "NavigationPropertyBinding" => {
                    bindings.push((child.offset, child.require("Path")?, child.require("Target")?));
                    source.skip()?;
                }
                "Annotation" => facts.read(source, &child, &self.aliases)?,
                _ => source.skip()?,
            }
        }
        Ok(Set { offset: element.offset, target: format!("{container}/{name}"), name, type_name, bindings, facts })
    }
}

/// A bound action (CSDL 4.01 §12.2): its first parameter says what it is bound to. `None` for an unbound one.
fn bound_action(source: &mut Source<'_>, action: &Element, namespace: &str) -> Result<Option<BoundAction>, Fault> {
    let mut binding = None;
    while let Some(child) = source.child()? {
        if child.name() == "Parameter" && binding.is_none() {
            binding = Some(item_type(&child.require("Type")?));
        }
        source.skip()?;
    }
    let name = action.require("Name")?;
    let bound = binding.filter(|_| action.flag("IsBound").ok().flatten().unwrap_or(false));
    Ok(bound.map(|(binding, on_collection)| BoundAction {
        offset: action.offset,
        qualified_name: format!("{namespace}.{name}"),
        name,
        binding,
        on_collection,
    }))
}

fn enumeration(source: &mut Source<'_>, element: &Element, namespace: &str) -> Result<Enumeration, Fault> {
    let mut members = Vec::new();
    // A member without value follows the one before it (CSDL 4.01 §10.3).
    let mut next = 0_i64;
    while let Some(member) = source.child()? {
        if member.name() == "Member" {
            let value = match member.get("Value") {
                Some(text) => text.parse().map_err(|_| member.bad("Value", text))?,
                None => next,
            };
            next = value.wrapping_add(1);
            members.push((member.offset, member.require("Name")?, value));
        }
        source.skip()?;
    }
    Ok(Enumeration {
        offset: element.offset,
        qualified_name: format!("{namespace}.{}", element.require("Name")?),
        is_flags: element.flag("IsFlags")?.unwrap_or(false),
        members,
    })
}
