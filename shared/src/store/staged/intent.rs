//! What a unit leaves on an item until it is decided, and what the item is for others meanwhile.
//!
//! An *intent* (attribute `w`) says what becomes of the item if the unit is committed. The item's own attributes stay as
//! they are; where there was no item, there is one of a key and the intent. *Locks* (attribute `l`) are the units that rely
//! on the item's existence: any number of them at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::{Item, ItemKey, StoreError, attribute};

/// The unit.
pub(super) const UNIT: &str = "u";
/// Whether there was no item before.
const WAS_ABSENT: &str = "a";
/// The item that it becomes.
const NEW: &str = "n";
/// It is to be deleted.
const GONE: &str = "d";

/// What becomes of an item that a unit has taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum After {
    /// It stays as it is.
    Same,
    /// It goes.
    Gone,
    /// It becomes this one; key attributes are not among these.
    Item(Item),
}

/// What a unit wants to become of an item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Intent {
    pub(super) unit: String,
    pub(super) was_absent: bool,
    pub(super) after: After,
}

impl Intent {
    /// The attribute.
    pub(super) fn attribute(&self) -> AttributeValue {
        let mut members = HashMap::with_capacity(3);
        members.insert(UNIT.into(), AttributeValue::S(self.unit.clone()));
        if self.was_absent {
            members.insert(WAS_ABSENT.into(), AttributeValue::Bool(true));
        }
        match &self.after {
            After::Same => {}
            After::Gone => drop(members.insert(GONE.into(), AttributeValue::Bool(true))),
            After::Item(new) => drop(members.insert(NEW.into(), AttributeValue::M(new.clone()))),
        }
        AttributeValue::M(members)
    }

    /// Takes the intent off an item, if there is one.
    pub(super) fn take(item: &mut Item) -> Result<Option<Self>, StoreError> {
        let Some(attribute) = item.remove(attribute::INTENT) else { return Ok(None) };
        let AttributeValue::M(mut members) = attribute else { return Err(corrupt()) };
        let Some(AttributeValue::S(unit)) = members.remove(UNIT) else { return Err(corrupt()) };
        let after = match members.remove(NEW) {
            Some(AttributeValue::M(new)) => After::Item(new),
            Some(_) => return Err(corrupt()),
            None if members.contains_key(GONE) => After::Gone,
            None => After::Same,
        };
        Ok(Some(Self { unit, was_absent: members.contains_key(WAS_ABSENT), after }))
    }
}

/// The unit whose intent is on an item.
pub(super) fn unit_of(item: &Item) -> Option<&str> {
    item.get(attribute::INTENT)?.as_m().ok()?.get(UNIT)?.as_s().ok().map(String::as_str)
}

/// The units that rely on the item's existence.
pub(super) fn locks_of(item: &Item) -> &[String] {
    item.get(attribute::LOCKS).and_then(|locks| locks.as_ss().ok()).map_or(&[], Vec::as_slice)
}

/// The item for everybody who must not see what is not decided; `None` where there is none.
pub(in crate::store) fn before(mut item: Item) -> Option<Item> {
    item.remove(attribute::LOCKS);
    match Intent::take(&mut item) {
        Ok(Some(intent)) if intent.was_absent => None,
        _ => Some(item),
    }
}

/// The item once the unit on it is committed; `None` where there is none then.
pub(super) fn after(mut item: Item) -> Result<Option<Item>, StoreError> {
    item.remove(attribute::LOCKS);
    let Some(Intent { was_absent, after, .. }) = Intent::take(&mut item)? else { return Ok(Some(item)) };
    Ok(match after {
        After::Gone => None,
        After::Same if was_absent => None,
        After::Same => Some(item),
        After::Item(new) => {
            let keys = [attribute::PARTITION, attribute::SORT];
            let keys = keys.map(|name| item.remove(name).map(|value| (name.to_owned(), value)));
            Some(new.into_iter().chain(keys.into_iter().flatten()).collect())
        }
    })
}

/// The item with its key, as a put writes it.
pub(super) fn with_key(key: &ItemKey, new: &Item) -> Item {
    let mut item = attribute::key_attributes(key);
    item.extend(new.iter().map(|(name, value)| (name.clone(), value.clone())));
    item
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("at an intent".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(members: &[(&str, &str)]) -> Item {
        members.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned()))).collect()
    }

    fn with(mut item: Item, was_absent: bool, after: After) -> Item {
        item.insert(attribute::INTENT.into(), Intent { unit: "1".into(), was_absent, after }.attribute());
        item
    }

    #[test]
    fn an_item_is_what_it_was_until_its_unit_is_committed() {
        let (key, old) = (item(&[("pk", "p"), ("sk", "s")]), item(&[("pk", "p"), ("sk", "s"), ("o", "1")]));
        let new = || After::Item(item(&[("o", "2")]));
        let became = item(&[("pk", "p"), ("sk", "s"), ("o", "2")]);
        let cases = [
            (with(key.clone(), true, new()), None, Some(became.clone())),
            (with(old.clone(), false, new()), Some(old.clone()), Some(became)),
            (with(old.clone(), false, After::Gone), Some(old.clone()), None),
            (with(old.clone(), false, After::Same), Some(old.clone()), Some(old.clone())),
            (with(key.clone(), true, After::Same), None, None),
            // An item that is nothing but its key, as a link is.
            (with(key.clone(), false, After::Gone), Some(key.clone()), None),
            (with(key.clone(), true, After::Item(Item::new())), None, Some(key)),
        ];
        for (item, was, becomes) in cases {
            assert_eq!(before(item.clone()), was, "{item:?}");
            assert_eq!(after(item.clone()).unwrap(), becomes, "{item:?}");
            let intent = Intent::take(&mut item.clone()).unwrap().unwrap();
            assert_eq!(Some(&intent.attribute()), item.get(attribute::INTENT));
        }
    }

    #[test]
    fn locks_do_not_change_what_an_item_is() {
        let mut locked = item(&[("pk", "p"), ("sk", "s"), ("o", "1")]);
        let plain = locked.clone();
        locked.insert(attribute::LOCKS.into(), AttributeValue::Ss(vec!["1".into(), "2".into()]));
        assert_eq!(locks_of(&locked), ["1", "2"]);
        assert_eq!((before(locked.clone()), after(locked).unwrap()), (Some(plain.clone()), Some(plain)));
    }
}
