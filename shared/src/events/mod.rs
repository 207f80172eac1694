//! Business events: what the changes of batch jobs are to the outside. Pure.
//!
//! Source: `reference/microsoft-wire.md` §2.

use crate::edm::SetId;

/// The entity sets of business events (`[events]` of `service.toml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    /// Who is told: `BusinessEventEndpoints`.
    pub endpoints: SetId,
    /// What was sent: `BusinessEventDeliveries`, read-only.
    pub deliveries: SetId,
}
