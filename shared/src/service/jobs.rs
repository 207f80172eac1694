//! `[jobs]`, `[events]`, `[requeues]` and `[permissions]` of `service.toml`, checked against the model.

use crate::{
    auth::{Permission, Permissions},
    edm::{Model, PrimitiveType, TypeId, TypeKind},
    events::Subscriptions,
    jobs::{Fields, Jobs, ReplyForm, Requeues, Status},
};

use super::{
    Problem,
    config::{EventsConfig, JobsConfig, ReplyConfig, RequeuesConfig, ServiceConfig},
    derived::Located,
    set,
};

/// The batch jobs that a service has.
pub(super) fn jobs(model: &Model, config: &JobsConfig) -> Result<Jobs, Located> {
    let id = set(model, &config.set)?;
    let ty = model.set(id).entity_type;
    let fields =
        Fields::find(|name| position(model, ty, name)).map_err(|problem| (config.set.span().start, problem))?;
    check_properties(model, ty, &fields).map_err(|problem| (config.set.span().start, problem))?;
    if config.requeue_from.is_empty() {
        return Err((config.set.span().start, Problem::NoRequeueState));
    }
    let status = |name: &toml::Spanned<String>| {
        let unknown = || (name.span().start, Problem::UnknownStatus(name.as_ref().clone()));
        Status::from_name(name.as_ref()).filter(|status| *status != Status::Waiting).ok_or_else(unknown)
    };
    if let Some(limit) = config.retry_limit.as_ref().filter(|limit| *limit.as_ref() < 0) {
        return Err((limit.span().start, Problem::RetryLimit(*limit.as_ref())));
    }
    Ok(Jobs {
        set: id,
        ty,
        history: set(model, &config.history)?,
        requeue_from: config.requeue_from.iter().map(status).collect::<Result<_, _>>()?,
        retry_limit: config.retry_limit.as_ref().map(|limit| *limit.as_ref()),
        reply: match config.reply {
            ReplyConfig::Bare => ReplyForm::Bare,
            ReplyConfig::Value => ReplyForm::Value,
        },
        fields,
    })
}

/// Deliveries and decisions of a service are in one place; rows of companies are in one a company.
pub(super) fn apart_from_companies(config: &ServiceConfig) -> Result<(), Located> {
    if config.companies.is_none() {
        return Ok(());
    }
    let sections = [
        ("[jobs]", config.jobs.as_ref().map(|jobs| &jobs.set)),
        ("[events]", config.events.as_ref().map(|events| &events.endpoints)),
        ("[requeues]", config.requeues.as_ref().map(|requeues| &requeues.decisions)),
    ];
    match sections.into_iter().find_map(|(name, set)| Some((name, set?))) {
        None => Ok(()),
        Some((name, set)) => Err((set.span().start, Problem::OfCompanies(name))),
    }
}

/// Who is told of the changes of jobs.
pub(super) fn events(model: &Model, config: &EventsConfig) -> Result<Subscriptions, Located> {
    Ok(Subscriptions { endpoints: set(model, &config.endpoints)?, deliveries: set(model, &config.deliveries)? })
}

/// Where requeues by events are kept.
pub(super) fn requeues(model: &Model, config: &RequeuesConfig) -> Result<Requeues, Located> {
    Ok(Requeues { decisions: set(model, &config.decisions)?, attempts: set(model, &config.attempts)? })
}

/// The scopes and roles that give a permission: the table, and the permission's own name where the table is silent.
pub(super) fn permissions(config: &ServiceConfig) -> Result<Permissions, Located> {
    let mut permissions = Permissions::default();
    for (name, given_by) in &config.permissions {
        let permission = Permission::ALL.into_iter().find(|p| p.name() == name.as_ref());
        let permission =
            permission.ok_or_else(|| (name.span().start, Problem::UnknownPermission(name.as_ref().clone())))?;
        permissions.set(permission, given_by.iter().cloned().collect());
    }
    Ok(permissions)
}

/// What is written without being read must be of the right type, and what the service keeps no client may write.
fn check_properties(model: &Model, id: TypeId, fields: &Fields) -> Result<(), Problem> {
    let ty = model.ty(id);
    let own = fields.kept();
    for (at, property) in ty.properties.iter().enumerate() {
        let is_number = matches!(property.ty.kind, TypeKind::Primitive(PrimitiveType::Int32 | PrimitiveType::Int64));
        let needs = if own.contains(&at) && !property.computed {
            "computed (Org.OData.Core.V1.Computed)"
        } else if [fields.generation, fields.retry_count, fields.retry_limit].contains(&at) && !is_number {
            "an Edm.Int32 or Edm.Int64"
        } else if at == fields.status && !is_status(model, property.ty.kind) {
            "an enumeration with the members and numbers of BatchStatus"
        } else {
            continue;
        };
        return Err(Problem::JobProperty { name: property.name.clone(), needs });
    }
    Ok(())
}

fn is_status(model: &Model, kind: TypeKind) -> bool {
    let TypeKind::Enum(id) = kind else { return false };
    let members = &model.enumeration(id).members;
    Status::ALL.iter().all(|status| members.iter().any(|m| m.name == status.name() && m.value == status.number()))
}

fn position(model: &Model, ty: TypeId, name: &str) -> Result<usize, Problem> {
    let ty = model.ty(ty);
    ty.property(name).ok_or_else(|| Problem::UnknownProperty { ty: ty.qualified_name.clone(), name: name.to_owned() })
}
