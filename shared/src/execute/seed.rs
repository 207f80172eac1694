//! Loads the rows of `seed.json` into a store that has not seen them.

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use uuid::Uuid;

use crate::{
    auth::Caller,
    batch::{Headers, Request},
    clock,
    plan::{self, Collection, Context, Fresh, Job, Outcome, PlanError, Reference, References},
    respond::Failure,
    service::{SeedGroup, Service},
    store::{Commit, Condition, ItemKey, Schedule, StoreError, Stored, Write, WriteKind},
    text_file::Position,
};

use super::{Engine, unit::FailedUnit};

/// Why a service's rows could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A row was refused.
    #[error("{file}:{position}: row of '{set}': {failure}")]
    Row {
        /// The file.
        file: String,
        /// Where the row begins.
        position: Position,
        /// Entity set.
        set: String,
        /// Why.
        failure: Box<Failure>,
    },
    /// The table did not do its part.
    #[error("{file}: its rows cannot be written: {error}")]
    Store {
        /// The file.
        file: String,
        /// Why.
        error: Box<StoreError>,
    },
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
            let failed = |error| SeedError::Store { file: seed_file(service), error: Box::new(error) };
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
        let now = clock::now();
        let (services, origin) = (&*self.services, "seed://");
        let (caller, trace, batch, trusted) = (&caller, None, None, true);
        let context = Context { services, service, origin, root, now, caller, trace, batch, trusted };
        let url = Collection::of_set(service, group.set, group.company).path;
        let (mut created, mut seen) = (0, HashSet::new());
        for payload in &group.payloads {
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
                Err(failed) => return Err(refused(service, group, payload, failed.failure)),
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

fn seed_file(service: &Service) -> String {
    format!("{}/seed.json", service.folder)
}

/// The failure of a row. That of the table is no fault of the row.
fn refused(service: &Service, group: &SeedGroup, row: &Bytes, failure: Failure) -> SeedError {
    let file = seed_file(service);
    match failure {
        Failure::Store(error) => SeedError::Store { file, error: Box::new(error) },
        failure => SeedError::Row {
            file,
            position: group.position(row),
            set: service.model.set(group.set).name.clone(),
            failure: Box::new(failure),
        },
    }
}
