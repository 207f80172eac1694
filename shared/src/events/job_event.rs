//! What a sender says happened to a batch job, whatever form it came in.

use jiff::Timestamp;
use uuid::Uuid;

use super::EventKind;

/// What an event that came in is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A change of a batch job.
    Job(EventKind),
    /// The event that Finance & Operations tests an endpoint with.
    Test,
    /// Something else: another business event, or a batch job in a state that is no event.
    Other,
}

/// An event that came in. Texts are cut to what is kept of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// The same however often and in whatever form the event is delivered: its GUID, or one made of its source and id.
    pub id: Uuid,
    /// Its id as the sender wrote it.
    pub given_id: String,
    /// What it is about.
    pub what: What,
    /// `BusinessEventId`, or the type of its envelope.
    pub type_name: String,
    /// `ControlNumber`, which increases from event to event of an environment; 0 where the sender has none.
    pub control_number: i64,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// How that was found, where the member that tells it best could not be read.
    pub time_note: Option<String>,
    /// Company of the job.
    pub legal_entity: String,
    /// `BatchJobRecId` of the job: always there where the event is about a batch job.
    pub job: Option<i64>,
    /// What the job is called.
    pub job_description: String,
    /// The state of the job, as the sender names it.
    pub job_status: String,
    /// What went wrong, where the sender says it.
    pub error_text: String,
    /// The trace that it is part of: `traceparent`, and after a space `tracestate`, as the sender wrote them.
    pub trace: Option<String>,
}
