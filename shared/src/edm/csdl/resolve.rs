//! Turns declarations into a model: names become indices, inherited members come first.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::CsdlProblem;
use super::annotation::{Facts, attach};
use super::check;
use super::declared::{Aliases, BoundAction, Declared, Enumeration, Navigation, Structured};
use super::facets::Facets;
use super::sets::entity_sets;
use super::source::Fault;
use crate::edm::{
    Action, AlternateKey, EnumId, EnumMember, EnumType, Model, NavigationProperty, PrimitiveType, Property,
    PropertyType, Stream, StructuredType, TypeId, TypeKind, Value,
};

/// Resolves a document's declarations.
pub(super) fn model(mut declared: Declared, document: Bytes) -> Result<Model, Fault> {
    // The term is one of the entity container, of which there is one.
    let snapshots = declared.targets.iter().any(|(_, facts)| facts.snapshots);
    attach(&mut declared);
    let Declared { aliases, types, enums, definitions, sets, singletons, actions, .. } = declared;
    let enums: Vec<(usize, EnumType)> =
        enums.into_iter().map(|ty| Ok((ty.offset, enumeration(ty)?))).collect::<Result<_, Fault>>()?;
    let names = Names::new(aliases, definitions, &types, &enums)?;
    let enums: Vec<EnumType> = enums.into_iter().map(|(_, ty)| ty).collect();
    let types = structured_types(types, &names, &enums)?;
    let (sets, set_names) = entity_sets(sets, &singletons, &names)?;
    check::keys(&sets, &types)?;
    let actions = actions.into_iter().map(|action| bound_action(action, &names)).collect::<Result<_, _>>()?;
    let (type_names, enum_names) = (names.types, names.enums);
    let mut model = Model { types, enums, sets, actions, set_names, type_names, enum_names, snapshots, document };
    add_aliased_names(&mut model, &names.aliases);
    Ok(model)
}

/// Offset and (property, referenced property) of a navigation property.
type DeclaredConstraints = (usize, Vec<(String, String)>);

/// Index number `at` of a table.
pub(super) fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What the names of types mean.
pub(super) struct Names {
    aliases: Aliases,
    definitions: HashMap<String, Facets>,
    types: HashMap<String, TypeId>,
    enums: HashMap<String, EnumId>,
}

impl Names {
    fn new(
        aliases: Aliases,
        definitions: HashMap<String, Facets>,
        types: &[Structured],
        enums: &[(usize, EnumType)],
    ) -> Result<Self, Fault> {
        let mut names = Self { aliases, definitions, types: HashMap::new(), enums: HashMap::new() };
        let duplicate = |offset: usize, name: &str| Err(Fault { offset, problem: CsdlProblem::Duplicate(name.into()) });
        for (at, (offset, ty)) in enums.iter().enumerate() {
            let known = names.definitions.contains_key(&ty.qualified_name);
            if known || names.enums.insert(ty.qualified_name.clone(), EnumId(index(at))).is_some() {
                return duplicate(*offset, &ty.qualified_name);
            }
        }
        for (at, ty) in types.iter().enumerate() {
            let name = &ty.qualified_name;
            let known = names.definitions.contains_key(name) || names.enums.contains_key(name);
            if known || names.types.insert(name.clone(), TypeId(index(at))).is_some() {
                return duplicate(ty.offset, name);
            }
        }
        Ok(names)
    }

    pub(super) fn structured(&self, name: &str, offset: usize) -> Result<TypeId, Fault> {
        let unknown = || Fault { offset, problem: CsdlProblem::UnknownType(name.into()) };
        self.types.get(&self.aliases.qualify(name)).copied().ok_or_else(unknown)
    }

    /// Type and facets of a property, and whether it is a stream, whose value are bytes. `None` for a collection of streams.
    fn property_type(&self, mut facets: Facets, offset: usize) -> Result<Option<(PropertyType, bool)>, Fault> {
        let mut name = self.aliases.qualify(&facets.type_name);
        if let Some(definition) = self.definitions.get(&name) {
            facets.inherit(definition);
            name.clone_from(&definition.type_name);
        }
        let kind = match name.strip_prefix("Edm.") {
            Some("Stream") if facets.collection => return Ok(None),
            Some("Stream") => Some(TypeKind::Primitive(PrimitiveType::Binary)),
            Some("ComplexType") => Some(TypeKind::Primitive(PrimitiveType::Untyped)),
            Some(primitive) => PrimitiveType::from_name(primitive).map(TypeKind::Primitive),
            None => match self.enums.get(&name) {
                Some(id) => Some(TypeKind::Enum(*id)),
                None => self.types.get(&name).map(|id| TypeKind::Complex(*id)),
            },
        };
        let Some(kind) = kind else { return Err(Fault { offset, problem: CsdlProblem::UnknownType(name) }) };
        let Facets { collection, nullable, max_length, precision, scale, .. } = facets;
        let ty = PropertyType { kind, collection, nullable, max_length, precision, scale };
        Ok(Some((ty, name == "Edm.Stream")))
    }
}

fn bound_action(declared: BoundAction, names: &Names) -> Result<Action, Fault> {
    let BoundAction { offset, name, qualified_name, binding, on_collection } = declared;
    Ok(Action { name, qualified_name, binding: names.structured(&binding, offset)?, on_collection })
}

fn enumeration(declared: Enumeration) -> Result<EnumType, Fault> {
    let mut seen = HashSet::new();
    let mut members = Vec::with_capacity(declared.members.len());
    for (offset, name, value) in declared.members {
        if !seen.insert(name.clone()) {
            let problem = CsdlProblem::Duplicate(format!("{}/{name}", declared.qualified_name));
            return Err(Fault { offset, problem });
        }
        members.push(EnumMember { caption: caption(&name), name, value });
    }
    Ok(EnumType { qualified_name: declared.qualified_name, is_flags: declared.is_flags, members })
}

/// A name with `_xHHHH_` turned into the character of that code.
fn caption(name: &str) -> String {
    let mut caption = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("_x") {
        let (before, from) = rest.split_at(at);
        caption.push_str(before);
        let code = from.get(2..6).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let end = from.get(6..7) == Some("_");
        let (shown, length) = character.filter(|_| end).map_or(('_', 1), |character| (character, 7));
        caption.push(shown);
        rest = from.get(length..).unwrap_or_default();
    }
    caption.push_str(rest);
    caption
}

/// All structured types, bases before what derives from them, put into declared order at the end.
fn structured_types(
    declared: Vec<Structured>,
    names: &Names,
    enums: &[EnumType],
) -> Result<Vec<StructuredType>, Fault> {
    let bases = declared
        .iter()
        .map(|ty| ty.base.as_deref().map(|base| names.structured(base, ty.offset)).transpose())
        .collect::<Result<Vec<_>, Fault>>()?;
    let order = bases_first(&bases, &declared)?;
    let mut waiting: Vec<Option<Structured>> = declared.into_iter().map(Some).collect();
    let mut done: Vec<Option<StructuredType>> = waiting.iter().map(|_| None).collect();
    let mut offsets = vec![Vec::new(); done.len()];
    for at in order {
        let Some(ty) = waiting.get_mut(at).and_then(Option::take) else { continue };
        let base_id = bases.get(at).copied().flatten();
        let base = base_id.and_then(|id| done.get(id.0 as usize)).and_then(Option::as_ref);
        let constraints: Vec<_> = ty.navigation.iter().map(|nav| (nav.offset, nav.constraints.clone())).collect();
        let resolved = structured_type(ty, base_id.zip(base), names, enums)?;
        if let (Some(slot), Some(offset)) = (done.get_mut(at), offsets.get_mut(at)) {
            *slot = Some(resolved);
            *offset = constraints;
        }
    }
    let mut types: Vec<StructuredType> = done.into_iter().flatten().collect();
    resolve_constraints(&mut types, &offsets)?;
    Ok(types)
}

/// The order in which types can be resolved.
fn bases_first(bases: &[Option<TypeId>], declared: &[Structured]) -> Result<Vec<usize>, Fault> {
    let mut order = Vec::with_capacity(bases.len());
    let mut ready = vec![false; bases.len()];
    for start in 0..bases.len() {
        let mut chain = Vec::new();
        let mut on_chain = HashSet::new();
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| !ready.get(*at).copied().unwrap_or(true)) {
            if !on_chain.insert(at) {
                let (offset, name) =
                    declared.get(at).map(|ty| (ty.offset, ty.qualified_name.clone())).unwrap_or_default();
                return Err(Fault { offset, problem: CsdlProblem::Cycle(name) });
            }
            chain.push(at);
            next = bases.get(at).copied().flatten().map(|id| id.0 as usize);
        }
        for at in chain.into_iter().rev() {
            if let Some(ready) = ready.get_mut(at) {
                *ready = true;
            }
            order.push(at);
        }
    }
    Ok(order)
}

fn structured_type(
    declared: Structured,
    base: Option<(TypeId, &StructuredType)>,
    names: &Names,
    enums: &[EnumType],
) -> Result<StructuredType, Fault> {
    let (offset, inherited) = (declared.offset, base.map(|(_, ty)| ty));
    let mut ty = StructuredType {
        name: declared.name,
        qualified_name: declared.qualified_name,
        base: base.map(|(id, _)| id),
        is_abstract: declared.is_abstract,
        is_open: declared.is_open.unwrap_or(false) || inherited.is_some_and(|base| base.is_open),
        properties: inherited.map(|base| base.properties.clone()).unwrap_or_default(),
        navigation: inherited.map(|base| base.navigation.clone()).unwrap_or_default(),
        key: inherited.map(|base| base.key.clone()).unwrap_or_default(),
        alternate_keys: inherited.map(|base| base.alternate_keys.clone()).unwrap_or_default(),
        concats: Vec::new(),
        offset,
        property_names: inherited.map(|base| base.property_names.clone()).unwrap_or_default(),
        navigation_names: inherited.map(|base| base.navigation_names.clone()).unwrap_or_default(),
    };
    let mut media_types = Vec::new();
    for property in declared.properties {
        let Some((property_type, is_stream)) = names.property_type(property.facets, property.offset)? else { continue };
        let default = property.default.map(|text| {
            let bad = CsdlProblem::BadAttribute {
                owner: property.name.clone(),
                attribute: "DefaultValue",
                value: text.clone(),
            };
            default_value(&property_type, &text, enums).ok_or(Fault { offset: property.offset, problem: bad })
        });
        let Facts { computed, immutable, read_only, write_only, media_type, accepts, .. } = property.facts;
        let read_only = read_only && !declared.key.iter().any(|(_, name)| *name == property.name);
        let (name, computed) = (property.name, computed || read_only);
        add_name(&mut ty.property_names, &name, ty.properties.len(), &ty.qualified_name, property.offset)?;
        let default = default.transpose()?;
        let stream = is_stream.then_some(Stream { media_type: None, accepts });
        if let Some(path) = media_type.filter(|_| is_stream) {
            media_types.push((ty.properties.len(), path, property.offset));
        }
        ty.properties.push(Property { name, ty: property_type, computed, immutable, write_only, default, stream });
    }
    for (at, path, offset) in media_types {
        let media_type = Some(position(&ty, &path, offset)?);
        if let Some(stream) = ty.properties.get_mut(at).and_then(|property| property.stream.as_mut()) {
            stream.media_type = media_type;
        }
    }
    for navigation in declared.navigation {
        add_navigation(&mut ty, navigation, names)?;
    }
    if !declared.key.is_empty() {
        ty.key = key(&ty, &declared.key)?;
    }
    for key in declared.facts.alternate_keys {
        let properties = key.into_iter().map(|(path, alias)| Ok((alias, position(&ty, &path, offset)?)));
        let key = AlternateKey { properties: properties.collect::<Result<_, Fault>>()? };
        ty.alternate_keys.push(key);
    }
    Ok(ty)
}

fn add_navigation(ty: &mut StructuredType, declared: Navigation, names: &Names) -> Result<(), Fault> {
    let (offset, name) = (declared.offset, &declared.name);
    add_name(&mut ty.navigation_names, name, ty.navigation.len(), &ty.qualified_name, offset)?;
    if ty.property_names.contains_key(name) {
        return Err(Fault { offset, problem: CsdlProblem::Duplicate(format!("{}/{name}", ty.qualified_name)) });
    }
    ty.navigation.push(navigation_property(declared, names)?);
    Ok(())
}

/// The positions of the properties that a type's key is made of.
fn key(ty: &StructuredType, declared: &[(usize, String)]) -> Result<Vec<usize>, Fault> {
    let mut key = Vec::with_capacity(declared.len());
    for (offset, name) in declared {
        let at = position(ty, name, *offset)?;
        if key.contains(&at) {
            let problem = CsdlProblem::Duplicate(format!("{}/{name}", ty.qualified_name));
            return Err(Fault { offset: *offset, problem });
        }
        key.push(at);
    }
    Ok(key)
}

fn default_value(ty: &PropertyType, text: &str, enums: &[EnumType]) -> Option<Value> {
    match ty.kind {
        TypeKind::Primitive(primitive) => primitive.parse_text(text).ok(),
        TypeKind::Enum(id) => enums.get(id.0 as usize)?.parse(text).map(Value::Enum),
        TypeKind::Complex(_) => None,
    }
}

fn navigation_property(declared: Navigation, names: &Names) -> Result<NavigationProperty, Fault> {
    Ok(NavigationProperty {
        target: names.structured(&declared.target, declared.offset)?,
        name: declared.name,
        collection: declared.collection,
        nullable: declared.nullable,
        contains_target: declared.contains_target,
        partner: declared.partner,
        constraints: Vec::new(),
        capabilities: declared.facts.capabilities(),
        read_only: declared.facts.read_only,
    })
}

/// Referential constraints of each type's own navigation properties, which are its last ones, then of the inherited.
fn resolve_constraints(types: &mut [StructuredType], declared: &[Vec<DeclaredConstraints>]) -> Result<(), Fault> {
    let mut own = Vec::with_capacity(types.len());
    for (ty, navigation) in types.iter().zip(declared) {
        let first = ty.navigation.len().saturating_sub(navigation.len());
        let mut resolved = HashMap::new();
        for (property, (offset, pairs)) in ty.navigation.iter().skip(first).zip(navigation) {
            let Some(target) = types.get(property.target.0 as usize) else { continue };
            let pairs =
                pairs.iter().map(|(from, to)| Ok((position(ty, from, *offset)?, position(target, to, *offset)?)));
            resolved.insert(property.name.clone(), pairs.collect::<Result<Vec<_>, Fault>>()?);
        }
        own.push((ty.base, resolved));
    }
    for (at, ty) in types.iter_mut().enumerate() {
        for navigation in &mut ty.navigation {
            // Positions of inherited properties are the same in a derived type.
            let mut holder = own.get(at);
            while let Some((base, resolved)) = holder {
                if let Some(pairs) = resolved.get(&navigation.name) {
                    navigation.constraints.clone_from(pairs);
                    break;
                }
                holder = base.and_then(|id| own.get(id.0 as usize));
            }
        }
    }
    Ok(())
}

fn add_name(
    names: &mut HashMap<String, usize>,
    name: &str,
    at: usize,
    owner: &str,
    offset: usize,
) -> Result<(), Fault> {
    match names.insert(name.into(), at) {
        None => Ok(()),
        Some(_) => Err(Fault { offset, problem: CsdlProblem::Duplicate(format!("{owner}/{name}")) }),
    }
}

fn position(ty: &StructuredType, name: &str, offset: usize) -> Result<usize, Fault> {
    ty.property(name).ok_or_else(|| {
        let problem = CsdlProblem::UnknownProperty { type_name: ty.qualified_name.clone(), property: name.into() };
        Fault { offset, problem }
    })
}

/// Lets types be found by their alias-qualified names, too: payloads may use them (JSON Format §4.6.3).
fn add_aliased_names(model: &mut Model, aliases: &Aliases) {
    for (alias, namespace) in aliases.iter() {
        let alias_of = |name: &str| {
            let (prefix, last) = name.rsplit_once('.')?;
            (prefix == namespace).then(|| format!("{alias}.{last}"))
        };
        let types: Vec<_> = model.type_names.iter().filter_map(|(name, id)| Some((alias_of(name)?, *id))).collect();
        model.type_names.extend(types);
        let enums: Vec<_> = model.enum_names.iter().filter_map(|(name, id)| Some((alias_of(name)?, *id))).collect();
        model.enum_names.extend(enums);
    }
}
