//! Reading: entities, collections, properties, counts, links (Protocol §11.2).

use std::{cell::Cell, collections::HashSet, fmt::Write as _, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    edm::{Entity, EntityKey, Incarnation, TypeId, TypeKind, Version},
    query::{self, Predicate, Selection},
    respond::{self, Listing},
    uri::{EntityPath, Key, Last, UriError},
};

use super::{
    PlanError,
    overlay::Step,
    place::{self, Collection},
    prepare::Prepared,
    snapshot::{Rows, Source, Wanted},
    unit::{Outcome, Owner, Unit},
    walk::{Spot, Target},
};

/// The longest sort key of the table, in bytes.
const MAX_TOKEN: usize = 1024;
/// The most entities that `$skip` passes over; next links go further.
const MAX_SKIP: usize = 50_000;

impl Unit<'_> {
    /// GET of anything below an entity set.
    pub(super) fn retrieve(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        if path.company.is_none() && self.service().companies.as_ref().is_some_and(|c| c.set == path.set) {
            return self.retrieve_company(request, path);
        }
        match self.walk(path, request.company, path.steps.len())? {
            Target::Collection { collection, .. } => {
                let base = collection.path.clone();
                let rows = |unit: &mut Self, wanted: Wanted| unit.overlay.rows(unit.index, wanted);
                let source = Source::Entities(collection.clone());
                self.list(request, path, &collection, &base, source, rows)
            }
            Target::Linked { owner, nav, collection } => self.list_linked(request, path, &owner, nav, &collection),
            Target::Entity(spot) => self.retrieve_entity(request, path, &spot),
            Target::NoAlternate { collection, index, values } => {
                Err(self.no_alternate(&collection, index, &values).into())
            }
        }
    }

    fn retrieve_entity(&mut self, request: &Prepared, path: &EntityPath, spot: &Spot) -> Step<Outcome> {
        let entity = self.entity_at(spot)?;
        let entity = entity.ok_or_else(|| self.not_found(spot.collection.ty, &spot.path))?;
        self.show(request, path, &spot.collection.path, &spot.path, &entity)
    }

    /// An entity, or what the path names of it.
    fn show(
        &self,
        request: &Prepared,
        path: &EntityPath,
        collection_path: &str,
        entity_path: &str,
        entity: &Arc<Entity>,
    ) -> Step<Outcome> {
        if let Some(tags) = &request.if_match
            && !tags.matches(&entity.etag())
        {
            return Err(PlanError::Stale.into());
        }
        if let Some(tags) = &request.if_none_match
            && tags.matches(&entity.etag())
        {
            return Ok(respond::not_modified(self.context, request, entity, entity_path));
        }
        if let Some(property) = self.write_only(entity.record.ty, path) {
            return Err(PlanError::WriteOnly(property).into());
        }
        match (path.last, path.property.is_empty()) {
            (Last::Ref, _) => Ok(respond::reference(self.context, request, entity_path)),
            (Last::None, true) => {
                let selection = self.selection(request, entity.record.ty)?;
                Ok(respond::entity(self.context, request, selection.as_ref(), collection_path, entity_path, entity))
            }
            (last, _) => {
                let selection = match path.value_type(&self.service().model).map(|ty| ty.kind) {
                    Some(TypeKind::Complex(ty)) => self.selection(request, ty)?,
                    _ => None,
                };
                respond::property(self.context, request, (path, last), selection.as_ref(), entity_path, entity)
                    .ok_or_else(|| PlanError::NoTarget(request.path.clone()).into())
            }
        }
    }

    /// The name of the property that a path leads to, when it is write-only.
    fn write_only(&self, ty: TypeId, path: &EntityPath) -> Option<String> {
        let property = self.ty(ty).properties.get(*path.property.first()?)?;
        property.write_only.then(|| property.name.clone())
    }

    pub(super) fn selection(&self, request: &Prepared, ty: TypeId) -> Result<Option<Selection>, PlanError> {
        Ok(query::select(&self.service().model, ty, &request.options.select)?)
    }

    fn list_linked(
        &mut self,
        request: &Prepared,
        path: &EntityPath,
        owner: &Owner,
        nav: usize,
        collection: &Collection,
    ) -> Step<Outcome> {
        let navigation = self.navigation(owner.ty, nav)?;
        let partition = place::link_partition(&owner.key, &navigation.name);
        let source = Source::Links { partition, targets: collection.clone(), owner: owner.key.clone() };
        let base = format!("{}/{}", owner.path, navigation.name);
        let rows = |unit: &mut Self, wanted: Wanted| {
            let rows = unit.overlay.rows(unit.index, wanted)?;
            let exists = if unit.overlay.knows(&owner.key) {
                unit.overlay.entity(&owner.key)?.is_some()
            } else {
                rows.owner_exists
            };
            if exists { Ok(rows) } else { Err(unit.not_found(owner.ty, &owner.path).into()) }
        };
        self.list(request, path, collection, &base, source, rows)
    }

    /// A page of a collection, or its count.
    fn list(
        &mut self,
        request: &Prepared,
        path: &EntityPath,
        collection: &Collection,
        base: &str,
        source: Source,
        rows: impl FnOnce(&mut Self, Wanted) -> Step<Rows>,
    ) -> Step<Outcome> {
        let options = &request.options;
        let model = &self.service().model;
        let selection = self.selection(request, collection.ty)?;
        let ignore_case = self.service().profile.filter_ignores_case;
        let patterns = self.service().profile.filter_wildcards;
        let filter = options.filter.as_ref().map(|f| if patterns { query::wildcards(f) } else { f.clone() });
        let predicate = filter.map(|filter| query::bind(model, collection.ty, &filter, ignore_case));
        let predicate = predicate.transpose()?.map(Arc::new);
        let after = options.skiptoken.as_deref().map(skip_token).transpose()?;
        let only_count = path.last == Last::Count;
        let page = self.page_size(request);
        let skip = skipped(options.skip)?;
        let top = options.top.map_or(usize::MAX, |top| top.try_into().unwrap_or(usize::MAX));
        let limit = if only_count { 0 } else { top.min(page).saturating_add(skip) };
        let count = only_count || options.count == Some(true);
        let prefix = predicate.as_ref().and_then(|predicate| self.key_prefix(collection, predicate));
        if after.as_ref().zip(prefix.as_ref()).is_some_and(|(after, prefix)| !after.starts_with(prefix)) {
            return Err(PlanError::from(strange_token()).into());
        }
        let wanted = Wanted { source, prefix, after, limit, skip, count, predicate, except: HashSet::new() };
        let mut found = rows(self, wanted)?;
        if only_count {
            return Ok(respond::count(self.context, request, found.count.unwrap_or(0)));
        }
        let passed: Vec<_> = found.rows.drain(..skip.min(found.rows.len())).collect();
        let cut = Cell::new(None);
        let next = |shown: usize| {
            let (last, _) = found.rows.get(..shown)?.last().or(passed.last())?;
            let more = found.more || shown < found.rows.len();
            let link = || {
                cut.set(Some(shown));
                self.next_link(request, base, last, (skip - passed.len(), top - shown))
            };
            (more && shown < top).then(link)
        };
        let listing = Listing {
            collection,
            references: path.last == Last::Ref,
            rows: found.rows.iter().map(|(_, entity)| entity).collect(),
            count: if options.count == Some(true) { found.count } else { None },
            next: &next,
            applied_page_size: request.prefer.maxpagesize.map(|_| page),
        };
        let page = respond::collection(self.context, request, selection.as_ref(), &listing);
        match cut.get() {
            Some(shown) if self.isolated => Err(PlanError::Paged { shown }.into()),
            _ => Ok(page),
        }
    }

    /// What the keys of all entities that fit a filter begin with.
    fn key_prefix(&self, collection: &Collection, predicate: &Predicate) -> Option<String> {
        let key = &self.ty(collection.ty).key;
        let values = predicate.leading_values(key);
        let whole = values.len() == key.len();
        (!values.is_empty()).then(|| EntityKey(values).encode_prefix(whole).ok()).flatten()
    }

    /// Entities on a page: the service's number, or fewer where the client prefers that.
    fn page_size(&self, request: &Prepared) -> usize {
        let own = self.service().page_size;
        request.prefer.maxpagesize.map_or(own, |preferred| preferred.min(own)) as usize
    }

    /// The URL of the next page: the same options, going on after `last` with what is left of `$skip` and `$top`.
    fn next_link(&self, request: &Prepared, base: &str, last: &str, (skip, top): (usize, usize)) -> String {
        let mut url = format!("{}/{base}?", self.context.root_url(&request.root));
        for option in request.query.as_deref().unwrap_or_default().split('&').filter(|o| !o.is_empty()) {
            let name = option.split('=').next().unwrap_or_default().to_ascii_lowercase().replace("%24", "$");
            if !matches!(name.trim_start_matches('$'), "skiptoken" | "skip" | "top") {
                url.push_str(option);
                url.push('&');
            }
        }
        // Writing into memory cannot fail.
        if skip > 0 {
            let _ = write!(url, "$skip={skip}&");
        }
        if request.options.top.is_some() {
            let _ = write!(url, "$top={top}&");
        }
        url.push_str("$skiptoken=");
        url.push_str(&URL_SAFE_NO_PAD.encode(last));
        url
    }

    /// Companies are configuration: the answer needs no table.
    fn retrieve_company(&mut self, request: &Prepared, path: &EntityPath) -> Step<Outcome> {
        let Some(companies) = &self.service().companies else { return Err(PlanError::Internal.into()) };
        let collection = Collection::of_set(self.service(), companies.set, None);
        let entity = |row: &crate::edm::Record| {
            let lookups = vec![None; self.ty(row.ty).navigation.len()];
            let (incarnation, version) = (Incarnation("configured".into()), Version("0".into()));
            Arc::new(Entity { record: row.clone(), lookups, incarnation, version, marks: Vec::new() })
        };
        let Some(key) = &path.key else {
            let mut rows: Vec<(String, Arc<Entity>)> = Vec::with_capacity(companies.rows.len());
            for (index, row) in companies.rows.iter().enumerate() {
                rows.push((companies.key(index).encode().map_err(PlanError::from)?, entity(row)));
            }
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            let source = Source::Entities(collection.clone());
            let base = collection.path.clone();
            return self.list(request, path, &collection, &base, source, |_, wanted| Ok(wanted.pick(rows)));
        };
        let index = match key {
            Key::Primary(key) => companies.by_key(key),
            Key::Alternate { .. } => None,
        };
        let text = || request.path.clone();
        let row = index.and_then(|index| companies.rows.get(index));
        let row = row.ok_or_else(|| PlanError::CompanyNotFound(text()))?;
        if !path.steps.is_empty() {
            return Err(PlanError::Unsupported(text()).into());
        }
        let key = EntityKey::of(&self.service().model, row).ok_or(PlanError::Internal)?;
        let entity_path = format!("{}{}", collection.path, crate::uri::write_key(&self.service().model, row.ty, &key));
        self.show(request, path, &collection.path, &entity_path, &entity(row))
    }
}

impl Wanted {
    /// Picks the wanted ones out of all rows, which are in key order.
    fn pick(&self, all: Vec<(String, Arc<Entity>)>) -> Rows {
        let matching = |(_, entity): &(String, Arc<Entity>)| self.predicate.as_ref().is_none_or(|p| p.matches(entity));
        let all: Vec<_> = all.into_iter().filter(matching).collect();
        let count = self.count.then_some(all.len() as u64);
        let after = |(sort, _): &(String, Arc<Entity>)| self.after.as_ref().is_none_or(|after| sort > after);
        let mut rows: Vec<_> = all.into_iter().filter(after).collect();
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        Rows { rows, bytes: 0, more, count, owner_exists: true, seen: 0 }
    }
}

/// `$skip`, which has a bound: the rows are read to be passed over.
fn skipped(skip: Option<u64>) -> Result<usize, PlanError> {
    let skip = usize::try_from(skip.unwrap_or(0)).unwrap_or(usize::MAX);
    if skip > MAX_SKIP {
        let reason = "at most 50000 entities are passed over; next links go further";
        return Err(UriError::BadOption { name: "$skip".into(), reason }.into());
    }
    Ok(skip)
}

fn skip_token(token: &str) -> Result<String, PlanError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text =
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| (1..=MAX_TOKEN).contains(&text.len()));
    text.ok_or_else(|| strange_token().into())
}

fn strange_token() -> UriError {
    UriError::BadOption { name: "$skiptoken".into(), reason: "it does not come from a next link" }
}
