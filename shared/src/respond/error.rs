//! The table of errors: what each one is over HTTP, in the shape of each profile (JSON Format §21, Protocol §9.4).

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    auth::AuthError,
    batch::{Headers, RequestId, Response},
    edm::{Numbers, ValueError},
    exchange::Unread,
    jobs::{JobFault, Refusal},
    plan::{Metadata, OdataVersion, PlanError},
    query::QueryError,
    repeat::RepeatFault,
    service::profile::{ErrorShape, Profile},
    store::StoreError,
    uri::UriError,
    wire::DecodeError,
};

use super::{BatchError, Failure, challenge::challenge, headers};

/// What the shape of an error depends on.
#[derive(Clone, Copy, Debug)]
pub struct ErrorContext<'a> {
    /// The profile of the service; `None` where no service was called.
    pub profile: Option<&'a Profile>,
    /// Version of the answer.
    pub version: OdataVersion,
    /// The id of the request that ties the answer to the log.
    pub correlation: Uuid,
}

/// Status and codes of an error: (status, OData, Business Central, Dataverse).
type Row = (u16, &'static str, &'static str, &'static str);

/// The answer to a request that failed.
pub fn error_response(context: ErrorContext<'_>, failure: &Failure, id: Option<RequestId>) -> Response {
    if let Failure::Plan(PlanError::Answered(answered)) = failure {
        return Response { id, ..answered.response.clone() };
    }
    let shape = context.profile.map_or(ErrorShape::Odata, |p| p.errors);
    let (status, odata, business_central, dataverse) = row(failure, context.profile);
    let code = match shape {
        ErrorShape::Odata => odata,
        ErrorShape::FinanceOperations => "",
        ErrorShape::BusinessCentral => business_central,
        ErrorShape::Dataverse => dataverse,
    };
    let message = message(failure, shape, context.correlation);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut all = Headers::new();
    all.append(header::CONTENT_TYPE, headers::json_type(context.version, Metadata::Minimal, Numbers::Plain));
    all.append(headers::ODATA_VERSION, HeaderValue::from_static(context.version.as_str()));
    if shape == ErrorShape::Odata {
        all.append(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    }
    match failure {
        Failure::Plan(PlanError::MethodNotAllowed { allow, .. }) => headers::text(&mut all, header::ALLOW, allow),
        Failure::Plan(PlanError::Restricted { allow, .. }) => headers::text(&mut all, header::ALLOW, allow),
        Failure::Batch(BatchError::Method { allow }) => all.append(header::ALLOW, HeaderValue::from_static(allow)),
        Failure::Store(StoreError::OutcomeUnknown(_)) => {
            all.append(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Failure::Store(StoreError::Unavailable(_) | StoreError::OutOfTime | StoreError::Contention { .. })
        | Failure::Unread(Unread::TooSlow | Unread::Busy) => {
            all.append(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Failure::Auth(AuthError::NoKeys { retry_after }) => {
            all.append(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        Failure::Plan(PlanError::Repeat(fault)) => repeat_headers(fault, &mut all),
        failure => {
            if let Some(challenge) = challenge(failure) {
                all.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
    }
    let body = match failure {
        Failure::Plan(PlanError::NotSetToWaiting(refused)) => refused.body(status).into(),
        _ => write(shape, code, &message, target(failure)),
    };
    Response { id, status, headers: all, body }
}

/// Whether a repeat could be known as one, or when it can be.
fn repeat_headers(fault: &RepeatFault, all: &mut Headers) {
    if fault.is_rejection() {
        all.append(headers::REPEATABILITY_RESULT, HeaderValue::from_static("rejected"));
    }
    match fault {
        RepeatFault::Running { retry_after } => {
            all.append(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        RepeatFault::Suspended => all.append(header::RETRY_AFTER, HeaderValue::from_static("1")),
        _ => {}
    }
}

/// The code of a failure where no profile has another: what the log calls it.
pub fn error_code(failure: &Failure) -> &'static str {
    row(failure, None).1
}

/// The one place where a failure becomes a status and a code.
fn row(failure: &Failure, profile: Option<&Profile>) -> Row {
    match failure {
        Failure::Plan(error) => plan_row(error, profile),
        Failure::Batch(error) => batch_row(error, profile),
        Failure::Store(error) => match error {
            StoreError::OutcomeUnknown(_) => (503, "OutcomeUnknown", "Internal_ServerError", "0x80072321"),
            StoreError::Unavailable(_) => (503, "ServiceUnavailable", "Internal_TenantUnavailable", "0x80072321"),
            StoreError::OutOfTime => (503, "OutOfTime", "Internal_TenantUnavailable", "0x80072321"),
            StoreError::Contention { .. } => (503, "Contention", "Internal_ServerError", "0x80072326"),
            StoreError::ItemTooLarge => (413, "TooLarge", "BadRequest", "0x80072322"),
            StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::Invalid(_) => {
                (500, "InternalError", "Internal_ServerError", "0x80040216")
            }
        },
        Failure::Unread(error) => match error {
            Unread::TooLong { .. } => (413, "TooLarge", "BadRequest", "0x80072322"),
            Unread::TooSlow => (408, "RequestTimeout", "BadRequest", "0x80060888"),
            Unread::Broken => (400, "IncompleteBody", "BadRequest", "0x80048d19"),
            Unread::Busy => (503, "ServiceUnavailable", "Internal_TenantUnavailable", "0x80072321"),
        },
        Failure::Auth(error) => match error {
            AuthError::Missing | AuthError::Token(_) => (401, "Unauthorized", "Authentication_InvalidCredentials", ""),
            AuthError::Repeated => (400, "InvalidHeader", "BadRequest", "0x80060888"),
            AuthError::NoKeys { .. } => (503, "ServiceUnavailable", "Internal_TenantUnavailable", "0x80072321"),
        },
        Failure::Foreign(_) => (403, "ForeignOrigin", "Authentication_InvalidCredentials", "0x80040220"),
        Failure::NoService | Failure::NotServed { .. } => (404, "NotFound", "BadRequest_NotFound", "0x80060888"),
    }
}

fn plan_row(error: &PlanError, profile: Option<&Profile>) -> Row {
    use PlanError as E;
    let [stale, token, duplicate] = dialect_statuses(profile);
    match error {
        E::Uri(error) => uri_row(error),
        E::Query(error) => query_row(error),
        E::Value(error) => value_row(error),
        E::Key(_) | E::KeyTooLong(_) => (400, "InvalidKey", "BadRequest", "0x80060888"),
        E::AnswerTooLarge { .. } => (413, "AnswerTooLarge", "BadRequest", "0x80072322"),
        E::TooLarge(_) | E::ReadsTooMuch { .. } => (413, "TooLarge", "BadRequest", "0x80072322"),
        E::ForeignUrl { .. } => (400, "ForeignUrl", "BadRequest_InvalidRequestUrl", "0x80060888"),
        E::UnknownReference(_) | E::EmptyReference(_) => {
            (400, "UnresolvedReference", "BadRequest_InvalidRequestUrl", "0x80060888")
        }
        E::NotFound { .. } | E::NoTarget(_) => (404, "NotFound", "Internal_RecordNotFound", "0x80040217"),
        E::CompanyNotFound(_) => (404, "CompanyNotFound", "Internal_CompanyNotFound", "0x80040217"),
        E::MethodNotAllowed { .. } => (405, "MethodNotAllowed", "BadRequest_MethodNotAllowed", "0x80060888"),
        E::NotAcceptable(_) => (406, "NotAcceptable", "BadRequest", "0x80060888"),
        E::MediaType(_) | E::NoMediaType | E::StreamMediaType { .. } | E::ContentEncoding(_) => {
            (415, "UnsupportedMediaType", "BadRequest", "0x80048d19")
        }
        E::Version(_) => (400, "UnsupportedVersion", "BadRequest", "0x80060888"),
        E::Stale => (stale, "PreconditionFailed", "Request_EntityChanged", "0x80060882"),
        E::AlreadyThere => (412, "PreconditionFailed", "Internal_EntityWithSameKeyExists", "0x80040237"),
        E::TokenRequired => (token, "PreconditionRequired", "BadRequest_InvalidToken", "0x80060882"),
        E::Duplicate { .. } => (duplicate, "DuplicateKey", "Internal_EntityWithSameKeyExists", "0x80040237"),
        E::Required { .. } | E::RequiredTarget { .. } => {
            (400, "RequiredProperty", "BadRequest_RequiredParamNotProvided", "0x80040203")
        }
        E::SequenceExhausted(_) => (409, "SequenceExhausted", "Internal_ServerError", "0x80040216"),
        E::Forbidden { .. } => (403, "Forbidden", "Authentication_InvalidCredentials", "0x80040220"),
        E::Restricted { .. } => (405, "ReadOnly", "BadRequest_MethodNotAllowed", "0x80060888"),
        E::LookupValue { .. } => (400, "LookupValue", "BadRequest", "0x80048d19"),
        E::WriteOnly(_) => (403, "WriteOnly", "BadRequest", "0x80040220"),
        E::KeyChange(_) => (400, "KeyChange", "BadRequest", "0x80040203"),
        E::Immutable(_) => (400, "ImmutableProperty", "BadRequest", "0x80040203"),
        E::Contradiction { .. } => (400, "Contradiction", "Application_FieldValidationException", "0x80048d19"),
        E::MissingTarget { .. } | E::NoneWithKey { .. } => {
            (400, "MissingTarget", "Internal_InvalidTableRelation", "0x80040217")
        }
        E::BadTarget { .. } | E::TwoTargets { .. } => (400, "InvalidTarget", "BadRequest", "0x80048d19"),
        E::MissingBody(_) => (400, "InvalidBody", "BadRequest", "0x80048d19"),
        E::Faulty(fault) => (fault.status.as_u16(), "MalformedRequest", "BadRequest", "0x80048d19"),
        E::NestedBatch | E::ReadInChangeSet(_) => (400, "InvalidBatch", "BadRequest", "0x80048d19"),
        E::ConditionUnsupported | E::FailedDependency(_) | E::FailedGroup => {
            (424, "FailedDependency", "BadRequest", "0x80040216")
        }
        E::Isolation(_) => (412, "IsolationNotSupported", "BadRequest", "0x80060888"),
        E::NotOneInstant { .. } | E::Paged { .. } => (412, "IsolationNotKept", "BadRequest", "0x80060888"),
        E::Unsupported(_) => (501, "NotImplemented", "BadRequest_MethodNotImplemented", "0x80060888"),
        E::Header { .. } => (400, "InvalidHeader", "BadRequest", "0x80060888"),
        E::TooDeep(_) => (400, "TooDeep", "BadRequest", "0x80048d19"),
        E::Endpoint(_) => (400, "InvalidValue", "Application_FieldValidationException", "0x80048d19"),
        E::Job(error) => job_row(error),
        E::Rerun(_) => (409, "IllegalTransition", "BadRequest", "0x80040203"),
        E::NotSetToWaiting(refused) => refusal_row(&refused.refusal),
        E::Repeat(error) => repeat_row(error),
        E::Answered(answered) => (answered.response.status.as_u16(), answered.code.unwrap_or("Repeated"), "", ""),
        E::Internal => (500, "InternalError", "Internal_ServerError", "0x80040216"),
    }
}

/// The statuses that dialects choose: of a stale etag, of a missing `If-Match`, of a duplicate key.
fn dialect_statuses(profile: Option<&Profile>) -> [u16; 3] {
    let speaks = |shape| profile.is_some_and(|profile| profile.errors == shape);
    let stale = profile.map_or(412, |profile| profile.stale_etag_status);
    let token = if speaks(ErrorShape::BusinessCentral) { 400 } else { 428 };
    let duplicate = if speaks(ErrorShape::Dataverse) { 412 } else { 409 };
    [stale, token, duplicate]
}

fn repeat_row(error: &RepeatFault) -> Row {
    match error {
        RepeatFault::Header { .. } => (400, "InvalidHeader", "BadRequest", "0x80060888"),
        RepeatFault::TooOld { .. } | RepeatFault::TooNew => (412, "NotRepeatable", "BadRequest", "0x80060888"),
        RepeatFault::Other => (412, "RequestIdReused", "BadRequest", "0x80060888"),
        RepeatFault::Running { .. } => (409, "RequestInProgress", "Internal_ServerError", "0x80072326"),
        RepeatFault::Suspended => (503, "Suspended", "Internal_TenantUnavailable", "0x80072321"),
    }
}

fn job_row(error: &JobFault) -> Row {
    match error {
        JobFault::Requeue(refusal) => refusal_row(refusal),
        JobFault::Transition { .. } | JobFault::Taken | JobFault::Twice => {
            (409, "IllegalTransition", "BadRequest", "0x80040203")
        }
        JobFault::NoStatus | JobFault::RetryCount | JobFault::RetryLimit(_) => {
            (400, "InvalidValue", "Application_FieldValidationException", "0x80048d19")
        }
    }
}

fn refusal_row(refusal: &Refusal) -> Row {
    match refusal {
        Refusal::Parameter(_) => (400, "InvalidParameter", "BadRequest", "0x80048d19"),
        Refusal::Unknown(_) => (404, "NotFound", "Internal_RecordNotFound", "0x80040217"),
        Refusal::State { .. } | Refusal::Twice(_) => (409, "IllegalTransition", "BadRequest", "0x80040203"),
        Refusal::Limit { .. } => (409, "RetryLimitReached", "BadRequest", "0x80040203"),
        Refusal::Forbidden => (403, "Forbidden", "Authentication_InvalidCredentials", "0x80040220"),
    }
}

fn uri_row(error: &UriError) -> Row {
    if error.is_not_found() {
        (404, "ResourceNotFound", "BadRequest_ResourceNotFound", "0x80060888")
    } else if error.is_unsupported() {
        (501, "NotImplemented", "BadRequest_MethodNotImplemented", "0x80060888")
    } else if error.is_too_long() {
        (414, "UriTooLong", "BadRequest_InvalidRequestUrl", "0x80060888")
    } else {
        (400, "InvalidUrl", "BadRequest_InvalidRequestUrl", "0x80060888")
    }
}

fn query_row(error: &QueryError) -> Row {
    if error.is_unsupported() {
        (501, "NotImplemented", "BadRequest_MethodNotImplemented", "0x80060888")
    } else {
        (400, "InvalidQuery", "Application_FilterErrorException", "0x80060888")
    }
}

fn value_row(error: &ValueError) -> Row {
    match error {
        ValueError::Json { .. } => (400, "MalformedJson", "BadRequest", "0x80048d19"),
        ValueError::NotAnOption { .. } => (400, "InvalidOption", "Unknown", "0x80048d19"),
        ValueError::TooLong { .. } => (400, "TooLong", "Application_StringExceededLength", "0x80044331"),
        ValueError::UnsupportedControl { .. } => {
            (501, "NotImplemented", "BadRequest_MethodNotImplemented", "0x80060888")
        }
        ValueError::UnknownProperty { .. } => (400, "UnknownProperty", "BadRequest", "0x0"),
        _ => (400, "InvalidValue", "Application_FieldValidationException", "0x80048d19"),
    }
}

fn batch_row(error: &BatchError, profile: Option<&Profile>) -> Row {
    match error {
        // It can be read well enough: whatever the profile answers to a batch that cannot, this is the client's to mend.
        BatchError::Decode(DecodeError::Operations { .. }) => (400, "TooManyOperations", "BadRequest", "0x80048d19"),
        BatchError::Decode(error) => match error.status().as_u16() {
            400 => {
                let status = profile.map_or(400, |p| p.malformed_batch_status);
                (status, "MalformedBatch", "Internal_ServerError", "0x80048d19")
            }
            status => (status, "InvalidBatch", "BadRequest", "0x80048d19"),
        },
        BatchError::Method { .. } => (405, "MethodNotAllowed", "BadRequest_MethodNotAllowed", "0x80060888"),
        BatchError::AnswerTooLarge { .. } => (413, "AnswerTooLarge", "BadRequest", "0x80072322"),
        BatchError::Unsupported(error) => uri_row(error),
        BatchError::NotAcceptable(_) => (406, "NotAcceptable", "BadRequest", "0x80060888"),
        BatchError::ContentEncoding(_) => (415, "UnsupportedMediaType", "BadRequest", "0x80048d19"),
        BatchError::Header { .. } | BatchError::Option(_) | BatchError::Reference { .. } => {
            (400, "InvalidBatch", "BadRequest", "0x80048d19")
        }
    }
}

/// What the client reads. Nothing of the inside of the service is in it.
fn message(failure: &Failure, shape: ErrorShape, correlation: Uuid) -> String {
    let text = match (failure, shape) {
        (
            Failure::Store(StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::Invalid(_))
            | Failure::Plan(PlanError::Internal),
            _,
        ) => {
            format!("The service failed; the log says why under {correlation}.")
        }
        (Failure::Store(StoreError::OutcomeUnknown(_)), _) => {
            "It is not known whether the change was made: the table did not answer in time. Read before you repeat it."
                .to_owned()
        }
        (Failure::Store(StoreError::Unavailable(_)), _) => {
            "The table is not available; nothing was changed.".to_owned()
        }
        (Failure::Plan(PlanError::Stale), ErrorShape::BusinessCentral) => {
            "Another user has already changed the record.".to_owned()
        }
        (Failure::Plan(PlanError::Stale), ErrorShape::Dataverse) => {
            "The version of the existing record doesn't match the RowVersion property provided.".to_owned()
        }
        (Failure::Plan(PlanError::AlreadyThere | PlanError::Duplicate { .. }), ErrorShape::Dataverse) => {
            "A record with matching key values already exists.".to_owned()
        }
        (
            Failure::Plan(PlanError::Value(ValueError::TooLong { property, max, type_name, .. })),
            ErrorShape::Dataverse,
        ) => {
            let entity = type_name.rsplit('.').next().unwrap_or(type_name);
            format!(
                "A validation error occurred.  The length of the '{property}' attribute of the '{entity}' entity \
                 exceeded the maximum allowed length of '{max}'."
            )
        }
        (Failure::Plan(PlanError::NotFound { entity_type, key }), ErrorShape::Dataverse) => {
            let id = key.trim_start_matches('(').trim_end_matches(')');
            format!("Entity '{entity_type}' With Id = {id} Does Not Exist")
        }
        (failure, _) => failure.to_string(),
    };
    match shape {
        ErrorShape::BusinessCentral => {
            let end = if text.ends_with(['.', '!', '?']) || text.contains("existing options are") { "" } else { "." };
            format!("{text}{end}  CorrelationId:  {correlation}.")
        }
        _ => text,
    }
}

/// The part of the request that is wrong.
fn target(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Plan(PlanError::Value(error)) => error.property(),
        Failure::Plan(
            PlanError::Required { property, .. }
            | PlanError::LookupValue { property, .. }
            | PlanError::NoneWithKey { property, .. }
            | PlanError::Contradiction { property, .. }
            | PlanError::KeyChange(property)
            | PlanError::Immutable(property),
        ) => Some(property),
        Failure::Plan(PlanError::RequiredTarget { navigation, .. }) => Some(navigation),
        Failure::Plan(PlanError::MissingTarget { navigation, .. } | PlanError::BadTarget { navigation, .. }) => {
            Some(navigation)
        }
        Failure::Plan(PlanError::Header { name, .. } | PlanError::Repeat(RepeatFault::Header { name, .. })) => {
            Some(name)
        }
        Failure::Plan(PlanError::Endpoint(fault)) => Some(fault.property()),
        _ => None,
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    innererror: Option<InnerError<'a>>,
}

#[derive(Serialize)]
struct InnerError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    stacktrace: &'static str,
}

fn write(shape: ErrorShape, code: &str, message: &str, target: Option<&str>) -> Bytes {
    let error = match shape {
        ErrorShape::FinanceOperations => ErrorObject {
            code,
            message: "An error has occurred.",
            target: None,
            innererror: Some(InnerError { message, kind: "System.InvalidOperationException", stacktrace: "" }),
        },
        ErrorShape::Odata => ErrorObject { code, message, target, innererror: None },
        ErrorShape::BusinessCentral | ErrorShape::Dataverse => {
            ErrorObject { code, message, target: None, innererror: None }
        }
    };
    // Strings always serialize.
    serde_json::to_vec(&ErrorBody { error }).unwrap_or_default().into()
}
