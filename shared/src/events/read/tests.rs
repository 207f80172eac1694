//! Recorded payloads, what this crate sends itself, and what nobody should send.

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
        legal_entity: event.legal_entity.clone(),
        job: Some(event.job_id),
        job_description: event.job_description.clone(),
        job_status: event.job_status.name().to_owned(),
        error_text: String::new(),
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

#[test]
fn event_grid_asks_and_its_code_is_the_answer() {
    let question = |data: Value| {
        json!([{
            "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
            "topic": "/subscriptions/1/resourceGroups/a/providers/Microsoft.EventGrid/topics/t",
            "subject": "", "data": data, "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": "2018-01-25T22:12:19.4556811Z", "metadataVersion": "1", "dataVersion": "1",
        }])
        .to_string()
    };
    let data = json!({
        "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
        "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/estest/validate?id=1",
    });
    let told = [JSON, ("aeg-event-type", "SubscriptionValidation")];
    let code = Received::Validation { code: "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".to_owned() };
    for format in [ReadFormat::Auto, ReadFormat::EventGrid] {
        for headers in [&told[..], &told[..1]] {
            for data in [data.clone(), data.to_string().into()] {
                assert_eq!(read_as(format, headers, question(data)), Ok(code.clone()));
            }
        }
    }
    assert_eq!(only(&told, question(json!({}))).unwrap_err(), "event 0: validationCode is missing");
    let long = question(json!({ "validationCode": "x".repeat(201) }));
    assert_eq!(only(&told, long).unwrap_err(), "event 0: validationCode has more than 200 characters");
    // Where it is not the only event it is like any other that nobody waits for.
    let two = format!("[{0},{0}]", question(data).trim_matches(['[', ']']));
    assert!(events(&told, two).iter().all(|event| event.as_ref().unwrap().what == What::Other));
}

#[test]
fn cloud_events_are_read_alone_in_batches_and_from_base64() {
    let payload =
        r#"{"EventId":"{a5631837-c1c8-5342-839a-c578d842391b}","JobId":"7","ControlNumber":"9223372036854775807"}"#;
    let base = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.BatchJobFailedBusinessEvent",
        "time": "2022-12-30T13:51:15.2942742Z", "datacontenttype": null, "subject": null, "ext": 1 });
    let with = |member: &str, value: Value| {
        let mut event = base.clone();
        event[member] = value;
        event
    };
    let object: Value = serde_json::from_str(payload).unwrap();
    let forms = [
        with("data", object),
        with("data", payload.into()),
        with("data_base64", BASE64_STANDARD.encode(payload).into()),
    ];
    let structured = [("content-type", "application/cloudevents+json; charset=UTF-8")];
    for event in &forms {
        let read = only(&structured, event.to_string()).unwrap();
        assert_eq!((read.what, read.job, read.control_number), (What::Job(EventKind::Failed), Some(7), i64::MAX));
        assert_eq!(
            (read.id.to_string().as_str(), read.type_name.as_str()),
            ("a5631837-c1c8-5342-839a-c578d842391b", "com.example.BatchJobFailedBusinessEvent")
        );
        assert_eq!(read.time, Some("2022-12-30T13:51:15.2942742Z".parse().unwrap()));
        assert_eq!(only(&[JSON], event.to_string()), Ok(read.clone()), "as JSON that does not say what it is");
        assert_eq!(events(&[BATCH], json!([event, event]).to_string()), [Ok(read.clone()), Ok(read)]);
    }
    assert_eq!(events(&[BATCH], "[]"), []);
    for (event, fault) in [
        (with("specversion", "0.3".into()), "specversion is not \"1.0\""),
        (with("specversion", json!(1.0)), "specversion is a number, not a string"),
        (with("id", Value::Null), "id is missing"),
        (with("source", "".into()), "source is missing"),
        (with("type", json!([])), "type is an array, not a string"),
        (with("time", "yesterday".into()), "time is not a time"),
        (with("data", json!([1])), "data is an array, not an object"),
        (with("data", "<a/>".into()), "data is not JSON at line 1, column 1"),
        (with("data_base64", "e30".into()), "data_base64 is not base64"),
        (with("data_base64", "eyJ9".into()), "data_base64 is not JSON at line 1, column 3"),
        (base.clone(), "JobId is missing"),
    ] {
        assert_eq!(only(&structured, event.to_string()).unwrap_err(), format!("event 0: {fault}"));
    }
}

#[test]
fn a_binary_cloud_event_needs_its_attributes() {
    let all = [
        ("content-type", "application/vnd.example+json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "\"a%20\\\"b\\\\\""),
        ("ce-source", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-type", "BatchJobFinishedBusinessEvent"),
        ("ce-time", "2022-12-30T13:51:15+01:00"),
    ];
    let event = only(&all, r#"{"JobId":1}"#).unwrap();
    assert_eq!(event.given_id, "a \"b\\");
    assert_eq!(
        (event.what, event.time),
        (What::Job(EventKind::Finished), Some("2022-12-30T12:51:15Z".parse().unwrap()))
    );
    for (name, fault) in
        [("ce-id", "ce-id is missing"), ("ce-source", "ce-source is missing"), ("ce-type", "ce-type is missing")]
    {
        let headers: Vec<_> = all.into_iter().filter(|(n, _)| *n != name).collect();
        assert_eq!(only(&headers, "{}").unwrap_err(), format!("event 0: {fault}"));
    }
    for (name, value, fault) in [
        ("ce-id", "%FF", "ce-id is not UTF-8"),
        ("ce-specversion", "1", "specversion is not \"1.0\""),
        ("ce-time", "now", "ce-time is not a time"),
    ] {
        let headers: Vec<_> = all.into_iter().map(|(n, v)| if n == name { (n, value) } else { (n, v) }).collect();
        assert_eq!(only(&headers, "{}").unwrap_err(), format!("event 0: {fault}"));
    }
    // Whoever has another format does not look at the headers.
    let flat = read_as(ReadFormat::FinanceOperations, &[JSON, ("ce-specversion", "1.0")], TEST);
    assert!(matches!(listed(&flat), [Ok(event)] if event.what == What::Test));
}

#[test]
fn one_bad_event_leaves_the_others() {
    let good = |id: u8| json!({ "EventId": format!("A5631837-C1C8-5342-839A-C578D842391{id}"), "JobId": 1, "JobStatus": "Error" });
    let body = json!([good(0), 5, { "EventId": "x", "ControlNumber": 1.5 }, good(1), { "JobId": 1 }]).to_string();
    let read = events(&[JSON], &body);
    let faults: Vec<_> = read.iter().filter_map(|event| event.as_ref().err().map(String::as_str)).collect();
    assert_eq!(
        faults,
        [
            "event 1 is a number, not an object",
            "event 2: ControlNumber is not a whole number of 64 bits",
            "event 4: EventId is missing"
        ]
    );
    assert!(read[0].is_ok() && read[3].is_ok());
    // The same again is known as the same; what was mended is another.
    let kept = |body: &str| match read_as(ReadFormat::Auto, &[JSON], body).unwrap() {
        Received::Events(mut events) => *events.remove(2).unwrap_err().event,
        Received::Validation { .. } => panic!("no question"),
    };
    let fault = kept(&body);
    assert_eq!((fault.given_id.as_str(), fault.job, fault.what), ("x", None, What::Other));
    assert_eq!(kept(&body.replace(',', " ,\n")), fault);
    assert_ne!(kept(&body.replace("1.5", "2.5")).id, fault.id);
}

#[test]
fn ids_are_guids_or_made_of_source_and_id() {
    let grid = |event_id: Value, id: &str, topic: &str| {
        let event = json!([{ "id": id, "topic": topic, "eventType": "a", "data": { "EventId": event_id } }]);
        only(&[JSON], event.to_string()).unwrap()
    };
    let lower = "a5631837-c1c8-5342-839a-c578d842391b";
    for text in [lower.to_owned(), lower.to_uppercase(), format!("{{{lower}}}")] {
        for event in [grid(json!(text), "1", "t"), grid(json!("no guid"), &text, "t"), grid(Value::Null, &text, "u")] {
            assert_eq!((event.id.to_string().as_str(), &event.given_id), (lower, &text));
        }
    }
    let made = grid(Value::Null, "1", "t");
    assert_eq!((made.id.get_version_num(), made.given_id.as_str()), (5, "1"));
    assert_eq!(grid(json!("00000000-0000-0000-0000-000000000000"), "1", "t").id, made.id);
    for other in [grid(Value::Null, "2", "t"), grid(Value::Null, "1", "u"), grid(Value::Null, "t\u{0}1", "")] {
        assert_ne!(other.id, made.id);
    }
    let nil = json!({ "EventId": "{00000000-0000-0000-0000-000000000000}" });
    assert_eq!(only(&[JSON], nil.to_string()).unwrap_err(), "event 0: EventId is missing");
}

#[test]
fn times_are_taken_from_the_finest_place() {
    let time = |members: Value| flat(&members).map(|event| event.time.map(|at| at.to_string()));
    let (iso, date) = ("2022-12-30T13:51:15.2942742Z", "/Date(1672408275000)/");
    assert_eq!(time(json!({ "EventTime": date, "EventTimeIso8601": iso })), Ok(Some(iso.into())));
    assert_eq!(time(json!({ "EventTime": date })), Ok(Some("2022-12-30T13:51:15Z".into())));
    assert_eq!(
        time(json!({ "EventTime": date, "EventTimeIso8601": "1900-01-01T00:00:00Z" })),
        Ok(Some("2022-12-30T13:51:15Z".into()))
    );
    assert_eq!(time(json!({})), Ok(None));
    for (members, member) in [
        (json!({ "EventTime": "1672408275" }), "EventTime"),
        (json!({ "EventTimeIso8601": "2022-12-30" }), "EventTimeIso8601"),
    ] {
        assert_eq!(time(members), Err(format!("event 0: {member} is not a time")));
    }
}

#[test]
fn kinds_follow_from_names_and_from_states() {
    let what = |members: Value| flat(&members).map(|event| event.what);
    let job = |kind| Ok(What::Job(kind));
    assert_eq!(what(json!({ "BusinessEventId": "BatchJobFailedBusinessEvent", "JobId": 1 })), job(EventKind::Failed));
    for (status, kind) in [
        ("Error", EventKind::Failed),
        ("Finished", EventKind::Finished),
        ("Canceled", EventKind::Canceled),
        ("cancelled", EventKind::Canceled),
        ("Executing", EventKind::Started),
    ] {
        assert_eq!(
            what(json!({ "BusinessEventId": "CustomBusinessEvent", "JobId": "5", "JobStatus": status })),
            job(kind)
        );
        assert_eq!(
            what(json!({ "BusinessEventId": "CustomBusinessEvent", "JobId": 0, "JobStatus": status })),
            Ok(What::Other)
        );
    }
    assert_eq!(what(json!({ "JobId": 1, "JobStatus": "Waiting" })), Ok(What::Other));
    for kind in EventKind::ALL {
        let lost = what(json!({ "BusinessEventId": kind.business_event_id(), "JobId": null }));
        assert_eq!(lost, Err("event 0: JobId is missing".into()));
    }
}

#[test]
fn an_environment_may_have_names_of_its_own() {
    let own = |id: &str| (id == "SysBatchErrorBusinessEvent").then_some(EventKind::Failed);
    let kind = |id: &str| {
        let body = json!({ "EventId": "1", "BusinessEventId": id, "JobId": 1, "JobStatus": "Finished" }).to_string();
        let read = read(ReadFormat::Auto, own, |name| (name == JSON.0).then_some(JSON.1), body.as_bytes());
        listed(&read)[0].as_ref().unwrap().what
    };
    assert_eq!(kind("SysBatchErrorBusinessEvent"), What::Job(EventKind::Failed));
    assert_eq!(kind("Other"), What::Job(EventKind::Finished));
}

#[test]
fn numbers_are_exact_or_refused() {
    for (sent, read) in [
        (json!(i64::MAX), i64::MAX),
        (json!(i64::MIN), i64::MIN),
        (json!("-9223372036854775808"), i64::MIN),
        (json!(9_007_199_254_740_993_i64), 9_007_199_254_740_993),
        (json!(""), 0),
        (Value::Null, 0),
    ] {
        assert_eq!(flat(&json!({ "ControlNumber": sent })).unwrap().control_number, read);
    }
    for sent in [json!(u64::MAX), json!(1.0), json!("1.0"), json!("9223372036854775808"), json!(true), json!([])] {
        for member in ["ControlNumber", "JobId"] {
            let fault = format!("event 0: {member} is not a whole number of 64 bits");
            assert_eq!(flat(&json!({ member: sent })).unwrap_err(), fault);
        }
    }
}

#[test]
fn texts_are_cut_and_other_values_are_no_texts() {
    let long = "ü".repeat(5_000);
    let event = flat(&json!({
        "JobDescription": long, "ErrorMessage": long, "BusinessEventLegalEntity": long, "JobStatus": long,
        "BusinessEventId": long, "ErrorText": "",
    }))
    .unwrap();
    let lengths = [&event.job_description, &event.error_text, &event.legal_entity, &event.job_status, &event.type_name];
    assert_eq!(lengths.map(|text| text.chars().count()), [1_000, 2_000, 200, 200, 200]);
    assert_eq!(flat(&json!({ "ErrorText": "a", "ExceptionDetails": "b" })).unwrap().error_text, "a");
    for member in ["JobDescription", "JobStatus", "BusinessEventId", "BusinessEventLegalEntity", "ExceptionDetails"] {
        assert_eq!(flat(&json!({ member: 1 })).unwrap_err(), format!("event 0: {member} is a number, not a string"));
    }
}

#[test]
fn other_types_are_unsupported_where_the_format_lacks_them() {
    let structured = "application/cloudevents+json";
    let refused = |format, headers: &[(&str, &str)]| {
        matches!(read_as(format, headers, TEST), Err(ReadError::UnsupportedType(_) | ReadError::UnsupportedCoding(_)))
    };
    for format in FORMATS {
        for content_type in [
            "",
            "text/plain",
            "text/json",
            "application/xml",
            "application/jsonx",
            "application/json; charset=utf-16",
            "application/json;charset=\"ISO-8859-1\"",
            "application/cloudevents",
            "application/cloudevents+avro",
            "application/cloudevents-batch+xml",
            "application/cloudevents+json; charset=latin1",
        ] {
            assert!(refused(format, &[("content-type", content_type)]), "{format:?} {content_type}");
        }
        assert!(refused(format, &[]) && refused(format, &[JSON, ("content-encoding", "gzip")]));
        for content_type in
            ["application/json", "Application/JSON;charset=UTF-8", "application/json; a=b; charset = \"utf-8\""]
        {
            assert!(
                !refused(format, &[("content-type", content_type), ("content-encoding", "identity")]),
                "{content_type}"
            );
        }
        let cloud = matches!(format, ReadFormat::Auto | ReadFormat::CloudEvents);
        assert_eq!(refused(format, &[("content-type", structured)]), !cloud);
        assert!(refused(format, &[("content-type", "text/xml"), ("ce-specversion", "1.0")]));
    }
    let error = read_as(ReadFormat::Auto, &[("content-type", &"x".repeat(5_000))], "").unwrap_err();
    assert!(error.to_string().len() < 400);
}

#[test]
fn what_is_not_json_has_a_place() {
    for (body, line, column) in [("{\"a\":1,\n  b}", 2, 3), ("", 1, 0), ("{}x", 1, 3), ("[1,]", 1, 4)] {
        match read_as(ReadFormat::Auto, &[JSON], body).unwrap_err() {
            ReadError::NotJson { line: l, column: c, message } => {
                assert_eq!((l, c), (line, column), "{body}");
                assert!(!message.contains("column"), "{message}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(matches!(read_as(ReadFormat::Auto, &[JSON], b"\"\xff\""), Err(ReadError::NotJson { .. })));
    assert!(matches!(read_as(ReadFormat::Auto, &[JSON], "[".repeat(1_000_000)), Err(ReadError::NotJson { .. })));
}

#[test]
fn what_is_json_but_no_event_is_said() {
    for body in ["null", "1", "\"{}\"", "true"] {
        assert!(matches!(read_as(ReadFormat::Auto, &[JSON], body), Err(ReadError::NoEvent { .. })), "{body}");
    }
    assert!(matches!(
        read_as(ReadFormat::Auto, &[BATCH], "{}"),
        Err(ReadError::NoEvent { expected: "a JSON array", .. })
    ));
    let structured = [("content-type", "application/cloudevents+json")];
    assert!(matches!(read_as(ReadFormat::Auto, &structured, "[]"), Err(ReadError::NoEvent { .. })));
    let many = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    assert_eq!(events(&[JSON], many(MAX_EVENTS)).len(), MAX_EVENTS);
    assert_eq!(
        read_as(ReadFormat::Auto, &[JSON], many(MAX_EVENTS + 1)),
        Err(ReadError::TooMany { got: MAX_EVENTS + 1 })
    );
}

#[test]
fn a_byte_order_mark_is_tolerated() {
    assert_eq!(only(&[JSON], format!("\u{feff}{TEST}")), only(&[JSON], TEST));
    assert!(read_as(ReadFormat::Auto, &[JSON], format!("\u{feff}\u{feff}{TEST}")).is_err());
}

#[test]
fn a_fault_says_where_it_is() {
    let Ok(Received::Events(events)) = read_as(ReadFormat::EventGrid, &[JSON], r#"{"id":"1"}"#) else {
        panic!("events")
    };
    let fault = events[0].as_ref().unwrap_err();
    assert_eq!((fault.index, fault.member, fault.what), (0, "eventType", Fault::Missing));
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
        let meta = Meta { event_id: event.id, business_event_id: "x", time: event.time, source: "s", subject: "" };
        let bare = only(&[JSON], payload(&event)).unwrap();
        for format in [Format::EventGrid { object_data: false }, Format::EventGrid { object_data: true }] {
            prop_assert_eq!(only(&[JSON], envelope(format, &payload(&event), &meta).body).unwrap(), bare.clone());
        }
        let cloud = envelope(Format::CloudEventsStructured, &payload(&event), &meta);
        prop_assert_eq!(only(&[JSON], cloud.body).unwrap(), bare);
    }
}
