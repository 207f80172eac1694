//! What the plan of a write adds where it changes who is told of business events, or what was sent to them.

use uuid::Uuid;

use crate::{
    batch::Headers,
    edm::{DateTimeOffset, EntityKey, SetId, TypeId, Value},
    events::{DeliveryStatus, Endpoint, OWN_EVENTS, Subscriptions},
    respond,
    store::{Due, Patch, Schedule},
    uri::EntityPath,
};

use super::{
    PlanError,
    context::Reference,
    overlay::Step,
    place::Collection,
    prepare::Prepared,
    unit::{Outcome, Unit, no_content, not_allowed, refuse_parameters},
    update::Change,
    walk::{Spot, Target},
};

/// Name of the action that sends a delivery again, without namespace.
pub(super) const RESEND: &str = "Resend";
/// Fraction digits of the times of a delivery.
const TIME_DIGITS: u8 = 3;

impl<'a> Unit<'a> {
    fn endpoints_in(&self, set: Option<SetId>) -> Option<&'a Subscriptions> {
        self.service().events.as_ref().filter(|events| set == Some(events.endpoints))
    }

    /// Checks what is said of an endpoint, new or changed.
    pub(super) fn check_endpoint<'v>(
        &self,
        set: Option<SetId>,
        ty: TypeId,
        value: impl Fn(usize) -> Option<&'v Value>,
    ) -> Result<(), PlanError> {
        if self.endpoints_in(set).is_none() {
            return Ok(());
        }
        let named = |name: &str| self.ty(ty).property(name).and_then(&value);
        let text = |name: &str| match named(name) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let ids: Option<Vec<&str>> = match named("BusinessEventIds") {
            Some(Value::Collection(items)) => Some(items.iter().map(text_of).collect()),
            _ => None,
        };
        let endpoint = Endpoint {
            // Seeds may name the service itself.
            url: text("Url").filter(|url| !(self.context.trusted && *url == OWN_EVENTS)),
            business_event_ids: ids.as_deref(),
            legal_entity: text("LegalEntity"),
            secret: text("Secret"),
        };
        Ok(endpoint.check()?)
    }

    /// An endpoint that is active again is not disabled any more.
    pub(super) fn revive_endpoint(&self, spot: &Spot, change: &mut Change) {
        if self.endpoints_in(spot.collection.set).is_none() {
            return;
        }
        let position = |name: &str| self.ty(spot.collection.ty).property(name);
        let active = position("Active");
        if change.values.iter().any(|(at, value)| Some(*at) == active && *value == Value::Boolean(true)) {
            let cleared = ["DisabledReason", "DisabledDateTime"].into_iter().filter_map(position);
            change.values.extend(cleared.map(|at| (at, Value::Null)));
        }
    }

    /// What is sent again must have somebody to go to, at the instant of the commit too.
    fn require_endpoint(&mut self, endpoint: Uuid, company: Option<usize>) -> Step<()> {
        let events = self.service().events.as_ref().ok_or(PlanError::Internal)?;
        let endpoints = Collection::of_set(self.service(), events.endpoints, company);
        let key = endpoints.entity_key(&EntityKey(vec![Value::Guid(endpoint)])).map_err(PlanError::from)?;
        if self.overlay.require(&key) {
            return Ok(());
        }
        Err(self.not_found(endpoints.ty, &format!("{}({endpoint})", endpoints.path)).into())
    }

    /// Resend: the delivery is due at once, with all its attempts before it.
    pub(super) fn resend(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        refuse_parameters(request, RESEND)?;
        let Target::Entity(spot) = self.walk(path, request.company, path.steps.len())? else {
            return Err(not_allowed(request, "GET"));
        };
        let endpoint = spot.entity_key.as_ref().and_then(endpoint_of);
        let (Some(endpoint), true) = (endpoint, self.overlay.require(&spot.key)) else {
            return Err(self.not_found(spot.collection.ty, &spot.path).into());
        };
        self.require_endpoint(endpoint, request.company)?;
        let now = DateTimeOffset::from_timestamp(self.context.now, TIME_DIGITS);
        let properties = vec![
            ("Status".to_owned(), Value::Enum(DeliveryStatus::Pending.number())),
            ("DueDateTime".to_owned(), Value::DateTimeOffset(now)),
            ("AttemptCount".to_owned(), Value::Integer(0)),
        ];
        let schedule = Schedule::At(Due::new(&self.service().name, endpoint, self.context.now));
        let again = Patch { properties, schedule, version: self.version().0, ..Patch::default() };
        self.overlay.patch(&spot.key, again);
        let mut headers = Headers::new();
        respond::version_header(self.context, request, &mut headers, false);
        Ok(no_content(headers, Reference::Nothing))
    }
}

/// A delivery's id begins with that of its endpoint.
fn endpoint_of(key: &EntityKey) -> Option<Uuid> {
    let [Value::String(id)] = key.0.as_slice() else { return None };
    id.split('.').next()?.parse().ok()
}

fn text_of(value: &Value) -> &str {
    if let Value::String(text) = value { text } else { "" }
}
