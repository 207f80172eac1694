//! The form in which an endpoint gets a payload (`reference/microsoft-wire.md` §2.3, §2.4, §2.6).

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::payload::{id_text, iso};

const JSON: &str = "application/json; charset=utf-8";

/// What the HTTP binding of CloudEvents 1.0 (§3.1.3.2) wants encoded in a header, beside all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The form in which an endpoint wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The payload alone, as the HTTPS endpoints of Finance & Operations get it.
    FinanceOperations,
    /// The schema of Event Grid: a list of one event.
    EventGrid {
        /// `data` is the object; otherwise it is the object as text, which is what Finance & Operations does unless
        /// "Send object in Event Grid data field" is on.
        object_data: bool,
    },
    /// CloudEvents 1.0, structured mode.
    CloudEventsStructured,
    /// CloudEvents 1.0, binary mode.
    CloudEventsBinary,
}

/// What envelopes say about a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The id of the event.
    pub event_id: Uuid,
    /// `BusinessEventId`.
    pub business_event_id: &'a str,
    /// When it happened.
    pub time: Timestamp,
    /// Where it happened: the absolute URL of the service's root.
    pub source: &'a str,
    /// What it happened to, relative to `source`: `BatchJobs(5637144576)`, or the id of the endpoint that is tested.
    pub subject: &'a str,
    /// The trace of whoever caused it, in the words of the extension Distributed Tracing; empty where there is none.
    pub traceparent: &'a str,
    /// What goes with it.
    pub tracestate: &'a str,
}

/// A request to an endpoint, but for its URL and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Headers beside it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bytes to sign and to send.
    pub body: Bytes,
}

impl Format {
    /// The member of the enumeration `BusinessEventFormat` with that name. `object_data` is `SendObjectInEventGridData`.
    pub fn from_name(name: &str, object_data: bool) -> Option<Self> {
        match name {
            "FinanceOperations" => Some(Self::FinanceOperations),
            "EventGrid" => Some(Self::EventGrid { object_data }),
            "CloudEventsStructured" => Some(Self::CloudEventsStructured),
            "CloudEventsBinary" => Some(Self::CloudEventsBinary),
            _ => None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventGridEvent<'a> {
    id: &'a str,
    topic: &'a str,
    subject: &'a str,
    event_type: &'a str,
    event_time: &'a str,
    data: Data<'a>,
    data_version: &'static str,
    metadata_version: &'static str,
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    traceparent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tracestate: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Object(&'a RawValue),
    Text(&'a str),
}

impl<'a> Data<'a> {
    /// The payload, byte for byte. What is no JSON is sent as text.
    fn object(payload: &'a str) -> Self {
        serde_json::from_str(payload).map_or(Self::Text(payload), Self::Object)
    }
}

/// Puts a payload, as [`payload`](super::payload()) and [`test_payload`](super::test_payload) give it, into the form.
pub fn envelope(format: Format, payload: &str, meta: &Meta<'_>) -> Envelope {
    let (id, time) = (id_text(meta.event_id), iso(meta.time));
    match format {
        Format::FinanceOperations => {
            Envelope { content_type: JSON, headers: Vec::new(), body: Bytes::copy_from_slice(payload.as_bytes()) }
        }
        Format::EventGrid { object_data } => Envelope {
            content_type: JSON,
            headers: vec![(HeaderName::from_static("aeg-event-type"), HeaderValue::from_static("Notification"))],
            body: json(&[EventGridEvent {
                id: &id,
                topic: meta.source,
                subject: meta.subject,
                event_type: meta.business_event_id,
                event_time: &time,
                data: if object_data { Data::object(payload) } else { Data::Text(payload) },
                data_version: "1.0",
                metadata_version: "1",
            }]),
        },
        Format::CloudEventsStructured => Envelope {
            content_type: "application/cloudevents+json; charset=utf-8",
            headers: Vec::new(),
            body: json(&CloudEvent {
                specversion: "1.0",
                id: &id,
                source: meta.source,
                kind: meta.business_event_id,
                subject: meta.subject,
                time: &time,
                datacontenttype: "application/json",
                traceparent: meta.traceparent,
                tracestate: meta.tracestate,
                data: Data::object(payload),
            }),
        },
        Format::CloudEventsBinary => Envelope {
            content_type: "application/json",
            headers: [
                ("ce-specversion", "1.0"),
                ("ce-id", &id),
                ("ce-source", meta.source),
                ("ce-type", meta.business_event_id),
                ("ce-subject", meta.subject),
                ("ce-time", &time),
                ("ce-traceparent", meta.traceparent),
                ("ce-tracestate", meta.tracestate),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), attribute(value)?)))
            .collect(),
            body: Bytes::copy_from_slice(payload.as_bytes()),
        },
    }
}

/// The value of a CloudEvents attribute in a header. Encoded, every text is one.
fn attribute(value: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(utf8_percent_encode(value, ENCODED).to_string()).ok()
}

fn json(value: &impl Serialize) -> Bytes {
    // Texts, and JSON that was read before: there is nothing that cannot be written.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use crate::events::{payload, sample::golden};

    use super::*;

    const TEXT: &str = r#"{"ControlNumber":-9223372036854775808,"JobDescription":"\"May\" – Zürich"}"#;

    fn meta() -> Meta<'static> {
        Meta {
            event_id: Uuid::from_u128(0x8d12_20eb_e514_4e35_844e_e062_def0_c05d),
            business_event_id: "BatchJobFailedBusinessEvent",
            time: "2022-12-30T13:51:15.2942742Z".parse().unwrap(),
            source: "https://jobs.example.com/data",
            subject: "BatchJobs(5637144576)",
            traceparent: "",
            tracestate: "",
        }
    }

    /// Headers and body as text.
    fn sent(format: Format, payload: &str, meta: &Meta<'_>) -> (Vec<String>, String) {
        let Envelope { content_type, headers, body } = envelope(format, payload, meta);
        let mut lines = vec![format!("content-type: {content_type}")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        (lines, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn finance_operations_sends_the_payload_alone() {
        for (event, text) in golden() {
            let (headers, body) = sent(Format::FinanceOperations, &payload(&event), &meta());
            assert_eq!(headers, ["content-type: application/json; charset=utf-8"]);
            assert_eq!(body, text);
        }
    }

    #[test]
    fn event_grid_gets_a_list_of_one_event_with_the_payload_as_text() {
        let (headers, body) = sent(Format::EventGrid { object_data: false }, TEXT, &meta());
        assert_eq!(headers, ["content-type: application/json; charset=utf-8", "aeg-event-type: Notification"]);
        assert_eq!(
            body,
            r#"[{"id":"8D1220EB-E514-4E35-844E-E062DEF0C05D","topic":"https://jobs.example.com/data","subject":"BatchJobs(5637144576)","eventType":"BatchJobFailedBusinessEvent","eventTime":"2022-12-30T13:51:15.2942742Z","data":"{\"ControlNumber\":-9223372036854775808,\"JobDescription\":\"\\\"May\\\" – Zürich\"}","dataVersion":"1.0","metadataVersion":"1"}]"#
        );
    }

    #[test]
    fn event_grid_gets_the_object_where_that_is_wanted() {
        let (_, body) = sent(Format::EventGrid { object_data: true }, TEXT, &meta());
        assert!(body.contains(&format!(r#""data":{TEXT},"dataVersion""#)), "{body}");
    }

    #[test]
    fn a_structured_cloud_event_has_the_payload_byte_for_byte() {
        let (headers, body) = sent(Format::CloudEventsStructured, TEXT, &meta());
        assert_eq!(headers, ["content-type: application/cloudevents+json; charset=utf-8"]);
        let expected = r#"{"specversion":"1.0","id":"8D1220EB-E514-4E35-844E-E062DEF0C05D","source":"https://jobs.example.com/data","type":"BatchJobFailedBusinessEvent","subject":"BatchJobs(5637144576)","time":"2022-12-30T13:51:15.2942742Z","datacontenttype":"application/json","data":"#;
        assert_eq!(body, format!("{expected}{TEXT}}}"));
    }

    #[test]
    fn a_binary_cloud_event_has_its_attributes_in_headers() {
        let (headers, body) = sent(Format::CloudEventsBinary, TEXT, &meta());
        let expected = [
            "content-type: application/json",
            "ce-specversion: 1.0",
            "ce-id: 8D1220EB-E514-4E35-844E-E062DEF0C05D",
            "ce-source: https://jobs.example.com/data",
            "ce-type: BatchJobFailedBusinessEvent",
            "ce-subject: BatchJobs(5637144576)",
            "ce-time: 2022-12-30T13:51:15.2942742Z",
        ];
        assert_eq!((headers, body), (expected.map(str::to_owned).to_vec(), TEXT.to_owned()));
    }

    #[test]
    fn a_cloud_event_tells_its_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let meta = Meta { traceparent: parent, tracestate: "a=1,b=2", ..meta() };
        let (_, body) = sent(Format::CloudEventsStructured, TEXT, &meta);
        assert!(body.contains(&format!(r#""traceparent":"{parent}","tracestate":"a=1,b=2","data""#)), "{body}");
        let (headers, _) = sent(Format::CloudEventsBinary, TEXT, &meta);
        let expected = [format!("ce-traceparent: {parent}"), "ce-tracestate: a=1,b=2".to_owned()];
        assert!(headers.ends_with(&expected), "{headers:?}");
    }

    #[test]
    fn attributes_in_headers_are_encoded() {
        // The first is the example of the specification, §3.1.3.2.
        for (text, encoded) in [
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("100% \"x\"", "100%25%20%22x%22"),
            ("a\r\nb\u{7f}\0", "a%0D%0Ab%7F%00"),
            ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ] {
            assert_eq!(attribute(text).unwrap(), encoded);
        }
        let meta = Meta { subject: "Aufträge('ä ö')", ..meta() };
        let (headers, _) = sent(Format::CloudEventsBinary, TEXT, &meta);
        assert!(headers.contains(&"ce-subject: Auftr%C3%A4ge('%C3%A4%20%C3%B6')".to_owned()), "{headers:?}");
    }

    #[test]
    fn formats_have_the_names_of_the_enumeration() {
        assert_eq!(Format::from_name("EventGrid", true), Some(Format::EventGrid { object_data: true }));
        assert_eq!(Format::from_name("FinanceOperations", true), Some(Format::FinanceOperations));
        assert_eq!(Format::from_name("CloudEventsStructured", false), Some(Format::CloudEventsStructured));
        assert_eq!(Format::from_name("CloudEventsBinary", false), Some(Format::CloudEventsBinary));
        assert_eq!(Format::from_name("Kafka", false), None);
    }
}
