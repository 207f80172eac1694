use http::Method;
use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::*;
use crate::batch::{Format, Group, Headers, RequestId};

/// Requests without ids and dependencies; their bodies are JSON, text or bytes by their `Content-Type`.
fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![Just(Method::POST), Just(Method::PUT), Just(Method::PATCH)];
    let content = prop_oneof![
        Just((None, Bytes::new())),
        "[a-z]{0,9}".prop_map(|text| (None, Bytes::from(format!("{{\"a\": \"{text}\"}}")))),
        "\\PC{0,20}".prop_map(|text| (Some("text/plain"), Bytes::from(text))),
        vec(any::<u8>(), 0..40).prop_map(|bytes| (Some("image/png"), Bytes::from(bytes))),
    ];
    let names = proptest::sample::subsequence(vec!["prefer", "if-match", "x-a", "company"], 0..4);
    let url = "[!-~]([ -~é]{0,20}[!-~])?";
    (method, url, names, "[!-~]([ -~é]{0,9}[!-~])?", content).prop_map(|(method, url, names, value, (media, body))| {
        let mut headers = Headers::new();
        for name in names.into_iter().map(|name| (name, value.as_str())).chain(media.map(|m| ("content-type", m))) {
            headers.try_append(name.0, name.1).unwrap();
        }
        Request { id: None, method, url, headers, body, depends_on: Vec::new(), condition: None, fault: None }
    })
}

/// Batches of singles and groups; some requests have ids.
fn batch(format: Format) -> impl Strategy<Value = BatchRequest> {
    let item = prop_oneof![
        request().prop_map(BatchItem::Single),
        vec(request(), 1..4).prop_map(|requests| BatchItem::Group(Group { name: None, requests })),
    ];
    (vec(item, 1..5), vec(any::<bool>(), 20), option::of("[ -~]{1,9}"), any::<Index>()).prop_map(
        move |(mut items, with_id, condition, dependency)| {
            identify(&mut items, &with_id, format);
            if format == Format::Json {
                depend(&mut items, condition, dependency);
            }
            BatchRequest { format, items }
        },
    )
}

fn identify(items: &mut [BatchItem], with_id: &[bool], format: Format) {
    let mut with_id = with_id.iter().enumerate();
    for (n, item) in items.iter_mut().enumerate() {
        let members = match item {
            BatchItem::Single(one) => std::slice::from_mut(one),
            BatchItem::Group(group) => {
                group.name = (format == Format::Json).then(|| RequestId::new(&format!("g{n}")).unwrap());
                &mut group.requests
            }
        };
        for (request, (n, with_id)) in members.iter_mut().zip(&mut with_id) {
            request.id = with_id.then(|| RequestId::new(&format!("r.{n}")).unwrap());
        }
    }
}

/// Lets the last item depend on a name before it.
fn depend(items: &mut [BatchItem], condition: Option<String>, dependency: Index) {
    let Some((last, before)) = items.split_last_mut() else { return };
    let mut names = Vec::new();
    for item in before.iter() {
        match item {
            BatchItem::Single(one) => names.extend(one.id.clone()),
            BatchItem::Group(group) => {
                names.extend(group.name.clone());
                names.extend(group.requests.iter().filter_map(|request| request.id.clone()));
            }
        }
    }
    if let BatchItem::Single(request) = last
        && !names.is_empty()
    {
        request.depends_on = vec![dependency.get(&names).clone()];
        request.condition = condition;
    }
}

/// A change to some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Delete(Index, Index),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Delete(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutated(seed: &str, mutations: &[Mutation]) -> Bytes {
    let mut bytes = seed.as_bytes().to_vec();
    for mutation in mutations {
        let length = bytes.len() + 1;
        let range = |a: &Index, b: &Index| {
            let (a, b) = (a.index(length), b.index(length));
            a.min(b)..a.max(b)
        };
        match mutation {
            Mutation::Flip(at, byte) if length > 1 => bytes[at.index(length - 1)] ^= byte,
            Mutation::Flip(..) => {}
            Mutation::Delete(from, to) => _ = bytes.drain(range(from, to)),
            Mutation::Repeat(from, to) => {
                let copy = bytes[range(from, to)].to_vec();
                let at = to.index(length);
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes.into()
}

const MULTIPART: &str = "hi\r\n--b\r\nContent-Type: multipart/mixed; boundary=\"c\"\r\n\r\n--c\r\nContent-Type: application/http\r\n\
    Content-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\nPOST /a/tasks HTTP/1.1\r\nContent-Type: application/json\r\n \
    ;type=entry\r\nIf-Match: W/\"1\"\r\n\r\n{\"a\":\"$1\"}\r\n--c\r\nContent-Type:application/http\r\n\r\nDELETE $1\r\n--c--\r\n\r\n\
    --b\nContent-Type: application/http\n\nHTTP/1.1 200 OK\nA: b\n\n--b--\nbye";

const JSON: &str = "{\"requests\":[{\"id\":\"1\",\"atomicityGroup\":\"g\",\"method\":\"post\",\"url\":\"a\",\"status\":200,\
    \"headers\":{\"Content-Type\":\"text/plain\",\"b\":\"c\\u00e9\"},\"body\":\"x\\ny\"},{\"id\":null,\"method\":\"PUT\",\"url\":\"b\",\
    \"dependsOn\":[\"1\",\"g\"],\"if\":\"$1/$succeeded\",\"headers\":{\"content-type\":\"a/b\"},\"body\":\"-_8=\"},{\"method\":\"get\",\"url\":\"\u{e9}\"}]}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn multipart_round_trips(batch in batch(Format::Multipart)) {
        let envelope = boundary("no.body_has it");
        let bytes = write_request(&batch, &envelope);
        prop_assert_eq!(decode(&envelope, &bytes, &Limits::default()), Ok(batch));
    }

    #[test]
    fn json_round_trips(batch in batch(Format::Json)) {
        let bytes = write_request(&batch, &Envelope::Json);
        prop_assert_eq!(decode(&Envelope::Json, &bytes, &Limits::default()), Ok(batch));
    }

    #[test]
    fn damaged_batches_are_read_or_refused(mutations in vec(mutation(), 1..6)) {
        for (seed, envelope) in [(MULTIPART, boundary("b")), (JSON, Envelope::Json)] {
            let bytes = mutated(seed, &mutations);
            let strict = decode(&envelope, &bytes, &Limits::default());
            let limits = Limits { faulty_request_fails_alone: true, ..Limits::default() };
            let lenient = decode(&envelope, &bytes, &limits);
            // A batch without faults is the same one; one that is refused either way is refused with a reason.
            match (strict, lenient) {
                (Ok(strict), lenient) => prop_assert_eq!(Ok(strict), lenient),
                (Err(_), Ok(lenient)) => prop_assert!(requests(&lenient).iter().any(|request| request.fault.is_some())),
                (Err(strict), Err(lenient)) => {
                    prop_assert!(!strict.to_string().is_empty() && !lenient.to_string().is_empty());
                }
            }
            _ = decode_response(&envelope, &bytes);
            let answer = mutated(&seed.replace("requests", "responses"), &mutations);
            _ = decode_response(&envelope, &answer);
        }
    }

    #[test]
    fn any_content_type_is_read_or_refused(text in "(multipart/mixed|application/json|\\PC{0,9})(; ?(boundary|x)=?[\"\\\\a-z=;, ]{0,9}){0,3}") {
        _ = Envelope::from_content_type(&text);
    }
}
