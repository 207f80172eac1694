//! The wire differences between the services that clients know. Data, read in few places.
//!
//! Deserialized from `[profile]` of a `service.toml`; `base` picks one of the four presets, further members override it.

use serde::Deserialize;

/// How a service differs on the wire from plain OData 4.01. Each field names the rule it switches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each read in one place")]
pub struct Profile {
    /// After an error in a JSON batch without `continue-on-error`: go on (4.01) or stop.
    pub json_continues: bool,
    /// Requests of a batch after a stop are left out of the answer; the outer status stays 200 unless
    /// `outer_status_of_failure`.
    pub outer_status_of_failure: bool,
    /// Answer to a JSON batch that has no `Accept`.
    pub json_default_response: ResponseFormat,
    /// A multipart batch with `Accept: application/json` is answered in JSON when the request says OData 4.01.
    pub json_answer_to_multipart: bool,
    /// Spelling of header names in JSON answers.
    pub header_case: HeaderCase,
    /// Status of a successful create without `Prefer`: body or not.
    pub create_returns: Returned,
    /// Same for updates.
    pub update_returns: Returned,
    /// `PATCH`/`PUT` of a missing entity creates it.
    pub upsert: bool,
    /// `PATCH`/`PUT` without `If-Match` is refused (400 `BadRequest_InvalidToken`).
    pub if_match_required: bool,
    /// Status of a stale `If-Match`.
    pub stale_etag_status: u16,
    /// A failed change set in a multipart answer: one `application/http` part, or a `changesetresponse` with it.
    pub failed_change_set: FailedChangeSet,
    /// Other members of a failed JSON group: 424, or the status they had before the rollback.
    pub failed_group_keeps_status: bool,
    /// Status of a batch that cannot be read.
    pub malformed_batch_status: u16,
    /// `Isolation: snapshot` makes the whole batch one unit of work.
    pub snapshot_is_unit: bool,
    /// 204 answers carry `OData-Version`.
    pub version_on_no_content: bool,
    /// An answer to `create` with a body carries `OData-EntityId` as well.
    pub entity_id_with_body: bool,
    /// The zero GUID in a referential constraint means "no target".
    pub empty_guid_is_null: bool,
    /// Strings in `$filter` compare without case.
    pub filter_ignores_case: bool,
    /// Shape of the error object.
    pub errors: ErrorShape,
}

/// Format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseFormat {
    /// `application/json`
    Json,
    /// `multipart/mixed`
    Multipart,
}

/// Spelling of header names in JSON answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderCase {
    /// `content-type`
    Lower,
    /// `Content-Type`
    Canonical,
}

/// What a write returns unless the client prefers otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returned {
    /// The entity.
    Representation,
    /// Headers only (204).
    Minimal,
}

/// Shape of a failed change set in multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailedChangeSet {
    /// One `application/http` part in its place (Protocol §11.7.7.5).
    SinglePart,
    /// A `multipart/mixed` with the one failing part, its Content-ID echoed (Dataverse).
    ChangeSetResponse,
}

/// Shape of the error object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorShape {
    /// `code`, `message`, `target`, `details`.
    Odata,
    /// `code` empty, `message` generic, the text in `innererror.message`.
    FinanceOperations,
    /// Word codes, `  CorrelationId:  <id>.` after the message.
    BusinessCentral,
    /// Hexadecimal codes.
    Dataverse,
}

/// The four presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Plain OData 4.01.
    Odata,
    /// Dynamics 365 Finance & Operations.
    FinanceOperations,
    /// Dynamics 365 Business Central.
    BusinessCentral,
    /// Dataverse Web API.
    Dataverse,
}
