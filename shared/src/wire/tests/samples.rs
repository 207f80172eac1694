//! Documented and recorded batches: `tests/fixtures`.

use std::{fs, path::PathBuf};

use super::*;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

/// Each operation: `<id> <method>`, those of change sets in brackets.
fn outline(batch: &BatchRequest) -> String {
    let operation = |r: &Request| format!("{} {}", r.id.as_ref().map_or("-", |id| id.as_str()), r.method);
    let items = batch.items.iter().map(|item| match item {
        BatchItem::Single(request) => operation(request),
        BatchItem::Group(group) => format!("[{}]", group.requests.iter().map(operation).collect::<Vec<_>>().join(", ")),
    });
    items.collect::<Vec<_>>().join(", ")
}

#[test]
fn documented_batches_read_as_printed() {
    let folder = folder("documents");
    for (file, content_type, expected) in [
        ("002-journal-lines.json", "application/json", "r1 POST, r2 POST, r3 POST"),
        ("003-snapshot.json", "application/json", "- PATCH, - PATCH, - PATCH"),
        ("004-change-set.multipart", "multipart/mixed;boundary=batch_AAA123", "[1 POST, 2 POST], - GET"),
    ] {
        let body = Bytes::from(fs::read(folder.join(file)).unwrap());
        let envelope = Envelope::from_content_type(content_type).unwrap();
        let batch = decode(&envelope, &body, &Limits::default()).unwrap();
        assert_eq!(outline(&batch), expected, "{file}");
        for request in requests(&batch) {
            assert_eq!(request.body.is_empty(), request.method == http::Method::GET);
            serde_json::from_slice::<serde_json::Value>(if request.body.is_empty() { b"0" } else { &request.body })
                .unwrap();
        }
    }
    let answer = Bytes::from(fs::read(folder.join("002-response.json")).unwrap());
    let answer = decode_response(&Envelope::Json, &answer).unwrap();
    assert_eq!(answer.items.len(), 3);
}

#[test]
fn recorded_batches_read() {
    let folder = folder("captures");
    for (file, expected) in [
        ("dataverse-python.1", "[1 POST, 2 POST, 3 PATCH], - GET"),
        ("dataverse-python.2", "[1 POST, 2 POST, 3 PATCH, 4 DELETE]"),
        ("dataverse-python.3", "[1 POST, 2 POST]"),
        ("dataverse-python.4", "- GET, - POST, - GET"),
        ("dataverse-python.5", "- GET, - POST"),
        ("dynamics-web-api.1", "[1 POST, 2 POST, 100001 PATCH], - GET"),
        ("dynamics-web-api.10", "[100001 DELETE]"),
        ("dynamics-web-api.11", "[100001 PUT]"),
        ("dynamics-web-api.12", "[100001 POST, 100002 POST, 100003 POST, 100004 POST, 100005 POST]"),
        ("dynamics-web-api.13", "- GET, - GET, - GET, - GET, - GET"),
        ("dynamics-web-api.3", "[100001 POST, 100002 POST]"),
        ("dynamics-web-api.4", "- GET, [100001 POST]"),
        ("dynamics-web-api.8", "- POST, - POST"),
    ] {
        assert_eq!(outline(&capture(&folder.join(format!("{file}.http")))), expected, "{file}");
    }
    let all = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let read = all.filter(|path| path.extension().is_some_and(|e| e == "http")).map(|path| capture(&path));
    assert_eq!(read.filter(|batch| !batch.items.is_empty()).count(), 19);
}

/// The batch of a recorded HTTP request.
fn capture(path: &std::path::Path) -> BatchRequest {
    let bytes = Bytes::from(fs::read(path).unwrap());
    let head_end = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
    let envelope = Envelope::from_content_type(content_type).unwrap();
    decode(&envelope, &bytes.slice(head_end + 4..), &Limits::default()).unwrap()
}
