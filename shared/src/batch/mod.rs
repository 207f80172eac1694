//! What a batch is: requests, change sets, responses. No bytes of a wire format, no I/O.
//!
//! OData 4.01 Protocol §11.7 (both formats), JSON Format §19.

mod headers;
mod prefer;
mod request_id;

use bytes::Bytes;
use http::{Method, StatusCode};

pub use headers::{Headers, HeadersError};
pub use prefer::{Preferences, Return};
pub use request_id::{RequestId, RequestIdError};

/// The two wire formats of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `multipart/mixed`
    Multipart,
}

/// A decoded batch: the items in the order received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest {
    /// The format it came in.
    pub format: Format,
    /// Its items, in order.
    pub items: Vec<BatchItem>,
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchItem {
    /// A request on its own.
    Single(Request),
    /// Requests that succeed or fail together.
    Group(Group),
}

impl BatchItem {
    /// Its requests, in order.
    pub fn requests(&self) -> &[Request] {
        match self {
            Self::Single(request) => std::slice::from_ref(request),
            Self::Group(group) => &group.requests,
        }
    }

    /// The same to change them.
    pub fn requests_mut(&mut self) -> &mut [Request] {
        match self {
            Self::Single(request) => std::slice::from_mut(request),
            Self::Group(group) => &mut group.requests,
        }
    }
}

/// A change set (multipart) or atomicity group (JSON).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The `atomicityGroup` of a JSON batch; a multipart change set has no name.
    pub name: Option<RequestId>,
    /// The members, in order.
    pub requests: Vec<Request>,
}

/// One request of a batch, as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `id` or `Content-ID`.
    pub id: Option<RequestId>,
    /// HTTP method.
    pub method: Method,
    /// URL text, unresolved: absolute, absolute path, relative or `$<id>…`.
    pub url: String,
    /// Inner HTTP headers (`Content-ID` is taken out).
    pub headers: Headers,
    /// Body bytes, byte-exact; empty when there is none. A slice of the batch's own bytes where possible.
    pub body: Bytes,
    /// `dependsOn`: ids of requests and names of groups.
    pub depends_on: Vec<RequestId>,
    /// The `if` expression, unparsed.
    pub condition: Option<String>,
    /// Why it cannot be run. Its other members are then as far as they could be read.
    pub fault: Option<RequestFault>,
}

impl Request {
    /// A GET of nothing.
    pub fn new(id: Option<RequestId>) -> Self {
        Self {
            id,
            method: Method::GET,
            url: String::new(),
            headers: Headers::new(),
            body: Bytes::new(),
            depends_on: Vec::new(),
            condition: None,
            fault: None,
        }
    }

    /// The id by which later requests refer to it. A faulty one has none: the id may be that of an earlier request.
    pub fn name(&self) -> Option<&RequestId> {
        self.id.as_ref().filter(|_| self.fault.is_none())
    }
}

/// Whether the body of a request means anything: one at GET, HEAD or DELETE does not (RFC 9110 §9.3), and is ignored.
pub fn takes_body(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::DELETE].contains(method)
}

/// Why one request of a batch cannot be run, where it fails alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFault {
    /// Status of its answer.
    pub status: StatusCode,
    /// The place and the rule, for its sender.
    pub message: String,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request's id, echoed.
    pub id: Option<RequestId>,
    /// HTTP status.
    pub status: StatusCode,
    /// Inner HTTP headers, in the order they are written.
    pub headers: Headers,
    /// Body bytes; empty when there is none.
    pub body: Bytes,
}

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchResponse {
    /// Answers, in the order of the requests.
    pub items: Vec<ResponseItem>,
}

/// The answer to one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseItem {
    /// The answer to a request on its own, or the one answer that stands for a failed change set.
    Single(Response),
    /// The answers to the members of a group.
    Group {
        /// `atomicityGroup` for JSON; `None` in multipart.
        name: Option<RequestId>,
        /// One answer a member; the Dataverse shape of a failed change set has only the culprit's.
        responses: Vec<Response>,
    },
}
