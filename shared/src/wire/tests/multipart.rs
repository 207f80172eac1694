use super::*;
use crate::batch::{Format, RequestId};

const PART: &str = "--b\r\nContent-Type: application/http\r\n\r\n";

/// The one request of a batch whose part has this content.
fn one(content: &str) -> Request {
    let batch = multipart(&format!("{PART}{content}\r\n--b--")).unwrap();
    let [BatchItem::Single(request)] = batch.items.as_slice() else { panic!("{batch:?}") };
    request.clone()
}

fn error(text: &str) -> String {
    multipart(text).unwrap_err().to_string()
}

fn part_error(content: &str) -> String {
    error(&format!("{PART}{content}\r\n--b--"))
}

#[test]
fn reads_requests_and_change_sets_in_order() {
    let text = "--b\r\nContent-Type: multipart/mixed; boundary=\"c d\"\r\n\r\n\
        --c d\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPOST a HTTP/1.1\r\n\
        Content-Type: application/json\r\n\r\n{}\r\n\
        --c d\r\nContent-Type: application/http\r\nContent-ID: 0.1\r\n\r\nDELETE $1 HTTP/1.1\r\n\
        --c d--\r\n--b\r\nContent-Type: application/http\r\n\r\nGET b?$top=1 HTTP/1.1\r\n\r\n\r\n--b--\r\n";
    let batch = multipart(text).unwrap();
    assert_eq!(batch.format, Format::Multipart);
    let [BatchItem::Group(set), BatchItem::Single(get)] = batch.items.as_slice() else { panic!("{batch:?}") };
    assert_eq!(set.name, None);
    let lines: Vec<_> = set.requests.iter().map(|r| (r.method.as_str(), r.url.as_str(), &r.body[..])).collect();
    assert_eq!(lines, [("POST", "a", &b"{}"[..]), ("DELETE", "$1", b"")]);
    assert_eq!(set.requests[1].id, Some(RequestId::new("0.1").unwrap()));
    assert_eq!((get.url.as_str(), get.body.len(), get.id.as_ref()), ("b?$top=1", 0, None));
}

#[test]
fn line_ends_may_be_mixed_and_parts_may_end_early() {
    for content in
        ["GET a HTTP/1.1", "GET a HTTP/1.1\r\n", "\n\r\nget a\n\n", "GET a http/1.1\nx:y", "GET a\r\n\r\n\r\n\r\n"]
    {
        let request = one(content);
        assert_eq!((request.method.as_str(), request.url.as_str(), request.body.len()), ("GET", "a", 0), "{content:?}");
    }
    let lf = "\u{feff}--b \ncontent-type:Application/HTTP\n\nPUT a\nIf-Match:*\n\n{}\n--b--\t\n";
    let batch = multipart(lf).unwrap();
    let [request] = requests(&batch)[..] else { panic!() };
    assert_eq!(header_pairs(request), [("if-match", "*")]);
    assert_eq!(&request.body[..], b"{}");
}

#[test]
fn the_url_is_all_between_method_and_version() {
    for (line, url) in [
        ("GET a?$filter=name eq 'x y' HTTP/1.1", "a?$filter=name eq 'x y'"),
        ("GET  a?$filter=name eq 'HTTP/1.1'", "a?$filter=name eq 'HTTP/1.1'"),
        ("GET https://h/é HTTP/2", "https://h/é"),
        ("GET a  HTTP/1.1  ", "a"),
        ("GET a HTTP/x", "a HTTP/x"),
    ] {
        assert_eq!(one(line).url, url, "{line}");
    }
}

#[test]
fn bodies_stay_exact_and_are_not_copied() {
    let text = Bytes::from(format!("{PART}POST a HTTP/1.1\r\nContent-Length: -5\r\n\r\n {{}} \r\n\r\n--b--"));
    let batch = decode(&boundary("b"), &text, &Limits::default()).unwrap();
    let request = requests(&batch)[0];
    assert_eq!(&request.body[..], b" {} \r\n");
    let range = text.as_ptr_range();
    assert!(range.contains(&request.body.as_ptr()));
}

#[test]
fn a_body_at_a_read_or_a_delete_is_ignored_whatever_it_is() {
    for method in ["GET", "HEAD", "delete"] {
        let request =
            one(&format!("{method} a HTTP/1.1\r\nContent-Type: a/b\r\nContent-Encoding: gzip\r\n\r\n{{}} no JSON\r\n"));
        assert_eq!((request.body.len(), request.fault), (0, None), "{method}");
    }
}

#[test]
fn headers_are_liberal() {
    let request = one("POST a HTTP/1.1\r\nPREFER:x\r\nPrefer: y \r\nX-Long: a\r\n  b\r\n\tc\r\nEmpty:\r\n\r\n1");
    let expected = [("prefer", "x"), ("prefer", "y"), ("x-long", "a b c"), ("empty", "")];
    assert_eq!(header_pairs(&request), expected);
    assert_eq!(&request.body[..], b"1");
    let folded = "--b\r\nContent-Type: multipart/mixed;\r\n boundary=c\r\n\r\n--c\r\nContent-Type: application/http;\r\n\tmsgtype=request\r\n\r\nPUT a\r\n--c--\r\n--b--";
    assert_eq!(requests(&multipart(folded).unwrap()).len(), 1);
}

#[test]
fn content_id_stands_in_the_part_or_in_its_request() {
    let id = RequestId::new("7").ok();
    let inner = one("PUT a HTTP/1.1\r\ncontent-id: 7\r\nA: b\r\n\r\n");
    assert_eq!((&inner.id, header_pairs(&inner)), (&id, vec![("a", "b")]));
    let both = "--b\nContent-ID: 7\nContent-Type: application/http\n\nPUT a\nContent-ID: 7\n\n--b--";
    assert_eq!(requests(&multipart(both).unwrap())[0].id, id);
    assert_eq!(
        error(&both.replace("7\n\n", "8\n\n")),
        "part 1, byte 56: Content-ID is '7' in the part and '8' in its request"
    );
}

#[test]
fn says_where_the_structure_is_wrong() {
    let set = "--b\nContent-Type: multipart/mixed;boundary=c\n\n";
    let member = "--c\nContent-Type: application/http\n\nPUT a\n";
    for (text, message) in [
        (String::new(), "byte 0: no line is the delimiter '--b'"),
        ("--x\nA: b\n\n--x--".into(), "byte 0: no line is the delimiter '--b'"),
        ("--b--".into(), "byte 0: there are no parts"),
        (format!("{PART}GET a\r\n"), "part 1, byte 5: the closing delimiter '--b--' is missing"),
        (format!("{PART}GET a\r\n{PART}GET a"), "part 2, byte 51: the closing delimiter '--b--' is missing"),
        (format!("{set}--c--\n--b--"), "part 1, byte 46: there are no parts"),
        (format!("{set}--b--"), "part 1, byte 45: no line is the delimiter '--c'"),
        (
            format!("{set}{member}--b--"),
            "part 1, operation 1 of its change set, byte 50: the closing delimiter '--c--' is missing",
        ),
        (
            format!("{set}{member}{}--c--\n--b--", set.replace("--b", "--c")),
            "part 1, operation 2 of its change set, byte 92: a change set cannot hold a change set",
        ),
        ("--b\n\n--b--".into(), "part 1, byte 4: a part is 'application/http' or 'multipart/mixed', not ''"),
        (
            "--b\nContent-Type: text/plain\n\n--b--".into(),
            "part 1, byte 4: a part is 'application/http' or 'multipart/mixed', not 'text/plain'",
        ),
        (
            "--b\nContent-Type: multipart/mixed\n\n--b--".into(),
            "part 1, byte 4: Content-Type: 'multipart/mixed' needs the parameter 'boundary'",
        ),
        (
            "--b\nContent-Type: application/http\nGET http://h/a HTTP/1.1\n\n--b--".into(),
            "part 1, byte 35: 'GET http' is not a header name",
        ),
        ("--b\nnonsense\n\n--b--".into(), "part 1, byte 4: the header line 'nonsense' has no colon"),
    ] {
        assert_eq!(error(&text), message, "{text:?}");
    }
}

#[test]
fn says_what_is_wrong_with_a_request() {
    let long = format!("GET {} HTTP/1.1", "x".repeat(65_537));
    for (content, message) in [
        ("", "part 1, byte 39: the request is missing"),
        ("GET", "part 1, byte 39: the URL is missing"),
        ("GET HTTP/1.1", "part 1, byte 39: the URL is missing"),
        ("G(T a", "part 1, byte 39: 'G(T' is not a method of a batch request"),
        ("GET a\u{1}b", "part 1, byte 39: the URL has a character that is not allowed"),
        (long.as_str(), "part 1, byte 39: the URL has 65537 bytes, at most 65536 are allowed"),
        ("GET a\r\nb c: d", "part 1, byte 46: 'b c' is not a header name"),
        ("GET a\r\nb: \u{1}", "part 1, byte 46: the value of header 'b' has a character that is not allowed"),
        ("GET a\r\nok: 1\r\nno", "part 1, byte 53: the header line 'no' has no colon"),
        ("GET a\r\nContent-ID: a b", "part 1, byte 46: ' ' is not allowed in a request id"),
    ] {
        assert_eq!(part_error(content), message, "{content:?}");
    }
}

#[test]
fn an_id_is_unique_in_the_batch() {
    let part = "--b\nContent-Type: application/http\nContent-ID: a\n\nPUT a\n";
    assert_eq!(error(&format!("{part}{part}--b--")), "part 2, byte 60: the id 'a' is used twice");
    let other = part.replace("ID: a", "ID: A");
    assert!(multipart(&format!("{part}{other}--b--")).is_ok());
}

#[test]
fn limits_name_what_was_sent() {
    let set = format!(
        "--b\nContent-Type: multipart/mixed;boundary=c\n\n{}--c--\n",
        PART.replace("--b", "--c").repeat(3).replace("\r\n\r\n", "\n\nPUT a\n")
    );
    let text = Bytes::from(format!("{set}{set}--b--"));
    let limits = Limits { operations: 4, ..Limits::default() };
    assert_eq!(decode(&boundary("b"), &text, &limits), Err(DecodeError::Operations { got: 6, max: 4 }));
    let limits = Limits { change_set_operations: Some(2), ..Limits::default() };
    let error = decode(&boundary("b"), &text, &limits).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::ChangeSetOperations { got: 3, max: 2 }));
    let limits = Limits { headers: 1, header_bytes: 40, ..Limits::default() };
    for (content, fault) in [
        ("GET a\nb: c\nd: e\n\n", Fault::HeaderCount { max: 1 }),
        ("GET a\nb: 0123456789012345678901234567890123456789\n\n", Fault::HeaderBytes { max: 40 }),
    ] {
        let text = Bytes::from(format!("{PART}{content}\n--b--"));
        assert_eq!(decode(&boundary("b"), &text, &limits).unwrap_err().fault(), Some(&fault));
    }
}

#[test]
fn a_long_run_of_anything_is_read_in_linear_time() {
    for unit in ["--", "--b", "--b\n", "\n", "--b\r\n\r\n", " ", "--b \n", "--b--\n", "a:b\n", "--b   ", "GET a\n "] {
        let noise = unit.repeat((1 << 18) / unit.len());
        for text in [
            noise.clone(),
            format!("--b\n{noise}\n--b--"),
            format!("{PART}{noise}\n--b--"),
            format!("{PART}GET a\nA: b\n{noise}\n--b--"),
            format!("{PART}GET a\n\n{noise}\n--b--"),
        ] {
            _ = multipart(&text);
            _ = decode(&boundary("---"), &Bytes::from(text), &Limits { operations: usize::MAX, ..Limits::default() });
        }
    }
}
