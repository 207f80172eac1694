//! An event as the flat JSON object that Finance & Operations sends (`reference/microsoft-wire.md` §2.2).

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{edm::DateTimeOffset, jobs::Status};

use super::EventKind;

/// `BusinessEventId` of the event that tests an endpoint when it is activated.
pub const TEST_EVENT: &str = "BusinessEventsTestEndpointContract";

/// 1900-01-01: the empty date of Finance & Operations.
const EMPTY_DATE: &str = "/Date(-2208988800000)/";

/// The name space of event ids (RFC 9562, version 5).
const EVENT_IDS: Uuid = Uuid::from_u128(0x7f2b_41c6_0d5e_4c7a_9a63_5be8_12f0_9d34);

/// Something that happened to a batch job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same however often the event is sent: see [`event_id`].
    pub id: Uuid,
    /// What happened.
    pub kind: EventKind,
    /// Increases from event to event of a service, with gaps.
    pub control_number: i64,
    /// When it happened.
    pub time: Timestamp,
    /// The company of the job.
    pub legal_entity: String,
    /// `BatchJobRecId`.
    pub job_id: i64,
    /// What the job is called.
    pub job_description: String,
    /// The state the job is in since.
    pub job_status: Status,
    /// When the job ended; `None` where it has not.
    pub job_end: Option<Timestamp>,
    /// `JobOwnerEmailId`.
    pub owner_email: String,
    /// `JobExecutedByEmailId`.
    pub executed_by_email: String,
    /// `AdminEmailId`.
    pub admin_email: String,
    /// Entra object id of who caused it; `None` where there is none.
    pub initiating_user: Option<Uuid>,
}

/// The members in the order they are sent in, which is that of the alphabet.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    admin_email_id: &'a str,
    business_event_id: &'static str,
    business_event_legal_entity: &'a str,
    context_record_subject: &'static str,
    control_number: i64,
    event_id: String,
    event_time: String,
    event_time_iso8601: String,
    #[serde(rename = "InitiatingUserAADObjectId")]
    initiating_user_aad_object_id: String,
    job_description: &'a str,
    job_end_utc_date_time: String,
    job_executed_by_email_id: &'a str,
    job_id: i64,
    job_owner_email_id: &'a str,
    job_status: &'static str,
    major_version: u8,
    minor_version: u8,
    /// `null` in the schema file of the catalogue, an empty list in what is sent.
    parent_context_record_subjects: [(); 0],
}

/// The members that are known of the event that tests an endpoint.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TestWire<'a> {
    business_event_id: &'static str,
    business_event_legal_entity: &'a str,
    control_number: i64,
    event_id: String,
}

/// The id of the event that a change of a job is. A function of the change: whoever meets the change again gives its
/// event the same id.
///
/// `incarnation` is that of the job (a job deleted and created anew is another one), `generation` the number of the
/// change.
pub fn event_id(service: &str, incarnation: &str, generation: i64) -> Uuid {
    Uuid::new_v5(&EVENT_IDS, format!("{service}\0{incarnation}\0{generation}").as_bytes())
}

/// An event id as it is written everywhere: upper case, no braces.
pub fn id_text(id: Uuid) -> String {
    id.as_hyphenated().encode_upper(&mut Uuid::encode_buffer()).to_owned()
}

/// The event as JSON.
pub fn payload(event: &Event) -> String {
    json(&Wire {
        admin_email_id: &event.admin_email,
        business_event_id: event.kind.business_event_id(),
        business_event_legal_entity: &event.legal_entity,
        context_record_subject: "",
        control_number: event.control_number,
        event_id: id_text(event.id),
        event_time: date(event.time),
        event_time_iso8601: iso(event.time),
        initiating_user_aad_object_id: format!("{{{}}}", id_text(event.initiating_user.unwrap_or_default())),
        job_description: &event.job_description,
        job_end_utc_date_time: event.job_end.map_or_else(|| EMPTY_DATE.to_owned(), date),
        job_executed_by_email_id: &event.executed_by_email,
        job_id: event.job_id,
        job_owner_email_id: &event.owner_email,
        job_status: event.job_status.name(),
        major_version: 0,
        minor_version: 0,
        parent_context_record_subjects: [],
    })
}

/// The event that tests an endpoint. Its control number is the least there is, as Finance & Operations sends it.
pub fn test_payload(id: Uuid, legal_entity: &str) -> String {
    json(&TestWire {
        business_event_id: TEST_EVENT,
        business_event_legal_entity: legal_entity,
        control_number: i64::MIN,
        event_id: id_text(id),
    })
}

/// Seven digits of a fraction of a second, in UTC.
pub(super) fn iso(at: Timestamp) -> String {
    DateTimeOffset::from_timestamp(at, 7).to_string()
}

/// `/Date(milliseconds since 1970)/` in whole seconds: the fraction is cut, before 1970 as after.
fn date(at: Timestamp) -> String {
    let seconds = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
    format!("/Date({})/", seconds * 1000)
}

fn json(value: &impl Serialize) -> String {
    // Texts and numbers in a struct: there is nothing that cannot be written.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::events::sample::golden;

    use super::*;

    #[test]
    fn the_four_events_are_sent_to_the_byte() {
        for (event, expected) in golden() {
            assert_eq!(payload(&event), expected);
        }
    }

    /// The file that the catalogue of Finance & Operations gives for "Batch job started".
    #[test]
    fn the_members_and_their_order_are_those_of_the_published_schema() {
        let published = r#"{"AdminEmailId":"","BusinessEventId":"","BusinessEventLegalEntity":"","ContextRecordSubject":"","ControlNumber":0,"EventId":"","EventTime":"/Date(-2208988800000)/","EventTimeIso8601":"1900-01-01T00:00:00Z","InitiatingUserAADObjectId":"{00000000-0000-0000-0000-000000000000}","JobDescription":"","JobEndUtcDateTime":"/Date(-2208988800000)/","JobExecutedByEmailId":"","JobId":0,"JobOwnerEmailId":"","JobStatus":"","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":null}"#;
        let names = |text: &str| -> Vec<String> {
            let members = text.split("\":").map(|before| before.rsplit('"').next().unwrap_or_default().to_owned());
            members.filter(|name| published.contains(&format!("\"{name}\":"))).collect()
        };
        for (event, _) in golden() {
            assert_eq!(names(&payload(&event)), names(published));
        }
        assert_eq!((names(published).len(), names(published).is_sorted()), (18, true));
    }

    #[test]
    fn the_test_event_has_the_least_control_number() {
        assert_eq!(
            test_payload(Uuid::from_u128(0x8d12_20eb_e514_4e35_844e_e062_def0_c05d), "001"),
            r#"{"BusinessEventId":"BusinessEventsTestEndpointContract","BusinessEventLegalEntity":"001","ControlNumber":-9223372036854775808,"EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D"}"#
        );
    }

    #[test]
    fn a_change_has_one_event_id_and_no_other_change_has_it() {
        let id = event_id("s", "i", 1);
        assert_eq!((id, id.get_version_num()), (event_id("s", "i", 1), 5));
        for other in [event_id("s", "i", 2), event_id("s", "i1", 1), event_id("t", "i", 1), event_id("si", "", 1)] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn the_empty_date_is_the_first_of_1900() {
        assert_eq!(date("1900-01-01T00:00:00Z".parse().unwrap()), EMPTY_DATE);
    }

    prop_compose! {
        /// From 0001-01-01 to the last instant there is.
        fn instants()(seconds in -62_135_596_800..253_402_207_200_i64, nanos in 0..1_000_000_000_i32) -> Timestamp {
            Timestamp::new(seconds, nanos).unwrap()
        }
    }

    proptest! {
        #[test]
        fn a_date_is_the_whole_second_before(at in instants()) {
            let text = date(at);
            let milliseconds: i64 = text.strip_prefix("/Date(").unwrap().strip_suffix(")/").unwrap().parse().unwrap();
            prop_assert_eq!(milliseconds % 1000, 0);
            let cut = at.duration_since(Timestamp::from_millisecond(milliseconds).unwrap());
            prop_assert!((0..1_000_000_000).contains(&cut.as_nanos()), "{} {}", at, text);
        }

        #[test]
        fn an_iso_time_has_seven_digits_and_is_the_instant_cut_to_them(at in instants()) {
            let text = iso(at);
            prop_assert_eq!((text.len(), text.find('.'), text.ends_with('Z')), (28, Some(19), true), "{}", text);
            let cut = at.duration_since(text.parse().unwrap());
            prop_assert!((0..100).contains(&cut.as_nanos()), "{} {}", at, text);
        }

        #[test]
        fn every_text_and_every_number_arrives(text in any::<String>(), number in any::<i64>(), job in any::<i64>()) {
            let [(event, _), ..] = golden();
            let event = Event { job_description: text.clone(), control_number: number, job_id: job, ..event };
            let read: Value = serde_json::from_str(&payload(&event)).unwrap();
            prop_assert_eq!(read["JobDescription"].as_str(), Some(text.as_str()));
            prop_assert_eq!((read["ControlNumber"].as_i64(), read["JobId"].as_i64()), (Some(number), Some(job)));
        }
    }
}
