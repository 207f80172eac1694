//! Gives stored entities the items of their alternate keys: what a model gains later has to be found too.
//!
//! An entity's writes claim the items of its alternate keys with it. Entities that are older than an alternate key have
//! none, so nothing is found by it, and another entity may take it. Here they get theirs, partition by partition.
//! Writers may go on meanwhile: an item is put only where none is, and only as long as the entity is the one that was
//! read.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use crate::{
    edm::{Entity, EntityKey, Model, TypeId, Value},
    plan::{self, Collection, alternate_key},
    service::Service,
    store::{Commit, Condition, ItemKey, Schedule, StoreError, Stored, Write, WriteKind},
    uri,
};

use super::{Engine, keep::PAUSE};

/// Entities that are looked at together.
const PAGE: u32 = 100;
/// How often a key is looked at again because another writer was faster.
const MAX_ATTEMPTS: usize = 20;

/// The result of [`Engine::reindex`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// Entities that have alternate keys.
    pub entities: usize,
    /// Items of keys that were written.
    pub written: usize,
    /// Keys that several entities share.
    pub duplicates: Vec<DuplicateKey>,
}

/// An alternate key that two entities share. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// Name of the service.
    pub service: String,
    /// Canonical path of the entity that is found by the key.
    pub holder: String,
    /// Canonical path of the one that is not.
    pub other: String,
    /// The key as in URLs: `(number='1000')`.
    pub key: String,
}

impl fmt::Display for DuplicateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, holder, other, key } = self;
        write!(f, "{service}: {holder} and {other} share the alternate key {key}")
    }
}

/// Entities that live together.
#[derive(Clone, Copy)]
struct Place<'p> {
    service: &'p Service,
    collection: &'p Collection,
}

/// An alternate key of a stored entity.
struct Claim {
    /// The entity's item.
    entity: ItemKey,
    /// Position of the alternate key in its type.
    index: usize,
    values: Vec<Value>,
    /// The key's item.
    item: ItemKey,
}

impl Engine {
    /// Writes the items of alternate keys that are missing, of all entities of all services. What is there stays: run
    /// again it writes nothing. Errors: the table cannot be used, or others change an entity all the time.
    pub async fn reindex(&self) -> Result<Reindexed, StoreError> {
        let mut done = Reindexed::default();
        for service in self.services.iter() {
            for collection in sets(service) {
                if has_keys_below(&service.model, collection.ty, &mut Vec::new()) {
                    self.reindex_collection(Place { service, collection: &collection }, &mut done).await?;
                }
            }
        }
        Ok(done)
    }

    /// Goes through a collection and all that its entities contain.
    async fn reindex_collection(&self, place: Place<'_>, done: &mut Reindexed) -> Result<(), StoreError> {
        for partition in place.collection.partitions() {
            let mut after = None;
            loop {
                let page = self.store.page(&partition, None, after.as_deref(), Some(PAGE), self.deadline(None)).await?;
                let mut claims = Vec::new();
                for (sort, item) in page.items {
                    let Stored::Entity(entity) = Stored::from_item(&place.service.model, &item)? else { continue };
                    claims.extend(place.claims(&ItemKey { partition: partition.clone(), sort }, &entity)?);
                    for inner in place.contained(&entity) {
                        let inner = Place { collection: &inner, ..place };
                        Box::pin(self.reindex_collection(inner, done)).await?;
                    }
                    done.entities += usize::from(place.has_keys());
                }
                self.reindex_page(place, claims, done).await?;
                after = page.last;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn reindex_page(&self, place: Place<'_>, claims: Vec<Claim>, done: &mut Reindexed) -> Result<(), StoreError> {
        if claims.is_empty() {
            return Ok(());
        }
        let items: Vec<ItemKey> = claims.iter().map(|claim| claim.item.clone()).collect();
        let known = self.store.get(&items, self.deadline(None)).await?;
        for claim in claims {
            let stored =
                known.get(&claim.item).map(|item| Stored::from_item(&place.service.model, item)).transpose()?;
            if stored != Some(Stored::AlternateKey(claim.entity.sort.clone())) {
                self.settle(place, &claim, done).await?;
            }
        }
        Ok(())
    }

    /// Writes the item of a key, or finds out who else has the key.
    async fn settle(&self, place: Place<'_>, claim: &Claim, done: &mut Reindexed) -> Result<(), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(entity) = self.keeper(place, claim, &claim.entity).await? else {
                // The entity is gone or has another value, and its writer has seen to the key.
                return Ok(());
            };
            let condition = match self.read(place, &claim.item).await? {
                None => Condition::Absent,
                Some(Stored::AlternateKey(sort)) if sort == claim.entity.sort => return Ok(()),
                Some(Stored::AlternateKey(sort)) => {
                    let other = place.collection.key(sort.clone()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                    if let Some(holder) = self.keeper(place, claim, &other).await? {
                        done.duplicates.push(place.duplicate(claim, &holder, &entity));
                        return Ok(());
                    }
                    Condition::AlternateKey(sort)
                }
                Some(_) => return Err(StoreError::Corrupt("an alternate key was expected".into())),
            };
            let key = Stored::AlternateKey(claim.entity.sort.clone());
            let put = Write { key: claim.item.clone(), kind: WriteKind::Put(key, Schedule::Keep), condition };
            let same = Condition::Version(entity.etag());
            let check = Write { key: claim.entity.clone(), kind: WriteKind::Check, condition: same };
            let operation = plan::operation_id(Uuid::new_v4());
            let model = &place.service.model;
            match self.store.commit(model, &[put, check], &operation, self.deadline(None)).await? {
                Commit::Done => {
                    done.written += 1;
                    return Ok(());
                }
                Commit::Refused(_) | Commit::Conflict => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(StoreError::Contention { attempts: MAX_ATTEMPTS })
    }

    /// The entity with that key, where it has the values of the claim.
    async fn keeper(&self, place: Place<'_>, claim: &Claim, key: &ItemKey) -> Result<Option<Arc<Entity>>, StoreError> {
        let Some(Stored::Entity(entity)) = self.read(place, key).await? else { return Ok(None) };
        Ok((place.values(claim.index, &entity) == claim.values).then_some(entity))
    }

    async fn read(&self, place: Place<'_>, key: &ItemKey) -> Result<Option<Stored>, StoreError> {
        let found = self.store.get(std::slice::from_ref(key), self.deadline(None)).await?;
        found.get(key).map(|item| Stored::from_item(&place.service.model, item)).transpose()
    }
}

impl Place<'_> {
    fn has_keys(self) -> bool {
        !self.service.model.ty(self.collection.ty).alternate_keys.is_empty()
    }

    /// The values of an alternate key.
    fn values(self, index: usize, entity: &Entity) -> Vec<Value> {
        let keys = &self.service.model.ty(self.collection.ty).alternate_keys;
        let positions = keys.get(index).into_iter().flat_map(|key| &key.properties).map(|(_, position)| *position);
        positions.map(|at| entity.record.values.get(at).cloned().flatten().unwrap_or(Value::Null)).collect()
    }

    /// The alternate keys that an entity has.
    fn claims(self, key: &ItemKey, entity: &Entity) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::new();
        for index in 0..self.service.model.ty(self.collection.ty).alternate_keys.len() {
            let values = self.values(index, entity);
            let item = alternate_key(self.service, self.collection, index, &values);
            let item = item.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            claims.extend(item.map(|item| Claim { entity: key.clone(), index, values, item }));
        }
        Ok(claims)
    }

    /// The contained collections of an entity that have alternate keys, at any depth.
    fn contained(self, entity: &Entity) -> Vec<Collection> {
        let model = &self.service.model;
        let navigation = model.ty(entity.record.ty).navigation.iter().filter(|nav| nav.contains_target);
        let keyed = navigation.filter(|nav| has_keys_below(model, nav.target, &mut Vec::new()));
        let path = self.path(entity);
        keyed
            .map(|nav| Collection::contained(self.service, &entity.incarnation, &nav.name, nav.target, &path))
            .collect()
    }

    /// The canonical path of an entity.
    fn path(self, entity: &Entity) -> String {
        let model = &self.service.model;
        let key = EntityKey::of(model, &entity.record).map(|key| uri::write_key(model, self.collection.ty, &key));
        format!("{}{}", self.collection.path, key.unwrap_or_default())
    }

    fn duplicate(self, claim: &Claim, holder: &Entity, other: &Entity) -> DuplicateKey {
        let key = uri::write_alternate_key(&self.service.model, self.collection.ty, claim.index, &claim.values);
        let (holder, other) = (self.path(holder), self.path(other));
        DuplicateKey { service: self.service.name.clone(), holder, other, key }
    }
}

/// The entity sets of a service, of each company where it has companies.
fn sets(service: &Service) -> Vec<Collection> {
    let companies: Vec<Option<usize>> = match &service.companies {
        Some(companies) => (0..companies.rows.len()).map(Some).collect(),
        None => vec![None],
    };
    let sets = service.model.sets().map(|(set, _)| set);
    sets.flat_map(|set| companies.iter().map(move |company| Collection::of_set(service, set, *company))).collect()
}

/// Whether entities of a type, or what they contain, have alternate keys. `seen`: types that were looked at.
fn has_keys_below(model: &Model, ty: TypeId, seen: &mut Vec<TypeId>) -> bool {
    if seen.contains(&ty) {
        return false;
    }
    seen.push(ty);
    let derived = (0..).map(TypeId).take(model.types.len()).filter(|one| model.is_a(*one, ty));
    let navigation = derived.flat_map(|one| &model.ty(one).navigation).filter(|nav| nav.contains_target);
    let targets: Vec<TypeId> = navigation.map(|nav| nav.target).collect();
    !model.ty(ty).alternate_keys.is_empty() || targets.into_iter().any(|target| has_keys_below(model, target, seen))
}
