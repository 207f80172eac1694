//! Answers that hold a page of a collection (JSON Format §12).

use std::{io::Write as _, sync::Arc};

use http::StatusCode;

use crate::{
    batch::Headers,
    edm::{Entity, EntityKey, Numbers},
    exchange::Weight,
    plan::{Collection, Context, Metadata, Outcome, Prepared, Reference},
    query::Selection,
    uri::write_key,
};

use super::{
    body::{outcome, selected, write_context, write_members, write_text},
    headers::{self, PREFERENCE_APPLIED, version_header},
};

/// What the entities of a page may weigh: it ends earlier where they weigh more, so that it fits into an answer, of a batch
/// as well.
const MAX_PAGE: usize = 4 << 20;

/// A page of a collection.
pub(crate) struct Listing<'l> {
    pub(crate) collection: &'l Collection,
    /// Only references to the entities.
    pub(crate) references: bool,
    pub(crate) rows: Vec<&'l Arc<Entity>>,
    pub(crate) count: Option<u64>,
    /// URL of the next page, where there is one after so many entities.
    pub(crate) next: &'l dyn Fn(usize) -> Option<String>,
    /// Entities on a page, where the client's preference counted.
    pub(crate) applied_page_size: Option<usize>,
}

/// 200 with a page of entities or of references to them.
pub(crate) fn collection(
    context: &Context<'_>,
    request: &Prepared,
    selection: Option<&Selection>,
    listing: &Listing<'_>,
) -> Outcome {
    let mut all = Headers::new();
    headers::json(request, &mut all);
    version_header(context, request, &mut all, true);
    if let Some(size) = listing.applied_page_size {
        let name = if request.version.prefix() == "@" { "maxpagesize" } else { "odata.maxpagesize" };
        headers::text(&mut all, PREFERENCE_APPLIED, &format!("{name}={size}"));
    }
    let prefix = request.version.prefix();
    let mut body = Vec::with_capacity(256 + listing.rows.len() * 256);
    body.push(b'{');
    if request.metadata == Metadata::Minimal {
        let fragment = if listing.references {
            "Collection($ref)".to_owned()
        } else {
            format!("{}{}", listing.collection.path, selected(context, listing.collection.ty, selection))
        };
        write_context(&mut body, context, request, &fragment);
        body.push(b',');
    }
    if let Some(count) = listing.count {
        let quote = if request.numbers == Numbers::Text { "\"" } else { "" };
        let _ = write!(body, "\"{prefix}count\":{quote}{count}{quote},");
    }
    body.extend_from_slice(b"\"value\":[");
    let (mut shown, mut weight) = (0, Weight::default());
    for entity in &listing.rows {
        let start = body.len();
        if shown > 0 {
            body.push(b',');
        }
        body.push(b'{');
        if listing.references {
            let path = entity_path(context, &listing.collection.path, entity);
            let url = format!("{}/{path}", context.root_url(&request.root));
            let _ = write!(body, "\"{prefix}id\":");
            write_text(&mut body, &url);
        } else {
            let path = || entity_path(context, &listing.collection.path, entity);
            write_members(&mut body, context, request, selection, entity, &path);
        }
        body.push(b'}');
        weight = weight + Weight::of(body.get(start..).unwrap_or_default());
        if shown > 0 && weight.total() > MAX_PAGE {
            body.truncate(start);
            break;
        }
        shown += 1;
    }
    body.push(b']');
    if let Some(next) = (listing.next)(shown) {
        let _ = write!(body, ",\"{prefix}nextLink\":");
        write_text(&mut body, &next);
    }
    body.push(b'}');
    outcome(StatusCode::OK, all, body.into(), Reference::Nothing)
}

fn entity_path(context: &Context<'_>, collection: &str, entity: &Entity) -> String {
    let model = &context.service.model;
    let key = EntityKey::of(model, &entity.record).unwrap_or(EntityKey(Vec::new()));
    format!("{collection}{}", write_key(model, entity.record.ty, &key))
}
