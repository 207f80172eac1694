use http::StatusCode;

use super::*;
use crate::batch::{Headers, RequestId, Response, ResponseItem};

const KEY: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_55ff);

fn id(text: &str) -> Option<RequestId> {
    RequestId::new(text).ok()
}

fn response(id: Option<RequestId>, status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> Response {
    let mut list = Headers::new();
    for (name, value) in headers {
        list.try_append(name, value).unwrap();
    }
    let status = StatusCode::from_u16(status).unwrap();
    Response { id, status, headers: list, body: Bytes::from_static(body) }
}

fn sample(name: Option<RequestId>) -> BatchResponse {
    let created = response(
        id("1"),
        204,
        &[
            ("odata-version", "4.0"),
            ("location", "http://h/a(1)"),
            ("odata-entityid", "http://h/a(1)"),
            ("etag", "W/\"1\""),
        ],
        b"",
    );
    let second = response(id("2"), 201, &[("preference-applied", "return=minimal")], b"{\"a\":1}");
    let list = response(None, 200, &[("content-type", "application/json; odata.metadata=minimal")], b"{\"value\":[]}");
    let group = ResponseItem::Group { name, responses: vec![created, second] };
    BatchResponse { items: vec![group, ResponseItem::Single(list)] }
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let batch = sample(id("g"));
    let encodings = [
        Encoding::Json { header_case: HeaderCase::Lower },
        Encoding::Multipart { key: KEY, flat: false },
        Encoding::Multipart { key: KEY, flat: true },
    ];
    for encoding in encodings {
        let mut writer = Writer::new(encoding, 0);
        for item in &batch.items {
            let mark = writer.mark();
            batch.items.iter().for_each(|other| writer.item(other));
            let long = writer.since(mark).len();
            writer.rewind(mark);
            writer.item(item);
            assert!(!writer.since(mark).is_empty() && writer.since(mark).len() < long);
        }
        assert_eq!(writer.finish(), encode(&batch, encoding));
    }
}

#[test]
fn multipart_bytes_are_exact() {
    let encoded = encode(&sample(None), Encoding::Multipart { key: KEY, flat: false });
    assert_eq!(encoded.content_type, "multipart/mixed; boundary=batchresponse_11111111-2222-4333-8444-5555555555ff");
    let expected = "\
--batchresponse_11111111-2222-4333-8444-5555555555ff\r
Content-Type: multipart/mixed; boundary=changesetresponse_11111111-2222-4333-8444-555555555600\r
\r
--changesetresponse_11111111-2222-4333-8444-555555555600\r
Content-Type: application/http\r
Content-Transfer-Encoding: binary\r
Content-ID: 1\r
\r
HTTP/1.1 204 No Content\r
OData-Version: 4.0\r
Location: http://h/a(1)\r
OData-EntityId: http://h/a(1)\r
ETag: W/\"1\"\r
\r
\r
--changesetresponse_11111111-2222-4333-8444-555555555600\r
Content-Type: application/http\r
Content-Transfer-Encoding: binary\r
Content-ID: 2\r
\r
HTTP/1.1 201 Created\r
Preference-Applied: return=minimal\r
\r
{\"a\":1}\r
--changesetresponse_11111111-2222-4333-8444-555555555600--\r
--batchresponse_11111111-2222-4333-8444-5555555555ff\r
Content-Type: application/http\r
Content-Transfer-Encoding: binary\r
\r
HTTP/1.1 200 OK\r
Content-Type: application/json; odata.metadata=minimal\r
\r
{\"value\":[]}\r
--batchresponse_11111111-2222-4333-8444-5555555555ff--\r
";
    assert_eq!(std::str::from_utf8(&encoded.body).unwrap(), expected);
}

#[test]
fn a_flat_multipart_answer_has_no_change_sets() {
    let encoded = encode(&sample(id("g")), Encoding::Multipart { key: KEY, flat: true });
    let envelope = Envelope::from_content_type(&encoded.content_type).unwrap();
    let items = decode_response(&envelope, &encoded.body).unwrap().items;
    let ids = items.into_iter().map(|item| match item {
        ResponseItem::Single(response) => response.id,
        ResponseItem::Group { .. } => panic!("a change set"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), [id("1"), id("2"), None]);
}

#[test]
fn json_bytes_are_exact() {
    let encoded = encode(&sample(id("g")), Encoding::Json { header_case: HeaderCase::Lower });
    assert_eq!(encoded.content_type, "application/json");
    let expected = concat!(
        r#"{"responses":[{"id":"1","atomicityGroup":"g","status":204,"headers":{"odata-version":"4.0","#,
        r#""location":"http://h/a(1)","odata-entityid":"http://h/a(1)","etag":"W/\"1\""}},"#,
        r#"{"id":"2","atomicityGroup":"g","status":201,"headers":{"preference-applied":"return=minimal"},"body":{"a":1}},"#,
        r#"{"id":null,"status":200,"headers":{"content-type":"application/json; odata.metadata=minimal"},"#,
        r#""body":{"value":[]}}]}"#,
    );
    assert_eq!(std::str::from_utf8(&encoded.body).unwrap(), expected);
}

#[test]
fn json_bodies_follow_their_type_and_names_their_case() {
    let items = [
        response(
            None,
            200,
            &[("content-type", "text/plain"), ("vary", "a"), ("x", "1"), ("vary", "b")],
            "\u{feff}\"\u{1}\n".as_bytes(),
        ),
        response(None, 200, &[("content-type", "image/png"), ("retry-after", "1")], &[0xFB, 0xFF]),
        response(None, 204, &[], b""),
    ];
    let batch = BatchResponse { items: items.into_iter().map(ResponseItem::Single).collect() };
    let encoded = encode(&batch, Encoding::Json { header_case: HeaderCase::Canonical });
    let expected = "{\"responses\":[\
        {\"id\":null,\"status\":200,\"headers\":{\"Content-Type\":\"text/plain\",\"Vary\":\"a, b\",\"X\":\"1\"},\"body\":\"\u{feff}\\\"\\u0001\\n\"},\
        {\"id\":null,\"status\":200,\"headers\":{\"Content-Type\":\"image/png\",\"Retry-After\":\"1\"},\"body\":\"-_8\"},\
        {\"id\":null,\"status\":204,\"headers\":{}}]}";
    assert_eq!(std::str::from_utf8(&encoded.body).unwrap(), expected);
}

#[test]
fn both_formats_read_back() {
    for (batch, encoding) in [
        (sample(id("g")), Encoding::Json { header_case: HeaderCase::Lower }),
        (sample(None), Encoding::Multipart { key: KEY, flat: false }),
    ] {
        let encoded = encode(&batch, encoding);
        let envelope = Envelope::from_content_type(&encoded.content_type).unwrap();
        assert_eq!(decode_response(&envelope, &encoded.body).unwrap(), batch);
    }
}

#[test]
fn a_status_line_is_checked() {
    for line in ["HTTP/1.1", "200 OK", "HTTP/1.1 2x0 OK", "GET a HTTP/1.1"] {
        let text = format!("--b\nContent-Type: application/http\n\n{line}\n\n--b--");
        let error = decode_response(&boundary("b"), &Bytes::from(text)).unwrap_err();
        assert_eq!(error.fault(), Some(&Fault::StatusLine { line: line.into() }));
    }
}
