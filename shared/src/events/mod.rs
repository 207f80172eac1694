//! Business events: what the changes of batch jobs are to the outside. Pure.
//!
//! | file | what |
//! |---|---|
//! | `kind` | the four events and the transition that each is |
//! | `payload` | an event as the flat object of Finance & Operations |
//! | `job_event` | an event that came in, whatever form it had |
//! | `read` | from what came in to those |
//! | `envelope` | a payload in the form that an endpoint wants: bare, Event Grid, CloudEvents |
//! | `signature` | Standard Webhooks: secrets, signing, verifying |
//! | `attempt` | what an answer means, and when to try again |
//! | `endpoint` | what an endpoint may say, and which events it is told |
//! | `delivery` | the state of a delivery |
//! | `catalogue` | the list of events and the schema of each |
//!
//! Source: `reference/microsoft-wire.md` §2.

mod attempt;
mod catalogue;
mod delivery;
mod endpoint;
mod envelope;
mod job_event;
mod kind;
mod payload;
mod read;
#[cfg(test)]
mod sample;
mod signature;

use crate::edm::SetId;

pub use attempt::{MAX_RETRY_AFTER, Verdict, next_attempt, retry_after, verdict};
pub use catalogue::{CATALOGUE, catalogue, schema};
pub use delivery::DeliveryStatus;
pub use endpoint::{Endpoint, EndpointFault, OWN_EVENTS, subscribes};
pub use envelope::{Envelope, Format, Meta, envelope};
pub use job_event::{JobEvent, What};
pub use kind::EventKind;
pub use payload::{Event, TEST_EVENT, event_id, id_text, payload, test_payload};
pub use read::{EventFault, Fault, MAX_EVENTS, ReadError, ReadFormat, Received, read};
pub use signature::{Secret, SecretFault, SignatureFault, sign, verify};

/// The entity sets of business events (`[events]` of `service.toml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    /// Who is told: `BusinessEventEndpoints`.
    pub endpoints: SetId,
    /// What was sent: `BusinessEventDeliveries`, read-only.
    pub deliveries: SetId,
}
