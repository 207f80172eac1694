//! The wire differences between the services that clients know. Data, read in few places.
//!
//! Deserialized from `[profile]` of a `service.toml`; `base` picks one of the four presets, further members override it.

use http::StatusCode;
use serde::Deserialize;

use crate::wire::HeaderCase;
use toml::Spanned;

/// How a service differs on the wire from plain OData 4.01. Each field names the rule it switches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each read in one place")]
pub struct Profile {
    /// The newest version of OData that answers are written in.
    pub max_version: OdataVersion,
    /// The version of answers to clients that ask for none; never above `max_version`.
    pub default_version: OdataVersion,
    /// Custom query options that the dialect gives a meaning to and this service does not carry out: 501 by name, in any
    /// case of letters. Other custom options are ignored (Protocol §6.1).
    pub unsupported_options: Vec<String>,
    /// After an error in a JSON batch without `continue-on-error`: go on (4.01) or stop.
    pub json_continues: bool,
    /// Outer status of a batch that stops at a failure: the requests after it are left out of the answer.
    pub outer_status_of_failure: OuterStatus,
    /// A request that cannot be read or that repeats an id, and a reference to none of the requests before it: what is
    /// wrong fails alone (Protocol §11.7.1), or the batch as a whole.
    pub faulty_request_fails_alone: bool,
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
    /// What `Isolation: snapshot` means.
    pub isolation: Isolation,
    /// 204 answers carry `OData-Version`.
    pub version_on_no_content: bool,
    /// `Content-ID`s are unique within a change set only: what clients of Dataverse send.
    pub ids_by_change_set: bool,
    /// `eq '*text*'` in `$filter` is a pattern: contains, or starts or ends with.
    pub filter_wildcards: bool,
    /// Answers carry the `ETag` header beside the etag in the body.
    pub etag_header: bool,
    /// An answer to `create` with a body carries `OData-EntityId` as well.
    pub entity_id_with_body: bool,
    /// The zero GUID in a referential constraint means "no target".
    pub empty_guid_is_null: bool,
    /// The empty string in an alternate key means "no value": several entities may have it, and none is found by it.
    /// To plain OData it is a value like others (`Items(number='')`); a Dynamics service has no other way to say null.
    pub empty_string_is_no_key: bool,
    /// Strings in `$filter` compare without case.
    pub filter_ignores_case: bool,
    /// A value for a computed property that follows a lookup is refused; it is ignored elsewhere (Protocol §11.4.3).
    pub lookup_values_refused: bool,
    /// Shape of the error object.
    pub errors: ErrorShape,
}

/// A version of OData, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum OdataVersion {
    /// 4.0: control information has the prefix `odata.`
    #[serde(rename = "4.0")]
    V40,
    /// 4.01: it has none.
    #[serde(rename = "4.01")]
    V401,
}

impl OdataVersion {
    /// The value of `OData-Version`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V40 => "4.0",
            Self::V401 => "4.01",
        }
    }

    /// The prefix of control information.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::V40 => "@odata.",
            Self::V401 => "@",
        }
    }
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

/// Outer status of a batch that stops at a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OuterStatus {
    /// 200, whatever failed (Protocol §11.7.1).
    Ok,
    /// That of the failure.
    OfFailure,
    /// 400 where the client is to blame (4xx), else that of the failure: clients of Dataverse know no other 4xx.
    BadRequest,
}

impl OuterStatus {
    /// The outer status over a failure of this status.
    pub fn over(self, failure: StatusCode) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::BadRequest if failure.is_client_error() => StatusCode::BAD_REQUEST,
            Self::OfFailure | Self::BadRequest => failure,
        }
    }
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

/// What `Isolation: snapshot` means (Protocol §8.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// It is not kept: 412.
    Refused,
    /// The whole batch is one unit of work: applied and answered as a whole, or not at all.
    Unit,
    /// All that is read is of one instant; requests fail by themselves.
    Snapshot,
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

impl Profile {
    /// The wire rules of a preset.
    pub fn preset(preset: Preset) -> Self {
        match preset {
            Preset::Odata => Self::odata(),
            Preset::FinanceOperations => Self {
                max_version: OdataVersion::V40,
                json_continues: false,
                faulty_request_fails_alone: false,
                json_answer_to_multipart: false,
                upsert: false,
                isolation: Isolation::Refused,
                filter_ignores_case: true,
                filter_wildcards: true,
                errors: ErrorShape::FinanceOperations,
                ..Self::odata()
            },
            Preset::BusinessCentral => Self {
                max_version: OdataVersion::V40,
                unsupported_options: names(&["tenant"]),
                json_continues: false,
                faulty_request_fails_alone: false,
                json_default_response: ResponseFormat::Multipart,
                json_answer_to_multipart: false,
                update_returns: Returned::Representation,
                upsert: false,
                if_match_required: true,
                stale_etag_status: 409,
                failed_group_keeps_status: true,
                malformed_batch_status: 500,
                isolation: Isolation::Unit,
                version_on_no_content: false,
                etag_header: false,
                empty_guid_is_null: true,
                empty_string_is_no_key: true,
                errors: ErrorShape::BusinessCentral,
                ..Self::odata()
            },
            Preset::Dataverse => Self {
                max_version: OdataVersion::V40,
                unsupported_options: names(&["fetchXml", "savedQuery", "userQuery", "sql", "partitionId"]),
                json_continues: false,
                faulty_request_fails_alone: false,
                outer_status_of_failure: OuterStatus::BadRequest,
                json_answer_to_multipart: false,
                header_case: HeaderCase::Canonical,
                create_returns: Returned::Minimal,
                failed_change_set: FailedChangeSet::ChangeSetResponse,
                isolation: Isolation::Refused,
                filter_ignores_case: true,
                ids_by_change_set: true,
                lookup_values_refused: true,
                empty_string_is_no_key: true,
                errors: ErrorShape::Dataverse,
                ..Self::odata()
            },
        }
    }

    /// OData 4.01 with the choices that it leaves open.
    fn odata() -> Self {
        Self {
            max_version: OdataVersion::V401,
            default_version: OdataVersion::V40,
            unsupported_options: Vec::new(),
            json_continues: true,
            outer_status_of_failure: OuterStatus::Ok,
            faulty_request_fails_alone: true,
            json_default_response: ResponseFormat::Json,
            json_answer_to_multipart: true,
            header_case: HeaderCase::Lower,
            create_returns: Returned::Representation,
            update_returns: Returned::Minimal,
            upsert: true,
            if_match_required: false,
            stale_etag_status: 412,
            failed_change_set: FailedChangeSet::SinglePart,
            failed_group_keeps_status: false,
            malformed_batch_status: 400,
            isolation: Isolation::Snapshot,
            version_on_no_content: true,
            etag_header: true,
            ids_by_change_set: false,
            filter_wildcards: false,
            entity_id_with_body: false,
            empty_guid_is_null: false,
            empty_string_is_no_key: false,
            filter_ignores_case: false,
            lookup_values_refused: false,
            errors: ErrorShape::Odata,
        }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Declares `[profile]`: a preset under `base`, and every field of [`Profile`] as an optional override.
macro_rules! profile_config {
    ($($field:ident: $ty:ty),* $(,)?) => {
        /// `[profile]` of a `service.toml`.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct ProfileConfig {
            /// The preset that is overridden.
            pub(super) base: Preset,
            $($field: Option<Spanned<$ty>>,)*
        }

        impl ProfileConfig {
            /// A preset as it is.
            pub(super) fn of(base: Preset) -> Self {
                Self { base, $($field: None,)* }
            }

            /// The overrides that are statuses of errors.
            pub(super) fn error_statuses(&self) -> [Option<&Spanned<u16>>; 2] {
                [self.stale_etag_status.as_ref(), self.malformed_batch_status.as_ref()]
            }

            /// The preset with its overrides.
            pub(super) fn profile(&self) -> Profile {
                let preset = Profile::preset(self.base);
                Profile { $($field: self.$field.clone().map_or(preset.$field, Spanned::into_inner),)* }
            }
        }
    };
}

profile_config! {
    max_version: OdataVersion,
    default_version: OdataVersion,
    unsupported_options: Vec<String>,
    json_continues: bool,
    outer_status_of_failure: OuterStatus,
    faulty_request_fails_alone: bool,
    json_default_response: ResponseFormat,
    json_answer_to_multipart: bool,
    header_case: HeaderCase,
    create_returns: Returned,
    update_returns: Returned,
    upsert: bool,
    if_match_required: bool,
    stale_etag_status: u16,
    failed_change_set: FailedChangeSet,
    failed_group_keeps_status: bool,
    malformed_batch_status: u16,
    isolation: Isolation,
    version_on_no_content: bool,
    etag_header: bool,
    ids_by_change_set: bool,
    filter_wildcards: bool,
    entity_id_with_body: bool,
    empty_guid_is_null: bool,
    empty_string_is_no_key: bool,
    filter_ignores_case: bool,
    lookup_values_refused: bool,
    errors: ErrorShape,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_changes_its_field_alone() {
        let config: ProfileConfig =
            toml::from_str("base = \"business-central\"\nstale_etag_status = 412\nheader_case = \"canonical\"")
                .unwrap();
        let expected = Profile {
            stale_etag_status: 412,
            header_case: HeaderCase::Canonical,
            ..Profile::preset(Preset::BusinessCentral)
        };
        assert_eq!(config.profile(), expected);
    }

    #[test]
    fn answers_are_4_0_unless_a_profile_says_otherwise() {
        for preset in [Preset::Odata, Preset::FinanceOperations, Preset::BusinessCentral, Preset::Dataverse] {
            assert_eq!(Profile::preset(preset).default_version, OdataVersion::V40);
        }
        let config: ProfileConfig = toml::from_str("base = \"odata\"\ndefault_version = \"4.01\"").unwrap();
        assert_eq!(config.profile().default_version, OdataVersion::V401);
        assert!(toml::from_str::<ProfileConfig>("base = \"odata\"\ndefault_version = \"4.02\"").is_err());
    }

    #[test]
    fn a_field_that_no_profile_has_is_refused() {
        let error = toml::from_str::<ProfileConfig>("base = \"odata\"\ncolour = 1").unwrap_err();
        assert!(error.message().contains("colour"), "{error}");
    }

    #[test]
    fn the_outer_status_follows_a_failure_as_the_profile_says() {
        let over = |outer: OuterStatus| {
            [404, 412, 503].map(|status| outer.over(StatusCode::from_u16(status).unwrap()).as_u16())
        };
        assert_eq!(over(OuterStatus::Ok), [200; 3]);
        assert_eq!(over(OuterStatus::OfFailure), [404, 412, 503]);
        assert_eq!(over(OuterStatus::BadRequest), [400, 400, 503]);
    }

    #[test]
    fn presets_differ_where_the_services_do() {
        let [odata, finance, central, dataverse] =
            [Preset::Odata, Preset::FinanceOperations, Preset::BusinessCentral, Preset::Dataverse].map(Profile::preset);
        assert!(
            odata.json_continues && !finance.json_continues && !central.json_continues && !dataverse.json_continues
        );
        assert!(odata.upsert && !finance.upsert && !central.upsert && dataverse.upsert);
        let alone = [&odata, &finance, &central, &dataverse].map(|p| p.faulty_request_fails_alone);
        assert_eq!(alone, [true, false, false, false]);
        let isolations = [&odata, &finance, &central, &dataverse].map(|p| p.isolation);
        assert_eq!(isolations, [Isolation::Snapshot, Isolation::Refused, Isolation::Unit, Isolation::Refused]);
        assert_eq!([odata, finance, central, dataverse].map(|p| p.malformed_batch_status), [400, 400, 500, 400]);
    }
}
