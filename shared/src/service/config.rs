//! `service.toml` as it is written. Names are checked against the model afterwards; their spans lead back to the file.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use toml::{Spanned, Table, Value};

use super::{
    Problem, ServiceError,
    profile::{Preset, ProfileConfig},
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceConfig {
    /// Root patterns: [`super::roots`].
    pub(super) roots: Spanned<Vec<Spanned<String>>>,
    /// Wire differences: a preset and what overrides it.
    #[serde(default)]
    pub(super) profile: ProfileConfig,
    /// What is refused as too much.
    #[serde(default)]
    pub(super) limits: LimitsConfig,
    /// Entities on one page of a collection.
    pub(super) page_size: Option<Spanned<u32>>,
    /// Entity sets that take no writes.
    #[serde(default)]
    pub(super) read_only: Vec<Spanned<String>>,
    /// Entity set → number of partitions it is spread over.
    #[serde(default)]
    pub(super) shards: BTreeMap<Spanned<String>, Spanned<u16>>,
    /// Contained entities that exist with their parent: `type/navigation`.
    #[serde(default)]
    pub(super) with_parent: Vec<Spanned<String>>,
    /// Companies, when the service keeps the data of several apart.
    pub(super) companies: Option<Spanned<CompaniesConfig>>,
    /// Batch jobs, when the service has them.
    pub(super) jobs: Option<JobsConfig>,
    /// Business events of the jobs, when somebody can be told.
    pub(super) events: Option<EventsConfig>,
    /// Requeues of jobs by events, when they are kept here.
    pub(super) requeues: Option<RequeuesConfig>,
    /// Permission → the scopes and roles that give it.
    #[serde(default)]
    pub(super) permissions: BTreeMap<Spanned<String>, Vec<String>>,
    /// Type → property → how its value comes about.
    #[serde(default)]
    pub(super) derived: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<RuleConfig>>>,
}

/// `[limits]`: each overrides the preset's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsConfig {
    pub(super) operations: Option<Spanned<usize>>,
    pub(super) change_set_operations: Option<Spanned<usize>>,
    pub(super) body_bytes: Option<Spanned<usize>>,
    pub(super) url_bytes: Option<Spanned<usize>>,
    pub(super) header_bytes: Option<Spanned<usize>>,
    pub(super) nesting_depth: Option<Spanned<usize>>,
    pub(super) repeatability_hours: Option<Spanned<usize>>,
}

/// `[companies]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompaniesConfig {
    /// The entity set that shows them.
    pub(super) set: Spanned<String>,
    /// The property that the `Company` header and `?company=` name.
    pub(super) name_property: Spanned<String>,
    /// Name of the one that is meant when a request names none.
    pub(super) default: Spanned<String>,
    /// The companies: properties and values.
    pub(super) rows: Vec<Spanned<Table>>,
}

/// `[jobs]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsConfig {
    /// The entity set of the jobs.
    pub(super) set: Spanned<String>,
    /// The read-only entity set of their history.
    pub(super) history: Spanned<String>,
    /// The states that the action takes a job out of.
    pub(super) requeue_from: Vec<Spanned<String>>,
    /// How often a job may be requeued before it finishes.
    pub(super) retry_limit: Option<Spanned<i64>>,
    /// The form of the action's reply.
    #[serde(default)]
    pub(super) reply: ReplyConfig,
}

/// The form of the action's reply.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReplyConfig {
    /// The object itself.
    #[default]
    Bare,
    /// The object as text in `value`.
    Value,
}

/// `[events]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsConfig {
    /// The entity set of the subscriptions.
    pub(super) endpoints: Spanned<String>,
    /// The read-only entity set of what was sent.
    pub(super) deliveries: Spanned<String>,
}

/// `[requeues]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequeuesConfig {
    /// The read-only entity set of what was decided.
    pub(super) decisions: Spanned<String>,
    /// The read-only entity set of what was done.
    pub(super) attempts: Spanned<String>,
}

/// How a property's value comes about, and what becomes of a client's: [`super::Derived`].
#[derive(Debug)]
pub(super) struct RuleConfig {
    /// How it comes about.
    pub(super) way: WayConfig,
    /// The treatment of a client's value.
    pub(super) client: Option<ClientConfig>,
}

/// How a property's value comes about: [`super::Rule`].
#[derive(Debug)]
pub(super) enum WayConfig {
    /// `{ default = … }`
    Default(Value),
    /// `{ sequence = { start = …, step = … } }`
    Sequence(SequenceConfig),
    /// `{ copy = "navigation/property" }`, or `{ copy = { value = "navigation/property", … }, by = "property" }`
    Copy(CopyConfig, Option<String>),
    /// `{ copy_from_parent = "property" }`
    CopyFromParent(String),
    /// `{ by_parent = { type = …, … } }`
    ByParent(BTreeMap<String, Value>),
    /// `{ now = "create" }` or `{ now = "change" }`
    Now(NowConfig),
    /// `{ concat = ["property", …] }`
    Concat(Vec<String>),
    /// `"new_guid"`
    NewGuid,
}

/// Where a value is copied from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum CopyConfig {
    /// From there.
    Path(String),
    /// From one of these, by the value of another property.
    Paths(BTreeMap<String, String>),
}

/// The treatment of a client's value: [`super::Client`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientConfig {
    /// The entity that has it is looked up.
    Lookup,
    /// The client's value stays.
    Keep,
    /// Another one than the service's is refused.
    Refuse,
}

/// A rule that is a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    default: Option<Value>,
    sequence: Option<SequenceConfig>,
    copy: Option<CopyConfig>,
    by: Option<String>,
    copy_from_parent: Option<String>,
    by_parent: Option<BTreeMap<String, Value>>,
    now: Option<NowConfig>,
    concat: Option<Vec<String>>,
    client: Option<ClientConfig>,
}

impl RuleTable {
    fn rule(self) -> Result<RuleConfig, &'static str> {
        if self.by.is_some() && !matches!(self.copy, Some(CopyConfig::Paths(_))) {
            return Err("'by' says which of several sources 'copy' copies from");
        }
        let by = self.by;
        let ways = [
            self.default.map(WayConfig::Default),
            self.sequence.map(WayConfig::Sequence),
            self.copy.map(|copy| WayConfig::Copy(copy, by)),
            self.copy_from_parent.map(WayConfig::CopyFromParent),
            self.by_parent.map(WayConfig::ByParent),
            self.now.map(WayConfig::Now),
            self.concat.map(WayConfig::Concat),
        ];
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(way), None) => Ok(RuleConfig { way, client: self.client }),
            _ => Err(
                "a rule has one of 'default', 'sequence', 'copy', 'copy_from_parent', 'by_parent', 'now' and 'concat'",
            ),
        }
    }
}

impl<'de> Deserialize<'de> for RuleConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = RuleConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"new_guid\" or a table with a rule")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<RuleConfig, E> {
        match name {
            "new_guid" => Ok(RuleConfig { way: WayConfig::NewGuid, client: None }),
            _ => Err(E::unknown_variant(name, &["new_guid"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RuleConfig, A::Error> {
        RuleTable::deserialize(MapAccessDeserializer::new(map))?.rule().map_err(de::Error::custom)
    }
}

/// Start and step of a sequence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceConfig {
    pub(super) start: i64,
    pub(super) step: i64,
}

/// When a time is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NowConfig {
    /// At creation.
    Create,
    /// At creation and at every change.
    Change,
}

impl Default for ProfileConfig {
    fn default() -> Self {
        Self::of(Preset::Odata)
    }
}

impl ServiceConfig {
    /// Reads the file.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ServiceError> {
        toml::from_str(text).map_err(|error| {
            let problem = Problem::Toml(error.message().into());
            problem.at(file, text, error.span().map_or(0, |span| span.start))
        })
    }
}
