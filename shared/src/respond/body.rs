//! Answers that hold entities, collections and values (JSON Format §6–§13).

use std::{io::Write as _, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{
    batch::{Headers, Response, Return},
    edm::{self, Entity, PropertyType, Record, TypeKind, Value},
    plan::{Context, Created, Metadata, Outcome, Prepared, Reference, Updated},
    query::Selection,
    service::profile::Returned,
    uri::{EntityPath, Last},
};

use super::{
    headers::{self, ODATA_ENTITY_ID, preference_applied, version_header},
    stream::{stream_content, write_streams},
};

/// 201 with the entity, or 204 with where it is.
pub(crate) fn created(context: &Context<'_>, request: &Prepared, created: &Created) -> Outcome {
    let profile = &context.service.profile;
    let returned = request.returns(profile.create_returns);
    stored(context, request, created, &created.path, returned)
}

/// The insert of an upsert.
pub(crate) fn upserted(context: &Context<'_>, request: &Prepared, created: &Created, client_path: &str) -> Outcome {
    let profile = &context.service.profile;
    let same = profile.update_returns == profile.create_returns;
    let returned = request.returns(if same { profile.create_returns } else { Returned::Representation });
    stored(context, request, created, client_path, returned)
}

fn stored(
    context: &Context<'_>,
    request: &Prepared,
    created: &Created,
    client_path: &str,
    returned: Returned,
) -> Outcome {
    let url = format!("{}/{}", context.root_url(&request.root), created.path);
    let reference = entity_reference(&created.path, &created.entity);
    let mut all = Headers::new();
    if returned == Returned::Minimal {
        version_header(context, request, &mut all, false);
        headers::text(&mut all, header::LOCATION, &url);
        let id = format!("{}/{client_path}", context.root_url(&request.root));
        headers::text(&mut all, ODATA_ENTITY_ID, &id);
        preference_applied(request, &mut all, Return::Minimal);
        return outcome(StatusCode::NO_CONTENT, all, Bytes::new(), reference);
    }
    headers::text(&mut all, header::LOCATION, &url);
    headers::json(request, &mut all);
    version_header(context, request, &mut all, true);
    headers::etag(context, &mut all, &created.entity.etag());
    if context.service.profile.entity_id_with_body {
        headers::text(&mut all, ODATA_ENTITY_ID, &url);
    }
    preference_applied(request, &mut all, Return::Representation);
    let selection = crate::query::select(&context.service.model, created.entity.record.ty, &request.options.select);
    let selection = selection.ok().flatten();
    let mut body = Vec::with_capacity(512);
    let collection_path = parent_path(&created.path);
    open_entity(&mut body, context, request, selection.as_ref(), collection_path);
    write_members(&mut body, context, request, selection.as_ref(), &created.entity, &|| created.path.clone());
    write_inline(&mut body, context, request, created);
    body.push(b'}');
    outcome(StatusCode::CREATED, all, body.into(), reference)
}

/// 200 with the entity or 204.
pub(crate) fn updated(
    context: &Context<'_>,
    request: &Prepared,
    client_path: &str,
    path: &str,
    updated: &Updated,
) -> Outcome {
    let returned = request.update_returns(&context.service.profile);
    if let (Returned::Representation, Updated::Known(entity)) = (returned, updated) {
        let selection = crate::query::select(&context.service.model, entity.record.ty, &request.options.select);
        let selection = selection.ok().flatten();
        let mut outcome = self::entity(context, request, selection.as_ref(), parent_path(path), path, entity);
        preference_applied(request, &mut outcome.response.headers, Return::Representation);
        return outcome;
    }
    let mut outcome = property_changed(context, request, path, updated);
    if context.service.profile.upsert {
        let url = format!("{}/{client_path}", context.root_url(&request.root));
        headers::text(&mut outcome.response.headers, ODATA_ENTITY_ID, &url);
    }
    preference_applied(request, &mut outcome.response.headers, Return::Minimal);
    outcome
}

/// 204 after a change of a property.
pub(crate) fn property_changed(context: &Context<'_>, request: &Prepared, path: &str, updated: &Updated) -> Outcome {
    let etag = match updated {
        Updated::Known(entity) => Some(entity.etag()),
        Updated::Blind(etag) => etag.clone(),
    };
    let mut all = Headers::new();
    version_header(context, request, &mut all, false);
    if let Some(etag) = &etag {
        headers::etag(context, &mut all, etag);
    }
    let etag = etag.map(|etag| etag.to_string());
    outcome(StatusCode::NO_CONTENT, all, Bytes::new(), Reference::Entity { path: path.to_owned(), etag })
}

/// 200 with an entity.
pub(crate) fn entity(
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    collection_path: &str,
    path: &str,
    entity: &Arc<Entity>,
) -> Outcome {
    let mut all = Headers::new();
    headers::json(request, &mut all);
    version_header(context, request, &mut all, true);
    headers::etag(context, &mut all, &entity.etag());
    let mut body = Vec::with_capacity(512);
    open_entity(&mut body, context, request, selection, collection_path);
    write_members(&mut body, context, request, selection, entity, &|| path.to_owned());
    body.push(b'}');
    outcome(StatusCode::OK, all, body.into(), entity_reference(path, entity))
}

/// 304.
pub(crate) fn not_modified(context: &Context<'_>, request: &Prepared, entity: &Arc<Entity>, path: &str) -> Outcome {
    let mut all = Headers::new();
    version_header(context, request, &mut all, true);
    headers::etag(context, &mut all, &entity.etag());
    outcome(StatusCode::NOT_MODIFIED, all, Bytes::new(), entity_reference(path, entity))
}

/// 200 with a property as `{"value": …}` or raw; 204 when it is null. `None` when the path leads through a null.
pub(crate) fn property(
    context: &Context<'_>,
    request: &Prepared,
    (path, last): (&EntityPath, Last),
    selection: Option<&Selection>,
    entity_path: &str,
    entity: &Arc<Entity>,
) -> Option<Outcome> {
    let model = &context.service.model;
    let (value, ty, names) = value_at(context, path, entity)?;
    let reference = Reference::Nothing;
    let mut all = Headers::new();
    if let (Value::Binary(bytes), Some(stream)) = (&value, path.stream(model)) {
        return Some(stream_content(context, request, stream, bytes, entity));
    }
    if value == Value::Null {
        version_header(context, request, &mut all, false);
        return Some(outcome(StatusCode::NO_CONTENT, all, Bytes::new(), reference));
    }
    match last {
        Last::Value => {
            let binary = matches!(value, Value::Binary(_));
            let media_type = if binary { "application/octet-stream" } else { "text/plain; charset=utf-8" };
            all.append(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            version_header(context, request, &mut all, true);
            Some(outcome(StatusCode::OK, all, edm::write_raw(model, &ty, &value).into(), reference))
        }
        Last::Count => {
            let Value::Collection(items) = value else { return None };
            Some(count(context, request, items.len() as u64))
        }
        Last::None | Last::Ref => {
            headers::json(request, &mut all);
            version_header(context, request, &mut all, true);
            headers::etag(context, &mut all, &entity.etag());
            let mut body = vec![b'{'];
            if request.metadata == Metadata::Minimal {
                let selected = match ty.kind {
                    TypeKind::Complex(ty) => selected(context, ty, selection),
                    _ => String::new(),
                };
                write_context(&mut body, context, request, &format!("{entity_path}/{names}{selected}"));
                body.push(b',');
            }
            if let Value::Complex(record) = &value {
                write_complex(&mut body, context, request, (&ty, record), selection);
            } else {
                body.extend_from_slice(b"\"value\":");
                edm::write_value(&mut body, model, &ty, &value, request.format());
            }
            body.push(b'}');
            Some(outcome(StatusCode::OK, all, body.into(), reference))
        }
    }
}

/// The members of a complex value, its type before them where it is not the declared one.
fn write_complex(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    (declared, record): (&PropertyType, &Record),
    selection: Option<&Selection>,
) {
    let (model, format) = (&context.service.model, request.format());
    let is_typed = declared.kind != TypeKind::Complex(record.ty) && request.metadata == Metadata::Minimal;
    if is_typed {
        write_type(body, context, request, record.ty);
    }
    let first = !is_typed;
    let Some(selection) = selection else {
        edm::write_record(body, model, record, None, true, first, format);
        return;
    };
    let written = edm::write_record(body, model, record, Some(&selection.properties), false, first, format);
    write_dynamic(body, context, request, record, selection, first && !written);
}

/// The type of a value, where it does not follow from the model: a URI reference (JSON Format §4.6.3).
fn write_type(body: &mut Vec<u8>, context: &Context<'_>, request: &Prepared, ty: edm::TypeId) {
    let _ = write!(body, "\"{}type\":\"#{}\"", request.version.prefix(), context.service.model.ty(ty).qualified_name);
}

/// The selected properties that are not declared.
fn write_dynamic(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    record: &Record,
    selection: &Selection,
    mut first: bool,
) {
    for (name, value) in record.dynamic.iter().filter(|(name, _)| selection.dynamic.contains(name)) {
        edm::write_dynamic(body, &context.service.model, name, value, &mut first, request.format());
    }
}

/// The value that a property path leads to, its type and the path as text.
fn value_at(context: &Context<'_>, path: &EntityPath, entity: &Entity) -> Option<(Value, PropertyType, String)> {
    let model = &context.service.model;
    let mut record = &entity.record;
    let mut names: Vec<&str> = Vec::new();
    let (last, outer) = path.property.split_last()?;
    for position in outer {
        names.push(&model.ty(record.ty).properties.get(*position)?.name);
        match record.values.get(*position)?.as_ref()? {
            Value::Complex(inner) => record = inner,
            _ => return None,
        }
    }
    let property = model.ty(record.ty).properties.get(*last)?;
    names.push(&property.name);
    let value = record.values.get(*last)?.clone().unwrap_or(Value::Null);
    Some((value, property.ty.clone(), names.join("/")))
}

/// 200 with a number as text.
pub(crate) fn count(context: &Context<'_>, request: &Prepared, count: u64) -> Outcome {
    let mut all = Headers::new();
    all.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    version_header(context, request, &mut all, true);
    outcome(StatusCode::OK, all, count.to_string().into(), Reference::Nothing)
}

/// 200 with a reference to an entity.
pub(crate) fn reference(context: &Context<'_>, request: &Prepared, path: &str) -> Outcome {
    let mut all = Headers::new();
    headers::json(request, &mut all);
    version_header(context, request, &mut all, true);
    let mut body = vec![b'{'];
    if request.metadata == Metadata::Minimal {
        write_context(&mut body, context, request, "$ref");
        body.push(b',');
    }
    let _ = write!(body, "\"{}id\":", request.version.prefix());
    write_text(&mut body, &format!("{}/{path}", context.root_url(&request.root)));
    body.push(b'}');
    outcome(StatusCode::OK, all, body.into(), Reference::Nothing)
}

pub(super) fn outcome(status: StatusCode, headers: Headers, body: Bytes, reference: Reference) -> Outcome {
    Outcome { response: Response { id: None, status, headers, body }, reference, repeated: false }
}

fn entity_reference(path: &str, entity: &Entity) -> Reference {
    Reference::Entity { path: path.to_owned(), etag: Some(entity.etag().to_string()) }
}

/// The path of the collection that an entity's canonical path begins with: up to its key predicate.
fn parent_path(path: &str) -> &str {
    let mut quoted = false;
    let mut start = path.len();
    for (at, c) in path.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => start = at,
            _ => {}
        }
    }
    path.get(..start).unwrap_or(path)
}

/// `{` and the context of one entity.
fn open_entity(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    collection_path: &str,
) {
    body.push(b'{');
    if request.metadata == Metadata::Minimal {
        let ty = context.service.model.set_id(collection_path).map(|set| context.service.model.set(set).entity_type);
        let names = match (selection, ty) {
            (None, _) => String::new(),
            (Some(_), Some(ty)) => selected(context, ty, selection),
            (Some(_), None) => format!("({})", request.options.select.as_deref().unwrap_or_default().join(",")),
        };
        write_context(body, context, request, &format!("{collection_path}{names}/$entity"));
        body.push(b',');
    }
}

/// Etag, type where it is not the declared one, properties, and where the streams are. `path` is that of the entity.
pub(super) fn write_members(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    entity: &Entity,
    path: &dyn Fn() -> String,
) {
    write_properties(body, context, request, selection, entity);
    if request.metadata == Metadata::Minimal {
        write_streams(body, context, request, selection, entity, path);
    }
}

fn write_properties(
    body: &mut Vec<u8>,
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    entity: &Entity,
) {
    let model = &context.service.model;
    let mut first = true;
    if request.metadata == Metadata::Minimal {
        let _ = write!(body, "\"{}etag\":", request.version.prefix());
        write_text(body, &entity.etag().to_string());
        first = false;
        if model.ty(entity.record.ty).base.is_some() {
            body.push(b',');
            write_type(body, context, request, entity.record.ty);
        }
    }
    let Some(selection) = selection else {
        edm::write_record(body, model, &entity.record, None, true, first, request.format());
        return;
    };
    let positions = with_key(context, entity, selection);
    first &= !edm::write_record(body, model, &entity.record, Some(&positions), false, first, request.format());
    write_dynamic(body, context, request, &entity.record, selection, first);
}

/// The selected properties, and the key after them: clients find an entity by it.
fn with_key(context: &Context<'_>, entity: &Entity, selection: &Selection) -> Vec<usize> {
    let mut positions = selection.properties.clone();
    for key in &context.service.model.ty(entity.record.ty).key {
        if !positions.contains(key) {
            positions.push(*key);
        }
    }
    positions
}

/// What a deep insert created, below its owner.
fn write_inline(body: &mut Vec<u8>, context: &Context<'_>, request: &Prepared, created: &Created) {
    let ty = context.service.model.ty(created.entity.record.ty);
    for (nav, entities) in &created.inline {
        let Some(navigation) = ty.navigation.get(*nav) else { continue };
        body.push(b',');
        write_text(body, &navigation.name);
        body.extend_from_slice(if navigation.collection { b":[" } else { b":" });
        for (position, inner) in entities.iter().enumerate() {
            body.extend_from_slice(if position > 0 { b",{" } else { b"{" });
            write_members(body, context, request, None, &inner.entity, &|| inner.path.clone());
            write_inline(body, context, request, inner);
            body.push(b'}');
        }
        if navigation.collection {
            body.push(b']');
        }
    }
}

/// The select list of a context URL: `(subject,activityid)`.
pub(super) fn selected(context: &Context<'_>, ty: edm::TypeId, selection: Option<&Selection>) -> String {
    let Some(selection) = selection else { return String::new() };
    let properties = &context.service.model.ty(ty).properties;
    let declared = selection.properties.iter().filter_map(|p| properties.get(*p)).map(|p| p.name.as_str());
    let names: Vec<&str> = declared.chain(selection.dynamic.iter().map(String::as_str)).collect();
    format!("({})", names.join(","))
}

pub(super) fn write_context(body: &mut Vec<u8>, context: &Context<'_>, request: &Prepared, fragment: &str) {
    let _ = write!(body, "\"{}context\":", request.version.prefix());
    write_text(body, &format!("{}/$metadata#{fragment}", context.root_url(&request.root)));
}

/// A JSON string.
pub(super) fn write_text(body: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(body, text);
}
