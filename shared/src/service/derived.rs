//! Values that the service fills in: declared in `[derived]` of a `service.toml`, checked against the model.

use std::collections::{BTreeMap, HashMap};

use toml::Spanned;

use super::{
    Problem,
    config::{ClientConfig, CopyConfig, NowConfig, RuleConfig, WayConfig},
    literal,
};
use crate::edm::{Model, PrimitiveType, Property, Record, StructuredType, TypeId, TypeKind, Value};

/// A property whose value the service fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// Position of the property in its type.
    pub property: usize,
    /// How its value comes about.
    pub rule: Rule,
    /// The treatment of a client's value.
    pub client: Client,
}

/// The treatment of a value that a client gives for a derived property. None is overwritten by another one in silence;
/// those of properties that the model declares as `Core.Computed` do not count, as the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A copy is looked up: it is an alternate key of the entity that the navigation property leads to, and points the
    /// navigation property there. Where that is said otherwise too, both have to agree.
    Lookup,
    /// The client's value stays.
    Keep,
    /// The client's value has to be the one that the service makes.
    Refuse,
}

/// How a derived value comes about.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// This value at creation, when the client gave none.
    Default(Value),
    /// A new random Guid at creation, when the client gave none.
    NewGuid,
    /// At creation, when the client gave none: counts within the parent (contained entities) or the entity set.
    Sequence {
        /// First value.
        start: i64,
        /// Distance to the next, 1 or more.
        step: i64,
    },
    /// A property of the parent, at creation.
    CopyFromParent {
        /// Position in the parent's type.
        property: usize,
    },
    /// At creation, by the type of the parent: the first type that it is or derives from.
    ByParent(Vec<(TypeId, Value)>),
    /// A property of the entity that a single-valued navigation property leads to, at creation and whenever that
    /// changes; without target the default of the property's type.
    CopyFromLookup(Copied),
    /// The time of the write.
    Now {
        /// At every change too, not at creation only.
        on_update: bool,
    },
    /// The texts of these properties with spaces between them. Not stored: joined whenever the entity is read
    /// ([`Model::concatenate`]).
    Concat(Vec<usize>),
}

/// A copy along a navigation property.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// Position of the property whose value says which source counts; `None` where there is one.
    pub by: Option<usize>,
    /// The sources.
    pub sources: Vec<CopySource>,
}

/// Where a value is copied from.
#[derive(Clone, Debug, PartialEq)]
pub struct CopySource {
    /// The value of [`Copied::by`] for which it counts.
    pub when: Option<Value>,
    /// Position of the navigation property.
    pub nav: usize,
    /// Position of the property in the navigation's target type.
    pub property: usize,
}

impl Copied {
    /// The source that counts for an entity. Without one its value is what the client gives.
    pub fn source(&self, record: &Record) -> Option<&CopySource> {
        let value = self.by.and_then(|by| record.values.get(by)?.as_ref());
        self.sources.iter().find(|source| source.when.is_none() || source.when.as_ref() == value)
    }
}

impl Rule {
    /// Whether the service makes the value also where a client gives one: [`Client`] says what becomes of that. A value that
    /// is joined from others is computed in the model too, so that a client's does not count.
    pub fn makes_value(&self) -> bool {
        matches!(self, Self::CopyFromParent { .. } | Self::ByParent(_) | Self::CopyFromLookup(_) | Self::Now { .. })
    }

    /// Rules are applied in this order, so that a copy sees the defaults.
    fn order(&self) -> u8 {
        match self {
            Self::Default(_) => 0,
            Self::NewGuid => 1,
            Self::Sequence { .. } => 2,
            Self::CopyFromParent { .. } | Self::ByParent(_) => 3,
            Self::CopyFromLookup(_) => 4,
            Self::Now { .. } => 5,
            Self::Concat(_) => 6,
        }
    }
}

/// A problem and the byte offset in `service.toml` it belongs to.
pub(super) type Located = (usize, Problem);

type Rules<'c> = &'c BTreeMap<Spanned<String>, Spanned<RuleConfig>>;

/// Adds the rules declared for a type to it and to all that derive from it, in the order they are applied.
pub(super) fn add_rules(
    model: &Model,
    declared: TypeId,
    rules: Rules<'_>,
    derived: &mut HashMap<TypeId, Vec<Derived>>,
) -> Result<(), Located> {
    let mut own = Vec::with_capacity(rules.len());
    for (name, rule) in rules {
        let property = property(model.ty(declared), name.as_ref()).map_err(|problem| (name.span().start, problem))?;
        own.push(check(model, declared, property, rule.as_ref()).map_err(|problem| (rule.span().start, problem))?);
    }
    for id in type_ids(model).filter(|id| model.is_a(*id, declared)) {
        // What a derived type declares itself stays, whichever of the two was read first.
        let all = derived.entry(id).or_default();
        let inherited: Vec<_> = own
            .iter()
            .filter(|new| id == declared || all.iter().all(|old| old.property != new.property))
            .cloned()
            .collect();
        if id == declared {
            all.retain(|old| own.iter().all(|new| new.property != old.property));
        }
        all.extend(inherited);
        all.sort_by_key(|derived| (derived.rule.order(), derived.property));
    }
    Ok(())
}

fn type_ids(model: &Model) -> impl Iterator<Item = TypeId> {
    (0..).map(TypeId).take(model.types.len())
}

fn property(ty: &StructuredType, name: &str) -> Result<usize, Problem> {
    ty.property(name).ok_or_else(|| Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: name.to_owned() })
}

fn check(model: &Model, id: TypeId, position: usize, config: &RuleConfig) -> Result<Derived, Problem> {
    let ty = model.ty(id);
    let Some(target) = ty.properties.get(position) else {
        return Err(Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: position.to_string() });
    };
    let rule = rule(model, id, position, target, &config.way)?;
    let client = match (config.client, &rule) {
        (Some(_), rule) if !rule.makes_value() => return Err(Problem::ClientWins),
        (Some(ClientConfig::Lookup), Rule::CopyFromLookup(copied)) => {
            copied.sources.iter().try_for_each(|source| has_alternate_key(model, ty, source))?;
            Client::Lookup
        }
        (Some(ClientConfig::Lookup), _) => return Err(Problem::LookupOfNone),
        (None | Some(ClientConfig::Refuse), rule) if rule.makes_value() => Client::Refuse,
        (None | Some(ClientConfig::Keep | ClientConfig::Refuse), _) => Client::Keep,
    };
    Ok(Derived { property: position, rule, client })
}

fn rule(model: &Model, id: TypeId, position: usize, target: &Property, way: &WayConfig) -> Result<Rule, Problem> {
    match way {
        WayConfig::Default(value) => literal::value(model, id, position, value).map(Rule::Default),
        WayConfig::NewGuid => {
            needs(target, "new_guid", "a Guid", |kind| kind == PrimitiveType::Guid)?;
            Ok(Rule::NewGuid)
        }
        WayConfig::Sequence(sequence) => {
            needs(target, "sequence", "an integer of 16 bits or more", |kind| {
                matches!(kind, PrimitiveType::Int16 | PrimitiveType::Int32 | PrimitiveType::Int64)
            })?;
            if sequence.step < 1 {
                return Err(Problem::SequenceStep(sequence.step));
            }
            Ok(Rule::Sequence { start: sequence.start, step: sequence.step })
        }
        WayConfig::Now(when) => {
            needs(target, "now", "a DateTimeOffset", |kind| kind == PrimitiveType::DateTimeOffset)?;
            Ok(Rule::Now { on_update: *when == NowConfig::Change })
        }
        WayConfig::Copy(copy, by) => copied(model, id, target, copy, by.as_deref()).map(Rule::CopyFromLookup),
        WayConfig::CopyFromParent(name) => copy_from_parent(model, id, target, name),
        WayConfig::ByParent(values) => by_parent(model, id, position, values),
        WayConfig::Concat(names) => concat(model.ty(id), position, target, names),
    }
}

/// The types whose entities contain those of a type.
fn parents(model: &Model, id: TypeId) -> impl Iterator<Item = TypeId> {
    let contains = move |parent: &TypeId| {
        model.ty(*parent).navigation.iter().any(|nav| nav.contains_target && model.is_a(id, nav.target))
    };
    type_ids(model).filter(contains)
}

fn by_parent(
    model: &Model,
    id: TypeId,
    position: usize,
    values: &BTreeMap<String, toml::Value>,
) -> Result<Rule, Problem> {
    let mut by = Vec::with_capacity(values.len());
    for (name, value) in values {
        let parent = parents(model, id)
            .find(|parent| [&model.ty(*parent).name, &model.ty(*parent).qualified_name].contains(&name));
        let parent =
            parent.ok_or_else(|| Problem::NotParent { ty: model.ty(id).qualified_name.clone(), name: name.clone() })?;
        by.push((parent, literal::value(model, id, position, value)?));
    }
    Ok(Rule::ByParent(by))
}

/// A property that is joined from others, which have values of their own.
fn concat(ty: &StructuredType, position: usize, target: &Property, names: &[String]) -> Result<Rule, Problem> {
    let text = |kind| kind == PrimitiveType::String;
    needs(target, "concat", "a string", text)?;
    if !target.computed {
        return Err(Problem::ConcatNotComputed(target.name.clone()));
    }
    if !target.computed {
        return Err(Problem::ConcatNotComputed(target.name.clone()));
    }
    let mut parts = Vec::with_capacity(names.len());
    for name in names {
        let part = property(ty, name)?;
        if part == position {
            return Err(Problem::ConcatOfItself(name.clone()));
        }
        if let Some(part) = ty.properties.get(part) {
            needs(part, "concat", "strings", text)?;
        }
        parts.push(part);
    }
    Ok(Rule::Concat(parts))
}

fn needs(
    target: &Property,
    rule: &'static str,
    needs: &'static str,
    fits: impl Fn(PrimitiveType) -> bool,
) -> Result<(), Problem> {
    match target.ty.kind {
        TypeKind::Primitive(kind) if !target.ty.collection && fits(kind) => Ok(()),
        _ => Err(Problem::RuleType { rule, needs, property: target.name.clone() }),
    }
}

fn copied(
    model: &Model,
    id: TypeId,
    target: &Property,
    copy: &CopyConfig,
    by: Option<&str>,
) -> Result<Copied, Problem> {
    let ty = model.ty(id);
    match (copy, by) {
        (CopyConfig::Path(path), _) => {
            let source = copy_source(model, ty, target, path)?;
            Ok(Copied { by: None, sources: vec![source] })
        }
        (CopyConfig::Paths(_), None) => Err(Problem::CopyBy),
        (CopyConfig::Paths(paths), Some(by)) => {
            let by = property(ty, by)?;
            let source = |(value, path): (&String, &String)| {
                let when = literal::value(model, id, by, &toml::Value::String(value.clone()))?;
                Ok(CopySource { when: Some(when), ..copy_source(model, ty, target, path)? })
            };
            Ok(Copied { by: Some(by), sources: paths.iter().map(source).collect::<Result<_, Problem>>()? })
        }
    }
}

fn copy_source(model: &Model, ty: &StructuredType, target: &Property, path: &str) -> Result<CopySource, Problem> {
    let (navigation, name) = path.split_once('/').ok_or_else(|| Problem::CopyPath(path.into()))?;
    let unknown = || Problem::UnknownNavigation { ty: ty.qualified_name.clone(), name: navigation.into() };
    let nav = ty.navigation(navigation).ok_or_else(unknown)?;
    let lookup = ty.navigation.get(nav).ok_or_else(unknown)?;
    if lookup.collection {
        return Err(Problem::CollectionNavigation(navigation.into()));
    }
    let source = model.ty(lookup.target);
    let property = property(source, name)?;
    same_type("copy", source, property, target)?;
    Ok(CopySource { when: None, nav, property })
}

/// A lookup needs the property to be an alternate key by itself: else several entities could be meant.
fn has_alternate_key(model: &Model, ty: &StructuredType, source: &CopySource) -> Result<(), Problem> {
    let target = ty.navigation.get(source.nav).map(|nav| model.ty(nav.target));
    if target.is_some_and(|target| target.alternate_key_of(source.property).is_some()) {
        return Ok(());
    }
    let name = target.and_then(|target| Some(target.properties.get(source.property)?.name.clone()));
    let ty = target.map(|target| target.qualified_name.clone()).unwrap_or_default();
    Err(Problem::NoAlternateKey { ty, name: name.unwrap_or_default() })
}

fn copy_from_parent(model: &Model, id: TypeId, target: &Property, name: &str) -> Result<Rule, Problem> {
    let ty = model.ty(id);
    let mut place = None;
    for parent in parents(model, id).map(|parent| model.ty(parent)) {
        let position = property(parent, name)?;
        same_type("copy_from_parent", parent, position, target)?;
        if *place.get_or_insert(position) != position {
            return Err(Problem::ParentsDiffer { ty: ty.qualified_name.clone(), name: name.into() });
        }
    }
    let property = place.ok_or_else(|| Problem::NoParent(ty.qualified_name.clone()))?;
    Ok(Rule::CopyFromParent { property })
}

fn same_type(rule: &'static str, source: &StructuredType, position: usize, target: &Property) -> Result<(), Problem> {
    let fits = source
        .properties
        .get(position)
        .is_some_and(|source| source.ty.kind == target.ty.kind && source.ty.collection == target.ty.collection);
    if fits {
        Ok(())
    } else {
        Err(Problem::RuleType { rule, needs: "a property of the same type", property: target.name.clone() })
    }
}
