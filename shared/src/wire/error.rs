//! Why a batch could not be read.

use std::fmt;

use http::StatusCode;

use super::envelope::BoundaryError;
use crate::batch::{HeadersError, RequestFault, RequestId, RequestIdError};

/// Where in the body of a batch something is wrong. Parts, requests, operations, lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// In a multipart batch.
    Multipart {
        /// The part of the batch.
        part: Option<usize>,
        /// The operation of that part's change set.
        operation: Option<usize>,
        /// Bytes from the start of the batch body.
        offset: usize,
    },
    /// In a JSON batch.
    Json {
        /// The member of `requests` (or `responses`).
        request: Option<usize>,
        /// Line.
        line: usize,
        /// Column, in bytes.
        column: usize,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Multipart { part, operation, offset } => {
                if let Some(part) = part {
                    write!(f, "part {part}, ")?;
                }
                if let Some(operation) = operation {
                    write!(f, "operation {operation} of its change set, ")?;
                }
                write!(f, "byte {offset}")
            }
            Self::Json { request, line, column } => {
                if let Some(request) = request {
                    write!(f, "request {request}, ")?;
                }
                write!(f, "line {line}, column {column}")
            }
        }
    }
}

/// Why a batch could not be read. Nothing of it has been run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `Content-Type` is absent, or neither of the two formats.
    #[error("a batch is 'multipart/mixed' or 'application/json', not '{got}'")]
    MediaType {
        /// The name that was sent.
        got: String,
    },
    /// `multipart/mixed` without a usable `boundary`.
    #[error("Content-Type: {0}")]
    Boundary(#[from] BoundaryError),
    /// The body is too long.
    #[error("the batch has {got} bytes, at most {max} are allowed")]
    BodyBytes {
        /// Bytes sent.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Too many operations.
    #[error("the batch has {got} operations, at most {max} are allowed")]
    Operations {
        /// Operations sent.
        got: usize,
        /// Operations allowed.
        max: usize,
    },
    /// The body breaks a rule at one place.
    #[error("{position}: {fault}")]
    At {
        /// The place.
        position: Position,
        /// The rule.
        fault: Fault,
    },
}

impl DecodeError {
    /// The HTTP status that says so: 415, 413 or 400.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyBytes { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Where, when it is one place of the body.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::At { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The broken rule, when it is one place of the body.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::At { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

/// The status of a request that fails alone: the one that it would have outside a batch.
impl From<DecodeError> for RequestFault {
    fn from(error: DecodeError) -> Self {
        let status = match error.fault() {
            Some(Fault::UrlBytes { .. }) => StatusCode::URI_TOO_LONG,
            Some(Fault::HeaderBytes { .. } | Fault::HeaderCount { .. }) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, message: error.to_string() }
    }
}

/// A rule that the body of a batch breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No line is the delimiter.
    #[error("no line is the delimiter '--{boundary}'")]
    NoDelimiter {
        /// Boundary looked for.
        boundary: String,
    },
    /// The body ends before the closing delimiter.
    #[error("the closing delimiter '--{boundary}--' is missing")]
    Unclosed {
        /// Boundary looked for.
        boundary: String,
    },
    /// The closing delimiter is the first.
    #[error("there are no parts")]
    NoParts,
    /// A change set inside a change set.
    #[error("a change set cannot hold a change set")]
    NestedChangeSet,
    /// A part that is neither a request nor a change set.
    #[error("a part is 'application/http' or 'multipart/mixed', not '{got}'")]
    PartType {
        /// Its `Content-Type`.
        got: String,
    },
    /// A change set without a usable `boundary`.
    #[error("Content-Type: {0}")]
    Boundary(#[from] BoundaryError),
    /// A header line without a colon.
    #[error("the header line '{line}' has no colon")]
    HeaderLine {
        /// Its beginning.
        line: String,
    },
    /// A header that HTTP does not allow.
    #[error(transparent)]
    Header(#[from] HeadersError),
    /// The header block is too long.
    #[error("a header block has at most {max} bytes")]
    HeaderBytes {
        /// Bytes allowed.
        max: usize,
    },
    /// Too many headers.
    #[error("a request has at most {max} headers")]
    HeaderCount {
        /// Headers allowed.
        max: usize,
    },
    /// The part ends before the request line (or status line).
    #[error("the request is missing")]
    NoStartLine,
    /// Not `HTTP/1.1 200 OK`.
    #[error("'{line}' is not a status line")]
    StatusLine {
        /// Its beginning.
        line: String,
    },
    /// Not a method, or in JSON none of the five.
    #[error("'{method}' is not a method of a batch request")]
    Method {
        /// What was sent.
        method: String,
    },
    /// No URL.
    #[error("the URL is missing")]
    NoUrl,
    /// The URL is too long.
    #[error("the URL has {got} bytes, at most {max} are allowed")]
    UrlBytes {
        /// Bytes sent.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The URL is not UTF-8 or has a control character.
    #[error("the URL has a character that is not allowed")]
    UrlCharacter,
    /// Not a request id.
    #[error(transparent)]
    Id(#[from] RequestIdError),
    /// `Content-ID` in the part's headers and another one in the request's.
    #[error("Content-ID is '{part}' in the part and '{request}' in its request")]
    TwoIds {
        /// The part's.
        part: RequestId,
        /// The request's.
        request: RequestId,
    },
    /// Two requests with one id.
    #[error("the id '{0}' is used twice")]
    DuplicateId(RequestId),
    /// A request and a group with one name.
    #[error("'{0}' is both the id of a request and the name of an atomicity group")]
    IdIsGroup(RequestId),
    /// Other requests stand between the members of a group.
    #[error("the members of atomicity group '{0}' are not adjacent")]
    GroupSplit(RequestId),
    /// A dependency that cannot be.
    #[error("dependsOn '{name}': {reason}")]
    DependsOn {
        /// The name.
        name: RequestId,
        /// Why not.
        reason: DependencyFault,
    },
    /// More dependencies than the batch may have operations.
    #[error("a request depends on at most {max} others, this one on {got}")]
    DependsOnCount {
        /// Dependencies sent.
        got: usize,
        /// Dependencies allowed.
        max: usize,
    },
    /// Too many operations in one change set.
    #[error("the change set has {got} operations, at most {max} are allowed")]
    ChangeSetOperations {
        /// Operations sent.
        got: usize,
        /// Operations allowed.
        max: usize,
    },
    /// Not JSON, or no batch object.
    #[error("{0}")]
    Json(String),
    /// A member that is needed.
    #[error("'{0}' is missing")]
    MissingMember(&'static str),
    /// A member that a request has in another spelling. To ignore it as others would lose what its sender means.
    #[error("'{got}' is not a member of a request, '{member}' is")]
    MemberSpelling {
        /// The spelling that was sent.
        got: String,
        /// The member.
        member: &'static str,
    },
    /// A member given twice.
    #[error("'{0}' is given twice")]
    DuplicateMember(String),
    /// A member of another type.
    #[error("'{member}' must be {expected}")]
    MemberType {
        /// The member.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A header whose value is no string.
    #[error("the value of header '{0}' must be a string")]
    HeaderType(String),
    /// A body that is no base64url.
    #[error("a body of type '{media_type}' must be base64url")]
    Base64 {
        /// Its `content-type`.
        media_type: String,
    },
}

/// Why a dependency cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DependencyFault {
    /// No request or group has the name.
    #[error("no request or atomicity group has this name")]
    Unknown,
    /// It comes later.
    #[error("it comes later in the batch")]
    Later,
    /// The request itself.
    #[error("a request cannot depend on itself")]
    Itself,
    /// The group that the request is in.
    #[error("a request cannot depend on the group it belongs to")]
    OwnGroup,
}

/// The beginning of some bytes, for a message.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(80).collect()
}
