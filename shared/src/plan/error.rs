//! Why a request cannot be carried out. Knows nothing of HTTP: `respond::error` maps it.

use std::borrow::Cow;

use crate::{
    auth::Permission,
    batch::RequestFault,
    edm::{KeyError, ValueError},
    events::EndpointFault,
    jobs::JobFault,
    query::QueryError,
    repeat::RepeatFault,
    respond::Refused,
    store::{KeyTooLong, TooLarge},
    uri::UriError,
};

use super::{repeat::Answered, rerun::RerunFault};

/// Why one request of a unit of work fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// The URL cannot be understood.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// A query option does not fit the model.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The body does not fit the model.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A key value cannot be a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key is too long for the table.
    #[error(transparent)]
    KeyTooLong(#[from] KeyTooLong),
    /// The unit of work is too large for one transaction.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// There is no room for the answer beside those that were given.
    #[error(
        "with this operation the answer would be larger than {max} bytes; the operation was not run ('Prefer: \
         return=minimal' and $select make answers smaller)"
    )]
    AnswerTooLarge {
        /// What an answer may weigh.
        max: usize,
    },
    /// The unit of work reads more than is kept in memory at once.
    #[error("the requests that are one unit read more than {max} bytes together; none of them was run")]
    ReadsTooMuch {
        /// Bytes that a unit may read.
        max: usize,
    },
    /// An absolute URL leads to another host or service.
    #[error("'{url}' is not a URL of this service: {reason}")]
    ForeignUrl {
        /// The URL as sent.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `$<id>` names no request that could be referred to.
    #[error("Content-ID Reference: '${0}' does not exist in the batch context.")]
    UnknownReference(String),
    /// `$<id>` names a request that has no entity (a failed one, or a delete).
    #[error("Content-ID Reference: '${0}' does not lead to an entity.")]
    EmptyReference(String),
    /// The entity of the URL does not exist.
    #[error("{entity_type} with key {key} does not exist")]
    NotFound {
        /// Type name.
        entity_type: String,
        /// Its key as in the URL.
        key: String,
    },
    /// A link or value of the URL does not exist.
    #[error("'{0}' has no value")]
    NoTarget(String),
    /// There is no such company.
    #[error("the company '{0}' does not exist")]
    CompanyNotFound(String),
    /// The method does not apply to the resource.
    #[error("{method} is not allowed here")]
    MethodNotAllowed {
        /// The method.
        method: String,
        /// Those that are.
        allow: Cow<'static, str>,
    },
    /// No representation that the client accepts.
    #[error("no acceptable representation: '{0}'")]
    NotAcceptable(String),
    /// The body's media type is not understood.
    #[error("the media type '{0}' of the request body is not supported; application/json is")]
    MediaType(String),
    /// Nothing says what the body is.
    #[error("the request has a body, and no Content-Type says which media type it has")]
    NoMediaType,
    /// The media type of a stream is none that it takes.
    #[error("the stream does not take the media type '{got}' but {accepts}")]
    StreamMediaType {
        /// The media type, empty where none is given.
        got: String,
        /// Those that it takes.
        accepts: String,
    },
    /// A lookup that leads to one of several types is to lead to two entities.
    #[error("'{navigation}' and '{other}' are one lookup; give one of them")]
    TwoTargets {
        /// Navigation property.
        navigation: String,
        /// The other one.
        other: String,
    },
    /// The body's encoding is not understood.
    #[error("the content encoding '{0}' is not supported")]
    ContentEncoding(String),
    /// A version of OData that is not understood.
    #[error("the OData version '{0}' is not supported; 4.0 and 4.01 are")]
    Version(String),
    /// `If-Match` or `If-None-Match` does not hold.
    #[error("the entity was changed by somebody else: its etag does not match")]
    Stale,
    /// `If-None-Match: *` on an existing entity.
    #[error("a record with matching key values already exists.")]
    AlreadyThere,
    /// The profile asks for `If-Match`, and there is none that can be read.
    #[error(
        "Could not validate the client concurrency token required by the service. \
         Please provide a valid token in the client request."
    )]
    TokenRequired,
    /// Another entity has this key.
    #[error("an entity of '{set}' with the key {key} exists already")]
    Duplicate {
        /// Whether the key is an alternate one.
        alternate: bool,
        /// Entity set or navigation.
        set: String,
        /// The key.
        key: String,
    },
    /// A property that must have a value has none.
    #[error("the property '{property}' of '{entity_type}' is required")]
    Required {
        /// Property name.
        property: String,
        /// Type name.
        entity_type: String,
    },
    /// The key in the body is another than the one in the URL.
    #[error("the key property '{0}' cannot be changed")]
    KeyChange(String),
    /// The target of a bind, a reference or a referential constraint does not exist.
    #[error("'{target}', the target of '{navigation}', does not exist")]
    MissingTarget {
        /// Navigation property.
        navigation: String,
        /// The target as in a URL.
        target: String,
    },
    /// A copy that says which entity is meant is that of none.
    #[error("'{property}': no entity of '{set}' has the {key} '{value}'")]
    NoneWithKey {
        /// The property with the copy.
        property: String,
        /// The set that was looked in.
        set: String,
        /// The alternate key there.
        key: String,
        /// The value.
        value: String,
    },
    /// A value that is not the one that the service makes.
    #[error("the value '{value}' of '{property}' contradicts the service's own, which is {made}")]
    Contradiction {
        /// The property.
        property: String,
        /// The client's value.
        value: String,
        /// How the service's comes about.
        made: String,
    },
    /// The URL of a bind leads to something that the navigation property cannot lead to.
    #[error("'{url}' is not an entity that '{navigation}' can lead to")]
    BadTarget {
        /// Navigation property.
        navigation: String,
        /// The URL.
        url: String,
    },
    /// The request needs a body.
    #[error("a {0} request needs a body")]
    MissingBody(String),
    /// The request of a batch is wrong as it stands there.
    #[error("{}", .0.message)]
    Faulty(Box<RequestFault>),
    /// A batch inside a batch.
    #[error("a batch inside a batch is not possible")]
    NestedBatch,
    /// A read inside a change set.
    #[error("a change set holds only requests that change data; {0} is none")]
    ReadInChangeSet(String),
    /// The request has an `if`.
    #[error("the 'if' of a request is not supported")]
    ConditionUnsupported,
    /// Something this request depends on failed.
    #[error("the request depends on '{0}', which failed")]
    FailedDependency(String),
    /// Another member of the same group failed.
    #[error("another request of the same group failed; nothing of the group was applied")]
    FailedGroup,
    /// What was read was never all of one instant.
    #[error(
        "what was read changed each of the {attempts} times that it was looked at again, so it was never all of one \
         instant; nothing was changed. Read less at once, or try again later"
    )]
    NotOneInstant {
        /// How often it was read or committed.
        attempts: usize,
    },
    /// The next page of a collection would be of another instant.
    #[error(
        "the collection goes on after {shown} entities, and the next page would be of another instant; ask for as many \
         with $top, or for fewer with $filter, or read it without isolation"
    )]
    Paged {
        /// How many are on the page.
        shown: usize,
    },
    /// `Isolation: snapshot` where it cannot be kept.
    #[error("the isolation '{0}' is not supported here")]
    Isolation(String),
    /// A part of OData that is not there.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A header that may not be there or has a value that cannot be read.
    #[error("header '{name}': {reason}")]
    Header {
        /// Header name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Nested deeper than the service goes.
    #[error("the body is nested deeper than {0} entities")]
    TooDeep(usize),
    /// A sequence has no number left that its property can hold.
    #[error("the sequence of '{0}' has no number left")]
    SequenceExhausted(String),
    /// The property is only written.
    #[error("'{0}' is write-only")]
    WriteOnly(String),
    /// Clients may not do this to the entities of a set.
    #[error("entities of '{set}' are not {done} by clients")]
    Restricted {
        /// Entity set.
        set: String,
        /// The refused change, as a participle.
        done: &'static str,
        /// The methods that its entities take.
        allow: String,
    },
    /// A required navigation property leads nowhere.
    #[error("the navigation property '{navigation}' of '{entity_type}' is required: it has to lead to an entity")]
    RequiredTarget {
        /// Navigation property.
        navigation: String,
        /// Type name.
        entity_type: String,
    },
    /// `Core.Immutable`
    #[error("the property '{0}' keeps the value that it was created with")]
    Immutable(String),
    /// The value of a lookup is given in place of its target.
    #[error(
        "the lookup property '{property}' is not written directly; use the navigation property {} instead",
        .navigation.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" or ")
    )]
    LookupValue {
        /// The property.
        property: String,
        /// The navigation properties that it follows.
        navigation: Vec<String>,
    },
    /// The caller may not do it.
    #[error("the permission '{}' is missing; any of these scopes or roles gives it: {}", .permission.name(), .given_by.join(", "))]
    Forbidden {
        /// What is missing.
        permission: Permission,
        /// The scopes and roles that would give it.
        given_by: Vec<String>,
    },
    /// An endpoint of business events cannot be as asked.
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    /// A batch job cannot be changed as asked.
    #[error(transparent)]
    Job(#[from] JobFault),
    /// A decision cannot be carried out again.
    #[error(transparent)]
    Rerun(#[from] RerunFault),
    /// The action SetBatchJobToWaiting was refused: it has a reply of its own.
    #[error("{}", .0.refusal)]
    NotSetToWaiting(Box<Refused>),
    /// It cannot be known as a repeat, or not now.
    #[error(transparent)]
    Repeat(#[from] RepeatFault),
    /// It was refused once, and is a repeat.
    #[error("the request is the repeat of one that was refused")]
    Answered(Box<Answered>),
    /// Something that cannot happen in a service that was loaded: a bug.
    #[error("the request could not be decided")]
    Internal,
}
