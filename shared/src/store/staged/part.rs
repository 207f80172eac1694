//! Parts of a unit: as many items as one transaction takes, written down with the intents on them.

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::{
    edm::Model,
    store::{Condition, Due, Item, ItemKey, StoreError, Write, WriteKind, attribute, size, write, write::Builder},
};

use super::{
    Owner,
    decision::{QUEUE, partition},
    intent::{self, After, Intent},
};

/// How a unit takes an item.
#[derive(Clone, Debug)]
pub(super) enum Grip {
    /// For itself alone.
    Alone(After),
    /// With others that rely on its existence, too.
    Shared,
}

/// An item that a unit takes.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) key: ItemKey,
    pub(super) grip: Grip,
    /// What must hold of it.
    pub(super) condition: Condition,
    /// Whether there is an item. A guess as long as the condition does not say it; a refusal shows.
    pub(super) is_there: bool,
    /// The unit has it already.
    pub(super) is_held: bool,
    pub(super) bytes: usize,
}

/// Items that are taken in one transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) number: usize,
    pub(super) items: Vec<Taken>,
    pub(super) bytes: usize,
}

impl Taken {
    /// What a unit takes for a write. A patch cannot be an intent: what it makes of the item is not known.
    pub(super) fn of(model: &Model, one: &Write) -> Result<Self, StoreError> {
        let shared = matches!(one.condition, Condition::Exists | Condition::Incarnation(_));
        let grip = match &one.kind {
            WriteKind::Put(stored, schedule) => {
                let mut item = write::put_item(model, one, (stored, schedule));
                item.retain(|name, _| name != attribute::PARTITION && name != attribute::SORT);
                Grip::Alone(After::Item(item))
            }
            WriteKind::Delete => Grip::Alone(After::Gone),
            WriteKind::Check if shared => Grip::Shared,
            WriteKind::Check => Grip::Alone(After::Same),
            WriteKind::Patch(_) | WriteKind::Claim(_) => {
                return Err(StoreError::Invalid("a staged unit with a change of what it has not read".into()));
            }
        };
        let is_there = match &one.condition {
            Condition::Absent | Condition::Sequence(None) | Condition::Free(_) => false,
            Condition::None => one.kind == WriteKind::Delete,
            _ => true,
        };
        let bytes = size::write(model, one);
        Ok(Self { key: one.key.clone(), grip, condition: one.condition.clone(), is_there, is_held: false, bytes })
    }

    /// The same item held until it is known what is to become of it.
    pub(super) fn held_only(model: &Model, one: &Write) -> Result<Self, StoreError> {
        let taken = Self::of(model, one)?;
        Ok(match taken.grip {
            Grip::Shared => Self { condition: Condition::Exists, ..taken },
            Grip::Alone(_) => Self { grip: Grip::Alone(After::Same), condition: Condition::None, ..taken },
        })
    }

    /// The same item, still the unit's, which writes nothing there any more.
    pub(super) fn unchanged(&self) -> Self {
        let grip = Grip::Alone(After::Same);
        Self { grip, condition: Condition::None, is_held: true, bytes: size::key(&self.key), ..self.clone() }
    }

    /// Whether a refusal only shows that the guess was wrong; the guess is another one then.
    pub(super) fn guess_again(&mut self, found: Option<&Item>) -> bool {
        let open = matches!(self.condition, Condition::None | Condition::Free(_));
        let guessed = open && !self.is_held && self.is_there != found.is_some();
        if guessed {
            self.is_there = found.is_some();
        }
        guessed
    }

    /// Takes the item.
    pub(super) fn take(&self, table: &str, unit: &str) -> TransactWriteItem {
        let mut builder = Builder::default();
        if let (Grip::Alone(after), false, false) = (&self.grip, self.is_there, self.is_held) {
            let intent = Intent { unit: unit.to_owned(), was_absent: true, after: after.clone() };
            let mut item = attribute::key_attributes(&self.key);
            item.insert(attribute::INTENT.into(), intent.attribute());
            let condition = format!("attribute_not_exists({})", attribute::PARTITION);
            return put(table, item, condition, builder);
        }
        let mut conditions = vec![format!("attribute_exists({})", attribute::PARTITION)];
        if self.is_there {
            conditions.extend(builder.condition(&self.condition));
        }
        let intents = attribute::INTENT;
        let update = match &self.grip {
            Grip::Shared => {
                conditions.push(format!("attribute_not_exists({intents})"));
                let one = builder.value(AttributeValue::Ss(vec![unit.to_owned()]));
                format!("ADD {} {one}", attribute::LOCKS)
            }
            Grip::Alone(after) => {
                conditions.push(if self.is_held {
                    format!("{intents}.{} = {}", intent::UNIT, builder.text(unit))
                } else {
                    format!("attribute_not_exists({intents}) AND attribute_not_exists({})", attribute::LOCKS)
                });
                let intent = Intent { unit: unit.to_owned(), was_absent: !self.is_there, after: after.clone() };
                format!("SET {intents} = {}", builder.value(intent.attribute()))
            }
        };
        change(table, &self.key, update, conditions.join(" AND "), builder)
    }

    /// Gives the item back, as the unit was decided.
    pub(super) fn give_back(&self, table: &str, unit: &str, committed: bool) -> TransactWriteItem {
        match &self.grip {
            Grip::Shared => unlock(table, &self.key, &[unit]),
            Grip::Alone(after) => {
                let intent = Intent { unit: unit.to_owned(), was_absent: !self.is_there, after: after.clone() };
                resolve(table, &self.key, &intent, committed)
            }
        }
    }
}

/// Puts what a decided unit makes of an item in place of its intent.
pub(super) fn resolve(table: &str, key: &ItemKey, intent: &Intent, committed: bool) -> TransactWriteItem {
    let mut builder = Builder::default();
    let is_ours = format!("{}.{} = {}", attribute::INTENT, intent::UNIT, builder.text(&intent.unit));
    match &intent.after {
        After::Item(new) if committed => put(table, intent::with_key(key, new), is_ours, builder),
        After::Gone if committed => remove(table, key, is_ours, builder),
        _ if intent.was_absent => remove(table, key, is_ours, builder),
        _ => change(table, key, format!("REMOVE {}", attribute::INTENT), is_ours, builder),
    }
}

/// Takes the locks of units off an item that has some.
pub(super) fn unlock(table: &str, key: &ItemKey, units: &[&str]) -> TransactWriteItem {
    let mut builder = Builder::default();
    let locks = builder.value(AttributeValue::Ss(units.iter().map(|unit| (*unit).to_owned()).collect()));
    let is_locked = format!("attribute_exists({})", attribute::LOCKS);
    change(table, key, format!("DELETE {} {locks}", attribute::LOCKS), is_locked, builder)
}

impl Part {
    /// Its item.
    pub(super) fn key(&self, unit: &str) -> ItemKey {
        ItemKey { partition: partition(unit), sort: format!("{:06}", self.number) }
    }

    /// Writes down which items it has. It does so once: a transaction that arrives late, when the part is given back, is
    /// refused.
    pub(super) fn write_down(&self, table: &str, owner: &Owner<'_>) -> TransactWriteItem {
        let mut item = attribute::key_attributes(&self.key(owner.unit));
        let text = |text: &String| AttributeValue::S(text.clone());
        let keys = self.items.iter().flat_map(|taken| [text(&taken.key.partition), text(&taken.key.sort)]);
        item.insert(attribute::KEYS.into(), AttributeValue::L(keys.collect()));
        item.extend(attribute::due_attributes(&Due { queue: QUEUE.to_owned(), time: Due::text(owner.lease) }));
        put(table, item, format!("attribute_not_exists({})", attribute::PARTITION), Builder::default())
    }

    /// The part is given back.
    pub(super) fn end(table: &str, part: &ItemKey, expires: i64) -> TransactWriteItem {
        use attribute::{DUE_QUEUE, DUE_TIME, EXPIRES, KEYS};
        let mut builder = Builder::default();
        let expires = builder.value(AttributeValue::N(expires.to_string()));
        let update = format!("SET {EXPIRES} = {expires} REMOVE {KEYS}, {DUE_QUEUE}, {DUE_TIME}");
        change(table, part, update, String::new(), builder)
    }

    /// The keys that the item of a part has; none once it is given back.
    pub(super) fn keys(item: &Item) -> Result<Vec<ItemKey>, StoreError> {
        let corrupt = || StoreError::Corrupt("at a part of a unit".into());
        let Some(texts) = item.get(attribute::KEYS) else { return Ok(Vec::new()) };
        let texts = texts.as_l().map_err(|_| corrupt())?;
        let texts: Vec<&str> = texts.iter().map(attribute::text).collect::<Result<_, _>>()?;
        let key = |pair: &[&str]| match pair {
            [partition, sort] => Ok(ItemKey { partition: (*partition).to_owned(), sort: (*sort).to_owned() }),
            _ => Err(corrupt()),
        };
        texts.chunks(2).map(key).collect()
    }
}

/// Writes an item whole.
#[expect(clippy::expect_used, reason = "the builder fails only without table or item; both are set")]
pub(super) fn put(table: &str, item: Item, condition: String, builder: Builder) -> TransactWriteItem {
    let (names, values) = builder.finish();
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .set_condition_expression((!condition.is_empty()).then_some(condition))
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    TransactWriteItem::builder().put(put.build().expect("table and item are set")).build()
}

#[expect(clippy::expect_used, reason = "the builder fails only without table, key or update; all are set")]
fn change(table: &str, key: &ItemKey, update: String, condition: String, builder: Builder) -> TransactWriteItem {
    let (names, values) = builder.finish();
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(attribute::key_attributes(key)))
        .update_expression(update)
        .set_condition_expression((!condition.is_empty()).then_some(condition))
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    TransactWriteItem::builder().update(update.build().expect("table, key and update are set")).build()
}

/// Removes an item.
#[expect(clippy::expect_used, reason = "the builder fails only without table or key; both are set")]
pub(super) fn remove(table: &str, key: &ItemKey, condition: String, builder: Builder) -> TransactWriteItem {
    let (names, values) = builder.finish();
    let delete = Delete::builder()
        .table_name(table)
        .set_key(Some(attribute::key_attributes(key)))
        .set_condition_expression((!condition.is_empty()).then_some(condition))
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
}
