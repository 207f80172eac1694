//! Which event a business event id means.

use std::collections::BTreeMap;

use crate::events::EventKind;

/// The ids of the events of batch jobs in an environment, beside those that [`EventKind::business_event_id`] gives. They
/// are names of X++ classes that are not public, so whoever has another name there must be able to say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventNames(BTreeMap<String, EventKind>);

impl EventNames {
    /// The event of that id.
    pub fn kind(&self, id: &str) -> Option<EventKind> {
        self.0.get(id).copied().or_else(|| EventKind::from_business_event_id(id))
    }
}

impl FromIterator<(String, EventKind)> for EventNames {
    fn from_iter<I: IntoIterator<Item = (String, EventKind)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}
