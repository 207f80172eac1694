//! Accidents at every call of single writes and change sets: what the client is told is what is stored, and nothing
//! is stored twice.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tests::strict::{Call, Fault, Plan, WRITE_FAULTS};

use crate::rig::{Rig, member};

const DATAVERSE: &str = "/api/data/v9.2";
const CENTRAL: &str = "/api/v2.0";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";
/// Of a request whose fault never ends.
const SHORT: Duration = Duration::from_millis(120);
/// Of any other request.
const LONG: Duration = Duration::from_secs(30);
/// Cases under way together; most of their time is waiting.
const AT_A_TIME: usize = 16;
/// How many times in a row a fault strikes.
const TIMES: [usize; 3] = [1, 2, usize::MAX];

/// What a client does, and how its effect shows.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Calls to DynamoDB when nothing goes wrong.
    calls: usize,
    /// Makes what the work needs.
    prepare: &'static [Step],
    work: Step,
    /// What to read before and after. `{n}` is the number of the case.
    look: &'static [&'static str],
}

/// A request, or a change set of them: method, URL, body. `{n}` is the number of the case.
pub(crate) type Step = &'static [(&'static str, &'static str, &'static str)];

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

pub(crate) const AIRLINE: Step = &[("POST", "/trippin/Airlines", r#"{"AirlineCode":"{n}","Name":"old"}"#)];
const ACCOUNT: Step = &[(
    "POST",
    "/api/data/v9.2/accounts",
    r#"{"accountid":"00000000-0000-0000-0001-{n}","accountnumber":"old{n}","name":"old"}"#,
)];
const TASK: Step =
    &[("POST", "/api/data/v9.2/tasks", r#"{"activityid":"00000000-0000-0000-0002-{n}","subject":"old"}"#)];
const JOURNAL: Step = &[("POST", "/api/v2.0/journals", r#"{"id":"00000000-0000-0000-0003-{n}","code":"X"}"#)];
pub(crate) const JOB: Step = &[("POST", "/data/BatchJobs", r#"{"BatchJobRecId":9{n},"Status":"Error"}"#)];
pub(crate) const REQUEUE: Step =
    &[("POST", "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", r#"{"batchJobId":9{n}}"#)];
const SECOND_JOB: Step = &[("POST", "/data/BatchJobs", r#"{"BatchJobRecId":8{n},"Status":"Executing"}"#)];
const JOB_LOOK: &[&str] = &["/data/BatchJobs(9{n})", "/data/BatchJobs(8{n})"];
const AIRLINE_LOOK: &[&str] = &["/trippin/Airlines('{n}')"];
const ACCOUNT_LOOK: &[&str] = &[
    "/api/data/v9.2/accounts(00000000-0000-0000-0001-{n})",
    "/api/data/v9.2/accounts(accountnumber='old{n}')",
    "/api/data/v9.2/accounts(accountnumber='new{n}')",
    "/api/data/v9.2/accounts(00000000-0000-0000-0001-{n})/Account_Tasks",
    "/api/data/v9.2/tasks(00000000-0000-0000-0002-{n})",
    "/api/data/v9.2/tasks(00000000-0000-0000-0004-{n})",
];
const JOURNAL_LOOK: &[&str] = &["/api/v2.0/journals(00000000-0000-0000-0003-{n})/journalLines"];

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "create", calls: 1, prepare: &[], work: AIRLINE, look: AIRLINE_LOOK },
    Scenario {
        name: "blind patch",
        calls: 1,
        prepare: &[AIRLINE],
        work: &[("PATCH minimal", "/trippin/Airlines('{n}')", r#"{"Name":"new"}"#)],
        look: AIRLINE_LOOK,
    },
    Scenario {
        name: "patch that reads",
        calls: 2,
        prepare: &[AIRLINE],
        work: &[("PATCH representation", "/trippin/Airlines('{n}')", r#"{"Name":"new"}"#)],
        look: AIRLINE_LOOK,
    },
    Scenario {
        name: "upsert that inserts",
        calls: 2,
        prepare: &[],
        work: &[("PATCH minimal", "/trippin/Airlines('{n}')", r#"{"Name":"new"}"#)],
        look: AIRLINE_LOOK,
    },
    Scenario {
        name: "upsert that updates",
        calls: 2,
        prepare: &[AIRLINE],
        work: &[("PUT minimal", "/trippin/Airlines('{n}')", r#"{"Name":"new"}"#)],
        look: AIRLINE_LOOK,
    },
    Scenario {
        name: "delete",
        calls: 1,
        prepare: &[AIRLINE],
        work: &[("DELETE", "/trippin/Airlines('{n}')", "")],
        look: AIRLINE_LOOK,
    },
    Scenario {
        name: "$ref",
        calls: 2,
        prepare: &[ACCOUNT, TASK],
        work: &[(
            "PUT",
            "/api/data/v9.2/tasks(00000000-0000-0000-0002-{n})/regardingobjectid_account_task/$ref",
            r#"{"@odata.id":"/api/data/v9.2/accounts(00000000-0000-0000-0001-{n})"}"#,
        )],
        look: ACCOUNT_LOOK,
    },
    Scenario {
        name: "alternate key",
        calls: 2,
        prepare: &[ACCOUNT],
        work: &[("PATCH", "/api/data/v9.2/accounts(00000000-0000-0000-0001-{n})", r#"{"accountnumber":"new{n}"}"#)],
        look: ACCOUNT_LOOK,
    },
    Scenario {
        name: "change set of creates with binds",
        calls: 1,
        prepare: &[ACCOUNT],
        work: &[
            (
                "POST",
                "tasks",
                r#"{"activityid":"00000000-0000-0000-0002-{n}","subject":"a","regardingobjectid_account_task@odata.bind":"/accounts(00000000-0000-0000-0001-{n})"}"#,
            ),
            (
                "POST",
                "tasks",
                r#"{"activityid":"00000000-0000-0000-0004-{n}","subject":"b","regardingobjectid_account_task@odata.bind":"/accounts(00000000-0000-0000-0001-{n})"}"#,
            ),
        ],
        look: ACCOUNT_LOOK,
    },
    Scenario {
        name: "change set of create, update and delete",
        calls: 2,
        prepare: &[ACCOUNT, TASK],
        work: &[
            ("POST", "tasks", r#"{"activityid":"00000000-0000-0000-0004-{n}","subject":"new"}"#),
            ("PATCH", "accounts(00000000-0000-0000-0001-{n})", r#"{"name":"new","accountnumber":"new{n}"}"#),
            ("DELETE", "tasks(00000000-0000-0000-0002-{n})", ""),
        ],
        look: ACCOUNT_LOOK,
    },
    Scenario { name: "requeue", calls: 1, prepare: &[JOB], work: REQUEUE, look: JOB_LOOK },
    Scenario {
        name: "state of a job",
        calls: 1,
        prepare: &[JOB, SECOND_JOB],
        work: &[("PATCH", "/data/BatchJobs(8{n})", r#"{"Status":"Finished"}"#)],
        look: JOB_LOOK,
    },
    Scenario {
        name: "change set of requeues and states",
        calls: 1,
        prepare: &[JOB, SECOND_JOB],
        work: &[
            ("POST", "BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", r#"{"batchJobId":9{n}}"#),
            ("PATCH", "BatchJobs(8{n})", r#"{"Status":"Error"}"#),
        ],
        look: JOB_LOOK,
    },
    Scenario {
        name: "deletion of a job",
        calls: 2,
        prepare: &[JOB],
        work: &[("DELETE", "/data/BatchJobs(9{n})", "")],
        look: &["/data/BatchJobs(9{n})", "/data/BatchJobHistory?$filter=BatchJobRecId eq 9{n}"],
    },
    Scenario {
        name: "journal lines with a sequence",
        calls: 2,
        prepare: &[JOURNAL],
        work: &[
            ("POST", "journals(00000000-0000-0000-0003-{n})/journalLines", r#"{"accountId":"{salaries}","amount":1}"#),
            ("POST", "journals(00000000-0000-0000-0003-{n})/journalLines", r#"{"accountId":"{salaries}","amount":2}"#),
        ],
        look: JOURNAL_LOOK,
    },
];

pub(crate) fn fill(text: &str, n: usize) -> String {
    text.replace("{n}", &format!("{n:012}")).replace("{salaries}", SALARIES)
}

/// Sends a step; the statuses of its answers.
pub(crate) async fn send(rig: &Rig, step: Step, n: usize) -> Vec<u16> {
    if let [(method, url, body)] = step {
        let (method, prefer) = method.split_once(' ').unwrap_or((method, ""));
        let prefer = format!("prefer: return={prefer}");
        let headers: &[&str] = if prefer.ends_with('=') { &[] } else { &[&prefer] };
        return vec![rig.send(method, &fill(url, n), headers, fill(body, n)).await.status];
    }
    let requests = step.iter().enumerate().map(|(at, (method, url, body))| {
        let body = serde_json::from_str(&fill(body, n)).unwrap_or(Value::Null);
        member(Some("g"), &at.to_string(), method, &fill(url, n), body)
    });
    let root = match step.first().map_or("", |(_, url, _)| url) {
        url if url.starts_with("journals") => CENTRAL,
        url if url.starts_with("BatchJobs") => "/data",
        _ => DATAVERSE,
    };
    rig.batch(root, &requests.collect::<Vec<_>>()).await.statuses()
}

/// What is stored, without what differs from one run to the next.
async fn look(rig: &Rig, scenario: &Scenario, n: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    for url in scenario.look {
        let answer = rig.get(&fill(url, n)).await;
        assert!(matches!(answer.status, 200 | 404), "{}", answer.text());
        let mut json = if answer.status == 200 { answer.json() } else { Value::Null };
        let times = ["createdon", "modifiedon", "lastModifiedDateTime", "LastChangedDateTime", "LastRequeuedDateTime"];
        let ids = ["id", "BatchJobRecId", "Incarnation", "ChangedDateTime", "LastChangeTrace", "Trace"];
        let drop: Vec<&str> = times.into_iter().chain(ids).collect();
        forget(&mut json, &drop, &format!("{n:012}"));
        seen.push(json);
    }
    seen
}

fn forget(json: &mut Value, names: &[&str], number: &str) {
    match json {
        Value::Object(members) => {
            members.retain(|name, _| !names.contains(&name.as_str()) && !name.starts_with('@'));
            members.values_mut().for_each(|value| forget(value, names, number));
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                forget(item, names, number);
            }
            items.sort_by_key(|item| item.get("lineNumber").and_then(Value::as_i64));
        }
        Value::String(text) => *text = text.replace(number, "{n}"),
        _ => {}
    }
}

/// The etag of what is looked at first.
async fn etag(rig: &Rig, scenario: &Scenario, n: usize) -> Option<String> {
    let answer = rig.get(&fill(scenario.look[0], n)).await;
    answer.headers.get("etag").map(str::to_owned)
}

async fn start(rig: &Rig, scenario: &Scenario, n: usize) {
    for step in scenario.prepare {
        let statuses = send(&rig.again(), step, n).await;
        assert!(statuses.iter().all(|status| *status < 300), "{scenario:?}: {statuses:?}");
    }
}

/// The fault at a call and, of the calls after it, at those that follow in a row.
fn strikes(at: usize, times: usize, fault: Fault, count: Arc<AtomicUsize>) -> Plan {
    Plan::from_fn(move |call: &Call| {
        let hit = call.number >= at && call.number - at < times;
        hit.then(|| count.fetch_add(1, Ordering::Relaxed));
        hit.then_some(fault)
    })
}

/// One case: prepares, strikes, and compares.
async fn case(
    rig: Rig,
    scenario: Scenario,
    n: usize,
    (at, fault, times): (usize, Fault, usize),
    [before, after]: [Vec<Value>; 2],
) {
    let what = format!("{scenario:?}, {fault:?} at call {at}, {times} times");
    start(&rig, &scenario, n).await;
    let old = etag(&rig.again(), &scenario, n).await;
    let lasting = times == usize::MAX;
    let struck = Arc::new(AtomicUsize::new(0));
    let faulty = rig.with(Duration::ZERO, if lasting { SHORT } else { LONG });
    faulty.strict.set_plan(strikes(at, times, fault, Arc::clone(&struck)));
    let statuses = send(&faulty, scenario.work, n).await;
    assert!(struck.load(Ordering::Relaxed) > 0, "{what}: not struck");
    let now = look(&rig.again(), &scenario, n).await;
    assert!(now == before || now == after, "{what}: half of it is stored: {now:?}");
    let unharmed = match fault {
        Fault::UnprocessedKeys | Fault::Conflict => faulty.strict.calls().len() == scenario.calls,
        _ => false,
    };
    if statuses.iter().all(|status| (200..300).contains(status)) {
        assert_eq!(now, after, "{what}");
        let etag = etag(&rig.again(), &scenario, n).await;
        assert!(etag.is_none() || etag != old || scenario.look != AIRLINE_LOOK, "{what}: no new version");
        assert!(!lasting || unharmed, "{what}: {statuses:?}");
    } else {
        assert!(lasting, "{what}: {statuses:?}");
        let answered = [503, 424, 200, 201, 204];
        assert!(statuses.contains(&503) && statuses.iter().all(|s| answered.contains(s)), "{what}: {statuses:?}");
        if now == after {
            let known = statuses.iter().all(|status| *status == 503);
            assert!(known, "{what}: stored, but {statuses:?}");
        }
    }
}

/// The states before and after the work, when nothing goes wrong.
async fn expected(rig: &Rig, scenario: &Scenario, n: usize) -> [Vec<Value>; 2] {
    start(rig, scenario, n).await;
    let before = look(rig, scenario, n).await;
    rig.strict.forget();
    let statuses = send(rig, scenario.work, n).await;
    assert!(statuses.iter().all(|status| *status < 300), "{scenario:?}: {statuses:?}");
    assert_eq!(rig.calls().len(), scenario.calls, "{scenario:?}");
    let after = look(rig, scenario, n).await;
    assert_ne!(before, after, "{scenario:?}");
    [before, after]
}

#[tokio::test]
async fn the_answer_and_the_stored_state_agree() {
    let rig = Rig::seeded().await;
    let mut cases = tokio::task::JoinSet::new();
    let (mut n, mut count) = (0, 0);
    for scenario in SCENARIOS {
        let states = expected(&rig.again(), scenario, n).await;
        for at in 0..scenario.calls {
            for fault in WRITE_FAULTS.into_iter().chain([Fault::UnprocessedKeys]) {
                for times in TIMES {
                    n += 1;
                    count += 1;
                    if cases.len() == AT_A_TIME {
                        cases.join_next().await.unwrap().unwrap();
                    }
                    cases.spawn(case(rig.clone(), *scenario, n, (at, fault, times), states.clone()));
                }
            }
        }
        n += 1;
    }
    assert!(count > 400, "{count}");
    while let Some(result) = cases.join_next().await {
        result.unwrap();
    }
}
