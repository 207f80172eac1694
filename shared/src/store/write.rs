//! What a commit writes: one write a key, one condition a write.

use std::{collections::HashMap, fmt::Write as _};

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::edm::{Dynamic, ETag, Model, Value};

use super::{ClaimChange, Due, Item, ItemKey, Schedule, Sequence, Stored, attribute, size};

/// One write of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The item.
    pub key: ItemKey,
    /// What happens to it.
    pub kind: WriteKind,
    /// What must hold for the commit to happen.
    pub condition: Condition,
}

/// What happens to an item.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteKind {
    /// It is written whole, an entity with its place in the index of what is due.
    Put(Stored, Schedule),
    /// Some properties of an entity change; the others are not known to the unit.
    Patch(Patch),
    /// Claims change, which are not known to the unit.
    Claim(ClaimChange),
    /// It is deleted.
    Delete,
    /// Nothing: only the condition counts.
    Check,
}

/// A change of an entity whose other properties are not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// Properties by name, in the order set; a later one of the same name wins.
    pub properties: Vec<(String, Value)>,
    /// Undeclared properties of an open type.
    pub dynamic: Vec<(String, Dynamic)>,
    /// Lookups by navigation name; `None` removes one.
    pub lookups: Vec<(String, Option<String>)>,
    /// Integers that are counted on from what they are: property and by how much. One without value counts as 0.
    pub increments: Vec<(String, i64)>,
    /// What must hold of the entity besides the write's condition.
    pub requires: Vec<Requirement>,
    /// Left on the entity; the patch does not apply where it is already.
    pub mark: Option<String>,
    /// The new version.
    pub version: String,
    /// What becomes of its place in the index of what is due.
    pub schedule: Schedule,
}

/// What must hold of an entity that is patched without being read.
#[derive(Clone, Debug, PartialEq)]
pub enum Requirement {
    /// The property has one of these values.
    OneOf {
        /// Its name.
        property: String,
        /// The values.
        values: Vec<Value>,
    },
    /// An integer is below the one in another property, or below a number where that has no value.
    Below {
        /// Its name; without value it counts as 0.
        property: String,
        /// The property with the bound.
        bound: String,
        /// The bound where that property has none.
        default: Option<i64>,
    },
}

/// What must hold of an item at the instant of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Anything.
    None,
    /// There is no such item.
    Absent,
    /// There is one.
    Exists,
    /// It is this incarnation, whatever its version.
    Incarnation(String),
    /// It is exactly this version.
    Version(ETag),
    /// A sequence stands there (`None`: not begun).
    Sequence(Option<Sequence>),
    /// An alternate key leads to the entity with this sort key.
    AlternateKey(String),
    /// Claims that were changed last by this operation.
    Claims(String),
    /// Nothing is kept there of a request, or nothing that still counts at that time (in seconds since 1970).
    Free(i64),
    /// What is kept there was written by this operation.
    Writer(String),
}

/// A unit of work is larger than one transaction can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Too many items.
    #[error("the unit of work touches {got} items of the table, at most {max} are possible")]
    Items {
        /// How many it touches.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Too many bytes.
    #[error("the unit of work writes {got} bytes, at most {max} are possible")]
    Bytes {
        /// How many it writes.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// One entity is too large.
    #[error("an entity needs {got} bytes in the table, at most {max} are possible")]
    Entity {
        /// Its bytes.
        got: usize,
        /// The limit.
        max: usize,
    },
}

/// DynamoDB's limit of actions in a transaction.
pub const TRANSACTION_ITEMS: usize = 100;
/// DynamoDB's limit for the bytes of a transaction.
const TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// DynamoDB's limit for the bytes of an item.
const ITEM_BYTES: usize = 400 * 1024;
/// The most items of a unit of work: ten times the operations of the largest change set that a service takes.
pub const UNIT_ITEMS: usize = 50_000;
/// The most bytes of a unit of work: all of it is in memory until it is decided.
const UNIT_BYTES: usize = 64 << 20;

/// Checks a unit of work against what the table takes, before anything is written.
pub fn check_size(model: &Model, writes: &[Write]) -> Result<(), TooLarge> {
    if writes.len() > UNIT_ITEMS {
        return Err(TooLarge::Items { got: writes.len(), max: UNIT_ITEMS });
    }
    let mut total = 0;
    for write in writes {
        let bytes = size::write(model, write);
        if bytes > ITEM_BYTES {
            return Err(TooLarge::Entity { got: bytes, max: ITEM_BYTES });
        }
        total += bytes;
    }
    if total > UNIT_BYTES {
        return Err(TooLarge::Bytes { got: total, max: UNIT_BYTES });
    }
    Ok(())
}

/// Whether one transaction takes all of a unit of work.
pub(super) fn fits_transaction(model: &Model, writes: &[Write], items: usize) -> bool {
    writes.len() <= items && writes.iter().map(|one| size::write(model, one)).sum::<usize>() <= TRANSACTION_BYTES
}

/// No unit has taken the item ([`attribute::INTENT`]).
const FREE: &str = "attribute_not_exists(w)";

/// The expressions of one write.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) update: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

/// Builds the condition, and for a patch the update.
pub(super) fn expression(model: &Model, write: &Write, operation: &str) -> Expression {
    let mut builder = Builder::default();
    let update = match &write.kind {
        WriteKind::Patch(patch) => Some(builder.update(model, patch)),
        _ => None,
    };
    let mut condition = builder.condition(&write.condition);
    if let WriteKind::Claim(change) = &write.kind {
        let (update, condition) = builder.claims(change, operation);
        return Expression {
            update: Some(update),
            condition,
            names: some(builder.names),
            values: some(builder.values),
        };
    }
    if update.is_some() {
        // A repeat after a lost answer must not apply the patch again, over a later writer's.
        let operation = builder.value(AttributeValue::S(format!("{operation}.")));
        let [version, previous] = [attribute::VERSION, attribute::PREVIOUS_VERSION];
        let not_yet = format!("NOT begins_with({version}, {operation}) AND NOT begins_with({previous}, {operation})");
        let mut all: Vec<String> = condition.into_iter().chain([not_yet]).collect();
        if let WriteKind::Patch(patch) = &write.kind {
            builder.requirements(model, patch, &mut all);
        }
        condition = Some(all.join(" AND "));
    }
    // What another unit has taken is left to it, until it is decided. Where there is no item, there is no such mark.
    if write.condition != Condition::Absent {
        let free = match &write.kind {
            WriteKind::Put(..) | WriteKind::Delete => format!("{FREE} AND attribute_not_exists({})", attribute::LOCKS),
            _ => FREE.to_owned(),
        };
        condition = Some(condition.into_iter().chain([free]).collect::<Vec<_>>().join(" AND "));
    }
    Expression { update, condition, names: some(builder.names), values: some(builder.values) }
}

fn some<V>(map: HashMap<String, V>) -> Option<HashMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// Names and values of an expression's placeholders, where it has some.
pub(super) type Placeholders = (Option<HashMap<String, String>>, Option<HashMap<String, AttributeValue>>);

/// Placeholders for values, and for the names of properties: the item's own attributes are no reserved words.
#[derive(Default)]
pub(super) struct Builder {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Builder {
    pub(super) fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        self.value(AttributeValue::S(text.to_owned()))
    }

    /// Names and values of the placeholders.
    pub(super) fn finish(self) -> Placeholders {
        (some(self.names), some(self.values))
    }

    /// What must hold of an item.
    pub(super) fn condition(&mut self, condition: &Condition) -> Option<String> {
        use attribute::{NUMBER, PARTITION};
        Some(match condition {
            Condition::None => return None,
            Condition::Absent => format!("attribute_not_exists({PARTITION})"),
            Condition::Exists => format!("attribute_exists({PARTITION})"),
            Condition::Incarnation(incarnation) => self.equals(attribute::INCARNATION, incarnation),
            Condition::Version(etag) => {
                let incarnation = self.equals(attribute::INCARNATION, &etag.incarnation.0);
                format!("{incarnation} AND {}", self.equals(attribute::VERSION, &etag.version.0))
            }
            Condition::Sequence(None) => format!("attribute_not_exists({NUMBER})"),
            Condition::Sequence(Some(Sequence { number, of })) => {
                let counted = self.equals(attribute::COUNTED, of);
                format!("{counted} AND {NUMBER} = {}", self.value(AttributeValue::N(number.to_string())))
            }
            Condition::AlternateKey(target) => self.equals(attribute::TARGET, target),
            Condition::Claims(version) => self.equals(attribute::CHANGED, version),
            Condition::Free(now) => {
                let now = self.value(AttributeValue::N(now.to_string()));
                format!("(attribute_not_exists({PARTITION}) OR {} <= {now})", attribute::EXPIRES)
            }
            Condition::Writer(operation) => self.equals(attribute::WRITER, operation),
        })
    }

    fn equals(&mut self, name: &str, text: &str) -> String {
        format!("{name} = {}", self.text(text))
    }

    fn update(&mut self, model: &Model, patch: &Patch) -> String {
        use attribute::{DUE_QUEUE, DUE_TIME, DYNAMIC, EXPIRES, LOOKUPS, PREVIOUS_VERSION, VALUES, VERSION};
        let stamp = self.text(&patch.version);
        let mut set = format!("SET {PREVIOUS_VERSION} = {VERSION}, {VERSION} = {stamp}");
        let mut remove = Vec::new();
        for (name, value) in &patch.properties {
            let (name, value) = (self.name(name), self.value(attribute::to_attribute(model, value)));
            _ = write!(set, ", {VALUES}.{name} = {value}");
        }
        for (name, value) in &patch.dynamic {
            let (name, value) = (self.name(name), self.value(attribute::dynamic_attribute(model, value)));
            _ = write!(set, ", {DYNAMIC}.{name} = {value}");
        }
        for (name, target) in &patch.lookups {
            let name = self.name(name);
            if let Some(target) = target {
                _ = write!(set, ", {LOOKUPS}.{name} = {}", self.text(target));
            } else {
                remove.push(format!("{LOOKUPS}.{name}"));
            }
        }
        self.counts_and_mark(patch, &mut set);
        match &patch.schedule {
            Schedule::Keep => {}
            Schedule::At(Due { queue, time }) => {
                let (queue, time) = (self.text(queue), self.text(time));
                _ = write!(set, ", {DUE_QUEUE} = {queue}, {DUE_TIME} = {time}");
                remove.push(EXPIRES.to_owned());
            }
            Schedule::Done { expires } => {
                let expires = self.value(AttributeValue::N(expires.to_string()));
                _ = write!(set, ", {EXPIRES} = {expires}");
                remove.extend([DUE_QUEUE, DUE_TIME].map(str::to_owned));
            }
        }
        if remove.is_empty() { set } else { format!("{set} REMOVE {}", remove.join(", ")) }
    }
}

/// The item of a put. The version that it replaces is kept beside the new one.
pub(super) fn put_item(model: &Model, write: &Write, (stored, schedule): (&Stored, &Schedule)) -> Item {
    let mut item = attribute::item(model, &write.key, stored);
    if let Stored::Entity(_) = stored {
        let previous = match &write.condition {
            Condition::Version(etag) => etag.version.0.as_str(),
            _ => attribute::NO_VERSION,
        };
        item.insert(attribute::PREVIOUS_VERSION.into(), AttributeValue::S(previous.to_owned()));
    }
    match schedule {
        Schedule::Keep => {}
        Schedule::At(due) => item.extend(attribute::due_attributes(due)),
        Schedule::Done { expires } => {
            item.insert(attribute::EXPIRES.into(), AttributeValue::N(expires.to_string()));
        }
    }
    item
}

/// One action of a transaction.
#[expect(clippy::expect_used, reason = "the builders fail only without table, key, item or expression; all are set")]
pub(super) fn transact_item(model: &Model, write: &Write, table: &str, operation: &str) -> TransactWriteItem {
    let old = ReturnValuesOnConditionCheckFailure::AllOld;
    let expression = expression(model, write, operation);
    let key = || Some(attribute::key_attributes(&write.key));
    let action = TransactWriteItem::builder();
    match &write.kind {
        WriteKind::Put(stored, schedule) => action.put(
            Put::builder()
                .table_name(table)
                .set_item(Some(put_item(model, write, (stored, schedule))))
                .set_condition_expression(expression.condition)
                .set_expression_attribute_names(expression.names)
                .set_expression_attribute_values(expression.values)
                .return_values_on_condition_check_failure(old)
                .build()
                .expect("table and item are set"),
        ),
        WriteKind::Patch(_) | WriteKind::Claim(_) => action.update(
            Update::builder()
                .table_name(table)
                .set_key(key())
                .set_update_expression(expression.update)
                .set_condition_expression(expression.condition)
                .set_expression_attribute_names(expression.names)
                .set_expression_attribute_values(expression.values)
                .return_values_on_condition_check_failure(old)
                .build()
                .expect("table, key and update are set"),
        ),
        WriteKind::Delete => action.delete(
            Delete::builder()
                .table_name(table)
                .set_key(key())
                .set_condition_expression(expression.condition)
                .set_expression_attribute_names(expression.names)
                .set_expression_attribute_values(expression.values)
                .return_values_on_condition_check_failure(old)
                .build()
                .expect("table and key are set"),
        ),
        WriteKind::Check => action.condition_check(
            ConditionCheck::builder()
                .table_name(table)
                .set_key(key())
                .set_condition_expression(expression.condition)
                .set_expression_attribute_names(expression.names)
                .set_expression_attribute_values(expression.values)
                .return_values_on_condition_check_failure(old)
                .build()
                .expect("table, key and condition are set"),
        ),
    }
    .build()
}

impl Patch {
    /// Adds a later patch: its values win.
    pub fn merge(&mut self, later: Self) {
        replace(&mut self.properties, later.properties);
        replace(&mut self.dynamic, later.dynamic);
        replace(&mut self.lookups, later.lookups);
        self.increments.extend(later.increments);
        self.requires.extend(later.requires);
        self.mark = later.mark.or_else(|| self.mark.take());
        self.version = later.version;
        if later.schedule != Schedule::Keep {
            self.schedule = later.schedule;
        }
    }
}

fn replace<V>(values: &mut Vec<(String, V)>, later: Vec<(String, V)>) {
    values.retain(|(name, _)| !later.iter().any(|(n, _)| n == name));
    values.extend(later);
}
