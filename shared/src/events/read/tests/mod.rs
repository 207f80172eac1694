//! Recorded payloads, what this crate sends itself, and what nobody should send.

mod forms;
mod members;

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::{
    Event, EventFault, EventKind, Fault, Format, JobEvent, MAX_EVENTS, Meta, ReadError, ReadFormat, Received, What,
    envelope, payload, read, sample::golden, test_payload,
};

const JSON: (&str, &str) = ("content-type", "application/json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
const FORMATS: [ReadFormat; 4] =
    [ReadFormat::Auto, ReadFormat::FinanceOperations, ReadFormat::EventGrid, ReadFormat::CloudEvents];

/// A test event as three receivers recorded it.
const TEST: &str = r#"{"BusinessEventId":"BusinessEventsTestEndpointContract","BusinessEventLegalEntity":"001","ControlNumber":-9223372036854775808,"EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D"}"#;

fn read_as(format: ReadFormat, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Result<Received, ReadError> {
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    read(format, EventKind::from_business_event_id, header, body.as_ref())
}

/// The events of a request, and the texts of those that cannot be read.
fn events(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Result<JobEvent, String>> {
    match read_as(ReadFormat::Auto, headers, body).unwrap() {
        Received::Events(events) => events.into_iter().map(|event| event.map_err(|fault| fault.to_string())).collect(),
        validation @ Received::Validation { .. } => panic!("{validation:?}"),
    }
}

fn only(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Result<JobEvent, String> {
    let mut events = events(headers, body);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// The events of what was read; none where there are none.
fn listed(read: &Result<Received, ReadError>) -> &[Result<JobEvent, EventFault>] {
    match read {
        Ok(Received::Events(events)) => events,
        Ok(Received::Validation { .. }) | Err(_) => &[],
    }
}

/// An event with these members beside an id.
fn flat(members: &Value) -> Result<JobEvent, String> {
    let mut object = json!({ "EventId": "A5631837-C1C8-5342-839A-C578D842391B" });
    object.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    only(&[JSON], object.to_string())
}

/// What an event of this crate is once it was sent.
fn expected(event: &Event) -> JobEvent {
    JobEvent {
        id: event.id,
        given_id: event.id.to_string().to_uppercase(),
        what: What::Job(event.kind),
        type_name: event.kind.business_event_id().to_owned(),
        control_number: event.control_number,
        // Seven digits are sent.
        time: Some(if event.kind == EventKind::Finished {
            "2022-12-30T14:00:00Z".parse().unwrap()
        } else {
            event.time
        }),
        time_note: None,
        legal_entity: event.legal_entity.clone(),
        job: Some(event.job_id),
        job_description: event.job_description.clone(),
        job_status: event.job_status.name().to_owned(),
        error_text: String::new(),
        trace: None,
    }
}

#[test]
fn what_is_sent_in_any_form_is_read_as_the_same_event() {
    for (event, _) in golden() {
        for format in [
            Format::FinanceOperations,
            Format::EventGrid { object_data: true },
            Format::EventGrid { object_data: false },
            Format::CloudEventsStructured,
            Format::CloudEventsBinary,
        ] {
            let meta = Meta {
                event_id: event.id,
                business_event_id: event.kind.business_event_id(),
                time: event.time,
                source: "https://jobs.example.com/data",
                subject: "Aufträge('ä ö')",
                traceparent: "",
                tracestate: "",
            };
            let sent = envelope(format, &payload(&event), &meta);
            let headers: Vec<(&str, &str)> = sent
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .chain([("content-type", sent.content_type)])
                .collect();
            assert_eq!(only(&headers, &sent.body), Ok(expected(&event)), "{format:?}");
            let named = match format {
                Format::FinanceOperations => ReadFormat::FinanceOperations,
                Format::EventGrid { .. } => ReadFormat::EventGrid,
                Format::CloudEventsStructured | Format::CloudEventsBinary => ReadFormat::CloudEvents,
            };
            let read = read_as(named, &headers, &sent.body);
            assert_eq!(read, Ok(Received::Events(vec![Ok(expected(&event))])), "{format:?}");
        }
    }
}

#[test]
fn the_test_event_keeps_its_control_number() {
    for body in [TEST.to_owned(), test_payload(Uuid::from_u128(0x8d12_20eb_e514_4e35_844e_e062_def0_c05d), "001")] {
        let event = only(&[JSON], body).unwrap();
        assert_eq!((event.what, event.control_number, event.job), (What::Test, i64::MIN, None));
        assert_eq!((event.legal_entity.as_str(), event.time), ("001", None));
    }
}

#[test]
fn the_file_of_the_catalogue_lacks_an_id() {
    let file = r#"{"AdminEmailId":"","BusinessEventId":"","BusinessEventLegalEntity":"","ContextRecordSubject":"","ControlNumber":0,"EventId":"","EventTime":"/Date(-2208988800000)/","EventTimeIso8601":"1900-01-01T00:00:00Z","InitiatingUserAADObjectId":"{00000000-0000-0000-0000-000000000000}","JobDescription":"","JobEndUtcDateTime":"/Date(-2208988800000)/","JobExecutedByEmailId":"","JobId":0,"JobOwnerEmailId":"","JobStatus":"","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":null}"#;
    assert_eq!(only(&[JSON], file).unwrap_err(), "event 0: EventId is missing");
    let event = only(&[JSON], file.replace(r#""EventId":"""#, r#""EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D""#));
    let event = event.unwrap();
    assert_eq!((event.what, event.job, event.time), (What::Other, None, None));
}

proptest! {
    #[test]
    fn no_bytes_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0..5_usize,
        attribute in "\\PC{0,20}",
        format in 0..4_usize,
    ) {
        let types = ["application/json", "application/cloudevents+json", BATCH.1, "application/x+json", ""];
        let headers = [("content-type", types[kind]), ("ce-specversion", "1.0"), ("ce-id", &attribute), ("ce-source", &attribute), ("ce-type", "t"), ("ce-time", &attribute)];
        for headers in [&headers[..1], &headers[..]] {
            let _ = read_as(FORMATS[format], headers, &body);
        }
    }

    #[test]
    fn no_member_panics(text in any::<String>(), number in any::<i64>(), at in 0..12_usize) {
        let names = ["EventId", "BusinessEventId", "EventTime", "EventTimeIso8601", "JobId", "JobStatus", "ControlNumber", "JobDescription", "id", "eventType", "data", "specversion"];
        for value in [json!(text), json!(format!("/Date({text})/")), json!(number), json!(format!("/Date({number})/")), json!([text]), json!({ "a": number })] {
            for format in FORMATS {
                let mut event = json!({ "EventId": "x", "id": "x", "eventType": "t", "data": {} });
                event[names[at]] = value.clone();
                let read = read_as(format, &[JSON], event.to_string());
                for event in listed(&read).iter().flatten() {
                    prop_assert!(!event.id.is_nil() && event.job_description.chars().count() <= 1_000);
                }
            }
        }
    }

    #[test]
    fn an_event_is_the_same_in_every_envelope(text in any::<String>(), number in any::<i64>(), job in 1..i64::MAX) {
        let [(event, _), ..] = golden();
        let event = Event { job_description: text, control_number: number, job_id: job, ..event };
        let meta = Meta { event_id: event.id, business_event_id: "x", time: event.time, source: "s", subject: "", traceparent: "", tracestate: "" };
        let bare = only(&[JSON], payload(&event)).unwrap();
        for format in [Format::EventGrid { object_data: false }, Format::EventGrid { object_data: true }] {
            prop_assert_eq!(only(&[JSON], envelope(format, &payload(&event), &meta).body).unwrap(), bare.clone());
        }
        let cloud = envelope(Format::CloudEventsStructured, &payload(&event), &meta);
        prop_assert_eq!(only(&[JSON], cloud.body).unwrap(), bare);
    }
}
