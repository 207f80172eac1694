//! Reads inputs, and checks what must hold for those that are accepted.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use shared::{
    auth::Caller,
    batch::{BatchItem, Format},
    edm::{self, Entity, Incarnation, Model, PropertyType, TypeId, TypeKind, Version},
    events::{self, EventKind, ReadFormat, Received, What},
    plan::Context,
    query,
    service::{Service, Services},
    uri::{self, Encoding, QueryOptions, Resource, UriLimits},
    wire::{self, Envelope},
};

use crate::binaries::workspace;

/// What reads an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Both decoders of batches, and of their answers.
    Batch,
    /// Service roots, paths in both encodings, their meaning, query options, filters.
    Url,
    /// JSON of entities, properties and references.
    Entity,
    /// Literals of URLs, for each property of a type.
    Literal,
    /// Events in all forms.
    Event,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Batch, Self::Url, Self::Entity, Self::Literal, Self::Event];
}

/// The readers, with the shipped models and with what limits they are given.
#[derive(Debug)]
pub(super) struct Reader {
    services: Services,
    wire: wire::Limits,
    uri: UriLimits,
}

impl Reader {
    pub(super) fn new() -> Self {
        let services = Services::load(&workspace().join("infra/services")).expect("the shipped services load");
        Self { services, wire: wire::Limits::default(), uri: UriLimits::default() }
    }

    /// The same without limits of length: those would end a quadratic run early. Depth stays bounded.
    pub(super) fn unlimited() -> Self {
        let all = usize::MAX;
        let uri = UriLimits { path: all, segments: all, query: all, options: all, ..UriLimits::default() };
        Self { wire: wire::Limits::NONE, uri, ..Self::new() }
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// Reads an input; whether it was accepted. Panics when something does not hold.
    pub(super) fn read(&self, subject: Subject, input: &[u8]) -> bool {
        match subject {
            Subject::Batch => self.batch(input),
            Subject::Url => self.url(&String::from_utf8_lossy(input)),
            Subject::Entity => self.entity(input),
            Subject::Literal => self.literal(input),
            Subject::Event => event(input),
        }
    }

    /// What a batch says must be the same once it is written and read again.
    fn batch(&self, input: &[u8]) -> bool {
        let (content_type, body) = first_line(input);
        let Ok(envelope) = Envelope::from_content_type(&content_type) else { return false };
        let body = Bytes::copy_from_slice(body);
        let answers = wire::decode_response(&envelope, &body);
        let lenient = wire::Limits { faulty_request_fails_alone: true, ..self.wire.clone() };
        let lenient = wire::decode(&envelope, &body, &lenient);
        let Ok(batch) = wire::decode(&envelope, &body, &self.wire) else { return answers.is_ok() };
        assert_eq!(lenient.as_ref(), Ok(&batch), "a batch without faults is the same one");
        let written = wire::write_request(&batch, &envelope);
        let again = wire::decode(&envelope, &written, &wire::Limits::NONE);
        if batch.format == Format::Json {
            let again = again.unwrap_or_else(|error| panic!("{error}: {}", written.escape_ascii()));
            assert_eq!(again, batch, "written as {}", written.escape_ascii());
        }
        let requests = batch.items.iter().flat_map(|item| match item {
            BatchItem::Single(request) => std::slice::from_ref(request),
            BatchItem::Group(group) => group.requests.as_slice(),
        });
        for request in requests {
            self.url(&request.url);
        }
        true
    }

    fn url(&self, url: &str) -> bool {
        let mut understood = false;
        for service in self.services.iter() {
            let context = Context {
                services: &self.services,
                service,
                origin: "https://h/p",
                root: "/trippin",
                now: jiff::Timestamp::UNIX_EPOCH,
                caller: &Caller::anonymous(),
                trace: None,
                batch: None,
                trusted: false,
            };
            if let Ok(located) = context.locate(url) {
                understood |= self.path(service, &located.path, Encoding::Percent);
            }
        }
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        for encoding in [Encoding::Percent, Encoding::Decoded] {
            if let Some(found) = self.services.find(path, encoding) {
                understood |= self.path(found.service, found.rest, encoding);
            }
        }
        let plain = percent_decode_str(query).decode_utf8_lossy();
        let filter = uri::parse_filter(plain.strip_prefix("$filter=").unwrap_or(&plain), &self.uri);
        let options = QueryOptions::parse(query, &self.uri);
        understood |= options.is_ok() && !query.is_empty();
        let options = options.unwrap_or_default();
        for service in self.services.iter() {
            for (_, set) in service.model.sets() {
                let _ = query::select(&service.model, set.entity_type, &options.select);
                for filter in filter.iter().chain(&options.filter) {
                    apply(&service.model, set.entity_type, filter);
                }
            }
        }
        understood
    }

    /// A path that means something means the same once it is written and read again.
    fn path(&self, service: &Service, path: &str, encoding: Encoding) -> bool {
        let Ok(segments) = uri::parse_path(path, encoding, &self.uri) else { return false };
        let companies = service.companies.as_ref().map(|companies| companies.set);
        let Ok(resource) = uri::resolve(&service.model, &segments, companies) else { return false };
        if let Resource::Entities(entities) = &resource {
            let text = uri::path_text(&service.model, entities, companies);
            let limits = UriLimits { path: usize::MAX, ..self.uri };
            let segments = uri::parse_path(&text, Encoding::Percent, &limits).unwrap_or_else(|e| panic!("{text}: {e}"));
            let again = uri::resolve(&service.model, &segments, companies);
            // As text: not-a-number equals nothing.
            assert_eq!(format!("{again:?}"), format!("Ok({resource:?})"), "written as {text}");
        }
        true
    }

    fn entity(&self, input: &[u8]) -> bool {
        let (place, body) = first_line(input);
        let Some((model, ty)) = self.place(&place) else { return false };
        let _ = edm::read_reference(body);
        for property in &model.ty(ty).properties {
            let written = |value| {
                let mut written = br#"{"value":"#.to_vec();
                edm::write_value(&mut written, model, &property.ty, value, edm::Format::PLAIN);
                written.push(b'}');
                written
            };
            let read = |body: &[u8]| edm::read_property(model, &property.ty, &property.name, body);
            if let Ok(value) = read(body) {
                let once = written(&value);
                // What a complex value lacks is written as null, which some of its properties refuse.
                match read(&once) {
                    Ok(again) => {
                        assert_eq!(written(&again).escape_ascii().to_string(), once.escape_ascii().to_string());
                    }
                    Err(error) => assert!(matches!(property.ty.kind, TypeKind::Complex(_)), "{error}"),
                }
            }
        }
        edm::read_entity(model, ty, body).is_ok()
    }

    /// A literal means the same once it is written and read again.
    fn literal(&self, input: &[u8]) -> bool {
        let (place, literal) = first_line(input);
        let Some((model, ty)) = self.place(&place) else { return false };
        let literal = String::from_utf8_lossy(literal);
        let read = |ty: &PropertyType| {
            let Ok(value) = edm::parse_literal(model, ty, &literal) else { return false };
            let text = edm::write_literal(model, ty, &value);
            let text = percent_decode_str(&text).decode_utf8().expect("UTF-8");
            let again = edm::parse_literal(model, ty, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(percent_decode_str(&edm::write_literal(model, ty, &again)).decode_utf8_lossy(), text);
            let _ = edm::write_raw(model, ty, &value);
            true
        };
        model.ty(ty).properties.iter().filter(|property| read(&property.ty)).count() > 0
    }

    /// The type of `service/set`.
    fn place(&self, text: &str) -> Option<(&Model, TypeId)> {
        let (service, set) = text.split_once('/')?;
        let model = &self.services.iter().find(|found| found.name == service)?.model;
        Some((model, model.set(model.set_id(set)?).entity_type))
    }
}

/// Reads what may be events: the content type, the body. The headers of a binary CloudEvent are that content type, too.
fn event(input: &[u8]) -> bool {
    let (content_type, body) = first_line(input);
    let mut understood = false;
    let formats = [ReadFormat::Auto, ReadFormat::FinanceOperations, ReadFormat::EventGrid, ReadFormat::CloudEvents];
    for (format, binary) in formats.into_iter().flat_map(|format| [(format, false), (format, true)]) {
        let header = |name: &str| match name {
            "content-type" => Some(content_type.as_str()),
            "ce-specversion" if binary => Some("1.0"),
            "ce-id" | "ce-source" | "ce-type" if binary => Some(content_type.as_str()),
            _ => None,
        };
        let Ok(received) = events::read(format, EventKind::from_business_event_id, header, body) else { continue };
        let Received::Events(read) = received else { continue };
        for event in read {
            let event = event.inspect_err(|fault| assert!(!fault.event.id.is_nil(), "{fault}"));
            let Ok(event) = event else { continue };
            assert!(!event.id.is_nil() && !event.given_id.is_empty(), "{event:?}");
            assert!(event.job.is_some() || !matches!(event.what, What::Job(_)), "{event:?}");
            understood = true;
        }
    }
    understood
}

/// Applies a filter to an entity without values.
fn apply(model: &Model, ty: TypeId, filter: &uri::Expr) {
    for ignore_case in [true, false] {
        let Ok(predicate) = query::bind(model, ty, filter, ignore_case) else { return };
        predicate.matches(&Entity {
            record: edm::Record::new(model, ty),
            lookups: Vec::new(),
            incarnation: Incarnation(String::new()),
            version: Version(String::new()),
            marks: Vec::new(),
        });
    }
}

/// The first line as text, and what follows it.
fn first_line(input: &[u8]) -> (String, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, rest) = input.split_at_checked(end).unwrap_or((input, b""));
    (String::from_utf8_lossy(line).into_owned(), rest.strip_prefix(b"\n").unwrap_or(rest))
}
