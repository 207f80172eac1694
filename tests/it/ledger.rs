//! Events on their way into the table: once each, and never more claims than the limit, in whatever order they come.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use shared::{
    events::{EventKind, JobEvent, What},
    ledger::{DecisionRow, Ending, Ledger, Recorded, RequeueStatus},
    policy::{Decision, Limit, Source, SourceAuthentication, SourceFormat, Verdict},
    store::{Claims, Commit, Deadline, Due, ItemKey, Schedule, StoreError, Stored},
};
use tests::strict::{Fault, Plan, WRITE_FAULTS};
use uuid::Uuid;

use crate::rig::{Rig, services};

const KEPT: Duration = Duration::from_hours(24 * 90);
const JOB: i64 = 5_637_144_576;

/// Longer than any call here takes.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

struct Book {
    rig: Rig,
    ledger: Ledger,
    source: Source,
    limit: Limit,
}

impl Book {
    fn over(rig: Rig, max_retries: u32) -> Self {
        let source = Source {
            name: "operations".into(),
            format: SourceFormat::Auto,
            authentication: SourceAuthentication::None,
            target: "own".into(),
            allowed_origins: Vec::new(),
            allowed_rate: None,
        };
        let ledger = Ledger::find(&services()).unwrap().unwrap();
        Self { rig, ledger, source, limit: Limit { max_retries, reset_after: None } }
    }

    async fn new(max_retries: u32) -> Self {
        Self::over(Rig::seeded().await, max_retries)
    }

    async fn take(&self, event: &JobEvent) -> Result<Recorded, StoreError> {
        let decision = match event.what {
            What::Job(EventKind::Finished) => Decision::Reset,
            What::Job(EventKind::Failed) => Decision::Requeue,
            _ => Decision::Ignored,
        };
        let limit = (decision == Decision::Requeue).then_some(self.limit);
        let verdict = Verdict { decision, rule: Some("all".into()), reason: "the rule says so".into(), limit };
        let deadline = Deadline::after(Duration::from_secs(20));
        let of = (&self.source, event);
        self.ledger.record(&self.rig.store_of("event-webhook"), of, &verdict, (Timestamp::now(), KEPT), deadline).await
    }

    async fn decide(&self, event: &JobEvent) -> Decision {
        self.take(event).await.unwrap().decision
    }

    /// The claims on the retries of the job, and the decision about an event.
    async fn state(&self, event: &JobEvent) -> (Claims, DecisionRow) {
        let keys = [self.ledger.claims_key("own", JOB), self.ledger.decision_key("own", JOB, event.id).unwrap()];
        let items = self.rig.store().get(&keys, soon()).await.unwrap();
        let item = |key: &ItemKey| Stored::from_item(&self.ledger.service().model, &items[key]).unwrap();
        let Stored::Claims(claims) = item(&keys[0]) else { panic!("no claims") };
        (claims, self.ledger.row(&items[&keys[1]]).unwrap())
    }

    /// Ends the claim of a failure as the outbox does; the decision that takes its place.
    async fn end(&self, event: &JobEvent, ending: Ending) -> Option<ItemKey> {
        let (claims, row) = self.state(event).await;
        let now = Timestamp::now();
        let due = Due::at_target("finance-operations", "own", now);
        let succession = self.ledger.succession(&row, &claims, ending, &HashSet::new()).unwrap();
        let status = if ending.returned { RequeueStatus::Refused } else { RequeueStatus::Requeued };
        let operation = Uuid::new_v4().simple().to_string();
        let status = vec![("Status", self.ledger.status_value(status))];
        let done = row.patch(status, Schedule::Done { expires: i64::MAX }, &operation);
        let others = succession.writes(&self.ledger, (now, &due, i64::MAX), &operation);
        let writes: Vec<_> = [done].into_iter().chain(others).collect();
        let model = &self.ledger.service().model;
        assert!(matches!(self.rig.store().commit(model, &writes, &operation, soon()).await, Ok(Commit::Done)));
        succession.next().cloned()
    }

    /// Takes a failure in whose job is requeued at once.
    async fn requeue(&self, event: &JobEvent) -> Decision {
        let decision = self.decide(event).await;
        if decision == Decision::Requeue {
            self.end(event, Ending { returned: false, requeued: event.time }).await;
        }
        decision
    }

    async fn rows(&self) -> Vec<Value> {
        let answer = self.rig.again().get("/data/RequeueDecisions").await;
        answer.json()["value"].as_array().unwrap().clone()
    }

    /// How many decisions there are of a kind.
    async fn count(&self, decision: &str) -> usize {
        self.rows().await.iter().filter(|row| row["Decision"] == decision).count()
    }
}

fn event(kind: EventKind, number: i64) -> JobEvent {
    JobEvent {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{kind:?}{number}").as_bytes()),
        given_id: format!("{kind:?}{number}"),
        what: What::Job(kind),
        type_name: kind.business_event_id().into(),
        control_number: number,
        time: Timestamp::from_second(1_700_000_000 + number).ok(),
        time_note: None,
        legal_entity: "usmf".into(),
        job: Some(JOB),
        job_description: "Import".into(),
        job_status: "Error".into(),
        error_text: String::new(),
        trace: None,
    }
}

fn failed(number: i64) -> JobEvent {
    event(EventKind::Failed, number)
}

fn finished(number: i64) -> JobEvent {
    event(EventKind::Finished, number)
}

#[tokio::test]
async fn a_new_event_and_a_known_one_are_one_call_each() {
    let book = Book::new(5).await;
    for (event, operation) in [
        (failed(1), "TransactWriteItems"),
        (finished(2), "TransactWriteItems"),
        (event(EventKind::Started, 3), "PutItem"),
    ] {
        let first = book.take(&event).await.unwrap();
        assert_eq!(book.rig.calls(), [operation], "{event:?}");
        let again = book.take(&event).await.unwrap();
        assert_eq!(book.rig.calls(), [operation]);
        assert!(!first.duplicate && again.duplicate);
        assert_eq!(Recorded { duplicate: false, ..again }, first);
    }
    assert_eq!(book.rows().await.len(), 3);
}

#[tokio::test]
async fn a_decision_says_what_came_and_why() {
    let book = Book::new(5).await;
    book.take(&failed(7)).await.unwrap();
    let url = "/data/RequeueDecisions?$filter=BatchJobRecId eq 5637144576";
    let answer = book.rig.get(url).await.json();
    let row = &answer["value"][0];
    for (name, expected) in [
        ("Source", "operations".into()),
        ("Target", "own".into()),
        ("Event", "Failed".into()),
        ("ControlNumber", 7.into()),
        ("Decision", "Requeue".into()),
        ("Status", "Pending".into()),
        ("Rule", "all".into()),
        ("MaxRetries", 5.into()),
        ("Retry", Value::Null),
        ("EventDateTime", "2023-11-14T22:13:27.0000000Z".into()),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    assert_eq!(
        book.rig.get("/data/RequeueDecisions?$filter=BatchJobRecId eq 1").await.json()["value"],
        Value::Array(vec![])
    );
}

#[tokio::test]
async fn a_failure_waits_while_another_one_is_under_way() {
    let book = Book::new(1).await;
    for number in [40, 10, 60, 20, 50] {
        book.rig.calls();
        assert_eq!(book.decide(&failed(number)).await, Decision::Requeue, "{number}");
        let calls = if number == 40 { 1 } else { 2 };
        assert_eq!(book.rig.calls(), ["TransactWriteItems"; 2][..calls], "the refusal shows the claims");
        assert!(book.take(&failed(number)).await.unwrap().duplicate);
        assert_eq!(book.rig.calls().len(), 1);
    }
    let (claims, row) = book.state(&failed(40)).await;
    assert_eq!((claims.held.len(), claims.waiting.len(), row.claim.map(|claim| claim.0)), (1, 4, claims.ahead));
    // Given back: the oldest takes its place, and so on.
    let returned = Ending { returned: true, requeued: None };
    for (ended, next) in [(40, 10), (10, 20)] {
        let key = book.ledger.decision_key("own", JOB, failed(next).id).unwrap();
        assert_eq!(book.end(&failed(ended), returned).await, Some(key), "{ended}");
    }
    // A requeue answers all up to it, and the oldest of the others is next.
    let requeued = Ending { returned: false, requeued: failed(50).time };
    let key = book.ledger.decision_key("own", JOB, failed(60).id).unwrap();
    assert_eq!(book.end(&failed(20), requeued).await, Some(key));
    let (claims, _) = book.state(&failed(60)).await;
    assert_eq!((claims.held.len(), claims.waiting.len()), (2, 0));
    assert_eq!((book.count("Requeue").await, book.count("Superseded").await), (4, 1));
    let superseded = book.take(&failed(50)).await.unwrap();
    assert_eq!((superseded.decision, superseded.duplicate), (Decision::Superseded, true));
    assert_eq!(superseded.reason, "a requeue of the job came after this failure");
}

#[tokio::test]
async fn the_limit_is_met_by_requeues() {
    let book = Book::new(3).await;
    for number in [10, 20, 30] {
        assert_eq!(book.requeue(&failed(number)).await, Decision::Requeue);
    }
    book.rig.calls();
    let full = book.take(&failed(40)).await.unwrap();
    assert_eq!(full.decision, Decision::Exhausted);
    assert!(full.reason.contains("3 of its retries are taken already"), "{}", full.reason);
    assert_eq!(book.rig.calls().len(), 2, "the refusal shows the claims, and the decision is written");
    let known = book.take(&failed(10)).await.unwrap();
    assert_eq!((known.decision, known.duplicate), (Decision::Requeue, true));
    assert_eq!(book.decide(&failed(25)).await, Decision::Superseded, "what comes late was answered since");
    assert_eq!(book.count("Exhausted").await, 1);
}

#[tokio::test]
async fn a_job_that_finished_starts_anew_for_newer_failures_only() {
    let book = Book::new(2).await;
    for number in [10, 30] {
        assert_eq!(book.requeue(&failed(number)).await, Decision::Requeue);
    }
    assert_eq!(book.decide(&failed(31)).await, Decision::Exhausted);
    // It finished between the two: the claim of the first is cleared, that of the second counts.
    assert_eq!(book.decide(&finished(20)).await, Decision::Reset);
    assert_eq!(book.decide(&failed(15)).await, Decision::Superseded);
    assert_eq!(book.requeue(&failed(40)).await, Decision::Requeue);
    assert_eq!(book.decide(&failed(41)).await, Decision::Exhausted);
    // An older end, later: nothing changes.
    assert_eq!(book.decide(&finished(5)).await, Decision::Reset);
    assert_eq!(book.decide(&failed(42)).await, Decision::Exhausted);
    assert_eq!(book.decide(&finished(50)).await, Decision::Reset);
    for (number, decision) in [(51, Decision::Requeue), (52, Decision::Requeue), (53, Decision::Exhausted)] {
        assert_eq!(book.requeue(&failed(number)).await, decision, "{number}");
    }
}

#[tokio::test]
async fn an_end_that_meets_conflicts_clears_all_the_same() {
    let book = Book::new(1).await;
    assert_eq!(book.decide(&failed(1)).await, Decision::Requeue);
    book.rig.strict.forget();
    book.rig.strict.set_plan(strikes(0, 3, Fault::Conflict));
    assert_eq!(book.decide(&finished(2)).await, Decision::Reset);
    assert!(book.rig.calls().len() > 3, "the conflicts happened");
    book.rig.strict.set_plan(Plan::none());
    assert_eq!(book.decide(&failed(3)).await, Decision::Requeue);
}

#[tokio::test]
async fn a_rule_that_forgets_does_not_forget_for_another() {
    let mut book = Book::new(2).await;
    for (number, decision) in [(0, Decision::Requeue), (1, Decision::Requeue), (2, Decision::Exhausted)] {
        assert_eq!(book.requeue(&failed(number)).await, decision);
    }
    book.limit.reset_after = Some(60);
    assert_eq!(book.decide(&failed(100)).await, Decision::Requeue, "the two before are too old for this rule");
    book.limit.reset_after = None;
    assert_eq!(book.decide(&failed(101)).await, Decision::Exhausted, "for this one they count");
    book.limit.reset_after = Some(60);
    assert_eq!(book.decide(&failed(3)).await, Decision::Exhausted, "and for a failure of that time that comes late");
}

#[tokio::test]
async fn control_numbers_that_go_back_keep_nobody_from_being_requeued() {
    let book = Book::new(1).await;
    assert_eq!(book.decide(&JobEvent { control_number: i64::MAX, ..finished(10) }).await, Decision::Reset);
    assert_eq!(book.decide(&JobEvent { control_number: 1, ..failed(11) }).await, Decision::Requeue);
    assert_eq!(book.decide(&JobEvent { control_number: 2, ..finished(12) }).await, Decision::Reset);
    assert_eq!(book.requeue(&JobEvent { control_number: 3, ..failed(13) }).await, Decision::Requeue);
    assert_eq!(book.decide(&JobEvent { control_number: 4, ..failed(14) }).await, Decision::Exhausted);
}

#[tokio::test]
async fn old_failures_do_not_count_where_the_rule_says_so() {
    let mut book = Book::new(1).await;
    book.limit.reset_after = Some(60);
    for (number, decision) in
        [(0, Decision::Requeue), (60, Decision::Exhausted), (61, Decision::Requeue), (62, Decision::Exhausted)]
    {
        assert_eq!(book.requeue(&failed(number)).await, decision, "{number}");
    }
}

#[tokio::test]
async fn a_claim_that_is_given_back_can_be_taken_again() {
    let book = Book::new(1).await;
    assert_eq!(book.decide(&failed(1)).await, Decision::Requeue);
    let (_, row) = book.state(&failed(1)).await;
    assert_eq!(row.request_id(), failed(1).id.to_string().to_uppercase());
    assert_eq!(book.end(&failed(1), Ending { returned: true, requeued: None }).await, None);
    let (claims, _) = book.state(&failed(1)).await;
    assert_eq!((claims.held.len(), claims.ahead), (0, None));
    assert_eq!(book.requeue(&failed(2)).await, Decision::Requeue);
    assert_eq!(book.decide(&failed(3)).await, Decision::Exhausted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_race_takes_more_claims_than_the_limit() {
    let seeded = Rig::seeded().await;
    let rig = seeded.with(Duration::from_millis(2), Duration::from_secs(20));
    let book = std::sync::Arc::new(Book::over(rig, 5));
    let senders = (0..16).map(|sender| {
        let book = std::sync::Arc::clone(&book);
        tokio::spawn(async move {
            // Each event comes from several senders, in another order from each.
            for at in 0..20 {
                let number = (at * 7 + sender * 3) % 20;
                book.take(&failed(number)).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!((book.count("Requeue").await, book.count("Exhausted").await), (20, 0));
    let (claims, _) = book.state(&failed(0)).await;
    assert_eq!((claims.held.len(), claims.ahead.is_some(), claims.waiting.len()), (1, true, 19));
}

#[tokio::test]
async fn whatever_fails_at_the_table_an_event_is_taken_once() {
    let seeded = Rig::seeded().await;
    let mut base = 0;
    for fault in WRITE_FAULTS {
        for call in 0..4 {
            for times in [1, 2, usize::MAX] {
                base += 1_000;
                let book = Book::over(seeded.with(Duration::ZERO, Duration::from_secs(5)), 2);
                let job = |number: i64| JobEvent { job: Some(base), ..failed(base + number) };
                book.take(&job(1)).await.unwrap();
                book.rig.strict.forget();
                book.rig.strict.set_plan(strikes(call, times, fault));
                // Two more failures, which wait. What fails is sent again.
                for number in [2, 3] {
                    let event = job(number);
                    let deadline = Deadline::after(Duration::from_millis(100));
                    let limit = Some(book.limit);
                    let verdict = Verdict { decision: Decision::Requeue, rule: None, reason: String::new(), limit };
                    let store = book.rig.store();
                    let of = (&book.source, &event);
                    let _ = book.ledger.record(store, of, &verdict, (Timestamp::now(), KEPT), deadline).await;
                }
                book.rig.strict.set_plan(Plan::none());
                for number in [3, 2, 3] {
                    book.take(&job(number)).await.unwrap();
                }
                let url = format!("/data/RequeueDecisions?$filter=BatchJobRecId eq {base}");
                let rows = seeded.get(&url).await.json();
                let rows = rows["value"].as_array().unwrap().clone();
                let requeues = rows.iter().filter(|row| row["Decision"] == "Requeue").count();
                assert_eq!((rows.len(), requeues), (3, 3), "{fault:?} at {call}, {times} times: {rows:#?}");
                let key = book.ledger.claims_key("own", base);
                let items = seeded.store().get(std::slice::from_ref(&key), soon()).await.unwrap();
                let claims = Stored::from_item(&book.ledger.service().model, &items[&key]).unwrap();
                let Stored::Claims(claims) = claims else { panic!("{claims:?}") };
                assert_eq!((claims.held.len(), claims.waiting.len()), (1, 2), "{fault:?} at {call}, {times} times");
            }
        }
    }
}

/// The fault strikes from that call on, so many times.
fn strikes(call: usize, times: usize, fault: Fault) -> Plan {
    let end = call.saturating_add(times);
    Plan::from_fn(move |at| (call..end).contains(&at.number).then_some(fault))
}

#[tokio::test]
async fn a_decision_is_carried_out_again_when_somebody_wants_it() {
    let book = Book::new(1).await;
    let row = |number: i64| {
        let id = failed(number).id;
        format!("/data/RequeueDecisions(BatchJobRecId=5637144576,Target='own',EventId={id})")
    };
    let rerun = |url: &str| format!("{url}/Microsoft.Dynamics.DataEntities.Rerun");
    assert_eq!(book.decide(&failed(1)).await, Decision::Requeue);
    let under_way = book.rig.send("POST", &rerun(&row(1)), &[], "").await;
    assert_eq!(under_way.status, 409);
    assert!(under_way.text().contains("is being carried out already; it is due at"), "{}", under_way.text());
    book.end(&failed(1), Ending { returned: false, requeued: failed(1).time }).await;
    assert_eq!(book.decide(&failed(2)).await, Decision::Exhausted);
    assert_eq!(book.rig.send("POST", &rerun(&row(3)), &[], "").await.status, 404);
    assert_eq!(book.rig.send("POST", &rerun(&row(2)), &[], "{}").await.status, 204);
    let again = book.rig.get(&row(2)).await.json();
    assert_eq!(
        (&again["Status"], &again["Reruns"], &again["Decision"]),
        (&"Pending".into(), &1.into(), &"Exhausted".into())
    );
    book.take(&finished(3)).await.unwrap();
    let id = finished(3).id;
    let url = format!("/data/RequeueDecisions(BatchJobRecId=5637144576,Target='own',EventId={id})");
    let answer = book.rig.send("POST", &rerun(&url), &[], "").await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("this event is 'Finished'"), "{}", answer.text());

    // Once more, and the same request again: it is carried out once.
    assert_eq!(book.decide(&failed(4)).await, Decision::Requeue);
    let ignored = event(EventKind::Canceled, 5);
    assert_eq!(book.decide(&ignored).await, Decision::Ignored);
    let url = format!("/data/RequeueDecisions(BatchJobRecId=5637144576,Target='own',EventId={})", ignored.id);
    let header = ["repeatability-request-id: again-1"];
    for _ in 0..3 {
        assert_eq!(book.rig.send("POST", &rerun(&url), &header, "").await.status, 204);
    }
    assert_eq!(book.rig.get(&url).await.json()["Reruns"], 1);
    // Who wanted it, and why, stays with the decision.
    let header = ["repeatability-request-id: again-2", "change-reason: the night shift asked for it"];
    assert_eq!(book.rig.send("POST", &rerun(&row(4)), &header, "").await.status, 409, "it is under way");
    let exhausted = book.rig.get(&row(2)).await.json();
    assert_eq!((&exhausted["RerunBy"], &exhausted["RerunReason"]), (&"anonymous".into(), &"".into()));
}
