//! An entity as it is stored: values, lookups, incarnation and version.

use std::fmt;

use super::Record;

/// Who an entity is between its creation and its deletion: random, made at creation.
///
/// Contained children are stored under it, so a deleted parent's children can never be met again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub String);

/// Which write an entity was last changed by: the unit of work's operation id and the number of the change within
/// the unit. Random, so a version never comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// An entity with what the service keeps about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its properties.
    pub record: Record,
    /// One slot for each navigation property of its type: the encoded key of the target of a single-valued
    /// navigation that no referential constraint keeps in a property.
    pub lookups: Vec<Option<String>>,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its version.
    pub version: Version,
    /// What the last writes that may happen only once left here, oldest first: who meets his own mark has come before.
    pub marks: Vec<String>,
}

/// The entity tag of an entity: its incarnation and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag {
    /// See [`Incarnation`].
    pub incarnation: Incarnation,
    /// See [`Version`].
    pub version: Version,
}

impl Entity {
    /// Its entity tag.
    pub fn etag(&self) -> ETag {
        ETag { incarnation: self.incarnation.clone(), version: self.version.clone() }
    }
}

impl ETag {
    /// Reads `W/"…"` or `"…"` (weak comparison: RFC 9110 §8.8.3.2). `None` when it is not one of ours,
    /// which matches no entity.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
        let (incarnation, version) = opaque.split_once('.')?;
        Some(Self { incarnation: Incarnation(incarnation.into()), version: Version(version.into()) })
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}.{}\"", self.incarnation.0, self.version.0)
    }
}
