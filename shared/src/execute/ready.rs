//! A batch that was read and may be run: its requests, and the form of its answer.

use crate::{
    batch::{BatchItem, BatchRequest, Format, Headers, Preferences, Request},
    exchange::Weight,
    plan::{self, BatchRepeat, OdataVersion},
    respond::{BatchError, Failure},
    service::profile::{Isolation, Profile},
    wire::{self, Envelope, Writer},
};

use super::{
    answers::Answers,
    engine::Call,
    envelope::{answer_format, check_headers, references_exist, with_company},
    form::Form,
};

/// Headers of the batch that count for its requests too (Protocol §8.1, §8.2), and the company.
const INHERITED: [&str; 7] =
    ["accept", "accept-charset", "accept-language", "content-language", "odata-version", "odata-maxversion", "company"];
/// Headers that an inner request has no say in: authority comes from the batch alone (Protocol §11.7.7.1).
const STRIPPED: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "www-authenticate",
    "cookie",
    "expect",
    "from",
    "max-forwards",
    "range",
    "te",
];

/// A batch that can be run.
pub(super) struct Ready<'r> {
    pub(super) batch: BatchRequest,
    pub(super) form: Form<'r>,
    /// The isolation that it asks for, as the service keeps it.
    pub(super) isolation: Option<Isolation>,
    pub(super) continues: bool,
    /// Whether to go on, as the client asked and gets it.
    pub(super) asked: Option<bool>,
    /// What the least answers to its items weigh.
    least: Vec<Weight>,
}

impl<'r> Ready<'r> {
    /// Reads the batch of a call. Nothing of it is run if that fails.
    pub(super) fn new(call: &Call<'r>) -> Result<Self, Failure> {
        let service = call.service;
        let headers = &call.incoming.headers;
        check_headers(call.incoming, service)?;
        let version = plan::version(headers, service).unwrap_or(OdataVersion::V40);
        let envelope = Envelope::from_content_type(headers.get("content-type").unwrap_or_default());
        let envelope = envelope.map_err(BatchError::from)?;
        let answer = answer_format(call.incoming, service, &envelope)?;
        let isolation = plan::isolation(headers, service)?;
        let Profile { ids_by_change_set, faulty_request_fails_alone, .. } = service.profile;
        let limits = wire::Limits { ids_by_change_set, faulty_request_fails_alone, ..service.limits.wire() };
        let mut batch = wire::decode(&envelope, &call.incoming.body, &limits).map_err(BatchError::from)?;
        if !faulty_request_fails_alone {
            references_exist(&batch)?;
        }
        let inherited = with_company(call.incoming, service)?;
        let requests = batch.items.iter_mut().flat_map(BatchItem::requests_mut);
        requests.for_each(|request| inherit(request, &inherited));
        let as_one = isolation == Some(Isolation::Unit);
        // One unit ends at its first failure, whatever the client prefers.
        let asked = Preferences::of(headers).continue_on_error.filter(|asked| !(as_one && *asked));
        let continues = asked.unwrap_or(match batch.format {
            Format::Json => service.profile.json_continues,
            Format::Multipart => false,
        });

        let correlation = call.subject.correlation;
        let form = Form { service, version, asked: batch.format, answer, correlation };
        let least = if as_one { form.least_of_unit(&batch) } else { form.least(&batch) };
        let ready = Self { batch, form, isolation, continues, asked, least };
        // A batch whose least answers have no room is not begun.
        ready.answers(None)?;
        Ok(ready)
    }

    /// No answers yet, and room for all. What earlier executors have decided is answered as it was, so it has its room
    /// before anything is read again.
    pub(super) fn answers(&self, repeat: Option<&BatchRepeat>) -> Result<Answers, BatchError> {
        let encoding = self.form.encoding();
        let ends = Weight::of(&Writer::new(encoding, 0).finish().body);
        let answers = |least: &[Weight], decided: usize| {
            let certain = if self.continues { least.len() } else { decided };
            Answers::new(Writer::new(encoding, self.batch.items.len()), ends, least, certain)
        };
        let Some(repeat) = repeat.filter(|repeat| !repeat.known.is_empty()) else { return answers(&self.least, 0) };
        let (mut least, mut decided, mut index) = (self.least.clone(), 0, 0);
        for (position, (item, weight)) in self.batch.items.iter().zip(&mut least).enumerate() {
            if let Some(kept) = repeat.kept(index) {
                *weight = *weight + Weight::of(String::from_utf8_lossy(&kept).as_bytes());
                decided = position + 1;
            }
            index += item.requests().len();
        }
        // What was kept says more than is answered: where that is too much, the answers themselves may have room.
        answers(&least, decided).or_else(|_| answers(&self.least, decided))
    }
}

/// Headers that a request takes over from its batch, and those it may not have.
fn inherit(request: &mut Request, batch: &Headers) {
    for name in STRIPPED {
        while request.headers.take(name).is_some() {}
    }
    for (name, value) in batch.iter().filter(|(name, _)| INHERITED.contains(&name.as_str())) {
        request.headers.inherit(name, value);
    }
}
