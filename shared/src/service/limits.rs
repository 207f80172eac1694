//! What a service refuses as too much, before any work.

use toml::Spanned;

use super::{Problem, config::LimitsConfig, derived::Located, profile::Preset};

/// Upper bounds of what a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations in a batch.
    pub operations: usize,
    /// Operations in one change set or atomicity group, where that is bounded by itself.
    pub change_set_operations: Option<usize>,
    /// Bytes of a request's body, as sent.
    ///
    /// A Lambda function gets less: its event is a JSON document of at most 6 MiB with the body as a string in it. There
    /// each quote and backslash of a JSON batch takes two bytes; a multipart batch is base64, so that 4.5 MiB of it fit.
    /// What is larger the gateway refuses (413) before any function runs.
    pub body_bytes: usize,
    /// Bytes of an URL, path and query, of a request alone or in a batch.
    pub url_bytes: usize,
    /// Bytes of all headers of one request.
    pub header_bytes: usize,
    /// Nesting of JSON objects and arrays, and of expressions.
    pub nesting_depth: usize,
    /// How long is kept how requests with an id for repeats ended, in hours.
    pub repeatability_hours: usize,
}

impl Limits {
    /// The limits of the service that a preset stands for, where they are known; else what a Lambda can take.
    pub fn preset(preset: Preset) -> Self {
        let (operations, change_set_operations) = match preset {
            Preset::Odata | Preset::Dataverse => (1_000, None),
            Preset::FinanceOperations => (5_000, Some(5_000)),
            Preset::BusinessCentral => (100, None),
        };
        Self {
            operations,
            change_set_operations,
            // The largest event of a synchronous invocation.
            body_bytes: 6 * 1024 * 1024,
            url_bytes: 64 * 1024,
            header_bytes: 64 * 1024,
            nesting_depth: 64,
            repeatability_hours: 24,
        }
    }

    pub(super) fn new(preset: Preset, config: &LimitsConfig) -> Result<Self, Located> {
        let preset = Self::preset(preset);
        Ok(Self {
            operations: or(config.operations.as_ref(), preset.operations)?,
            change_set_operations: match &config.change_set_operations {
                Some(limit) => Some(positive(limit)?),
                None => preset.change_set_operations,
            },
            body_bytes: or(config.body_bytes.as_ref(), preset.body_bytes)?,
            url_bytes: or(config.url_bytes.as_ref(), preset.url_bytes)?,
            header_bytes: or(config.header_bytes.as_ref(), preset.header_bytes)?,
            nesting_depth: or(config.nesting_depth.as_ref(), preset.nesting_depth)?,
            repeatability_hours: or(config.repeatability_hours.as_ref(), preset.repeatability_hours)?,
        })
    }
}

fn or(limit: Option<&Spanned<usize>>, preset: usize) -> Result<usize, Located> {
    limit.map_or(Ok(preset), positive)
}

fn positive(limit: &Spanned<usize>) -> Result<usize, Located> {
    if *limit.as_ref() == 0 { Err((limit.span().start, Problem::ZeroLimit)) } else { Ok(*limit.as_ref()) }
}

impl Limits {
    /// The part of them that bounds a batch.
    pub fn wire(&self) -> crate::wire::Limits {
        crate::wire::Limits {
            body_bytes: self.body_bytes,
            operations: self.operations,
            change_set_operations: self.change_set_operations,
            header_bytes: self.header_bytes,
            url_bytes: self.url_bytes,
            ..crate::wire::Limits::default()
        }
    }

    /// The part of them that bounds a URL.
    pub fn uri(&self) -> crate::uri::UriLimits {
        crate::uri::UriLimits {
            path: self.url_bytes,
            query: self.url_bytes,
            depth: self.nesting_depth,
            ..crate::uri::UriLimits::default()
        }
    }
}
