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
        (json!({ "EventTimeIso8601": "2022-12-30", "EventTime": "now" }), "EventTimeIso8601"),
        (json!({ "EventTimeIso8601": "0001-01-01T00:00:00", "EventTime": "now" }), "EventTime"),
    ] {
        assert_eq!(time(members), Err(format!("event 0: {member} is not a time")));
    }
}

#[test]
fn one_time_that_can_be_read_is_enough() {
    let (iso, date, local) = ("2022-12-30T13:51:15.2942742Z", "/Date(1672408275000)/", "2022-12-30T13:51:15.29");
    let second = "2022-12-30T13:51:15Z";
    let from_date = "the time is that of EventTime";
    for (members, at, note) in [
        (json!({ "EventTimeIso8601": iso, "EventTime": "now" }), Some(iso), None),
        (json!({ "EventTimeIso8601": iso, "EventTime": 7 }), Some(iso), None),
        (json!({ "EventTimeIso8601": iso, "EventTime": "/Date(-2208988800000)/" }), Some(iso), None),
        (
            json!({ "EventTimeIso8601": local, "EventTime": date }),
            Some(second),
            Some(format!("EventTimeIso8601 has no offset: {from_date}")),
        ),
        (
            json!({ "EventTimeIso8601": "0001-01-01T00:00:00", "EventTime": date }),
            Some(second),
            Some(format!("EventTimeIso8601 is the empty date: {from_date}")),
        ),
        (
            json!({ "EventTimeIso8601": "1900-01-01T00:00:00Z", "EventTime": date }),
            Some(second),
            Some(format!("EventTimeIso8601 is the empty date: {from_date}")),
        ),
        (
            json!({ "EventTimeIso8601": "yesterday", "EventTime": date }),
            Some(second),
            Some(format!("EventTimeIso8601 is not a time: {from_date}")),
        ),
        (
            json!({ "EventTimeIso8601": 7, "EventTime": date }),
            Some(second),
            Some(format!("EventTimeIso8601 is a number, not a string: {from_date}")),
        ),
        (
            json!({ "EventTimeIso8601": local }),
            Some("2022-12-30T13:51:15.29Z"),
            Some("EventTimeIso8601 has no offset: it is taken as UTC".to_owned()),
        ),
        (
            json!({ "EventTimeIso8601": local, "EventTime": "now" }),
            Some("2022-12-30T13:51:15.29Z"),
            Some("EventTimeIso8601 has no offset: it is taken as UTC".to_owned()),
        ),
        (json!({ "EventTimeIso8601": "0001-01-01T00:00:00", "EventTime": "/Date(-62135596800000)/" }), None, None),
    ] {
        let read = flat(&members).unwrap();
        assert_eq!((read.time.map(|at| at.to_string()).as_deref(), read.time_note), (at, note), "{members}");
    }
}

#[test]
fn the_time_of_an_envelope_is_one_that_can_be_read() {
    let iso = "2022-12-30T13:51:15Z";
    for (outer, inner, at, note) in [
        (json!(iso), json!({}), Some(iso), None),
        (json!("yesterday"), json!({ "EventTimeIso8601": iso }), Some(iso), None),
        (json!("0001-01-01T00:00:00"), json!({}), None, None),
        (
            json!(iso),
            json!({ "EventTimeIso8601": "yesterday", "EventTime": "/Date(-2208988800000)/" }),
            Some(iso),
            Some("EventTimeIso8601 is not a time, EventTime is the empty date: the time is that of "),
        ),
        (json!("2022-12-30T13:51:15"), json!({}), Some(iso), Some(" has no offset: it is taken as UTC")),
    ] {
        let grid = json!([{ "id": "1", "eventType": "a", "eventTime": outer, "data": inner }]);
        let cloud =
            json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "a", "time": outer, "data": inner });
        let mut read = vec![only(&[JSON], grid.to_string()), only(&[JSON], cloud.to_string())];
        if let Some(outer) = outer.as_str() {
            let headers = [
                JSON,
                ("ce-specversion", "1.0"),
                ("ce-id", "1"),
                ("ce-source", "s"),
                ("ce-type", "a"),
                ("ce-time", outer),
            ];
            read.push(only(&headers, inner.to_string()));
        }
        for event in read {
            let event = event.unwrap();
            assert_eq!(event.time.map(|at| at.to_string()).as_deref(), at, "{outer} {inner}");
            let told = event.time_note.as_deref();
            assert!(note.map_or(told.is_none(), |note| told.is_some_and(|told| told.contains(note))), "{told:?}");
        }
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
        (json!("1.0"), 1),
        (Value::Null, 0),
    ] {
        assert_eq!(flat(&json!({ "ControlNumber": sent })).unwrap().control_number, read);
    }
    for sent in [json!(u64::MAX), json!(1.5), json!("1.5"), json!("9223372036854775808"), json!(true), json!([])] {
        for member in ["ControlNumber", "JobId"] {
            let fault = format!("event 0: {member} is not a whole number of 64 bits");
            assert_eq!(flat(&json!({ member: sent })).unwrap_err(), fault);
        }
    }
}

#[test]
fn a_whole_number_is_one_however_it_is_written_and_exact_in_every_form() {
    const ID: &str = "A5631837-C1C8-5342-839A-C578D842391B";
    let read = |number: &str| {
        let payload = format!(r#"{{"EventId":"{ID}","JobId":{number},"ControlNumber":{number},"JobStatus":"Error"}}"#);
        let text = serde_json::to_string(&payload).unwrap();
        let cloud = |data: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{data}}}"#);
        let encoded = BASE64_STANDARD.encode(&payload);
        let binary =
            [JSON, ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "BatchJobFailed")];
        let events = [
            only(&[JSON], &payload),
            only(&[JSON], format!("[{payload}]")),
            only(&[JSON], format!(r#"[{{"id":"1","eventType":"t","data":{payload}}}]"#)),
            only(&[JSON], format!(r#"[{{"id":"1","eventType":"t","data":{text}}}]"#)),
            only(&[JSON], cloud(&format!(r#""data":{payload}"#))),
            only(&[JSON], cloud(&format!(r#""data":{text}"#))),
            only(&[JSON], cloud(&format!(r#""data_base64":"{encoded}""#))),
            only(&binary, &payload),
        ];
        events.map(|event| event.map(|event| (event.job, event.control_number)))
    };
    for (sent, number) in [
        ("5637144576.0", 5_637_144_576),
        ("5637144576.000", 5_637_144_576),
        ("5.637144576e9", 5_637_144_576),
        ("56371445760E-1", 5_637_144_576),
        ("\"5637144576.0\"", 5_637_144_576),
        ("\"5637144576\"", 5_637_144_576),
        // No number of 53 bits.
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("9223372036854775807.0", i64::MAX),
    ] {
        assert_eq!(read(sent), [(); 8].map(|()| Ok((Some(number), number))), "{sent}");
    }
    for sent in ["5637144576.5", "5637144576.00000000001", "9223372036854775808.0", "1e300", "\"5637144576.5\""] {
        for event in read(sent) {
            assert_eq!(event.unwrap_err(), "event 0: JobId is not a whole number of 64 bits", "{sent}");
        }
    }
    let twice = format!(r#"{{"EventId":"{ID}","JobId":1.5,"JobId":7.0,"JobStatus":"Error"}}"#);
    assert_eq!(only(&[JSON], twice).unwrap().job, Some(7));
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
