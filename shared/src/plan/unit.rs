//! A unit of work: requests that are applied together or not at all. A request on its own is a unit of one.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::{
    batch::{Headers, Request, Response},
    edm::{Entity, EntityKey, Incarnation, StructuredType, TypeId, ValueError, Version},
    exchange::MAX_ANSWER,
    repeat::Claim,
    respond,
    service::Service,
    store::{self, ItemKey, Write},
    uri::{EntityPath, Last, Resource},
};

use super::{
    Ending, PlanError,
    context::{self, Context, Fresh, Reference, References},
    overlay::{Halt, Overlay, Step},
    place::Collection,
    prepare::{Prepared, prepare, refers},
    retrieve::refuse_collection_options,
    snapshot::{Needs, Snapshot},
};

/// One request of a unit.
#[derive(Debug)]
pub struct Job<'r> {
    /// Its position in the batch.
    pub index: usize,
    /// The request.
    pub request: &'r Request,
    /// What is understood of it already.
    pub prepared: Option<Arc<Prepared>>,
}

/// The answer to a request, and what later requests can refer to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub response: Response,
    /// What `$<id>` means from now on.
    pub reference: Reference,
    /// Whether the request is the repeat of one that was answered so.
    pub repeated: bool,
}

/// How far an evaluation came.
#[derive(Debug)]
pub enum Evaluation {
    /// Something must be read first.
    Needs(Needs),
    /// The request at `culprit` (its position in the unit) fails, and with it the unit.
    Failed {
        /// Position in the unit.
        culprit: usize,
        /// Why.
        error: PlanError,
        /// The answers of the requests before it, as they would have been.
        before: Vec<Outcome>,
        /// Where to keep this for repeats.
        keepers: Vec<Claim>,
    },
    /// All requests can be answered once `writes` are committed.
    Ready {
        /// One answer a request.
        outcomes: Vec<Outcome>,
        /// What to commit; empty when nothing changes.
        writes: Vec<Write>,
    },
}

/// What an evaluation works with.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) overlay: Overlay<'a>,
    pub(super) references: &'a mut References,
    fresh: &'a Fresh<'a>,
    pub(super) operation: &'a str,
    /// Position of the current request in the batch.
    pub(super) index: usize,
    ordinal: usize,
    /// Whether the current request changes anything: what leads it to its entity must hold at the commit.
    pub(super) writing: bool,
    /// The current request.
    pub(super) current: Option<Arc<Prepared>>,
    /// Whether all that is read is to be of one instant.
    pub(super) isolated: bool,
}

/// How far requests came that are applied together.
#[derive(Debug)]
pub enum End {
    /// Something must be read first.
    Halted,
    /// One request fails, and with it the others.
    Failed {
        /// Its position among them.
        culprit: usize,
        /// Why.
        error: PlanError,
        /// The answers of the requests before it, as they would have been.
        before: Vec<Outcome>,
        /// Where to keep this for repeats of that request.
        keepers: Vec<Claim>,
    },
    /// One answer a request.
    Done(Vec<Outcome>),
}

/// Evaluates a unit against what is known of the store. Pure: the same arguments give the same result.
///
/// Each request sees the writes of those before it. Where something must be read first, the requests after it are
/// still looked at, to ask for all that can be known to be needed at once.
pub fn evaluate<'a>(
    context: &'a Context<'a>,
    jobs: &mut [Job<'_>],
    snapshot: &'a Snapshot,
    references: &'a mut References,
    fresh: &'a Fresh<'a>,
    operation: &'a str,
) -> Evaluation {
    let mut unit = Unit::new(context, snapshot, references, fresh, operation);
    let claim = unit.claim(jobs);
    match unit.recall_unit(claim.as_ref(), jobs) {
        Ok(None) => {}
        Ok(Some(decided)) => return decided,
        Err(Halt::Need) => return Evaluation::Needs(unit.overlay.into_needs()),
        Err(Halt::Fail(error)) => return failed(0, error, Vec::new()),
    }
    let mut outcomes = match unit.run_all(jobs) {
        End::Halted => {
            // What is read anyway shows whether it is a repeat.
            if let Some(claim) = &claim {
                unit.overlay.prefetch(&claim.key);
            }
            return Evaluation::Needs(unit.overlay.into_needs());
        }
        End::Failed { culprit, error, before, mut keepers } => {
            keepers.extend(claim.filter(|_| error.is_of_state()));
            return Evaluation::Failed { culprit, error, before, keepers };
        }
        End::Done(outcomes) => outcomes,
    };
    if let Some(claim) = &claim {
        unit.keep(claim, &Ending::Done(outcomes.clone()));
    }
    let writes = unit.overlay.into_writes();
    if let Err(error) = store::check_size(&context.service.model, &writes) {
        let culprit = jobs.len().saturating_sub(1);
        outcomes.truncate(culprit);
        return failed(culprit, error.into(), outcomes);
    }
    Evaluation::Ready { outcomes, writes }
}

/// A failure that no repeat has to be told.
fn failed(culprit: usize, error: PlanError, before: Vec<Outcome>) -> Evaluation {
    Evaluation::Failed { culprit, error, before, keepers: Vec::new() }
}

impl<'a> Unit<'a> {
    /// Nothing is evaluated yet.
    pub(super) fn new(
        context: &'a Context<'a>,
        snapshot: &'a Snapshot,
        references: &'a mut References,
        fresh: &'a Fresh<'a>,
        operation: &'a str,
    ) -> Self {
        let overlay = Overlay::new(snapshot);
        let (index, ordinal, writing, isolated) = (0, 0, false, false);
        Self { context, overlay, references, fresh, operation, index, ordinal, writing, current: None, isolated }
    }

    /// Evaluates requests one after another. Where something must be read first, those after it are still looked at.
    pub(super) fn run_all(&mut self, jobs: &mut [Job<'_>]) -> End {
        // What an earlier evaluation left here may lie ahead of the request that refers to it.
        for id in jobs.iter().filter_map(|job| job.request.id.as_ref()) {
            self.references.remove(id);
        }
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut halted = false;
        // Bodies alone that are too large for one answer end it: what they weigh in it is found once all are there.
        let mut answered = 0;
        for (position, job) in jobs.iter_mut().enumerate() {
            match self.run(job) {
                Ok(outcome) => {
                    if let Some(id) = &job.request.id {
                        self.references.insert(id.clone(), outcome.reference.clone());
                    }
                    answered += outcome.response.body.len();
                    if answered > MAX_ANSWER {
                        let error = PlanError::AnswerTooLarge { max: MAX_ANSWER };
                        return End::Failed { culprit: position, error, before: Vec::new(), keepers: Vec::new() };
                    }
                    outcomes.push(outcome);
                }
                Err(Halt::Need) => halted = true,
                Err(Halt::Fail(_)) if halted => {}
                // Whether this is the first failure shows only when nothing before it is a mere assumption.
                Err(Halt::Fail(_)) if self.overlay.need_assumed() => return End::Halted,
                Err(Halt::Fail(error)) => {
                    let keepers = self.keepers(&error);
                    return End::Failed { culprit: position, error, before: outcomes, keepers };
                }
            }
        }
        if halted { End::Halted } else { End::Done(outcomes) }
    }

    fn run(&mut self, job: &mut Job<'_>) -> Step<Outcome> {
        (self.index, self.ordinal) = (job.index, 0);
        self.writing = job.request.method != Method::GET;
        let prepared = if let Some(prepared) = &job.prepared {
            prepared.clone()
        } else {
            let prepared = Arc::new(prepare(self.context, job.request, self.references)?);
            // A reference may mean something else when the unit is evaluated again.
            if !refers(job.request) {
                job.prepared = Some(prepared.clone());
            }
            prepared
        };
        self.current = Some(prepared.clone());
        let mut outcome = match &prepared.claim {
            Some(claim) => self.once(&prepared, claim)?,
            None => self.dispatch(&prepared)?,
        };
        outcome.response.id.clone_from(&job.request.id);
        Ok(outcome)
    }

    pub(super) fn dispatch(&mut self, request: &Prepared) -> Step<Outcome> {
        self.check_permission(request)?;
        let path = match &request.resource {
            Resource::ServiceDocument => return get_only(request, |r| respond::service_document(self.context, r)),
            Resource::Metadata => return get_only(request, |r| respond::metadata(self.context, r)),
            Resource::Batch => return Err(PlanError::NestedBatch.into()),
            Resource::Action { path, name } => return self.act(request, path, name),
            Resource::Entities(path) => path,
        };
        if request.method != Method::GET && self.is_read_only(path) {
            return Err(not_allowed(request, "GET"));
        }
        let allow = allowed(path);
        if path.last != Last::Ref && !allow.split(", ").any(|method| request.method == method) {
            return Err(not_allowed(request, allow));
        }
        if let Some(fault) = &request.body_fault {
            return Err(fault.clone().into());
        }
        if request.method != Method::GET {
            refuse_collection_options(request)?;
        }
        match (request.method.as_str(), path.last, path.property.is_empty()) {
            ("GET", ..) => self.retrieve(request, path),
            (_, Last::Ref, _) => self.change_reference(request, path),
            ("PUT" | "PATCH", _, false) => self.update_property(request, path),
            ("DELETE", _, false) => self.delete_property(request, path),
            ("POST", _, true) => self.create_in(request, path),
            ("PUT" | "PATCH", _, true) => self.update(request, path),
            ("DELETE", _, true) => self.delete(request, path),
            _ => Err(not_allowed(request, allow)),
        }
    }

    fn is_read_only(&self, path: &EntityPath) -> bool {
        let by_client = !self.context.trusted;
        by_client && path.steps.is_empty() && self.context.service.read_only.contains(&path.set)
    }

    pub(super) fn service(&self) -> &'a Service {
        self.context.service
    }

    pub(super) fn ty(&self, id: TypeId) -> &'a StructuredType {
        self.context.service.model.ty(id)
    }

    /// A fresh random key, the same one in each evaluation.
    pub(super) fn fresh(&mut self) -> uuid::Uuid {
        self.ordinal += 1;
        self.fresh.key(self.index, self.ordinal)
    }

    pub(super) fn new_incarnation(&mut self) -> Incarnation {
        context::incarnation(self.fresh())
    }

    /// The version that the current request writes.
    pub(super) fn version(&self) -> Version {
        context::version(self.operation, self.index)
    }

    /// The key of an entity, as in URLs: `(1)`.
    pub(super) fn key_text(&self, entity: &Entity) -> String {
        let key = EntityKey::of(&self.service().model, &entity.record).unwrap_or(EntityKey(Vec::new()));
        crate::uri::write_key(&self.service().model, entity.record.ty, &key)
    }

    /// Refuses to change entities of a set that is read-only, however the path led to it.
    pub(super) fn check_writable(&self, collection: &Collection) -> Result<(), PlanError> {
        match collection.set.filter(|set| !self.context.trusted && self.service().read_only.contains(set)) {
            Some(set) => Err(PlanError::ReadOnly(self.service().model.set(set).name.clone())),
            None => Ok(()),
        }
    }

    /// The error for an entity that is not there.
    pub(super) fn not_found(&self, ty: TypeId, path: &str) -> PlanError {
        let key = path.rfind('(').and_then(|at| path.get(at..)).unwrap_or_default().to_owned();
        PlanError::NotFound { entity_type: self.ty(ty).name.clone(), key }
    }
}

/// An action without parameters takes no body, or an empty object.
pub(super) fn refuse_parameters(request: &Prepared, action: &str) -> Result<(), ValueError> {
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&request.body).map_err(|error| ValueError::Json {
            line: error.line(),
            column: error.column(),
            message: "an empty object is expected".into(),
        })?;
    match members.keys().next() {
        None => Ok(()),
        Some(name) => {
            let property = name.chars().take(100).collect();
            Err(ValueError::UnknownProperty { property, type_name: action.into() })
        }
    }
}

/// An answer without body.
pub(super) fn no_content(headers: Headers, reference: Reference) -> Outcome {
    Outcome {
        response: Response { id: None, status: StatusCode::NO_CONTENT, headers, body: bytes::Bytes::new() },
        reference,
        repeated: false,
    }
}

pub(super) fn not_allowed(request: &Prepared, allow: &'static str) -> Halt {
    PlanError::MethodNotAllowed { method: request.method.to_string(), allow }.into()
}

/// The methods that a resource takes, links aside.
fn allowed(path: &EntityPath) -> &'static str {
    match path.last {
        Last::Value | Last::Count => "GET",
        _ if path.property.is_empty() && path.collection => "GET, POST",
        _ => "GET, PUT, PATCH, DELETE",
    }
}

fn get_only(request: &Prepared, answer: impl FnOnce(&Prepared) -> Response) -> Step<Outcome> {
    if request.method != Method::GET {
        return Err(not_allowed(request, "GET"));
    }
    Ok(Outcome { response: answer(request), reference: Reference::Nothing, repeated: false })
}

/// An entity of the table, by its place.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) key: ItemKey,
    pub(super) ty: TypeId,
    pub(super) path: String,
    /// Its entity set, where it is not a contained one.
    pub(super) set: Option<crate::edm::SetId>,
    /// Its incarnation, where it is known already.
    pub(super) incarnation: Option<Incarnation>,
}
