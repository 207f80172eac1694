//! With no other writers, a batch gets the same answers with and without the isolation, and leaves the same behind.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tests::{golden::normalise, service::TestService};

use crate::equivalence::{Request, requests};

/// A request, whether it is in the change set of the one before it, and whether the batch reads what it led to.
type Member = (Request, bool, bool);

fn members() -> impl Strategy<Value = Vec<Member>> {
    (requests(), requests()).prop_flat_map(|(some, others)| {
        let all: Vec<Request> = some.into_iter().chain(others).collect();
        let count = all.len();
        let grouped = prop::collection::vec((any::<bool>(), any::<bool>()), count);
        grouped.prop_map(move |flags| all.iter().cloned().zip(flags).map(|(r, (g, again))| (r, g, again)).collect())
    })
}

fn batch(members: &[Member]) -> Value {
    let mut all = Vec::new();
    let mut group = 0;
    for (at, ((method, url, tag, body), with_last, again)) in members.iter().enumerate() {
        group += usize::from(!with_last);
        let mut headers: Map<String, Value> = tag.iter().map(|tag| ("if-match".to_owned(), json!(tag))).collect();
        headers.extend(body.as_ref().map(|_| ("content-type".to_owned(), json!("application/json"))));
        let id = at.to_string();
        let mut request = json!({ "id": id, "method": method, "url": url, "headers": headers, "body": body });
        let in_group = *with_last || members.get(at + 1).is_some_and(|(_, with_last, _)| *with_last);
        if in_group {
            request["atomicityGroup"] = format!("g{group}").into();
        }
        all.push(request);
        if *again && !members.get(at + 1).is_some_and(|(_, with_last, _)| *with_last) {
            let depends = if in_group { format!("g{group}") } else { id.clone() };
            let read =
                json!({ "id": format!("r{at}"), "method": "GET", "url": format!("${id}"), "dependsOn": [depends] });
            all.push(read);
        }
    }
    all.into()
}

/// What is answered and what is stored, without what differs from run to run. The etag of a change is known more often
/// where its entity was read before.
async fn run(members: &[Member], headers: &[(&str, &str)]) -> (Vec<Value>, String) {
    let service = TestService::trippin().await;
    let answer = service.batch(headers, batch(members)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut answers: Vec<Value> =
        serde_json::from_str::<Value>(&normalise(answer.text(), "")).unwrap()["responses"].as_array().unwrap().clone();
    for answer in &mut answers {
        if let Some(headers) = answer["headers"].as_object_mut() {
            headers.remove("etag");
        }
    }
    let stored = service.get("Airlines").await.text().to_owned() + service.get("People('benhsu')/Trips").await.text();
    (answers, normalise(&stored, ""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_isolation_changes_no_answer(members in members(), stops in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let prefer = ("Prefer", if stops { "continue-on-error=false" } else { "continue-on-error" });
        let (plain, isolated) = runtime.block_on(async {
            (run(&members, &[prefer]).await, run(&members, &[prefer, ("Isolation", "snapshot")]).await)
        });
        prop_assert_eq!(plain, isolated);
    }
}
