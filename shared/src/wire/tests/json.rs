use super::*;
use crate::batch::Format;

fn error(text: &str) -> String {
    json(text).unwrap_err().to_string()
}

/// The error of a batch with these members in its one request.
fn member_error(members: &str) -> String {
    error(&format!("{{\"requests\":[{{{members}}}]}}"))
}

fn body(content_type: Option<&str>, body: &str) -> Result<Bytes, DecodeError> {
    let headers =
        content_type.map(|value| format!("\"headers\":{{\"Content-Type\":\"{value}\"}},")).unwrap_or_default();
    let batch = json(&format!("{{\"requests\":[{{\"method\":\"put\",{headers}\"body\":{body},\"url\":\"a\"}}]}}"))?;
    Ok(requests(&batch)[0].body.clone())
}

#[test]
fn reads_all_members() {
    let text = r#"{"@a.b":[1],"requests":[
        {"id":"1","method":"get","url":"a","@x.y":{}, "headers":null,"body":null,"dependsOn":null,"if":null,"atomicityGroup":null},
        {"id":null,"atomicityGroup":"g","method":"Post","url":"b\u0020c","dependsOn":["1"],"if":"$1/$succeeded",
         "headers":{"Prefer":"x","h@a":"no"},"body": {"a" : 1.0} },
        {"atomicityGroup":"g","method":"DELETE","url":"$1"},
        {"method":"PATCH","url":"d","dependsOn":["g"]}]}"#;
    let batch = json(text).unwrap();
    assert_eq!(batch.format, Format::Json);
    let [BatchItem::Single(first), BatchItem::Group(group), BatchItem::Single(last)] = batch.items.as_slice() else {
        panic!("{batch:?}")
    };
    assert_eq!((first.method.as_str(), first.url.as_str(), first.depends_on.len()), ("GET", "a", 0));
    assert_eq!(group.name.as_ref().unwrap().as_str(), "g");
    let post = &group.requests[0];
    assert_eq!((post.url.as_str(), post.id.as_ref(), post.condition.as_deref()), ("b c", None, Some("$1/$succeeded")));
    assert_eq!(header_pairs(post), [("prefer", "x")]);
    assert_eq!(&post.body[..], br#"{"a" : 1.0}"#);
    assert_eq!(group.requests.len(), 2);
    assert_eq!(last.depends_on[0].as_str(), "g");
    assert_eq!(json("\u{feff} {\"requests\" : [ ] } ").unwrap().items, []);
}

#[test]
fn the_body_is_decoded_by_its_type() {
    for (content_type, text, expected) in [
        (None, "\"a\"", &b"\"a\""[..]),
        (Some("application/json;type=entry"), "[1.50]", b"[1.50]"),
        (Some("application/merge-patch+json"), "{}", b"{}"),
        (Some("text/plain"), r#""a\n\u00e9 \"""#, "a\né \"".as_bytes()),
        (Some("text/plain"), "\"é\"", "é".as_bytes()),
        (Some("image/png"), "\"-_8\"", &[0xFB, 0xFF]),
        (Some("image/png"), "\"-_8=\"", &[0xFB, 0xFF]),
        (Some("image/png"), "\"+/8=\"", &[0xFB, 0xFF]),
        (Some("image/png"), "\"+\\/8\"", &[0xFB, 0xFF]),
        (Some("image/png"), "null", b""),
    ] {
        assert_eq!(&body(content_type, text).unwrap()[..], expected, "{content_type:?} {text}");
    }
    let error = body(Some("image/png; a=b"), "\"*\"").unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::Base64 { media_type: "image/png".into() }));
    let error = body(Some("text/plain"), "{}").unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::MemberType { member: "body", expected: "a string" }));
}

#[test]
fn members_that_a_batch_does_not_have_are_ignored() {
    let text = r#"{"context":{"a":[1]},"more":1,"requests":[
        {"id":"1","method":"get","url":"a","name":"for people","depends_on":["9"],"x":{"url":2}},
        {"id":"2","method":"post","url":"b","@a.b":1,"body@c.d":2,"headers":{"a":null,"b":"c"},"body":{}}],"note":null}"#;
    let batch = json(text).unwrap();
    let [first, second] = requests(&batch)[..] else { panic!("{batch:?}") };
    assert_eq!((first.url.as_str(), first.depends_on.len(), first.fault.as_ref()), ("a", 0, None));
    assert_eq!((header_pairs(second), &second.body[..]), (vec![("b", "c")], &b"{}"[..]));
}

#[test]
fn a_body_at_a_read_or_a_delete_is_ignored_whatever_it_is() {
    for body in ["null", "{}", "{\"a\":1}", "\"*\"", "[1]", "7"] {
        for method in ["get", "delete"] {
            let headers = r#"{"content-type":"image/png","content-encoding":"gzip"}"#;
            let text =
                format!(r#"{{"requests":[{{"method":"{method}","url":"a","headers":{headers},"body":{body}}}]}}"#);
            assert_eq!(requests(&json(&text).unwrap())[0].body.len(), 0, "{method} {body}");
        }
    }
}

#[test]
fn bodies_are_not_copied() {
    let text = Bytes::from_static(br#"{"requests":[{"method":"put","url":"a","body":{"b":1}}]}"#);
    let batch = decode(&Envelope::Json, &text, &Limits::default()).unwrap();
    assert!(text.as_ptr_range().contains(&requests(&batch)[0].body.as_ptr()));
}

#[test]
fn malformed_json_says_line_and_column() {
    for (text, message) in [
        ("", "line 1, column 0: EOF while parsing a value"),
        ("{\"requests\":[\n{\"method\" 1}]}", "line 2, column 11: expected `:`"),
        ("{\"requests\":[]} x", "line 1, column 17: trailing characters"),
        ("[]", "line 1, column 0: invalid type: sequence, expected an object with the array 'requests'"),
        ("{}", "line 1, column 2: 'requests' is missing"),
        ("{\"requests\":{}}", "line 1, column 12: invalid type: map, expected the array 'requests'"),
        ("{\"requests\":[1]}", "line 1, column 14: invalid type: integer `1`, expected an object"),
        ("{\"requests\":[],\"requests\":[]}", "line 1, column 25: 'requests' is given twice"),
        (
            "{\"requests\":[],\"Requests\":[]}",
            "line 1, column 25: 'Requests' is not a member of a batch, 'requests' is",
        ),
    ] {
        assert_eq!(error(text), message, "{text:?}");
    }
    let error = decode(&Envelope::Json, &Bytes::from_static(b"{\n\"\xff\""), &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 2: invalid UTF-8");
}

#[test]
fn says_which_request_and_member_is_wrong() {
    let ok = r#""method":"get","url":"a""#;
    for (members, message) in [
        (r#""url":"a""#.into(), "request 1, line 1, column 21: 'method' is missing"),
        (r#""method":"get""#.into(), "request 1, line 1, column 24: 'url' is missing"),
        (
            r#""method":"merge","url":"a""#.into(),
            "request 1, line 1, column 24: 'merge' is not a method of a batch request",
        ),
        (r#""method":1,"url":"a""#.into(), "request 1, line 1, column 24: 'method' must be a string"),
        (r#""method":"get","url":"""#.into(), "request 1, line 1, column 36: the URL is missing"),
        (
            format!("{ok},\"Headers\":{{}}"),
            "request 1, line 1, column 50: 'Headers' is not a member of a request, 'headers' is",
        ),
        (
            format!("{ok},\"atomicitygroup\":\"g\""),
            "request 1, line 1, column 57: 'atomicitygroup' is not a member of a request, 'atomicityGroup' is",
        ),
        (
            format!("{ok},\"atomicity_group\":\"g\""),
            "request 1, line 1, column 58: 'atomicity_group' is not a member of a request, 'atomicityGroup' is",
        ),
        (format!("{ok},\"url\":\"b\""), "request 1, line 1, column 46: 'url' is given twice"),
        (format!("{ok},\"id\":1"), "request 1, line 1, column 45: 'id' must be a string"),
        (format!("{ok},\"id\":\"\""), "request 1, line 1, column 45: a request id must not be empty"),
        (format!("{ok},\"dependsOn\":\"a\""), "request 1, line 1, column 52: 'dependsOn' must be an array of strings"),
        (format!("{ok},\"headers\":[]"), "request 1, line 1, column 50: 'headers' must be an object"),
        (
            format!("{ok},\"headers\":{{\"a\":1}}"),
            "request 1, line 1, column 55: the value of header 'a' must be a string",
        ),
        (format!("{ok},\"headers\":{{\"a\":\"1\",\"A\":\"2\"}}"), "request 1, line 1, column 63: 'a' is given twice"),
        (format!("{ok},\"headers\":{{\"a b\":\"1\"}}"), "request 1, line 1, column 57: 'a b' is not a header name"),
    ] {
        assert_eq!(member_error(&members), message, "{members}");
    }
}

#[test]
fn names_and_dependencies_are_checked_over_the_batch() {
    for (objects, message) in [
        (r#"{"id":"a",U},{"id":"a",U}"#, "request 2, line 3, column 7: the id 'a' is used twice"),
        (
            r#"{"id":"a","atomicityGroup":"a",U}"#,
            "request 1, line 2, column 7: 'a' is both the id of a request and the name of an atomicity group",
        ),
        (
            r#"{"id":"g",U},{"id":"a","atomicityGroup":"g",U}"#,
            "request 2, line 3, column 7: 'g' is both the id of a request and the name of an atomicity group",
        ),
        (
            r#"{"id":"1","atomicityGroup":"g",U},{U},{"id":"2","atomicityGroup":"g",U}"#,
            "request 3, line 4, column 7: the members of atomicity group 'g' are not adjacent",
        ),
        (
            r#"{"id":"1","dependsOn":["1"],U}"#,
            "request 1, line 2, column 7: dependsOn '1': a request cannot depend on itself",
        ),
        (
            r#"{"id":"1","dependsOn":["2"],U},{"id":"2",U}"#,
            "request 1, line 2, column 7: dependsOn '2': it comes later in the batch",
        ),
        (
            r#"{"id":"1","dependsOn":["x"],U}"#,
            "request 1, line 2, column 7: dependsOn 'x': no request or atomicity group has this name",
        ),
        (
            r#"{"id":"1","atomicityGroup":"g","dependsOn":["g"],U}"#,
            "request 1, line 2, column 7: dependsOn 'g': a request cannot depend on the group it belongs to",
        ),
        (
            r#"{"id":"1","dependsOn":["g"],U},{"atomicityGroup":"g",U}"#,
            "request 1, line 2, column 7: dependsOn 'g': it comes later in the batch",
        ),
    ] {
        let objects = objects.replace("},{", "},\n{").replace('U', "\"method\":\"put\",\"url\":\"u\"");
        assert_eq!(error(&format!("{{\"requests\":[\n{objects}]}}")), message, "{objects}");
    }
    let member = r#"{"requests":[{"id":"1","atomicityGroup":"g","method":"put","url":"u"},{"id":"2","atomicityGroup":"g","dependsOn":["1"],"method":"put","url":"u"},{"dependsOn":["1"],"method":"put","url":"u"}]}"#;
    assert!(json(member).is_ok());
}

#[test]
fn limits_name_what_was_sent() {
    let object = r#"{"atomicityGroup":"g","method":"put","url":"u"}"#;
    let text = Bytes::from(format!("{{\"requests\":[{object},{object},{object}]}}"));
    let limits = Limits { operations: 2, ..Limits::default() };
    assert_eq!(decode(&Envelope::Json, &text, &limits), Err(DecodeError::Operations { got: 3, max: 2 }));
    let limits = Limits { change_set_operations: Some(2), ..Limits::default() };
    let error = decode(&Envelope::Json, &text, &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "request 3, line 1, column 128: the change set has 3 operations, at most 2 are allowed"
    );
}

#[test]
fn objects_and_dependency_lists_are_bounded() {
    let many = format!("\"dependsOn\":[{}\"a\"],\"method\":\"get\",\"url\":\"a\"", "\"a\",".repeat(1_000));
    assert!(member_error(&many).ends_with("a request depends on at most 1000 others, this one on 1001"));
    let members = format!("{}\"a\":1", "\"a\":1,".repeat(1_000));
    assert!(member_error(&members).ends_with("an object has at most 1000 members"));
    let annotations = format!("{}\"method\":\"get\",\"url\":\"a\"", "\"@a\":1,".repeat(5_000));
    assert!(json(&format!("{{\"requests\":[{{{annotations}}}]}}")).is_ok());
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = "[".repeat(1 << 20);
    for text in [deep.clone(), format!("{{\"requests\":[{{\"body\":{deep}"), format!("{{\"@a\":{deep}")] {
        assert!(json(&text).is_err());
    }
    let nested =
        format!("{{\"requests\":[{{\"method\":\"put\",\"url\":\"u\",\"body\":{deep}{}}}]}}", "]".repeat(1 << 20));
    assert!(json(&nested).is_ok());
}
