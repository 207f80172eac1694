//! Batch jobs: SetBatchJobToWaiting, the states of a job, its counters and marks.

use serde_json::{Value, json};

use crate::rig::{Answer, Rig, if_match, member};

const DATA: &str = "/data";
const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
/// The seeded job that has failed.
const FAILED: i64 = 5_637_144_576;

async fn requeue(rig: &Rig, id: i64, headers: &[&str]) -> Answer {
    rig.send("POST", ACTION, headers, json!({ "batchJobId": id }).to_string()).await
}

async fn patch(rig: &Rig, id: i64, body: Value) -> Answer {
    rig.send("PATCH", &format!("{DATA}/BatchJobs({id})"), &[], body.to_string()).await
}

async fn job(rig: &Rig, id: i64) -> Value {
    rig.get(&format!("{DATA}/BatchJobs({id})")).await.json()
}

/// A job in a state, made through the states before it.
async fn job_in(rig: &Rig, id: i64, status: &str) {
    let body = json!({ "BatchJobRecId": id, "JobDescription": "d", "Status": status });
    assert_eq!(rig.send("POST", &format!("{DATA}/BatchJobs"), &[], body.to_string()).await.status, 201);
    rig.strict.forget();
}

fn details(answer: &Answer) -> String {
    let body = answer.json();
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["ResponseStatusCode", "IsSuccess", "Batch JobId", "ExceptionDetails", "reponseMessage"];
    expected.sort_unstable();
    let mut found = keys.clone();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(body["ResponseStatusCode"], answer.status);
    assert_eq!(body["IsSuccess"], answer.status == 200);
    body["ExceptionDetails"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_failed_job_waits_again_after_one_call() {
    let rig = Rig::seeded().await;
    let answer = requeue(&rig, FAILED, &["change-reason: the network is back"]).await;
    assert_eq!(rig.calls(), ["UpdateItem"]);
    let documented = format!(
        r#"{{"ResponseStatusCode":200,"IsSuccess":true,"Batch JobId":{FAILED},"ExceptionDetails":"","reponseMessage":"Status of supplied BatchJobId: {FAILED} is Successfully updated to waiting state"}}"#
    );
    assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (200, documented.as_str()));
    let job = job(&rig, FAILED).await;
    let shown =
        ["Status", "RetryCount", "Generation", "LastRequeuedBy", "LastRequeueReason"].map(|name| job[name].clone());
    assert_eq!(json!(shown), json!(["Waiting", 1, 2, "anonymous", "the network is back"]));
    assert_eq!(job["LastRequeuedDateTime"].as_str().unwrap().len(), "2026-01-01T00:00:00.0000000Z".len());
}

#[tokio::test]
async fn every_refusal_is_one_call_and_has_the_five_members() {
    let rig = Rig::seeded().await;
    assert_eq!(requeue(&rig, FAILED, &[]).await.status, 200);
    rig.strict.forget();
    let again = requeue(&rig, FAILED, &[]).await;
    assert_eq!((again.status, rig.calls()), (409, vec!["UpdateItem".to_owned()]));
    assert!(details(&again).contains("is Waiting; only a job that is Executing, Error, Finished, Canceled can be"));
    let unknown = requeue(&rig, 1, &[]).await;
    assert_eq!((unknown.status, rig.calls()), (404, vec!["UpdateItem".to_owned()]));
    assert!(details(&unknown).contains("1 does not exist"));
    for (body, part) in [
        (r#"{"batchJobId":"5637144576"}"#, "not a string"),
        (r#"{"batchJobId":5637144576.5}"#, "fraction"),
        (r#"{"batchJobId":9223372036854775808}"#, "9223372036854775808"),
        (r#"{"batchJobId":1,"more":2}"#, "'more'"),
        ("{}", "missing"),
        ("", "missing"),
    ] {
        let answer = rig.send("POST", ACTION, &[], body).await;
        assert_eq!((answer.status, rig.calls().len()), (400, 0), "{body}");
        assert!(details(&answer).contains(part), "{body}: {}", details(&answer));
    }
    for (method, headers, body, status) in [
        ("POST", &["content-type: application/json"][..], "{", 400),
        ("POST", &["content-type: text/plain"], "{}", 415),
        ("PUT", &[], "{}", 405),
        ("GET", &[], "", 405),
    ] {
        let answer = rig.send(method, ACTION, headers, body).await;
        assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (status, json!("")), "{method} {body}");
    }
    assert_eq!(rig.get("/data/BatchJobs/Microsoft.Dynamics.DataEntities.Other").await.status, 501);
}

#[tokio::test]
async fn the_states_that_a_requeue_takes_a_job_out_of_are_configured() {
    let rig = Rig::seeded().await;
    let states =
        ["Hold", "Waiting", "Executing", "Error", "Finished", "Ready", "NotRun", "Cancelling", "Canceled", "Scheduled"];
    for (id, state) in (100..).zip(states) {
        job_in(&rig, id, state).await;
        let expected = if ["Executing", "Error", "Finished", "Canceled"].contains(&state) { 200 } else { 409 };
        assert_eq!(requeue(&rig, id, &[]).await.status, expected, "{state}");
        let shown = job(&rig, id).await["Status"].clone();
        assert_eq!(shown, if expected == 200 { "Waiting" } else { state });
    }
}

#[tokio::test]
async fn a_call_can_narrow_the_states_that_it_takes_the_job_out_of() {
    let rig = Rig::seeded().await;
    let from = |states| format!("requeue-from: {states}");
    job_in(&rig, 1, "Executing").await;
    let refused = requeue(&rig, 1, &[&from("Error")]).await;
    assert_eq!((refused.status, rig.calls()), (409, vec!["UpdateItem".to_owned()]));
    assert!(details(&refused).contains("is Executing; only a job that is Error can be"), "{}", details(&refused));
    assert_eq!(requeue(&rig, 1, &[&from("Error,Canceled"), &from("Executing")]).await.status, 200);
    let refused = requeue(&rig, 1, &[&from("Canceled, Waiting, Error")]).await;
    assert!(details(&refused).contains("only a job that is Error, Canceled can be"), "{}", details(&refused));
    rig.strict.forget();
    for (states, part) in
        [("error", "'error' is no state"), ("Error,", "'' is no state"), ("Waiting, Hold", "none of these")]
    {
        let answer = requeue(&rig, FAILED, &[&from(states)]).await;
        assert_eq!((answer.status, rig.calls().len()), (400, 0), "{states}");
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    let id = "repeatability-request-id: one";
    for _ in 0..2 {
        let answer = requeue(&rig, FAILED, &[&from("Error"), id]).await;
        assert_eq!(
            (answer.status, rig.calls()),
            (200, vec!["UpdateItem".to_owned()]),
            "a repeat is answered as before"
        );
    }
    assert_eq!(job(&rig, FAILED).await["RetryCount"], 1);
}

#[tokio::test]
async fn a_request_of_a_batch_narrows_the_states_as_well() {
    let rig = Rig::seeded().await;
    let action = |group, id, states| {
        let mut request = member(group, id, "POST", ACTION, json!({ "batchJobId": FAILED }));
        request["headers"]["Requeue-From"] = json!(states);
        request
    };
    for group in [None, Some("g")] {
        let answer = rig.batch(DATA, &[action(group, "1", "Canceled")]).await;
        assert_eq!(answer.statuses(), [409]);
        assert_eq!(answer.json()["responses"][0]["body"]["IsSuccess"], false);
    }
    assert_eq!(rig.batch(DATA, &[action(None, "1", "Failed")]).await.statuses(), [400]);
    assert_eq!(rig.batch(DATA, &[action(Some("g"), "1", "Error")]).await.statuses(), [200]);
}

#[tokio::test]
async fn a_repeat_with_the_same_request_id_gets_the_first_answer_and_changes_nothing() {
    let rig = Rig::seeded().await;
    let id = ["repeatability-request-id: 8D1220EB-0000-4000-8000-000000000001"];
    let first = requeue(&rig, FAILED, &id).await;
    rig.strict.forget();
    let repeat = requeue(&rig, FAILED, &id).await;
    assert_eq!((repeat.status, &repeat.body, rig.calls()), (200, &first.body, vec!["UpdateItem".to_owned()]));
    assert_eq!(repeat.headers.get("repeatability-result"), Some("accepted"));
    // The next failure is not requeued by a late repeat either.
    for status in ["Executing", "Error"] {
        assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204);
    }
    rig.strict.forget();
    assert_eq!((requeue(&rig, FAILED, &id).await.status, rig.calls().len()), (200, 1));
    let now = job(&rig, FAILED).await;
    assert_eq!((now["Status"].clone(), now["RetryCount"].clone()), (json!("Error"), json!(1)));
    assert_eq!(requeue(&rig, FAILED, &["repeatability-request-id: another"]).await.status, 200);
    let long = format!("repeatability-request-id: {}", "x".repeat(101));
    assert_eq!(requeue(&rig, FAILED, &[&long]).await.status, 400);
}

#[tokio::test]
async fn the_limit_of_a_job_ends_its_retries_until_it_finishes_or_is_reset() {
    let rig = Rig::seeded().await;
    assert_eq!(patch(&rig, FAILED, json!({ "RetryLimit": 2 })).await.status, 204);
    for round in 1..=2 {
        assert_eq!(requeue(&rig, FAILED, &[]).await.status, 200);
        assert_eq!(job(&rig, FAILED).await["RetryCount"], round);
        for status in ["Executing", "Error"] {
            assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204);
        }
    }
    rig.strict.forget();
    let refused = requeue(&rig, FAILED, &[]).await;
    assert_eq!((refused.status, rig.calls().len()), (409, 1));
    assert!(details(&refused).contains("2 times") && details(&refused).contains("limit is 2"));
    assert_eq!(patch(&rig, FAILED, json!({ "Status": "Waiting" })).await.status, 409);
    assert_eq!(patch(&rig, FAILED, json!({ "RetryCount": 1 })).await.status, 400);
    assert_eq!(patch(&rig, FAILED, json!({ "RetryLimit": -1 })).await.status, 400);
    rig.strict.forget();
    assert_eq!((patch(&rig, FAILED, json!({ "RetryCount": 0 })).await.status, rig.calls().len()), (204, 1));
    assert_eq!(requeue(&rig, FAILED, &[]).await.status, 200);
    for status in ["Executing", "Finished"] {
        assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204);
    }
    assert_eq!(job(&rig, FAILED).await["RetryCount"], 0);
}

#[tokio::test]
async fn a_patch_of_the_status_is_one_call_and_follows_the_table() {
    let rig = Rig::seeded().await;
    job_in(&rig, 1, "Waiting").await;
    assert_eq!(
        (patch(&rig, 1, json!({ "Status": "Executing", "ExecutingBy": "w" })).await.status, rig.calls().len()),
        (204, 1)
    );
    let second = patch(&rig, 1, json!({ "Status": "Executing" })).await;
    assert_eq!((second.status, rig.calls().len()), (409, 1));
    let etag = job(&rig, 1).await["@odata.etag"].as_str().unwrap().to_owned();
    let body = r#"{"Status":"Executing","ExecutingBy":"w2"}"#;
    let own = rig.send("PATCH", "/data/BatchJobs(1)", &[&format!("if-match: {etag}")], body).await;
    assert_eq!(own.status, 204);
    for (status, expected) in [("Hold", 409), ("Error", 204), ("Finished", 409), ("Error", 204), ("Waiting", 204)] {
        let answer = patch(&rig, 1, json!({ "Status": status })).await;
        assert_eq!(answer.status, expected, "{status}");
    }
    let now = job(&rig, 1).await;
    assert_eq!(
        (now["Status"].clone(), now["RetryCount"].clone()),
        (json!("Waiting"), json!(1)),
        "a requeue by another name"
    );
    assert_eq!(rig.send("PUT", "/data/BatchJobs(1)/Status", &[], r#"{"value":"Finished"}"#).await.status, 409);
    let before = now["Generation"].as_i64().unwrap();
    assert_eq!(
        patch(&rig, 1, json!({ "JobDescription": "e", "Generation": 99, "LastRequeuedBy": "x" })).await.status,
        204
    );
    let now = job(&rig, 1).await;
    assert_eq!((now["Generation"].clone(), now["LastRequeuedBy"].clone()), (json!(before + 1), json!("anonymous")));
}

#[tokio::test]
async fn a_hundred_jobs_wait_again_together_or_not_at_all() {
    let rig = Rig::seeded().await;
    let create = |at: usize| {
        let body = json!({ "BatchJobRecId": 1000 + at, "Status": "Error" });
        member(Some("g"), &at.to_string(), "POST", "BatchJobs", body)
    };
    for half in [0..50, 50..100] {
        let half: Vec<Value> = half.map(create).collect();
        assert!(rig.batch(DATA, &half).await.statuses().iter().all(|status| *status == 201));
    }
    let action = |at: usize| member(Some("g"), &at.to_string(), "POST", ACTION, json!({ "batchJobId": 1000 + at }));
    let mut all: Vec<Value> = (0..100).map(action).collect();
    rig.strict.forget();
    all[50]["body"] = json!({ "batchJobId": 7 });
    let refused = rig.batch(DATA, &all).await;
    assert_eq!(refused.statuses().iter().filter(|status| **status == 424).count(), 99);
    let reply = &refused.json()["responses"][50];
    assert_eq!((reply["status"].clone(), reply["body"]["Batch JobId"].clone()), (json!(404), json!(7)));
    assert_eq!(job(&rig, 1000).await["Status"], "Error");
    all[50]["body"] = json!({ "batchJobId": 1050 });
    rig.strict.forget();
    let done = rig.batch(DATA, &all).await;
    assert_eq!(rig.calls(), ["TransactWriteItems"]);
    assert!(done.statuses().iter().all(|status| *status == 200), "{:?}", done.statuses());
    for at in [1000, 1050, 1099] {
        assert_eq!(job(&rig, at).await["Status"], "Waiting");
    }
}

#[tokio::test]
async fn a_unit_sees_its_own_requeue() {
    let rig = Rig::seeded().await;
    let action = |id: &str| {
        member(
            Some("g"),
            id,
            "POST",
            "BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting",
            json!({ "batchJobId": FAILED }),
        )
    };
    let executing = member(Some("g"), "2", "PATCH", &format!("BatchJobs({FAILED})"), json!({ "Status": "Executing" }));
    let twice = rig.batch(DATA, &[action("1"), action("2")]).await;
    assert_eq!(twice.statuses(), [424, 409]);
    let taken = rig.batch(DATA, &[action("1"), executing.clone()]).await;
    assert_eq!(taken.statuses(), [424, 409], "each change of state is told of");
    assert_eq!(rig.batch(DATA, &[executing, action("1")]).await.statuses(), [409, 424]);
    let described = member(Some("g"), "2", "PATCH", &format!("BatchJobs({FAILED})"), json!({ "JobDescription": "e" }));
    assert_eq!(rig.batch(DATA, &[action("1"), described]).await.statuses(), [200, 204]);
    let job = job(&rig, FAILED).await;
    assert_eq!(json!([job["Status"], job["RetryCount"], job["JobDescription"]]), json!(["Waiting", 1, "e"]));
}

#[tokio::test]
async fn a_deleted_job_leaves_who_deleted_it() {
    let rig = Rig::seeded().await;
    let etag = job(&rig, FAILED).await["@odata.etag"].as_str().unwrap().to_owned();
    let url = format!("/data/BatchJobs({FAILED})");
    let headers = [format!("if-match: {etag}"), "change-reason: obsolete".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    assert_eq!(rig.send("DELETE", &url, &headers, "").await.status, 204);
    let history = rig.get(&format!("/data/BatchJobHistory?$filter=BatchJobRecId eq {FAILED}")).await.json();
    let row = &history["value"][0];
    let shown = ["Change", "FromStatus", "ToStatus", "ChangedBy", "Reason", "Generation"].map(|name| row[name].clone());
    assert_eq!(json!(shown), json!(["Deleted", "Error", null, "anonymous", "obsolete", 2]));
    assert_eq!(rig.send("DELETE", &url, &[], "").await.status, 404);
    assert_eq!(rig.send("POST", "/data/BatchJobHistory", &[], "{}").await.status, 405);
}

#[tokio::test]
async fn marks_stay_few_and_the_newest_are_kept() {
    let rig = Rig::seeded().await;
    job_in(&rig, 1, "Error").await;
    for round in 0..80 {
        let id = format!("repeatability-request-id: r{round}");
        assert_eq!(requeue(&rig, 1, &[&id]).await.status, 200, "{round}");
        for status in ["Executing", "Error"] {
            assert_eq!(patch(&rig, 1, json!({ "Status": status })).await.status, 204);
        }
    }
    let calls = rig.calls().len();
    assert!(calls <= 240 + 2 * 8, "{calls} calls for 240 changes");
    for round in 72..80 {
        assert_eq!(requeue(&rig, 1, &[&format!("repeatability-request-id: r{round}")]).await.status, 200);
    }
    assert_eq!(job(&rig, 1).await["RetryCount"], 80);
}

#[tokio::test]
async fn the_action_is_in_the_metadata_and_in_multipart() {
    let rig = Rig::seeded().await;
    let metadata = rig.get("/data/$metadata").await;
    assert!(
        std::str::from_utf8(&metadata.body).unwrap().contains(r#"<Action Name="SetBatchJobToWaiting" IsBound="true">"#)
    );
    let body = format!(
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\
         Content-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\nPOST {ACTION} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\
         {{\"batchJobId\":{FAILED}}}\r\n--c--\r\n--b--\r\n"
    );
    let answer = rig.send("POST", "/data/$batch", &["content-type: multipart/mixed; boundary=b"], body.clone()).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("HTTP/1.1 200 OK") && text.contains(r#""Batch JobId":5637144576"#), "{text}");
    let again = rig.send("POST", "/data/$batch", &["content-type: multipart/mixed; boundary=b"], body).await;
    let text = String::from_utf8(again.body.to_vec()).unwrap();
    assert!(text.contains("HTTP/1.1 409 Conflict") && text.contains(r#""IsSuccess":false"#), "{text}");
}

#[tokio::test]
async fn an_etag_given_with_a_change_of_state_still_counts() {
    let rig = Rig::seeded().await;
    job_in(&rig, 1, "Executing").await;
    let stale = "W/\"AAAA.BBBB.0\"";
    let request = if_match(member(None, "1", "PATCH", "BatchJobs(1)", json!({ "Status": "Error" })), stale);
    assert_eq!(rig.batch(DATA, &[request]).await.statuses(), [412]);
    assert_eq!(job(&rig, 1).await["Status"], "Executing");
}

#[tokio::test]
async fn a_filter_by_the_first_part_of_a_key_reads_that_part_of_the_table_alone() {
    let rig = Rig::seeded().await;
    let long = "x".repeat(300_000);
    for id in 1..=8 {
        let body = json!({ "BatchJobRecId": id, "JobDescription": long, "Status": "Hold" }).to_string();
        assert_eq!(rig.send("POST", "/data/BatchJobs", &[], body).await.status, 201);
    }
    rig.strict.forget();
    let found = rig.get("/data/BatchJobs?$filter=Status eq Microsoft.Dynamics.DataEntities.BatchStatus'Hold' and BatchJobRecId eq 5&$count=true").await;
    assert_eq!(rig.calls(), ["Query"]);
    assert_eq!(
        (found.json()["value"][0]["BatchJobRecId"].clone(), found.json()["@odata.count"].clone()),
        (json!(5), json!(1))
    );
    for (filter, count) in [
        ("BatchJobRecId eq 5 or BatchJobRecId eq 6", 2),
        ("BatchJobRecId eq 5 and BatchJobRecId eq 6", 0),
        ("not (BatchJobRecId eq 5)", 15),
    ] {
        let found = rig.get(&format!("/data/BatchJobs/$count?$filter={filter}")).await;
        assert_eq!(std::str::from_utf8(&found.body).unwrap(), count.to_string(), "{filter}");
    }
}

#[tokio::test]
async fn no_write_sets_a_job_back_behind_its_counter() {
    let rig = Rig::seeded().await;
    assert_eq!(patch(&rig, FAILED, json!({ "RetryLimit": 2 })).await.status, 204);
    assert_eq!(requeue(&rig, FAILED, &[]).await.status, 200);
    let url = format!("{DATA}/BatchJobs({FAILED})");
    let put = json!({ "Status": "Executing", "RuntimeJob": false, "Finishing": 0, "StartTime": 0 });
    assert_eq!(rig.send("PUT", &url, &[], put.to_string()).await.status, 204);
    let kept = job(&rig, FAILED).await;
    assert_eq!((kept["RetryCount"].clone(), kept["RetryLimit"].clone()), (json!(1), json!(2)), "a PUT without them");
    assert_eq!(patch(&rig, FAILED, json!({ "Status": "Error" })).await.status, 204);
    assert_eq!(patch(&rig, FAILED, json!({ "Status": "Waiting", "RetryCount": 0 })).await.status, 204);
    assert_eq!(job(&rig, FAILED).await["RetryCount"], 2, "a requeue counts on from what was there");
}

#[tokio::test]
async fn a_repeated_patch_of_the_state_changes_nothing() {
    let rig = Rig::seeded().await;
    let url = format!("{DATA}/BatchJobs({FAILED})");
    let id = ["repeatability-request-id: one"];
    for _ in 0..2 {
        assert_eq!(rig.send("PATCH", &url, &id, r#"{"Status":"Waiting"}"#).await.status, 204);
        assert_eq!(job(&rig, FAILED).await["RetryCount"], 1);
    }
    for status in ["Executing", "Error"] {
        assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204);
    }
    assert_eq!(rig.send("PATCH", &url, &id, r#"{"Status":"Waiting"}"#).await.status, 204);
    assert_eq!(job(&rig, FAILED).await["Status"], "Error");
    let claim = ["repeatability-request-id: two"];
    assert_eq!(requeue(&rig, FAILED, &[]).await.status, 200);
    for _ in 0..2 {
        assert_eq!(
            rig.send("PATCH", &url, &claim, r#"{"Status":"Executing"}"#).await.status,
            204,
            "one claim, sent twice"
        );
    }
    let both = ["repeatability-request-id: a", "repeatability-request-id: b"];
    assert_eq!(requeue(&rig, FAILED, &both).await.status, 400);
}

#[tokio::test]
async fn a_next_link_of_another_filter_is_refused() {
    let rig = Rig::seeded().await;
    let page =
        rig.send("GET", "/data/BatchJobs?$filter=BatchJobRecId ge 0", &["prefer: odata.maxpagesize=2"], "").await;
    let link = page.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let token = link.split("$skiptoken=").nth(1).unwrap();
    let answer = rig.get(&format!("/data/BatchJobs?$filter=BatchJobRecId eq 1&$skiptoken={token}")).await;
    assert_eq!((answer.status, answer.text().contains("$skiptoken")), (400, true));
}

/// The changes by a request for the state that a job is in: its etag, its generation, and how many calls it takes.
#[tokio::test]
async fn the_state_that_a_job_is_in_is_no_change() {
    let rig = Rig::seeded().await;
    let states =
        ["Hold", "Waiting", "Executing", "Error", "Finished", "Ready", "NotRun", "Cancelling", "Canceled", "Scheduled"];
    for (id, state) in (1..).zip(states) {
        job_in(&rig, id, state).await;
        let before = job(&rig, id).await;
        let etag = format!("if-match: {}", before["@odata.etag"].as_str().unwrap());
        let url = format!("{DATA}/BatchJobs({id})");
        let body = json!({ "Status": state }).to_string();
        let whole = json!({ "value": state }).to_string();
        rig.calls();
        for (method, url, headers, body) in [
            ("PATCH", url.clone(), vec![], &body),
            ("PATCH", url.clone(), vec![etag.as_str()], &body),
            ("PATCH", url.clone(), vec![etag.as_str(), "prefer: return=representation"], &body),
            ("PUT", format!("{url}/Status"), vec![], &whole),
        ] {
            let answer = rig.send(method, &url, &headers, body.clone()).await;
            let taken = state == "Executing" && headers.is_empty();
            let expected = if taken {
                409
            } else if headers.len() == 2 {
                200
            } else {
                204
            };
            assert_eq!(
                (answer.status, rig.calls().len()),
                (expected, 1),
                "{method} {state} {headers:?}: {}",
                answer.text()
            );
        }
        let request = member(Some("g"), "1", "PATCH", &format!("BatchJobs({id})"), json!({ "Status": state }));
        let expected = if state == "Executing" { 409 } else { 204 };
        assert_eq!(rig.batch(DATA, &[request]).await.statuses(), [expected]);
        assert_eq!(job(&rig, id).await, before, "{state}");
    }
}

#[tokio::test]
async fn what_comes_with_the_state_that_a_job_is_in_is_applied() {
    let rig = Rig::seeded().await;
    let before = job(&rig, FAILED).await;
    assert_eq!(patch(&rig, FAILED, json!({ "Status": "Error", "JobDescription": "e" })).await.status, 204);
    let now = job(&rig, FAILED).await;
    assert_eq!(
        (&now["JobDescription"], now["Generation"].as_i64()),
        (&json!("e"), before["Generation"].as_i64().map(|generation| generation + 1))
    );
    assert_eq!((&now["Status"], &now["RetryCount"]), (&json!("Error"), &before["RetryCount"]));
    assert_ne!(now["@odata.etag"], before["@odata.etag"]);
    // A counter is reset by a step to the end, not by staying there.
    for status in ["Waiting", "Executing", "Finished", "Waiting", "Executing", "Finished"] {
        assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204, "{status}");
    }
    let stale = format!("if-match: {}", before["@odata.etag"].as_str().unwrap());
    let url = format!("{DATA}/BatchJobs({FAILED})");
    assert_eq!(rig.send("PATCH", &url, &[&stale], r#"{"Status":"Finished"}"#).await.status, 412);
}

/// The answer to a request is remembered with its id, also where it changed nothing: its repeat does not, either.
#[tokio::test]
async fn a_repeat_of_what_changed_nothing_changes_nothing_later() {
    let rig = Rig::seeded().await;
    let url = format!("{DATA}/BatchJobs({FAILED})");
    let id = ["repeatability-request-id: one"];
    let generation = job(&rig, FAILED).await["Generation"].clone();
    assert_eq!(rig.send("PATCH", &url, &id, r#"{"Status":"Error"}"#).await.status, 204);
    assert_eq!(job(&rig, FAILED).await["Generation"], generation);
    for status in ["Waiting", "Executing"] {
        assert_eq!(patch(&rig, FAILED, json!({ "Status": status })).await.status, 204);
    }
    assert_eq!(rig.send("PATCH", &url, &id, r#"{"Status":"Error"}"#).await.status, 204);
    assert_eq!(job(&rig, FAILED).await["Status"], "Executing");
}
