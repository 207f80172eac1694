//! What DynamoDB would count: sizes of items, estimated upwards without building them.

use crate::edm::{Dynamic, Entity, Model, Record, Value};

use super::{ItemKey, Patch, Schedule, Stored, Write, WriteKind};

/// For the names of an item's own attributes, its type's name aside, and for the containers.
const ITEM_OVERHEAD: usize = 200;
/// For each member of a map or list.
const MEMBER_OVERHEAD: usize = 2;
/// For numbers, times, Guids and the like.
const SCALAR: usize = 40;

impl Stored {
    /// The bytes of the item without its key, estimated upwards.
    pub fn size(&self, model: &Model) -> usize {
        let content = match self {
            Self::Entity(entity) => self::entity(model, entity),
            Self::AlternateKey(target) => target.len(),
            Self::Sequence(sequence) => sequence.of.len() + SCALAR,
            Self::Link => SCALAR,
            Self::Claims(claims) => claims.size(),
            Self::Kept(kept) => kept.size(),
            Self::Part(part) => part.size(),
        };
        ITEM_OVERHEAD + content
    }
}

/// The bytes of a key.
pub(super) fn key(key: &ItemKey) -> usize {
    key.partition.len() + key.sort.len()
}

/// The bytes of a write.
pub(super) fn write(model: &Model, write: &Write) -> usize {
    let content = match &write.kind {
        WriteKind::Put(stored, _) => stored.size(model),
        WriteKind::Claim(change) => change.size(),
        WriteKind::Patch(patch) => self::patch(model, patch),
        WriteKind::Delete | WriteKind::Check => 0,
    };
    key(&write.key) + content
}

/// The bytes of a patch.
pub(super) fn patch(model: &Model, patch: &Patch) -> usize {
    let properties = patch.properties.iter().map(|(name, value)| name.len() + self::value(model, value));
    let undeclared = patch.dynamic.iter().map(|(name, value)| name.len() + dynamic(model, value));
    let lookups = patch.lookups.iter().map(|(name, key)| name.len() + key.as_ref().map_or(0, String::len));
    let counted = patch.increments.iter().map(|(name, _)| name.len() + SCALAR);
    let mark = patch.mark.iter().map(String::len);
    let due = if let Schedule::At(due) = &patch.schedule { due.queue.len() + SCALAR } else { 0 };
    properties.chain(undeclared).chain(lookups).chain(counted).chain(mark).sum::<usize>() + due
}

fn entity(model: &Model, entity: &Entity) -> usize {
    let ty = model.ty(entity.record.ty);
    let lookups = ty.navigation.iter().zip(&entity.lookups);
    let lookups = lookups.filter_map(|(nav, key)| Some(nav.name.len() + key.as_ref()?.len() + MEMBER_OVERHEAD));
    let marks = entity.marks.iter().map(|mark| mark.len() + MEMBER_OVERHEAD);
    ty.qualified_name.len() + record(model, &entity.record) + lookups.sum::<usize>() + marks.sum::<usize>()
}

fn record(model: &Model, record: &Record) -> usize {
    let properties = model.ty(record.ty).properties.iter().zip(&record.values);
    let declared = properties.filter_map(|(p, v)| Some(p.name.len() + value(model, v.as_ref()?) + MEMBER_OVERHEAD));
    let undeclared = record.dynamic.iter().map(|(name, v)| name.len() + dynamic(model, v) + MEMBER_OVERHEAD);
    declared.chain(undeclared).sum()
}

fn dynamic(model: &Model, dynamic: &Dynamic) -> usize {
    match dynamic {
        Dynamic::Json(json) => json.len(),
        Dynamic::Typed(typed) => typed.name.len() + SCALAR + value(model, &typed.value),
    }
}

fn value(model: &Model, value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Json(text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::Decimal(decimal) => SCALAR.max(decimal.digits().try_into().unwrap_or(usize::MAX)),
        Value::Complex(inner) => model.ty(inner.ty).qualified_name.len() + SCALAR + record(model, inner),
        Value::Collection(items) => items.iter().map(|item| self::value(model, item) + MEMBER_OVERHEAD).sum(),
        _ => SCALAR,
    }
}
