//! One HTTP request and its answer, free of any server or event type.

mod origin;
mod root_url;
mod verdict;
mod weight;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

pub(crate) use origin::{below_public, origin};
pub use root_url::{RootUrlError, root_url};
pub use verdict::{Admitted, Unread, Verdict};
pub use weight::{MAX_ANSWER, MAX_PAYLOAD, Weight, is_text, weigh};

use crate::{batch::Headers, uri::Encoding};

/// An HTTP request as an edge received it.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Method.
    pub method: Method,
    /// Path from the root of the host, without the query.
    pub path: String,
    /// Whether `path` is still percent-encoded (an HTTP API of API Gateway decodes it).
    pub path_encoding: Encoding,
    /// Query string, percent-encoded, without `?`.
    pub query: Option<String>,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
    /// `http` or `https`: how the edge itself was reached, when no header says otherwise.
    pub scheme: &'static str,
    /// The edge's id of the request, for the log: the gateway's `requestId`, or one that the host made.
    pub id: String,
    /// How long the edge can wait for the answer, when it says; then nobody hears it any more.
    pub time_left: Option<Duration>,
}

/// The answer to an [`Incoming`] request.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Status.
    pub status: StatusCode,
    /// Headers in the order they are written.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
}
