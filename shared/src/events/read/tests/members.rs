//! The members of events.

use super::*;

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
        (json!({ "EventTime": "/Date(-62135596800001)/" }), "EventTime"),
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
fn a_fault_says_where_it_is() {
    let Ok(Received::Events(events)) = read_as(ReadFormat::EventGrid, &[JSON], r#"{"id":"1"}"#) else {
        panic!("events")
    };
    let fault = events[0].as_ref().unwrap_err();
    assert_eq!((fault.index, fault.member, fault.what), (0, "eventType", Fault::Missing));
}
