//! Which permission a request needs. Data takes `data.read` and `data.write`; who is told of business events, and
//! where that is sent to, is for `admin`.

use http::Method;

use crate::{
    auth::Permission,
    uri::{EntityPath, Resource},
};

use super::{PlanError, context::Context, prepare::Prepared, unit::Unit};

impl Unit<'_> {
    /// Refuses a request that its caller may not make.
    pub(super) fn check_permission(&self, request: &Prepared) -> Result<(), PlanError> {
        let permission = match &request.resource {
            // It has a permission of its own, and a reply of its own for those who do not.
            Resource::Action { path, name } if self.service().requeued_by(path, name).is_some() => return Ok(()),
            Resource::Action { path, .. } if self.is_decision(path) => Permission::JobsRequeue,
            Resource::Entities(path) | Resource::Action { path, .. } if self.is_for_admins(path) => Permission::Admin,
            _ if request.method == Method::GET => Permission::DataRead,
            _ => Permission::DataWrite,
        };
        self.context.require(permission)
    }

    /// Whether a path leads to subscriptions, wherever it starts.
    fn is_for_admins(&self, path: &EntityPath) -> bool {
        let Some(events) = &self.service().events else { return false };
        let ty = self.service().model.set(events.endpoints).entity_type;
        path.set == events.endpoints || path.ty == ty || path.steps.iter().any(|step| step.ty == ty)
    }
}

impl Context<'_> {
    /// Refuses what the caller has no permission for.
    pub fn require(&self, permission: Permission) -> Result<(), PlanError> {
        if self.permits(permission) {
            return Ok(());
        }
        let given_by = self.service.permissions.given_by(permission).map(str::to_owned).collect();
        Err(PlanError::Forbidden { permission, given_by })
    }
}
