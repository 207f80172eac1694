//! The schema of Event Grid, with its validation (`reference/microsoft-wire.md` §2.4).

use serde_json::{Map, Value};

use super::{
    Fault, Kinds,
    error::MemberFault,
    finance_operations::{self, Around, Payload},
    member::Members,
    moment::Told,
};
use crate::events::JobEvent;

/// `eventType` of the question whether events are wanted.
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Characters of a validation code. Those of Event Grid are GUIDs.
const MAX_CODE: usize = 200;

/// An event of a batch.
pub(super) fn event(members: Members<'_>, kinds: Kinds<'_>) -> Result<JobEvent, MemberFault> {
    let around = Around {
        id: members.needed_text("id")?,
        source: members.text("topic")?.unwrap_or_default(),
        kind: members.needed_text("eventType")?,
        time: Told { member: "eventTime", moment: members.moment("eventTime") },
    };
    let payload = Payload::of(members.get("data"), members.sent("data").unwrap_or_default())?;
    finance_operations::event(payload.members(), &around, kinds)
}

/// Whether an event is the question whether events are wanted.
pub(super) fn is_validation(object: &Map<String, Value>) -> bool {
    object.get("eventType").and_then(Value::as_str) == Some(VALIDATION)
}

/// The code to answer the question with.
pub(super) fn code(object: &Map<String, Value>) -> Result<String, MemberFault> {
    const MEMBER: &str = "validationCode";
    let data = Payload::of(object.get("data"), "{}")?;
    let code = data.members().needed_text(MEMBER)?;
    if code.chars().nth(MAX_CODE).is_some() {
        return Err(MemberFault { member: MEMBER, what: Fault::TooLong { max: MAX_CODE } });
    }
    Ok(code.to_owned())
}
