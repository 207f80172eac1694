//! Typed values ⇄ DynamoDB attributes. Exact in both directions: what a DynamoDB number cannot hold is text.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bigdecimal::BigDecimal;

use crate::edm::{
    DateTimeOffset, Dynamic, Entity, Incarnation, Model, PrimitiveType, PropertyType, Record, TypeId, TypeKind,
    TypedDynamic, Value, Version,
};

use super::{Due, Item, ItemKey, StoreError, Stored};

/// Partition key.
pub(super) const PARTITION: &str = "pk";
/// Sort key.
pub(super) const SORT: &str = "sk";
/// Qualified name of an entity's type.
pub(super) const TYPE: &str = "t";
/// Incarnation of an entity.
pub(super) const INCARNATION: &str = "i";
/// Version of an entity.
pub(super) const VERSION: &str = "o";
/// The version before that: a write whose answer was lost is recognised even after one more writer.
pub(super) const PREVIOUS_VERSION: &str = "p";
/// Stands in [`PREVIOUS_VERSION`] of an entity that nobody has changed since its creation.
pub(super) const NO_VERSION: &str = "-";
/// Properties by name.
pub(super) const VALUES: &str = "v";
/// Undeclared properties by name: JSON text, or the name of a type and a value of it.
pub(super) const DYNAMIC: &str = "x";
/// Lookups by navigation name: encoded keys.
pub(super) const LOOKUPS: &str = "r";
/// Marks of writes that may happen only once, oldest first.
pub(super) const MARKS: &str = "m";
/// Target of an alternate key.
pub(super) const TARGET: &str = "k";
/// Last number of a sequence.
pub(super) const NUMBER: &str = "n";
/// Partition of the collection that a sequence counts in.
pub(super) const COUNTED: &str = "c";
/// Queue of what is due: partition key of the index.
pub(super) const DUE_QUEUE: &str = "dp";
/// When it is due: sort key of the index.
pub(super) const DUE_TIME: &str = "dt";
/// Text of a note.
pub(super) const NOTE: &str = "b";
/// Claims that are held.
pub(super) const HELD: &str = "h";
/// The claim among them that is under way.
pub(super) const AHEAD: &str = "a";
/// Claims that wait for it.
pub(super) const WAITING: &str = "g";
/// The place of the last requeue.
pub(super) const REQUEUED: &str = "f";
/// Up to where claims do not count.
pub(super) const CLEARED: &str = "q";
/// The operation that changed claims last.
pub(super) const CHANGED: &str = "u";
/// Digest of a request that may be repeated.
pub(super) const DIGEST: &str = "d";
/// The operation that wrote what is kept of it.
pub(super) const WRITER: &str = "wr";
/// Until when somebody is at work on it, in milliseconds since 1970.
pub(super) const RUNNING: &str = "ru";
/// How it ended, or a part of that.
pub(super) const BYTES: &str = "y";
/// How many further items hold the rest.
pub(super) const PARTS: &str = "s";
/// When an item may go (DynamoDB's time to live), in seconds since 1970.
pub(super) const EXPIRES: &str = "e";
/// What a unit that is not decided wants to become of an item.
pub(super) const INTENT: &str = "w";
/// Units that are not decided and rely on the item's existence.
pub(super) const LOCKS: &str = "l";
/// What is decided about a unit.
pub(super) const STATE: &str = "st";
/// Until when a unit is left to its owner.
pub(super) const LEASE: &str = "le";
/// A unit's place among all, by their beginning.
pub(super) const AGE: &str = "ag";
/// Keys of the items of a unit's part.
pub(super) const KEYS: &str = "ks";

/// The whole item.
pub(super) fn item(model: &Model, key: &ItemKey, stored: &Stored) -> Item {
    let mut item = key_attributes(key);
    match stored {
        Stored::Entity(entity) => entity_attributes(model, entity, &mut item),
        Stored::Link => {}
        Stored::Claims(claims) => claims.to_item(&mut item),
        Stored::Kept(kept) => kept.to_item(&mut item),
        Stored::Part(part) => part.to_item(&mut item),
        Stored::AlternateKey(target) => {
            item.insert(TARGET.into(), AttributeValue::S(target.clone()));
        }
        Stored::Sequence(sequence) => {
            item.insert(NUMBER.into(), AttributeValue::N(sequence.number.to_string()));
            item.insert(COUNTED.into(), AttributeValue::S(sequence.of.clone()));
        }
    }
    item
}

/// The primary key.
pub(super) fn key_attributes(key: &ItemKey) -> Item {
    let mut item = HashMap::with_capacity(8);
    item.insert(PARTITION.into(), AttributeValue::S(key.partition.clone()));
    item.insert(SORT.into(), AttributeValue::S(key.sort.clone()));
    item
}

/// The place in the index of what is due.
pub(super) fn due_attributes(due: &Due) -> [(String, AttributeValue); 2] {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    [(DUE_QUEUE.into(), text(&due.queue)), (DUE_TIME.into(), text(&due.time))]
}

fn entity_attributes(model: &Model, entity: &Entity, item: &mut Item) {
    let ty = model.ty(entity.record.ty);
    item.insert(TYPE.into(), AttributeValue::S(ty.qualified_name.clone()));
    item.insert(INCARNATION.into(), AttributeValue::S(entity.incarnation.0.clone()));
    item.insert(VERSION.into(), AttributeValue::S(entity.version.0.clone()));
    item.insert(VALUES.into(), AttributeValue::M(values(model, &entity.record)));
    // These two are always there: a patch of an entity that was not read sets members in them.
    item.insert(DYNAMIC.into(), AttributeValue::M(dynamic_values(model, &entity.record)));
    let lookups = ty.navigation.iter().zip(&entity.lookups);
    let lookups = lookups.filter_map(|(nav, key)| Some((nav.name.clone(), AttributeValue::S(key.clone()?)))).collect();
    item.insert(LOOKUPS.into(), AttributeValue::M(lookups));
    if !entity.marks.is_empty() {
        let marks = entity.marks.iter().map(|mark| AttributeValue::S(mark.clone())).collect();
        item.insert(MARKS.into(), AttributeValue::L(marks));
    }
}

fn values(model: &Model, record: &Record) -> HashMap<String, AttributeValue> {
    let ty = model.ty(record.ty);
    let properties = ty.properties.iter().zip(&record.values).enumerate();
    let stored = properties.filter(|(at, _)| ty.concats.iter().all(|(joined, _)| joined != at));
    let mut map = HashMap::with_capacity(record.values.iter().flatten().count());
    map.extend(stored.filter_map(|(_, (p, v))| Some((p.name.clone(), to_attribute(model, v.as_ref()?)))));
    map
}

fn dynamic_values(model: &Model, record: &Record) -> HashMap<String, AttributeValue> {
    record.dynamic.iter().map(|(name, value)| (name.clone(), dynamic_attribute(model, value))).collect()
}

/// The value of an undeclared property.
pub(super) fn dynamic_attribute(model: &Model, value: &Dynamic) -> AttributeValue {
    match value {
        Dynamic::Json(json) => AttributeValue::S(json.to_string()),
        Dynamic::Typed(typed) => AttributeValue::M(HashMap::from([
            (TYPE.into(), AttributeValue::S(typed.name.to_string())),
            (VALUES.into(), to_attribute(model, &typed.value)),
        ])),
    }
}

/// One value. `Null` is kept: "given as null" differs from "never given".
pub(super) fn to_attribute(model: &Model, value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Boolean(b) => AttributeValue::Bool(*b),
        Value::Integer(n) | Value::Enum(n) => AttributeValue::N(n.to_string()),
        Value::Decimal(d) => decimal_attribute(d),
        Value::Double(d) => AttributeValue::S(d.to_string()),
        Value::String(s) => AttributeValue::S(s.clone()),
        Value::Guid(g) => AttributeValue::S(g.to_string()),
        Value::Date(d) => AttributeValue::S(d.to_string()),
        Value::DateTimeOffset(t) => AttributeValue::S(t.to_string()),
        Value::TimeOfDay(t) => AttributeValue::S(t.to_string()),
        Value::Duration(d) => AttributeValue::S(d.to_string()),
        Value::Binary(b) => AttributeValue::B(Blob::new(b.clone())),
        Value::Complex(record) => AttributeValue::M(complex(model, record)),
        Value::Collection(items) => AttributeValue::L(items.iter().map(|v| to_attribute(model, v)).collect()),
        Value::Json(text) => AttributeValue::S(text.to_string()),
    }
}

/// A complex value: its type, its properties, its undeclared ones.
fn complex(model: &Model, record: &Record) -> HashMap<String, AttributeValue> {
    let mut map = HashMap::with_capacity(3);
    map.insert(TYPE.into(), AttributeValue::S(model.ty(record.ty).qualified_name.clone()));
    map.insert(VALUES.into(), AttributeValue::M(values(model, record)));
    let dynamic = dynamic_values(model, record);
    if !dynamic.is_empty() {
        map.insert(DYNAMIC.into(), AttributeValue::M(dynamic));
    }
    map
}

/// DynamoDB's numbers have 38 digits, a range, and lose trailing zeros: a number where that does no harm, else text.
fn decimal_attribute(decimal: &BigDecimal) -> AttributeValue {
    let text = decimal.to_plain_string();
    let (digits, scale) = decimal.as_bigint_and_exponent();
    let digit_text = digits.to_string();
    let trailing_zero = scale > 0 && digit_text.ends_with('0') || scale < 0;
    let fits = digit_text.trim_start_matches('-').len() <= 38 && (-80..=120).contains(&scale);
    if fits && !trailing_zero { AttributeValue::N(text) } else { AttributeValue::S(decimal.to_string()) }
}

/// Reads an entity.
pub(super) fn entity_from_item(model: &Model, item: &Item) -> Result<Entity, StoreError> {
    let attribute = |name: &str| item.get(name).ok_or_else(|| corrupt(name));
    let qualified_name = text(attribute(TYPE)?)?;
    let ty = model.type_id(qualified_name).ok_or_else(|| corrupt(qualified_name))?;
    let record = record(model, ty, map(attribute(VALUES)?)?, item.get(DYNAMIC))?;
    let lookups = match item.get(LOOKUPS) {
        Some(lookups) => map(lookups)?,
        None => &HashMap::new(),
    };
    let navigation = &model.ty(ty).navigation;
    let lookups = navigation.iter().map(|nav| lookups.get(&nav.name).map(|v| text(v).map(str::to_owned)).transpose());
    Ok(Entity {
        record,
        lookups: lookups.collect::<Result<_, _>>()?,
        incarnation: Incarnation(text(attribute(INCARNATION)?)?.into()),
        version: Version(text(attribute(VERSION)?)?.into()),
        marks: marks(item)?,
    })
}

/// The marks of an item.
pub(super) fn marks(item: &Item) -> Result<Vec<String>, StoreError> {
    let Some(marks) = item.get(MARKS) else { return Ok(Vec::new()) };
    let marks = marks.as_l().map_err(|_| corrupt("a list"))?;
    marks.iter().map(|mark| text(mark).map(str::to_owned)).collect()
}

fn record(
    model: &Model,
    ty: TypeId,
    values: &HashMap<String, AttributeValue>,
    dynamic: Option<&AttributeValue>,
) -> Result<Record, StoreError> {
    let mut record = Record::new(model, ty);
    for (property, slot) in model.ty(ty).properties.iter().zip(&mut record.values) {
        if let Some(attribute) = values.get(&property.name) {
            let value = from_attribute(model, &property.ty, attribute);
            *slot = Some(value.ok_or_else(|| corrupt(&property.name))?);
        }
    }
    if let Some(dynamic) = dynamic {
        for (name, attribute) in map(dynamic)? {
            let value = dynamic_from_attribute(model, attribute).ok_or_else(|| corrupt(name))?;
            record.dynamic.push((name.clone(), value));
        }
        record.dynamic.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    }
    model.concatenate(&mut record);
    Ok(record)
}

/// The value of an undeclared property; `None` when the attribute holds none.
fn dynamic_from_attribute(model: &Model, attribute: &AttributeValue) -> Option<Dynamic> {
    let members = match attribute {
        AttributeValue::S(json) => return Some(Dynamic::Json(json.as_str().into())),
        AttributeValue::M(members) => members,
        _ => return None,
    };
    let (name, ty) = model.value_type(members.get(TYPE)?.as_s().ok()?)?;
    let value = from_attribute(model, &ty, members.get(VALUES)?)?;
    Some(Dynamic::Typed(Box::new(TypedDynamic { name: name.into(), ty, value })))
}

/// One value of a declared type; `None` when the attribute does not hold such a value.
fn from_attribute(model: &Model, ty: &PropertyType, attribute: &AttributeValue) -> Option<Value> {
    if let AttributeValue::L(items) = attribute {
        let single = PropertyType { collection: false, ..ty.clone() };
        let items = items.iter().map(|item| from_attribute(model, &single, item));
        return items.collect::<Option<_>>().map(Value::Collection);
    }
    match (ty.kind, attribute) {
        (_, AttributeValue::Null(_)) => Some(Value::Null),
        (TypeKind::Primitive(primitive), _) => primitive_from_attribute(primitive, attribute),
        (TypeKind::Enum(_), AttributeValue::N(n)) => n.parse().ok().map(Value::Enum),
        (TypeKind::Complex(declared), AttributeValue::M(members)) => {
            let name = members.get(TYPE)?.as_s().ok()?;
            let actual = model.type_id(name).filter(|id| model.is_a(*id, declared))?;
            let values = members.get(VALUES)?.as_m().ok()?;
            let record = record(model, actual, values, members.get(DYNAMIC)).ok()?;
            Some(Value::Complex(Box::new(record)))
        }
        _ => None,
    }
}

fn primitive_from_attribute(primitive: PrimitiveType, attribute: &AttributeValue) -> Option<Value> {
    use PrimitiveType as P;
    Some(match (primitive, attribute) {
        (P::Boolean, AttributeValue::Bool(b)) => Value::Boolean(*b),
        (P::Byte | P::SByte | P::Int16 | P::Int32 | P::Int64, AttributeValue::N(n)) => Value::Integer(n.parse().ok()?),
        (P::Decimal, AttributeValue::N(n) | AttributeValue::S(n)) => Value::Decimal(BigDecimal::from_str(n).ok()?),
        (P::Double | P::Single, AttributeValue::S(n)) => Value::Double(n.parse().ok()?),
        (P::String, AttributeValue::S(s)) => Value::String(s.clone()),
        (P::Guid, AttributeValue::S(s)) => Value::Guid(s.parse().ok()?),
        (P::Date, AttributeValue::S(s)) => Value::Date(s.parse().ok()?),
        (P::DateTimeOffset, AttributeValue::S(s)) => Value::DateTimeOffset(DateTimeOffset::parse(s).ok()?),
        (P::TimeOfDay, AttributeValue::S(s)) => Value::TimeOfDay(s.parse().ok()?),
        (P::Duration, AttributeValue::S(s)) => Value::Duration(s.parse().ok()?),
        (P::Binary, AttributeValue::B(b)) => Value::Binary(b.as_ref().to_vec()),
        (P::Geo | P::Untyped, AttributeValue::S(s)) => Value::Json(s.as_str().into()),
        _ => return None,
    })
}

/// A text attribute.
pub(super) fn text(attribute: &AttributeValue) -> Result<&str, StoreError> {
    attribute.as_s().map(String::as_str).map_err(|_| corrupt("a text"))
}

/// A number attribute that is an integer.
pub(super) fn integer(attribute: &AttributeValue) -> Result<i64, StoreError> {
    let number = attribute.as_n().map_err(|_| corrupt("a number"))?;
    number.parse().map_err(|_| corrupt(number))
}

fn map(attribute: &AttributeValue) -> Result<&HashMap<String, AttributeValue>, StoreError> {
    attribute.as_m().map_err(|_| corrupt("a map"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("at '{what}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::fixture::{OPEN, model, type_id};

    /// Dynamic properties without type are the text that they always were.
    #[test]
    fn dynamic_properties_are_texts_or_have_a_type() {
        let model = model();
        let mut record = Record::new(model, type_id(OPEN));
        let (name, ty) = model.value_type("Collection(Edm.Date)").unwrap();
        let value = Value::Collection(vec![Value::Date("2026-01-02".parse().unwrap()), Value::Null]);
        let typed = Dynamic::Typed(Box::new(TypedDynamic { name: name.into(), ty, value }));
        record.dynamic = vec![("plain".into(), Dynamic::Json("[1]".into())), ("typed".into(), typed)];
        let (incarnation, version) = (Incarnation("i".into()), Version("v".into()));
        let lookups = vec![None; model.ty(record.ty).navigation.len()];
        let entity = Entity { record, lookups, incarnation, version, marks: Vec::new() };
        let key = ItemKey { partition: "p".into(), sort: "s".into() };
        let item = item(model, &key, &Stored::Entity(entity.clone().into()));
        let stored = map(&item[DYNAMIC]).unwrap();
        assert_eq!(stored["plain"], AttributeValue::S("[1]".into()));
        assert_eq!(entity_from_item(model, &item).unwrap().record, entity.record);
        assert!(dynamic_from_attribute(model, &AttributeValue::N("1".into())).is_none());
    }
}
