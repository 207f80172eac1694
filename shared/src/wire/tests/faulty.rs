//! Requests that fail alone.

use super::*;
use crate::batch::{Group, RequestId};

/// Reads a batch in which a faulty request fails alone.
fn read(envelope: &Envelope, text: &str) -> Result<BatchRequest, DecodeError> {
    let limits = Limits { faulty_request_fails_alone: true, ..Limits::default() };
    decode(envelope, &Bytes::copy_from_slice(text.as_bytes()), &limits)
}

/// A JSON batch with one object a line.
fn read_json(objects: &str) -> Result<BatchRequest, DecodeError> {
    read(&Envelope::Json, &format!("{{\"requests\":[\n{}]}}", objects.replace("},{", "},\n{")))
}

/// Id, URL and fault of each request.
fn told(batch: &BatchRequest) -> Vec<(&str, &str, &str)> {
    let told = requests(batch).into_iter().map(|request| {
        let id = request.id.as_ref().map_or("", RequestId::as_str);
        (id, request.url.as_str(), request.fault.as_ref().map_or("", |fault| fault.message.as_str()))
    });
    told.collect()
}

/// The fault of the second of three parts, and the id that it is answered with. The others are fine.
fn second_part(part: &str) -> (String, String) {
    let fine = |id: u8| format!("--b\nContent-Type: application/http\nContent-ID: {id}\n\nPUT a\n\n{{}}\n");
    let batch = read(&boundary("b"), &format!("{}--b\n{part}\n{}--b--", fine(1), fine(3))).unwrap();
    let [first, (id, _, fault), last] = told(&batch)[..] else { panic!("{batch:?}") };
    assert_eq!((first, last), (("1", "a", ""), ("3", "a", "")), "{part}");
    (id.to_owned(), fault.to_owned())
}

#[test]
fn a_part_that_cannot_be_read_leaves_the_others_as_they_are() {
    const HTTP: &str = "Content-Type: application/http\nContent-ID: 2\n\n";
    let long = format!("{HTTP}GET {}", "x".repeat(65_537));
    for (part, id, fault) in [
        (format!("{HTTP}BREW"), "2", "part 2, byte 110: the URL is missing"),
        (format!("{HTTP}G(T a"), "2", "part 2, byte 110: 'G(T' is not a method of a batch request"),
        (HTTP.into(), "2", "part 2, byte 110: the request is missing"),
        (
            format!("{HTTP}PUT a\nno colon\nA: b\n\n{{}}"),
            "2",
            "part 2, byte 116: the header line 'no colon' has no colon",
        ),
        (
            format!("{HTTP}PUT a\nContent-ID: 4\n\n"),
            "2",
            "part 2, byte 116: Content-ID is '2' in the part and '4' in its request",
        ),
        (long, "2", "part 2, byte 110: the URL has 65537 bytes, at most 65536 are allowed"),
        ("Content-Type: application/http\n\nPUT\nContent-ID: 2\n\n".into(), "2", "part 2, byte 96: the URL is missing"),
        (
            "Content-Type: application/http\nContent-ID: a b\n\nPUT a".into(),
            "",
            "part 2, byte 95: ' ' is not allowed in a request id",
        ),
        (
            "Content-ID: 2\nContent-Type: text/plain\n\nPUT a".into(),
            "2",
            "part 2, byte 64: a part is 'application/http' or 'multipart/mixed', not 'text/plain'",
        ),
        (
            "Content-ID: 2\nContent-Type: multipart/mixed\n\n--c--".into(),
            "2",
            "part 2, byte 64: Content-Type: 'multipart/mixed' needs the parameter 'boundary'",
        ),
        ("GET http://h/a HTTP/1.1\nContent-ID: 2\n\n".into(), "2", "part 2, byte 64: 'GET http' is not a header name"),
    ] {
        assert_eq!(second_part(&part), (id.into(), fault.into()), "{part}");
    }
}

#[test]
fn a_faulty_operation_is_a_member_of_its_change_set() {
    let member = |rest: &str| format!("--c\nContent-Type: {rest}\n");
    let set = format!(
        "--b\nContent-Type: multipart/mixed;boundary=c\n\n{}{}{}--c--\n--b--",
        member("application/http\nContent-ID: 1\n\nPUT a\n"),
        member("multipart/mixed;boundary=d\n\n--d\nContent-Type: application/http\nContent-ID: 9\n\nPUT x\n--d--"),
        member("application/http\nContent-ID: 3\n\nPUT b\n"),
    );
    let batch = read(&boundary("b"), &set).unwrap();
    assert!(matches!(batch.items.as_slice(), [BatchItem::Group(Group { requests, .. })] if requests.len() == 3));
    let nested = "part 1, operation 2 of its change set, byte 107: a change set cannot hold a change set";
    assert_eq!(told(&batch), [("1", "a", ""), ("", "", nested), ("3", "b", "")]);
}

#[test]
fn of_an_id_that_is_given_twice_the_later_request_is_faulty_and_names_nothing() {
    let part = |id: &str, url: &str| format!("--b\nContent-Type: application/http\nContent-ID: {id}\n\nPUT {url}\n");
    let batch =
        read(&boundary("b"), &format!("{}{}{}{}--b--", part("1", "a"), part("2", "b"), part("1", "c"), part("1", "d")));
    let batch = batch.unwrap();
    let faults = ["", "", "part 3, byte 116: the id '1' is used twice", "part 4, byte 172: the id '1' is used twice"];
    assert_eq!(told(&batch).iter().map(|(_, _, fault)| *fault).collect::<Vec<_>>(), faults);
    let names: Vec<_> = requests(&batch).into_iter().map(|request| request.name().map(RequestId::as_str)).collect();
    assert_eq!(names, [Some("1"), Some("2"), None, None]);
}

#[test]
fn what_makes_parts_or_limits_uncertain_refuses_the_batch() {
    let set = "--b\nContent-Type: multipart/mixed;boundary=c\n\n--c\nContent-Type: application/http\n\nPUT a\n";
    for text in
        [format!("{set}--b--"), format!("{set}--c--\n"), "--b--".into(), format!("{}--b--", set.replace("--c", "--d"))]
    {
        assert!(read(&boundary("b"), &text).is_err(), "{text}");
    }
    let limits = Limits { faulty_request_fails_alone: true, operations: 1, ..Limits::default() };
    let two = Bytes::from_static(b"--b\nnonsense\n\n--b\nnonsense\n\n--b--");
    assert_eq!(decode(&boundary("b"), &two, &limits), Err(DecodeError::Operations { got: 2, max: 1 }));
    for objects in [
        r#"{"id":"1","method":"put","url":"a"},{"id":"1","method":"put","url":"a"}"#,
        r#"{"id":1,"method":"put","url":"a"}"#,
        r#"{"id":"1","id":"2","method":"put","url":"a"}"#,
        r#"{"ID":"1","method":"put","url":"a"}"#,
        r#"{"atomicityGroup":"a b","method":"put","url":"a"}"#,
        r#"{"dependsOn":"1","method":"put","url":"a"}"#,
        r#"{"dependsOn":["1"],"method":"put","url":"a"}"#,
        r#"{"atomicityGroup":"g","method":"put","url":"a"},{"method":"put","url":"a"},{"atomicityGroup":"g","method":"put","url":"a"}"#,
        "1",
    ] {
        assert!(read_json(objects).is_err(), "{objects}");
    }
}

#[test]
fn a_request_of_a_json_batch_that_cannot_be_read_leaves_the_others_as_they_are() {
    for (members, column, fault) in [
        (r#""url":"a""#, 7, "'method' is missing"),
        (r#""method":"brew","url":"a""#, 20, "'brew' is not a method of a batch request"),
        (r#""method":"get""#, 7, "'url' is missing"),
        (r#""method":"get","url":1"#, 32, "'url' must be a string"),
        (r#""method":"get","url":"a","url":"b""#, 42, "'url' is given twice"),
        (r#""method":"get","url":"a","if":1"#, 41, "'if' must be a string"),
        (r#""method":"get","url":"a","headers":{"a":1}"#, 51, "the value of header 'a' must be a string"),
        (r#""method":"get","url":"a","HEADERS":{}"#, 46, "'HEADERS' is not a member of a request, 'headers' is"),
        (
            r#""method":"put","url":"a","headers":{"content-type":"a/b"},"body":"*""#,
            76,
            "a body of type 'a/b' must be base64url",
        ),
    ] {
        let fine = |id: u8| format!(r#"{{"id":"{id}","method":"put","url":"a"}}"#);
        let batch = read_json(&format!("{},{{\"id\":\"2\",{members}}},{}", fine(1), fine(3)));
        let batch = batch.unwrap_or_else(|error| panic!("{error}"));
        let [first, (id, _, told), last] = told(&batch)[..] else { panic!("{batch:?}") };
        assert_eq!((first, last, id), (("1", "a", ""), ("3", "a", ""), "2"), "{members}");
        assert_eq!(told, format!("request 2, line 3, column {column}: {fault}"), "{members}");
    }
}

#[test]
fn a_faulty_request_has_the_status_that_it_would_have_outside_a_batch() {
    let limits = Limits { faulty_request_fails_alone: true, url_bytes: 2, headers: 1, ..Limits::default() };
    let text = r#"{"requests":[{"method":"get","url":"abc"},{"method":"get","url":"a","headers":{"a":"","b":""}},{"method":"","url":"a"}]}"#;
    let batch = decode(&Envelope::Json, &Bytes::from_static(text.as_bytes()), &limits).unwrap();
    let statuses: Vec<_> =
        requests(&batch).into_iter().map(|request| request.fault.as_ref().unwrap().status.as_u16()).collect();
    assert_eq!(statuses, [414, 431, 400]);
}

/// A line that is counted anew for each fault would take minutes.
#[test]
fn many_faults_are_told_in_linear_time() {
    let text = format!("{{\"requests\":[{{}}{}]}}", ",{\"url\":1}".repeat(200_000));
    let limits = Limits { faulty_request_fails_alone: true, ..Limits::NONE };
    let batch = decode(&Envelope::Json, &Bytes::from(text), &limits).unwrap();
    assert_eq!(batch.items.len(), 200_001);
}
