//! OData batches, models and units of work over DynamoDB.
//!
//! # One way through
//!
//! ```text
//! bytes ─wire::decode→ BatchRequest ─plan::evaluate→ needs ⇄ execute ⇄ store
//!                                          │
//!                                          └→ answers + writes ─store::commit→ … ─wire::encode→ bytes
//! ```
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`auth`] | who calls and what they may do; fetches the keys of token issuers | `batch`, `text_file` |
//! | [`batch`] | requests, change sets, answers, preferences: what a batch is | – |
//! | [`wire`] | the two formats, bytes ⇄ `batch` | `batch` |
//! | [`clock`] | the clock of this machine | – |
//! | [`text_file`] | text files: encoding, lines and columns | – |
//! | [`edm`] | models (CSDL), typed values, JSON ⇄ values, keys, etags | `text_file` |
//! | [`uri`] | resource paths, query options, `$filter` syntax | `edm` |
//! | [`query`] | what `$filter` and `$select` mean for an entity | `edm`, `uri` |
//! | [`jobs`] | batch jobs: states, counters, SetBatchJobToWaiting, history | `edm` |
//! | [`service`] | a service's folder: roots, profile, limits, derived values, seed | `auth`, `edm`, `events`, `jobs`, `text_file`, `uri`, `wire` |
//! | [`events`] | business events: payloads, envelopes, signatures, what an attempt means | `edm`, `jobs` |
//! | [`policy`] | what is done about failed jobs: sources of events, rules, targets | `auth`, `events`, `jobs`, `service`, `text_file` |
//! | [`exchange`] | one HTTP request and its answer, free of any server; what the host is called; what follows from a head; what an answer may weigh | `batch`, `uri` |
//! | [`cors`] | which web pages may call, and which may write | `auth`, `batch`, `exchange` |
//! | [`gateway`] | events of the gateways before Lambda functions ⇄ `exchange` | `batch`, `exchange`, `uri` |
//! | [`store`] | the table. With `secrets` the only module that names the AWS SDK | `clock`, `edm` |
//! | [`secrets`] | secrets that are in AWS Secrets Manager | – |
//! | [`telemetry`] | what is logged and measured, and what never is; where a request stands in a trace | `batch`, `clock`, `store` |
//! | [`repeat`] | repeats of requests: their ids, and where is kept how they ended. Pure | `auth`, `batch`, `store` |
//! | [`plan`] | what requests mean: from requests to answers and writes. Pure | all above, `respond` |
//! | [`respond`] | answers of single requests; the one table of errors | all above |
//! | [`execute`] | reads what planning needs, commits what it decides | all above |
//! | [`ledger`] | what was decided about events that came in, and what was done | `edm`, `events`, `plan`, `policy`, `service`, `store`, `telemetry` |
//! | [`outbox`] | what leaves the service: events to endpoints, calls to targets; the history of jobs | `auth`, `clock`, `edm`, `events`, `exchange`, `execute`, `jobs`, `ledger`, `plan`, `policy`, `service`, `store`, `telemetry`, `uri` |
//! | [`webhook`] | where events come in: who sends them, what becomes of them | `auth`, `batch`, `clock`, `cors`, `events`, `exchange`, `ledger`, `policy`, `store`, `telemetry`, `uri` |
//! | [`function`] | what the Lambda functions share: one way to run, their environment, an engine, a webhook or an outbox that is ready in time | `auth`, `clock`, `cors`, `exchange`, `execute`, `gateway`, `ledger`, `outbox`, `policy`, `secrets`, `service`, `store`, `telemetry`, `webhook` |
//!
//! The pure modules have no clock, no random source and no I/O: `now` and fresh keys are arguments. A test reads the
//! sources and fails where an arrow of this table is broken. Where to look for what:
//! a stale etag — `plan::update`; which methods a resource takes — `plan::allow`; why a number was refused — `plan::given`;
//! a failed change set — `execute::form`; which status an error has — `respond::error`;
//! why a web page may not write — `cors::foreign`; decisions by the head of a request — `execute::visit`, `webhook`;
//! why a snapshot was refused — `execute::isolated`; why a bad request fails alone, or its batch — [`wire`];
//! what a contained entity is before its first write — `plan::implied`;
//! why a job was not requeued — `jobs::action`; why an event requeued nothing — `policy::decide`, `ledger::record`; what the service tells itself — `outbox::itself`; what was sent to an endpoint — `outbox::attempt`;
//! what a target's answer means — `outbox::requeue`.
//!
//! # A request is a batch of one
//!
//! A request means the same alone and inside a batch because there is one way to run it. The host's edge makes an
//! [`exchange::Incoming`] of whatever it received, [`Engine::handle`] finds the service, and from there on a single
//! request is a unit of work of one request.
//!
//! The head comes first ([`exchange::Verdict`]): [`Engine::admit`] and [`webhook::Webhook::admit`] find the service or source
//! and the caller, without the body and without the table. An edge that receives bodies itself reads none that is of no use.
//!
//! # What an answer can hold, and until when
//!
//! A function's answer has a size that Lambda takes, and a time that a gateway waits. What would be lost on its way must
//! not have been done: planning has the answers of a unit before anything is written, so they are written into the answer
//! of the batch and weighed first (`execute::answers`, [`exchange::Weight`]). Room for the least answers to all that
//! follows is always kept free. No call to the table is begun that could end too late ([`Settings::time_budget`]). What
//! does not fit or was not begun in time is told so operation by operation, 413 or 503, and nothing of it is stored. Pages
//! end before they are too large. All this holds on every host.
//!
//! # Units of work
//!
//! Everything that changes data is a unit of work: a single request, a change set or atomicity group, a whole batch
//! under Business Central's `Isolation: snapshot`. [`plan::evaluate`] runs the requests of a unit one after another
//! over an *overlay*: the unit's own writes laid over a *snapshot* of what is known of the store. It performs no I/O.
//! Where the snapshot does not know an item, planning either *assumes* (a new key is free, a patched entity exists)
//! and makes the assumption a condition of the commit, or *needs* it; then `execute` reads all that is needed in one
//! round and evaluation starts again from the beginning. It is a pure function, so starting again is safe.
//!
//! The overlay ends as **one write a key with one condition a key**. One item is a PutItem or UpdateItem; up to 100 and
//! 4 MB are one TransactWriteItems; more are staged, see below. When DynamoDB refuses a condition it returns the item
//! that did not meet it. That item becomes part of the next snapshot and the unit is evaluated anew: now the duplicate
//! key, the stale etag or the missing target is *known*, and the client gets its 409, 412 or 400 from the same code that
//! would have found it at first sight. A client's mistake is never guessed from a failed write.
//!
//! # Units that no transaction holds
//!
//! Such a unit is *staged* (`store::staged`, where states, steps, and what happens after each crash are written down). It
//! takes its items in parts of one transaction each: an *intent* on each item says what the item becomes, a *lock* on an
//! item that is only relied on keeps it in existence, and the conditions of the unit are those of these transactions. One
//! conditional write of the unit's record decides. Then the items become what their intents say, part by part, by whoever
//! comes first: the owner, a writer who needs one of them, a reader who meets what a dead owner left, or the sweep of the
//! [`outbox`].
//!
//! - An item is what it was until the record is committed, and what its intent says from then on. Every read of the store
//!   takes intents off (`store::staged::sight`), so nobody above it knows of them. Reads that belong together show all or
//!   nothing of a unit.
//! - Other writes refuse an item with an intent by their condition, which costs no call. What is in the way is waited for,
//!   aborted once its lease is over, or given back if it is decided.
//! - Of two units that want the same items the one that began first goes on; the other one is aborted, runs again and keeps
//!   its place. A unit that is run again takes its items before it reads them.
//! - A unit whose calls would not end in time is refused before its first write.
//!
//! This code itself is model-checked: `tests/it/staged/interleavings.rs` lets a few actors make their calls to the table in
//! every order, stop at any of them, lose their answers and outlive their leases, and checks after each call what anybody
//! would see. Where there are too many orders it takes all those with a few interruptions.
//!
//! # The outcome of a commit
//!
//! A commit ends as done, refused, or conflict (nothing written; the unit runs again, bounded, with jittered pauses).
//! In between it may be *unknown*: a timeout, a dropped connection, a 5xx. Unknown is resolved by sending the
//! identical request again: a transaction carries a `ClientRequestToken`; a single write stamps its operation id into
//! the item's version, and a refused repeat that finds its own id in the version (or the version before) knows that
//! it was applied. What stays unknown until the time budget ends is a 503 that says so.
//!
//! # Repeats
//!
//! A client that got no answer sends the same request again, and says so ([`repeat`]): the id and the time of the first
//! one. A write with an id *claims* the place of its outcome: evaluation assumes that it is free, as it assumes that a new
//! key is, and puts the answer there, in the commit of the unit itself. So there is an outcome if and only if there is the
//! effect, of any number of repeats at once one is carried out, and a repeat costs the one call whose condition is refused:
//! the outcome comes back with the refusal. A refusal that follows from what is stored (a duplicate key, a stale etag, a
//! missing entity) is kept as well, by a write of its own before the client is told; what follows from the request alone,
//! and 401, 403, 413 and 5xx, are decided anew. A repeat is answered with what its caller was to be told; nothing is read
//! or checked for it again. Two requests with one id are one request when method, URL and body are equal, else 412. Batch
//! jobs and decisions remember the ids of their own changes by themselves (see *Marks*).
//!
//! A batch with an id is run by one executor at a time (`execute::turn`), which takes the place of its answer first, until
//! no function could be at work on it any more. Each unit has a claim of its own, by its position. The answer is kept, then
//! given: nobody gets another one. Where an executor ends before that, a repeat takes the place when its time is over,
//! reads the outcomes of the units and runs what is left; a late commit of the former one meets an outcome that is there.
//! Reads are made again. An operation that the service could not decide (5xx) ends the run of such a batch: what follows is
//! 503 until a repeat goes on from there, so that nothing is done out of its order.
//!
//! What is kept expires with the time for which a repeat is taken ([`service::Limits::repeatability_hours`]); from then on
//! it does not count, be it removed or not.
//!
//! # Entities in the table
//!
//! An entity has an *incarnation* (random, from its creation) and a *version* (the operation id of its last change).
//! Its etag is both, so no etag ever comes back. Contained children live in a partition named after their parent's
//! incarnation: when the parent is gone they cannot be met again. A version is random instead of a counter, so the
//! etag of a change is known before it is committed and an update need not read first.
//!
//! Navigation by a lookup reads link items that are written with the entity, because an index of DynamoDB cannot be
//! read consistently. They exist only where the model has the inverse navigation. See [`store`] for all kinds of items.
//!
//! An alternate key is an item that leads to its entity, written with it ([`Engine::reindex`] writes those of older rows).
//! A client's copy of one, such as the number of an account, leads to the entity as well (`plan::given`): one read more,
//! and a condition of the commit that the key still leads there.
//!
//! # Batch jobs
//!
//! A service with `[jobs]` has an entity set whose entities are jobs ([`jobs`]). Every write of one goes through
//! `plan::job`: the one table of transitions ([`jobs::transition`]) says which state may follow, counters and *who, when,
//! why* are kept with the job, and its `Generation` goes up by one. None of that needs the job to be read: what must
//! hold is the condition of an UpdateItem (`store::guard`), and a refused condition returns the job, which names the
//! reason. So SetBatchJobToWaiting (`plan::action`) is one call, also when it is refused.
//!
//! **Marks.** A job remembers its last changes: the hash of the caller's `Repeatability-Request-ID`, or the operation id
//! of the attempt. A write whose mark is there already does not apply. That makes a repeat known however many others
//! wrote in between: a requeue whose answer was lost never requeues the next failure.
//!
//! # What leaves the service
//!
//! The table has a stream of all its changes, and the [`outbox`] reads it. From a record of a job come its row of history
//! and, where the change is a business event, one row for each endpoint that is told; each is written only where there
//! is none, so a record that comes again changes nothing. A sweep sends what is due: claim, POST, finish, each a
//! conditional write. Rows of one endpoint and one job go out in their order. The event id follows from the job's
//! incarnation and generation, so that a repeat is known as one. See [`outbox`] for who may do what, and when.
//!
//! # From an event to a requeued job
//!
//! An event comes in ([`webhook`]): its source is found and shows who it is, [`events::read`] makes one
//! [`events::JobEvent`] of whatever form it had, [`policy::Policy::decide`] says what the rules want, and
//! [`ledger::Ledger::record`] writes it down in one transaction: the decision, whose key is that of the event, and a claim
//! on the job's retries. Both are conditions of the transaction, so that nothing has to be read before and no race can
//! beat them. Of the claims of a job one is carried out, and the others wait for its end ([`ledger::standing`]). The decision is also the row that the [`outbox`] works off: it is in the index of what is due as long as
//! there is something to do. A call to the target has the event's id as its request id; what came of it is written in one
//! transaction with the row of the attempt, with the claim that is given back where the target refused for good, and with
//! what follows for those that wait.
//! A failed job of the own service goes once around: stream, event, endpoint, decision, call, job. The endpoint
//! `rebatch:events` is the service itself: the outbox hands its rows to the ledger, as the source `self`, and nothing of it
//! goes over a network.
//!
//! # Who may do what
//!
//! [`Engine::admit`] finds the service, refuses writes of web pages of other origins ([`cors::Cors::check_write`]), and
//! finds the caller ([`auth::Authenticator`]); what a request needs is checked
//! where it is dispatched (`plan::permit`), so that inner requests of a batch are checked like others, with the batch's
//! caller.
//!
//! # What a read promises
//!
//! One entity: its last committed state. A collection, or several reads of a batch: each entity is committed and
//! current, but they are not one instant. Reads inside a unit see the unit's own writes.
//!
//! `Isolation: snapshot` in the profile of plain OData: all that a batch (or a request) reads is of one instant, with its
//! own writes laid over it. [`plan::Sequence`] evaluates the items one after another over one overlay and takes back the
//! writes of those that fail; what is left is one unit of work, and nothing is answered before it is committed. Up to 100
//! keys are read by one transaction, or checked by the commit; collections are read twice and compared by the versions that
//! were seen (`execute::view` says why that is an instant, and what it cannot see). When somebody was faster, all of it is
//! evaluated again; when that does not end, and where a page would need a next one, the answer is 412 with the reason. Other
//! profiles refuse the isolation, or make the batch one unit ([`service::profile::Isolation`]).

pub mod auth;
pub mod batch;
pub mod clock;
pub mod cors;
pub mod edm;
pub mod events;
pub mod exchange;
pub mod execute;
pub mod function;
pub mod gateway;
pub mod jobs;
pub mod ledger;
pub mod outbox;
pub mod plan;
pub mod policy;
pub mod query;
pub mod repeat;
pub mod respond;
pub mod secrets;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod text_file;
pub mod uri;
pub mod webhook;
pub mod wire;

pub use execute::{DuplicateKey, Engine, Reindexed, SeedError, Serves, Settings};
