//! What may be sent, in which form, and what is answered to everything else.

use serde_json::{Value, json};
use shared::webhook::MAX_BODY;

use super::{Hook, JSON, failure, told};

#[tokio::test]
async fn only_posts_to_sources_are_taken() {
    let hook = Hook::new().await;
    let body = failure(1, 1).to_string();
    for path in ["/events/", "/events/nobody", "/events/auto/", "/events/auto/x", "/events/Auto", "/events/%ff", "/x"] {
        let answer = hook.send("POST", path, &[JSON], body.clone()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!("NotFound")), "{path}");
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
        let answer = hook.send(method, "/events/auto", &[JSON], body.clone()).await;
        assert_eq!((answer.status, answer.headers.get("allow")), (405, Some("POST, OPTIONS")), "{method}");
    }
    assert!(hook.rig.calls().is_empty());
    assert_eq!(hook.send("POST", "/events/%61uto", &[JSON], body).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_costs_no_call() {
    let hook = Hook::new().await;
    let large = vec![b' '; MAX_BODY + 1];
    assert_eq!(hook.send("POST", "/events/auto", &[JSON], large).await.status, 413);
    let many = format!("[{}{{}}]", "{},".repeat(5_000));
    assert_eq!(hook.post("auto", many).await.status, 413);
    for (source, headers) in [
        ("auto", &[("content-type", "text/plain")][..]),
        ("auto", &[]),
        ("auto", &[JSON, ("content-encoding", "gzip")]),
        ("flat", &[("content-type", "application/cloudevents+json")]),
        ("grid", &[("content-type", "application/cloudevents-batch+json")]),
        ("cloud", &[("content-type", "application/json; charset=utf-16")]),
    ] {
        let answer = hook.send("POST", &format!("/events/{source}"), headers, "{}").await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (415, &json!("UnsupportedMediaType")), "{source}");
    }
    for (body, message) in [
        ("{\"JobId\":\n 5x}", "the body is not JSON: expected `,` or `}` at line 2, column 3"),
        ("", "the body is not JSON: EOF while parsing a value at line 1, column 0"),
        ("7", "the body is a number, not a JSON object or array"),
        ("{}", "the request has no event that can be read: event 0: EventId is missing"),
        (
            "[1,2,3,4,5,6,7]",
            "the request has no event that can be read: event 0 is a number, not an object; \
             event 1 is a number, not an object; event 2 is a number, not an object; \
             event 3 is a number, not an object; event 4 is a number, not an object; and 2 more",
        ),
    ] {
        let answer = hook.post("auto", body).await;
        assert_eq!((answer.status, &answer.json()["error"]["message"]), (400, &json!(message)));
    }
    assert!(hook.rig.calls().is_empty());
}

#[tokio::test]
async fn one_bad_event_does_not_lose_the_others() {
    let hook = Hook::new().await;
    let mut lost = failure(2, 0);
    lost["JobDescription"] = "without a job".into();
    let body = json!([failure(1, 7), lost, 5, failure(3, 8)]);
    let answer = hook.post("auto", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(told(&answer, "decision"), ["Requeue", "Unreadable", "Unreadable", "Requeue"]);
    assert_eq!(told(&answer, "reason")[1..3], ["event 1: JobId is missing", "event 2 is a number, not an object"]);
    let rows = hook.rows().await;
    let unreadable: Vec<&Value> = rows.iter().filter(|row| row["Decision"] == "Unreadable").collect();
    assert_eq!((rows.len(), unreadable.len()), (4, 2));
    assert!(unreadable.iter().any(|row| row["GivenEventId"] == "A5631837-C1C8-5342-839A-C57800000002"));
    // The same again, its bad events included, changes nothing.
    let again = hook.post("auto", &body).await;
    assert_eq!((again.status, told(&again, "duplicate")), (200, vec![json!(true); 4]));
    assert_eq!(hook.rows().await.len(), 4);
}

#[tokio::test]
async fn an_event_with_what_no_value_can_hold_does_not_lose_the_others() {
    let hook = Hook::new().await;
    for (number, bad) in [(1, r#"{"id":"2","data":{"x":1e999}}"#), (2, r#"{"JobDescription":"\ud83d"}"#)] {
        let body = format!("[{}, {bad}]", failure(number, 7));
        let answer = hook.post("auto", body).await;
        assert_eq!(
            (answer.status, told(&answer, "decision")),
            (200, vec![json!("Requeue"), json!("Unreadable")]),
            "{bad}"
        );
    }
    assert_eq!(hook.rows().await.len(), 4);
}

#[tokio::test]
async fn an_event_is_the_same_in_every_form() {
    let hook = Hook::new().await;
    let event = failure(1, 7);
    let cloud = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "x", "data": event });
    let grid = |data: Value| json!([{ "id": "2", "topic": "t", "subject": "s", "eventType": "x", "eventTime": "2022-12-30T13:51:15Z", "data": data, "dataVersion": "1" }]);
    let first = hook.post("flat", &event).await;
    assert_eq!((told(&first, "decision"), told(&first, "duplicate")), (vec![json!("Requeue")], vec![json!(false)]));
    let structured = ("content-type", "application/cloudevents+json; charset=utf-8");
    let batched = ("content-type", "application/cloudevents-batch+json");
    let attributes = [JSON, ("ce-specversion", "1.0"), ("ce-id", "3"), ("ce-source", "/s"), ("ce-type", "x")];
    for (source, headers, body) in [
        ("auto", &[JSON][..], event.to_string()),
        ("auto", &[JSON], format!("\u{feff}[{event}]")),
        ("auto", &[JSON, ("aeg-event-type", "Notification")], grid(event.clone()).to_string()),
        ("grid", &[JSON], grid(event.to_string().into()).to_string()),
        ("auto", &[structured], cloud.to_string()),
        ("cloud", &[batched], format!("[{cloud}]")),
        ("cloud", &attributes, event.to_string()),
    ] {
        let again = hook.send("POST", &format!("/events/{source}"), headers, body).await;
        assert_eq!(again.json()["events"][0]["duplicate"], true, "{source} {headers:?} {}", again.text());
        assert_eq!(told(&again, "eventId"), told(&first, "eventId"));
    }
    assert_eq!(hook.rows().await.len(), 1);
}

#[tokio::test]
async fn questions_and_tests_are_answered() {
    let hook = Hook::new().await;
    let question = json!([{
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", "topic": "t", "subject": "", "metadataVersion": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2018-01-25T22:12:19.4556811Z",
        "data": { "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://a.example/validate" },
        "dataVersion": "1",
    }]);
    for (source, header) in [("auto", ("aeg-event-type", "SubscriptionValidation")), ("grid", ("x", "y"))] {
        let url = format!("/events/{source}");
        let answer = hook.send("POST", &url, &[JSON, header], question.to_string()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), r#"{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}"#);
        assert_eq!(answer.headers.get("content-type"), Some("application/json; charset=utf-8"));
    }
    let batch = ("content-type", "application/cloudevents-batch+json");
    let empty = hook.send("POST", "/events/cloud", &[batch], "[]").await;
    assert_eq!((empty.status, empty.text().as_str()), (200, r#"{"events":[]}"#));
    assert!(hook.rig.calls().is_empty());
    let test = r#"{"BusinessEventId":"BusinessEventsTestEndpointContract","BusinessEventLegalEntity":"001","ControlNumber":-9223372036854775808,"EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D"}"#;
    for duplicate in [false, true] {
        let answer = hook.post("flat", test).await;
        assert_eq!(
            (told(&answer, "decision"), told(&answer, "duplicate")),
            (vec![json!("Test")], vec![json!(duplicate)])
        );
    }
    let rows = hook.rows().await;
    assert_eq!((rows.len(), &rows[0]["ControlNumber"]), (1, &json!(i64::MIN)));
}

/// An event of a sender whose times have no offset.
#[tokio::test]
async fn a_time_without_offset_does_not_lose_an_event() {
    let hook = Hook::new().await;
    let body = r#"{"BusinessEventId":"BatchJobFailedBusinessEvent","BusinessEventLegalEntity":"usmf","ControlNumber":5637611083,"EventId":"0B7E5E0E-3C0C-4E7B-9C7B-111111111111","EventTime":"/Date(1796083198000)/","EventTimeIso8601":"2026-11-30T23:59:58","JobId":5637144576,"JobDescription":"Import bank statements","JobStatus":"Error"}"#;
    let answer = hook.post("auto", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let note = "EventTimeIso8601 has no offset: the time is that of EventTime";
    assert!(told(&answer, "reason")[0].as_str().unwrap().contains(note), "{}", answer.text());
    let row = &hook.rows().await[0];
    assert_eq!(
        (&row["EventDateTime"], &row["BatchJobRecId"]),
        (&json!("2026-11-30T23:59:58.0000000Z"), &json!(5_637_144_576_i64))
    );
    assert!(row["Reason"].as_str().unwrap().contains(note), "{row}");
}

#[tokio::test]
async fn a_job_id_with_a_fraction_of_zero_is_the_job() {
    let hook = Hook::new().await;
    let event =
        |number: u32, id: &str| failure(number, 7).to_string().replace("\"JobId\":7", &format!("\"JobId\":{id}"));
    for (number, id) in [(1, "5637144576.0"), (2, "5.637144576e9"), (3, "\"5637144576.0\"")] {
        assert_eq!(hook.post("auto", event(number, id)).await.status, 200, "{id}");
    }
    let answer = hook.post("auto", event(4, "5637144576.5")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("JobId is not a whole number of 64 bits"), "{}", answer.text());
    let rows = hook.rows().await;
    assert!(rows.len() == 3 && rows.iter().all(|row| row["BatchJobRecId"] == 5_637_144_576_i64), "{rows:?}");
}
