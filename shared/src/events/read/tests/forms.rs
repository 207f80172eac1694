//! The forms of requests.

use super::*;

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
        assert!(refused(format, &[("ce-specversion", "1.0")]));
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
