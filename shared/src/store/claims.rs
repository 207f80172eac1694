//! Counters that cannot be beaten: an item holds a set of claims, and takes one more only below a limit.
//!
//! A claim is a text that begins with its place in some order. One of those held is *ahead*: whether it stays is not known
//! yet. Further ones wait until it is. What is *cleared* is a place: claims before that do not count any more and cannot be
//! taken; nor can those before the last *requeue*. So the changes of claims need not know of each other, nor come in
//! order. Claims that were cleared stay in the set until the limit is met because of them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Item, StoreError, attribute, write::Builder};

/// The claims that an item holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those that were taken and not given back.
    pub held: BTreeSet<String>,
    /// The one among them that is under way.
    pub ahead: Option<String>,
    /// Those that wait for it.
    pub waiting: BTreeSet<String>,
    /// The place of the last requeue.
    pub requeued: Option<String>,
    /// Up to where claims do not count.
    pub cleared: Option<String>,
    /// The operation id of the last change; empty where there is no item.
    pub version: String,
}

/// A change of claims that need not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// A claim is taken and is ahead, unless another one is that counts, as many as this are held, or its place is passed.
    Take {
        /// The claim.
        claim: String,
        /// The limit.
        most: u32,
    },
    /// A claim waits for the one that is ahead, unless as many as this wait, none is ahead, or its place is passed.
    Wait {
        /// The claim.
        claim: String,
        /// The limit.
        most: u32,
    },
    /// Claims before this place are cleared, unless a later place is.
    Clear(String),
}

impl Claims {
    /// Reads an item; `None` when it is another kind of item.
    pub(super) fn from_item(item: &Item) -> Result<Option<Self>, StoreError> {
        let Some(version) = item.get(attribute::CHANGED) else { return Ok(None) };
        let set = |name: &str| match item.get(name) {
            Some(AttributeValue::Ss(claims)) => Ok(claims.iter().cloned().collect()),
            Some(_) => Err(StoreError::Corrupt("a set of claims".into())),
            None => Ok(BTreeSet::new()),
        };
        let text = |name: &str| item.get(name).map(|text| attribute::text(text).map(str::to_owned)).transpose();
        Ok(Some(Self {
            held: set(attribute::HELD)?,
            ahead: text(attribute::AHEAD)?,
            waiting: set(attribute::WAITING)?,
            requeued: text(attribute::REQUEUED)?,
            cleared: text(attribute::CLEARED)?,
            version: attribute::text(version)?.to_owned(),
        }))
    }

    pub(super) fn to_item(&self, item: &mut Item) {
        let text = |text: &String| AttributeValue::S(text.clone());
        item.insert(attribute::CHANGED.into(), text(&self.version));
        for (name, value) in [
            (attribute::AHEAD, &self.ahead),
            (attribute::REQUEUED, &self.requeued),
            (attribute::CLEARED, &self.cleared),
        ] {
            item.extend(value.iter().map(|value| (name.to_owned(), text(value))));
        }
        for (name, set) in [(attribute::HELD, &self.held), (attribute::WAITING, &self.waiting)] {
            if !set.is_empty() {
                item.insert(name.into(), AttributeValue::Ss(set.iter().cloned().collect()));
            }
        }
    }

    /// What they take of an item, in bytes.
    pub(super) fn size(&self) -> usize {
        let places = [&self.ahead, &self.requeued, &self.cleared].into_iter().flatten();
        let texts = self.held.iter().chain(&self.waiting).chain(places).chain([&self.version]);
        texts.map(|text| text.len() + 2).sum()
    }
}

impl ClaimChange {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Take { claim, .. } | Self::Wait { claim, .. } | Self::Clear(claim) => claim.len(),
        }
    }
}

impl Builder {
    /// The update of a change of claims by this operation, and its condition.
    pub(super) fn claims(&mut self, change: &ClaimChange, operation: &str) -> (String, Option<String>) {
        use attribute::{AHEAD, CHANGED, CLEARED, HELD, REQUEUED, WAITING};
        let changed = format!("SET {CHANGED} = {}", self.text(operation));
        let set = |claim: &String| AttributeValue::Ss(vec![claim.clone()]);
        match change {
            ClaimChange::Take { claim, most } => {
                let one = self.value(set(claim));
                let place = self.text(claim);
                let first = format!("(attribute_not_exists({AHEAD}) OR {AHEAD} < {CLEARED})");
                let conditions =
                    [first, self.below(HELD, *most), not_passed(CLEARED, &place), not_passed(REQUEUED, &place)];
                (format!("{changed}, {AHEAD} = {place} ADD {HELD} {one}"), Some(conditions.join(" AND ")))
            }
            ClaimChange::Wait { claim, most } => {
                let one = self.value(set(claim));
                let place = self.text(claim);
                let ahead =
                    format!("attribute_exists({AHEAD}) AND (attribute_not_exists({CLEARED}) OR {CLEARED} < {AHEAD})");
                let conditions =
                    [ahead, self.below(WAITING, *most), not_passed(CLEARED, &place), not_passed(REQUEUED, &place)];
                (format!("{changed} ADD {WAITING} {one}"), Some(conditions.join(" AND ")))
            }
            ClaimChange::Clear(place) => {
                let place = self.text(place);
                let later = format!("attribute_not_exists({CLEARED}) OR {CLEARED} < {place}");
                (format!("{changed}, {CLEARED} = {place}"), Some(later))
            }
        }
    }

    /// Fewer than so many claims are in a set.
    fn below(&mut self, set: &str, most: u32) -> String {
        let most = self.value(AttributeValue::N(most.to_string()));
        format!("(attribute_not_exists({set}) OR size({set}) < {most})")
    }
}

/// A place is behind that of an attribute.
fn not_passed(attribute: &str, place: &str) -> String {
    format!("(attribute_not_exists({attribute}) OR {attribute} < {place})")
}
