//! Values that the service fills in: declared in `[derived]` of a `service.toml`, checked against the model.

use std::collections::{BTreeMap, HashMap};

use toml::Spanned;

use super::{
    Problem,
    config::{NowConfig, RuleConfig},
    literal,
};
use crate::edm::{Model, PrimitiveType, Property, StructuredType, TypeId, TypeKind, Value};

/// A property whose value the service fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// Position of the property in its type.
    pub property: usize,
    /// How its value comes about.
    pub rule: Rule,
}

/// How a derived value comes about. What the client sends wins over [`Rule::Default`], [`Rule::Sequence`] and
/// [`Rule::NewGuid`]; the other rules overrule it.
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
    CopyFromLookup {
        /// Position of the navigation property.
        nav: usize,
        /// Position of the property in the navigation's target type.
        property: usize,
    },
    /// The time of the write.
    Now {
        /// At every change too, not at creation only.
        on_update: bool,
    },
    /// The texts of these properties with spaces between them. Not stored: joined whenever the entity is read
    /// ([`Model::concatenate`]).
    Concat(Vec<usize>),
}

impl Rule {
    /// Whether the value is the service's alone: one that a client sends does not count.
    pub fn overrules_client(&self) -> bool {
        match self {
            Self::Default(_) | Self::NewGuid | Self::Sequence { .. } => false,
            Self::CopyFromParent { .. }
            | Self::ByParent(_)
            | Self::CopyFromLookup { .. }
            | Self::Now { .. }
            | Self::Concat(_) => true,
        }
    }

    /// Rules are applied in this order, so that a copy sees the defaults.
    fn order(&self) -> u8 {
        match self {
            Self::Default(_) => 0,
            Self::NewGuid => 1,
            Self::Sequence { .. } => 2,
            Self::CopyFromParent { .. } | Self::ByParent(_) => 3,
            Self::CopyFromLookup { .. } => 4,
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
        let rule = check(model, declared, property, rule.as_ref()).map_err(|problem| (rule.span().start, problem))?;
        own.push(Derived { property, rule });
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

fn check(model: &Model, id: TypeId, position: usize, rule: &RuleConfig) -> Result<Rule, Problem> {
    let ty = model.ty(id);
    let Some(target) = ty.properties.get(position) else {
        return Err(Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: position.to_string() });
    };
    match rule {
        RuleConfig::Default(value) => literal::value(model, id, position, value).map(Rule::Default),
        RuleConfig::NewGuid => {
            needs(target, "new_guid", "a Guid", |kind| kind == PrimitiveType::Guid)?;
            Ok(Rule::NewGuid)
        }
        RuleConfig::Sequence(sequence) => {
            needs(target, "sequence", "an integer of 16 bits or more", |kind| {
                matches!(kind, PrimitiveType::Int16 | PrimitiveType::Int32 | PrimitiveType::Int64)
            })?;
            if sequence.step < 1 {
                return Err(Problem::SequenceStep(sequence.step));
            }
            Ok(Rule::Sequence { start: sequence.start, step: sequence.step })
        }
        RuleConfig::Now(when) => {
            needs(target, "now", "a DateTimeOffset", |kind| kind == PrimitiveType::DateTimeOffset)?;
            Ok(Rule::Now { on_update: *when == NowConfig::Change })
        }
        RuleConfig::Copy(path) => copy_from_lookup(model, ty, target, path),
        RuleConfig::CopyFromParent(name) => copy_from_parent(model, id, target, name),
        RuleConfig::ByParent(values) => by_parent(model, id, position, values),
        RuleConfig::Concat(names) => concat(ty, position, target, names),
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

fn copy_from_lookup(model: &Model, ty: &StructuredType, target: &Property, path: &str) -> Result<Rule, Problem> {
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
    Ok(Rule::CopyFromLookup { nav, property })
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
