//! Many failures of one job: one is carried out at a time, and its end settles the others.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use shared::{
    events::JobEvent,
    store::{Deadline, Schedule},
};
use tests::{
    environment::{Environment, Kind, Trouble},
    strict::{Fault, Plan, WRITE_FAULTS},
};

use super::{LONG, Loop, environment_policy, failed};
use crate::soak::rounds;

const JOB: i64 = 7;

/// A failure of the job so many seconds before now.
fn ago(it: &Loop, number: i64, seconds: i64) -> JobEvent {
    failed(JOB, number, it.now() - SignedDuration::from_secs(seconds))
}

fn id(event: &JobEvent) -> String {
    event.id.to_string().to_uppercase()
}

/// How many decisions there are of each kind, by what has become of them.
async fn ends(it: &Loop) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for row in it.rows("RequeueDecisions").await {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        *ends.entry(format!("{} {}", text("Decision"), text("Status"))).or_default() += 1;
    }
    ends
}

fn are(ends: &[(&str, usize)]) -> BTreeMap<String, usize> {
    ends.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// The requests that had an effect.
fn effects(environment: &Environment) -> Vec<String> {
    environment.effects().into_iter().map(|effect| effect.request_id).collect()
}

#[tokio::test]
async fn fifty_failures_at_once_are_answered_by_one_requeue() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(JOB, "Error");
    let events: Vec<JobEvent> = (0..50).map(|number| ago(&it, number, number % 7)).collect();
    let recorded = join_all(events.iter().map(|event| it.take(event))).await;
    assert!(recorded.iter().all(|recorded| recorded.decision.name() == "Requeue"));
    it.rig.calls();
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.requeued), (1, 1));
    let calls = it.rig.calls();
    assert!(calls.len() < 20, "one transaction settles them: {calls:?}");
    assert_eq!(ends(&it).await, are(&[("Requeue Requeued", 1), ("Superseded None", 49)]));
    assert_eq!((environment.effects().len(), it.finish().await.sent), (1, 0));
    // A late one has been answered as well.
    assert_eq!(it.take(&ago(&it, 50, 0)).await.decision.name(), "Superseded");
    environment.set(JOB, "Error");
    it.fail(JOB, 51).await;
    assert_eq!((it.finish().await.requeued, environment.effects().len()), (1, 2), "a later one is answered by its own");
}

#[tokio::test]
async fn the_oldest_takes_the_place_of_a_claim_that_is_given_back() {
    for trouble in [Trouble::Denied(409), Trouble::Denied(404)] {
        let (it, environment) =
            Loop::with_ids(move |call| (call.kind == Kind::Action && call.number < 2).then_some(trouble)).await;
        environment.set(JOB, "Error");
        let events: Vec<JobEvent> = [0, 30, 50, 40, 10].map(|seconds| ago(&it, seconds, seconds)).into();
        for event in &events {
            it.take(event).await;
        }
        let swept = it.sweep().await;
        assert_eq!((swept.sent, swept.refused, swept.requeued), (3, 2, 1), "{trouble:?}");
        let called = environment.requests(Kind::Action);
        let called: Vec<_> = called.iter().map(|call| call.header("repeatability-request-id").to_owned()).collect();
        assert_eq!(called, [&events[0], &events[2], &events[3]].map(id), "the first, then the oldest");
        assert_eq!(
            ends(&it).await,
            are(&[("Requeue Refused", 2), ("Requeue Requeued", 1), ("Superseded None", 2)]),
            "{trouble:?}"
        );
    }
}

#[tokio::test]
async fn of_two_at_one_time_the_lesser_control_number_is_the_older_one() {
    let (it, environment) =
        Loop::with_ids(|call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::Denied(409))).await;
    environment.set(JOB, "Error");
    let events = [9, 8, -3, 4].map(|number| ago(&it, number, 5));
    for event in &events {
        it.take(event).await;
    }
    it.sweep().await;
    assert_eq!(effects(&environment), [id(&events[2])]);
}

#[tokio::test]
async fn fifty_claims_that_are_given_back_are_so_one_after_another() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(JOB, "Executing");
    for number in 0..50 {
        it.take(&ago(&it, number, number)).await;
    }
    it.rig.calls();
    let swept = it.sweep().await;
    assert_eq!((swept.sent, swept.refused), (50, 50));
    let calls = it.rig.calls().len();
    assert!(calls <= 5 * 50 + 20, "{calls} calls");
    assert_eq!(ends(&it).await, are(&[("Requeue Refused", 50)]));
    environment.set(JOB, "Error");
    it.fail(JOB, 50).await;
    assert_eq!(it.finish().await.requeued, 1, "no retry was taken");
}

#[tokio::test]
async fn a_job_is_exhausted_by_its_requeues_also_for_those_who_waited() {
    // The answer of each first call is lost, so that the job fails anew before it is known that it was requeued.
    let (it, environment) =
        Loop::with_ids(|call| (call.kind == Kind::Action && call.number % 2 == 0).then_some(Trouble::LostAfter)).await;
    environment.keeps_failing(JOB);
    environment.set(JOB, "Error");
    let mut all = Vec::new();
    it.fail(JOB, 0).await;
    for number in 1..=7 {
        it.sweep().await;
        // The job has failed since the call: the requeue that is found out later is no answer to that.
        let recorded = it.fail(JOB, number).await;
        all.push(recorded.decision.name());
        it.wait(Duration::from_secs(10));
    }
    it.finish().await;
    assert_eq!(all[..4], ["Requeue"; 4]);
    let expected = [("Exhausted None", 3), ("Requeue Requeued", 5)];
    assert_eq!((ends(&it).await, environment.effects().len()), (are(&expected), 5));
}

#[tokio::test]
async fn a_failure_after_a_requeue_whose_answer_was_lost_has_a_requeue_of_its_own() {
    let (it, environment) =
        Loop::with_ids(|call| (call.kind == Kind::Action && call.number == 0).then_some(Trouble::LostAfter)).await;
    environment.keeps_failing(JOB);
    environment.set(JOB, "Error");
    it.fail(JOB, 1).await;
    let same = ago(&it, 2, 0);
    it.take(&same).await;
    it.sweep().await;
    it.fail(JOB, 3).await;
    it.finish().await;
    assert_eq!(ends(&it).await, are(&[("Requeue Requeued", 2), ("Superseded None", 1)]));
    let ids = [failed(JOB, 1, it.now()), failed(JOB, 3, it.now())].map(|event| id(&event));
    assert_eq!(effects(&environment), ids);
}

#[tokio::test]
async fn what_may_have_requeued_the_job_settles_those_before_it() {
    let (it, environment) = Loop::with_ids(|call| (call.kind == Kind::Action).then_some(Trouble::Html(500))).await;
    environment.set(JOB, "Error");
    for number in 0..3 {
        it.take(&ago(&it, number, 5)).await;
    }
    assert_eq!(it.finish().await.given_up, 1);
    assert_eq!(ends(&it).await, are(&[("Requeue Failed", 1), ("Superseded None", 2)]));
}

#[tokio::test]
async fn what_a_person_has_carried_out_again_settles_those_before_it() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(JOB, "Executing");
    let first = ago(&it, 1, 60);
    it.take(&first).await;
    assert_eq!(it.sweep().await.refused, 1);
    let url = format!("/data/RequeueDecisions(BatchJobRecId={JOB},Target='fo',EventId={})", first.id);
    let action = format!("{url}/Microsoft.Dynamics.DataEntities.Rerun");
    assert_eq!(it.rig.send("POST", &action, &[], "{}").await.status, 204);
    // The engine has the time of this machine.
    *it.clock.lock().unwrap() = Timestamp::now();
    environment.set(JOB, "Error");
    assert_eq!(it.sweep().await.requeued, 1);
    assert_eq!(it.take(&ago(&it, 2, 5)).await.decision.name(), "Superseded");
    assert_eq!(it.fail(JOB, 3).await.decision.name(), "Requeue");
}

#[tokio::test]
async fn a_finished_job_leaves_none_waiting_and_a_new_failure_does_not_wait_for_an_old_one() {
    let environment = Environment::start(true, |_| None).await;
    let rule = "[[rules]]\nname = \"again\"\naction = \"requeue\"\nbackoff = { initial = \"10m\", factor = 1.0, cap = \"10m\", jitter = 0.0 }\n";
    let it = Loop::new(&(environment_policy(&environment, "repeatability = true") + rule)).await;
    environment.set(JOB, "Error");
    for number in 0..3 {
        it.take(&ago(&it, number, 60)).await;
    }
    it.sweep().await;
    let finished = JobEvent { what: shared::events::What::Job(shared::events::EventKind::Finished), ..ago(&it, 3, 30) };
    assert_eq!(it.take(&finished).await.decision.name(), "Reset");
    it.wait(Duration::from_mins(5));
    it.fail(JOB, 4).await;
    assert_eq!(it.finish().await.requeued, 1);
    let newest = failed(JOB, 4, it.now());
    assert_eq!(effects(&environment), [id(&newest)]);
    let expected = [("Requeue Refused", 1), ("Requeue Requeued", 1), ("Reset None", 1), ("Superseded None", 2)];
    assert_eq!(ends(&it).await, are(&expected));
}

#[tokio::test]
async fn more_than_find_a_place_wait_on_their_own() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(JOB, "Error");
    for number in 0..230 {
        it.take(&ago(&it, number, 60)).await;
    }
    assert_eq!(it.finish().await.sent, 1);
    assert_eq!(ends(&it).await, are(&[("Requeue Requeued", 1), ("Superseded None", 229)]));
}

/// An earlier version of the outbox ends a decision and says nothing to those that wait.
#[tokio::test]
async fn the_place_of_a_decision_that_ended_without_a_word_is_taken() {
    let (it, environment) = Loop::with_ids(|_| None).await;
    environment.set(JOB, "Error");
    let events = [1, 2, 3].map(|number| ago(&it, number, 60 - number));
    for event in &events {
        it.take(event).await;
    }
    let key = it.ledger.decision_key("fo", JOB, events[0].id).unwrap();
    let item =
        it.rig.store().get(std::slice::from_ref(&key), Deadline::after(LONG)).await.unwrap().remove(&key).unwrap();
    let status = it.ledger.status_value(shared::ledger::RequeueStatus::Refused);
    let write =
        it.ledger.row(&item).unwrap().patch(vec![("Status", status)], Schedule::Done { expires: i64::MAX }, "x");
    it.rig.store().commit(&it.ledger.service().model, &[write], "x", Deadline::after(LONG)).await.unwrap();
    assert_eq!(it.sweep().await.sent, 0);
    assert_eq!(it.finish().await.requeued, 1);
    assert_eq!(environment.effects().len(), 1);
    assert_eq!(ends(&it).await, are(&[("Requeue Refused", 1), ("Requeue Requeued", 1), ("Superseded None", 1)]));
}

/// The fault at a call and at those that follow, so many in all.
fn strikes(at: usize, times: usize, fault: Fault) -> Plan {
    Plan::from_fn(move |call| (call.number >= at && call.number - at < times).then_some(fault))
}

/// Whatever call fails while the decisions about a job are worked off, and wherever it stops: one requeue, and none waits.
#[tokio::test]
async fn soak_whatever_call_fails_one_requeue_answers_those_who_wait() {
    let (mut cases, mut count) = (tokio::task::JoinSet::new(), 0);
    for refusals in [0, 1] {
        for at in 0..16 {
            for (number, fault) in WRITE_FAULTS.into_iter().enumerate() {
                for times in [1, usize::MAX] {
                    count += 1;
                    if !(at + number).is_multiple_of(rounds(5, 1)) {
                        continue;
                    }
                    cases.spawn(async move {
                        let (it, environment) = Loop::with_ids(move |call| {
                            (call.kind == Kind::Action && call.number < refusals).then_some(Trouble::Denied(409))
                        })
                        .await;
                        environment.set(JOB, "Error");
                        for number in 0..4 {
                            it.take(&ago(&it, number, 4 - number)).await;
                        }
                        let rig = it.rig.again();
                        rig.strict.set_plan(strikes(at, times, fault));
                        it.beside(&rig).sweep(Deadline::after(Duration::from_secs(20))).await;
                        it.finish().await;
                        let what = format!("{fault:?} at call {at}, {times} times, {refusals} refused");
                        assert_eq!(environment.effects().len(), 1, "{what}");
                        let ends = ends(&it).await;
                        let expected = [("Requeue Requeued", 1), ("Superseded None", 3 - refusals)];
                        let refused = [("Requeue Refused", refusals)];
                        let refused = refused.iter().filter(|(_, count)| *count > 0);
                        let all: Vec<_> = expected.iter().chain(refused).copied().collect();
                        assert_eq!(ends, are(&all), "{what}");
                    });
                }
            }
        }
    }
    let run = cases.len();
    cases.join_all().await;
    eprintln!("{run} of {count} cases");
}

/// No failure is answered by a decision whose event is not later than a requeue before it, no job is requeued more often than
/// its rule allows, and none waits in the end.
#[tokio::test]
async fn no_decision_answers_a_failure_later_than_its_own_event() {
    for seed in 0..rounds(6, 200) as u64 {
        let (it, environment) = Loop::with_ids(move |call| {
            let bad = StdRng::seed_from_u64(seed * 1_000 + call.number as u64).random_range(0..10);
            match bad {
                _ if call.kind != Kind::Action => None,
                // A target that keeps ids does not refuse the repeat of what worked.
                0..3 if seed.is_multiple_of(2) => Some(Trouble::Denied(409)),
                0..3 => Some(Trouble::LostAfter),
                3 => Some(Trouble::Lost),
                _ => None,
            }
        })
        .await;
        let mut random = StdRng::seed_from_u64(seed);
        environment.keeps_failing(JOB);
        environment.set(JOB, "Error");
        let mut times: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut requeues: Vec<(Timestamp, String)> = Vec::new();
        for number in 0..60 {
            it.wait(Duration::from_millis(random.random_range(1..3_000)));
            if random.random_bool(0.7) {
                let event = failed(JOB, number, it.now() - SignedDuration::from_millis(random.random_range(0..10_000)));
                times.insert(id(&event), event.time.unwrap());
                it.take(&event).await;
            }
            if random.random_bool(0.4) {
                it.sweep().await;
            }
            let new = environment.effects().split_off(requeues.len());
            requeues.extend(new.into_iter().map(|effect| (it.now(), effect.request_id)));
        }
        it.finish().await;
        assert!(environment.effects().len() <= 5, "seed {seed}: {}", environment.effects().len());
        for two in requeues.windows(2) {
            let (before, answered) = (two[0].0, &two[1].1);
            assert!(times[answered] > before, "seed {seed}: {answered} of {} after {before}", times[answered]);
        }
        let rows = it.rows("RequeueDecisions").await;
        let is = |row: &Value, name: &str, value: &str| row[name] == value;
        assert!(rows.iter().all(|row| !is(row, "Status", "Pending")), "seed {seed}");
        let exhausted = rows.iter().filter(|row| is(row, "Decision", "Exhausted")).count();
        assert!(exhausted == 0 || environment.effects().len() == 5, "seed {seed}: {exhausted} exhausted");
    }
}
