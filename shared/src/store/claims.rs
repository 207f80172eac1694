//! Counters that cannot be beaten: an item holds a set of claims, and takes one more only below a limit.
//!
//! A claim is a text that begins with its place in some order. What is *cleared* is a place in it: claims before that do
//! not count any more and cannot be taken. So who takes a claim, who gives it back and who clears need not know of each
//! other, nor come in order. Claims that were cleared stay in the set until somebody meets the limit because of them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Item, StoreError, attribute, write::Builder};

/// The claims that an item holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those that were taken and not given back.
    pub held: BTreeSet<String>,
    /// Up to where claims do not count.
    pub cleared: Option<String>,
    /// The operation id of the last change.
    pub version: String,
}

/// A change of claims that need not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// A claim is taken, unless as many as this are held or its place is cleared.
    Take {
        /// The claim.
        claim: String,
        /// The limit.
        most: u32,
    },
    /// A claim is given back, if it is held.
    Return(String),
    /// Claims before this place are cleared, unless a later place is.
    Clear(String),
}

impl Claims {
    /// Reads an item; `None` when it is another kind of item.
    pub(super) fn from_item(item: &Item) -> Result<Option<Self>, StoreError> {
        let Some(version) = item.get(attribute::CHANGED) else { return Ok(None) };
        let held = match item.get(attribute::HELD) {
            Some(AttributeValue::Ss(held)) => held.iter().cloned().collect(),
            Some(_) => return Err(StoreError::Corrupt("a set of claims".into())),
            None => BTreeSet::new(),
        };
        let cleared =
            item.get(attribute::CLEARED).map(|place| attribute::text(place).map(str::to_owned)).transpose()?;
        Ok(Some(Self { held, cleared, version: attribute::text(version)?.to_owned() }))
    }

    pub(super) fn to_item(&self, item: &mut Item) {
        let text = |text: &String| AttributeValue::S(text.clone());
        item.insert(attribute::CHANGED.into(), text(&self.version));
        item.extend(self.cleared.iter().map(|place| (attribute::CLEARED.into(), text(place))));
        if !self.held.is_empty() {
            item.insert(attribute::HELD.into(), AttributeValue::Ss(self.held.iter().cloned().collect()));
        }
    }

    /// What they take of an item, in bytes.
    pub(super) fn size(&self) -> usize {
        self.held.iter().chain(&self.cleared).chain([&self.version]).map(|text| text.len() + 2).sum()
    }
}

impl ClaimChange {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Take { claim, .. } | Self::Return(claim) | Self::Clear(claim) => claim.len(),
        }
    }
}

impl Builder {
    /// The update of a change of claims by this operation, and its condition.
    pub(super) fn claims(&mut self, change: &ClaimChange, operation: &str) -> (String, Option<String>) {
        use attribute::{CHANGED, CLEARED, HELD};
        let changed = format!("SET {CHANGED} = {}", self.text(operation));
        let set = |claim: &String| AttributeValue::Ss(vec![claim.clone()]);
        match change {
            ClaimChange::Take { claim, most } => {
                let one = self.value(set(claim));
                let most = self.value(AttributeValue::N(most.to_string()));
                let place = self.text(claim);
                let below = format!("(attribute_not_exists({HELD}) OR size({HELD}) < {most})");
                let counts = format!("(attribute_not_exists({CLEARED}) OR {CLEARED} < {place})");
                (format!("{changed} ADD {HELD} {one}"), Some(format!("{below} AND {counts}")))
            }
            ClaimChange::Return(claim) => {
                let one = self.value(set(claim));
                (format!("{changed} DELETE {HELD} {one}"), None)
            }
            ClaimChange::Clear(place) => {
                let place = self.text(place);
                let later = format!("attribute_not_exists({CLEARED}) OR {CLEARED} < {place}");
                (format!("{changed}, {CLEARED} = {place}"), Some(later))
            }
        }
    }
}
