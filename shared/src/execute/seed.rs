//! Loads the rows of `seed.json` into a store that has not seen them.

use std::collections::HashSet;

use http::{HeaderValue, Method, header};
use uuid::Uuid;

use crate::{
    auth::Caller,
    batch::{Headers, Request},
    plan::{self, Collection, Context, Fresh, Job, Outcome, PlanError, Reference, References},
    respond::Failure,
    service::{SeedGroup, Service},
    store::{Commit, Condition, ItemKey, Schedule, StoreError, Stored, Write, WriteKind},
};

use super::{Engine, unit::FailedUnit};

/// Why a service's rows could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{service}/seed.json, row {row} of '{set}': {failure}")]
pub struct SeedError {
    /// Name of the service.
    pub service: String,
    /// Entity set.
    pub set: String,
    /// Row of the set, from 1.
    pub row: usize,
    /// What went wrong.
    pub failure: Box<Failure>,
}

impl Engine {
    /// Creates the rows of each service that has none of them yet. Returns how many were created.
    ///
    /// A marker says that a service is done; rows that are there already (an earlier start was cut short) stay. A key that
    /// two rows have is an error, also where the service makes it.
    pub async fn seed(&self) -> Result<usize, SeedError> {
        let mut created = 0;
        for service in self.services.iter() {
            let marker = ItemKey { partition: format!("B|seed|{}", service.name), sort: "-".into() };
            let failed = |failure: StoreError| error(service, "-", 0, failure.into());
            let seen = self.store.get(std::slice::from_ref(&marker), self.deadline(None)).await.map_err(failed)?;
            if seen.contains_key(&marker) {
                continue;
            }
            for group in &service.seed {
                created += Box::pin(self.seed_group(service, group)).await?;
            }
            let kind = WriteKind::Put(Stored::Link, Schedule::Keep);
            let write = [Write { key: marker, kind, condition: Condition::None }];
            let operation = plan::operation_id(Uuid::new_v4());
            match self.store.commit(&service.model, &write, &operation, self.deadline(None)).await.map_err(failed)? {
                Commit::Done | Commit::Refused(_) | Commit::Conflict => {}
            }
        }
        Ok(created)
    }

    async fn seed_group(&self, service: &Service, group: &SeedGroup) -> Result<usize, SeedError> {
        let root = "";
        let caller = Caller { name: "seed".into(), ..Caller::anonymous() };
        let now = jiff::Timestamp::now();
        let (services, origin) = (&*self.services, "seed://");
        let (caller, trace, batch, trusted) = (&caller, None, None, true);
        let context = Context { services, service, origin, root, now, caller, trace, batch, trusted };
        let url = Collection::of_set(service, group.set, group.company).path;
        let (mut created, mut seen) = (0, HashSet::new());
        for (row, payload) in group.payloads.iter().enumerate() {
            let mut headers = Headers::new();
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let request = Request {
                id: None,
                method: Method::POST,
                url: url.clone(),
                headers,
                body: payload.clone(),
                depends_on: Vec::new(),
                condition: None,
                fault: None,
            };
            let make = Uuid::new_v4;
            let fresh = Fresh::new(&make);
            let mut jobs = [Job { index: 0, request: &request, prepared: None }];
            let mut references = References::new();
            let (deadline, mut admit) = (self.deadline(None), |_: &[Outcome]| Ok(()));
            match self.run_unit(&context, &mut jobs, &mut references, &fresh, deadline, &mut admit).await {
                Ok(outcomes) => {
                    created += 1;
                    seen.extend(outcomes.iter().filter_map(|outcome| key_of(&outcome.reference)));
                }
                // An earlier start has created it, unless a row before has that key.
                Err(FailedUnit {
                    failure: Failure::Plan(PlanError::Duplicate { alternate: false, ref set, ref key }),
                    ..
                }) if *set == service.model.set(group.set).name && seen.insert(key.clone()) => {}
                Err(failed) => {
                    let set = service.model.set(group.set).name.clone();
                    return Err(error(service, &set, row + 1, failed.failure));
                }
            }
        }
        Ok(created)
    }
}

/// The key predicate of the entity that a request has led to.
fn key_of(reference: &Reference) -> Option<String> {
    match reference {
        Reference::Entity { path, .. } => path.get(path.rfind('(')?..).map(str::to_owned),
        Reference::Nothing | Reference::Failed => None,
    }
}

fn error(service: &Service, set: &str, row: usize, failure: Failure) -> SeedError {
    SeedError { service: service.name.clone(), set: set.to_owned(), row, failure: Box::new(failure) }
}
