//! Permissions for answers of the host that no service gives.

use http::Method;
use uuid::Uuid;

use crate::{
    auth::{Permission, Permissions},
    exchange::{Incoming, Outgoing},
    plan::{OdataVersion, PlanError},
    respond::Failure,
    telemetry::TraceContext,
};

use super::{Engine, engine::failed, failures::Subject};

impl Engine {
    /// Refuses a request of a caller who lacks a permission of the host, given by the scope or role of its name: the
    /// refusal is the answer. Where everybody is let in, so are all callers.
    pub async fn require(&self, incoming: &Incoming, permission: Permission) -> Result<(), Box<Outgoing>> {
        let permissions = Permissions::default();
        let caller = self.settings.authenticator.authenticate(&incoming.headers, crate::clock::now()).await;
        let failure: Failure = match caller {
            Ok(caller) if permissions.permit(&caller, permission) => return Ok(()),
            Ok(_) => {
                let given_by = permissions.given_by(permission).map(str::to_owned).collect();
                PlanError::Forbidden { permission, given_by }.into()
            }
            Err(error) => error.into(),
        };
        let trace = TraceContext::of(&incoming.headers, [Uuid::new_v4(), Uuid::new_v4()]);
        let (method, correlation): (&Method, _) = (&incoming.method, Uuid::new_v4());
        let subject =
            Subject { id: &incoming.id, method, path: &incoming.path, service: None, correlation, trace: &trace };
        Err(Box::new(failed(subject, None, OdataVersion::V40, &failure).0))
    }
}
