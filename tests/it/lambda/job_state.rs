//! The function `job-state`.

use serde_json::{Value, json};

use super::{
    Running, body,
    gateway::{GATEWAYS, Gateway, Sent},
};

const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";

/// The seeded jobs that can be put back: one failed, one finished, one executing, one cancelled.
const JOBS: [i64; 4] = [5_637_144_576, 5_637_144_577, 5_637_144_579, 5_637_144_580];

fn requeue(path: &str, job: i64) -> Sent {
    Sent::post(path, "application/json", json!({ "batchJobId": job }).to_string())
}

/// What Finance & Operations says in an error.
fn message(answer: &Value) -> String {
    body(answer)["error"]["innererror"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_put_back_once_through_every_gateway() {
    let running = Running::start("job-state", &[]).await;
    for (job, gateway) in JOBS.into_iter().zip(GATEWAYS) {
        let done = running.send(gateway, &requeue(ACTION, job), job % 2 == 0).await;
        let expected = json!({
            "ResponseStatusCode": 200, "IsSuccess": true, "Batch JobId": job, "ExceptionDetails": "",
            "reponseMessage": format!("Status of supplied BatchJobId: {job} is Successfully updated to waiting state"),
        });
        assert_eq!((&done["statusCode"], body(&done)), (&json!(200), expected), "{gateway:?}");
        for path in [ACTION.to_owned(), format!("{ACTION}/"), ACTION.replace('.', "%2E")] {
            let again = running.send(gateway, &requeue(&path, job), false).await;
            assert_eq!(again["statusCode"], 409, "{gateway:?} {path}: {again}");
            assert_eq!(body(&again)["Batch JobId"], job);
        }
    }
}

#[tokio::test]
async fn the_action_is_found_below_a_public_url() {
    let running = Running::start("job-state", &[("PUBLIC_URL", "https://odata.example.com/base")]).await;
    let answer = running.send(Gateway::HttpApi, &requeue(&format!("/base{ACTION}"), JOBS[0]), false).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let elsewhere = running.send(Gateway::HttpApi, &Sent::get("/base/data/BatchJobs"), false).await;
    assert_eq!(elsewhere["statusCode"], 404, "{elsewhere}");
}

#[tokio::test]
async fn everything_else_of_the_service_is_served_elsewhere() {
    let running = Running::start("job-state", &[]).await;
    let paths = [
        "/data",
        "/data/$metadata",
        "/data/$batch",
        "/data/BatchJobs",
        "/data/BatchJobs(5637144576)",
        "/data/BatchJobs(5637144576)/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting",
        "/data/BatchJobHistory/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting",
        "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting/x",
    ];
    for gateway in GATEWAYS {
        for path in paths {
            for sent in [Sent::get(path), Sent::post(path, "application/json", "{}")] {
                let answer = running.send(gateway, &sent, false).await;
                assert_eq!(answer["statusCode"], 404, "{gateway:?} {path}: {answer}");
                assert!(message(&answer).starts_with("only SetBatchJobToWaiting is answered here"), "{answer}");
            }
        }
        let head = running.send(gateway, &Sent { method: "HEAD", ..Sent::get("/data") }, false).await;
        assert_eq!((&head["statusCode"], &head["body"]), (&json!(404), &json!("")));
    }
}

#[tokio::test]
async fn services_without_jobs_are_not_there() {
    let running = Running::start("job-state", &[]).await;
    for path in ["/api/data/v9.2/accounts", "/api/v2.0", "/trippin/People"] {
        let answer = running.send(Gateway::HttpApi, &Sent::get(path), false).await;
        assert_eq!((&answer["statusCode"], &body(&answer)["error"]["code"]), (&json!(404), &json!("NotFound")));
    }
}

#[tokio::test]
async fn the_action_takes_post_alone() {
    let running = Running::start("job-state", &[]).await;
    for gateway in GATEWAYS {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = running.send(gateway, &Sent { method, ..Sent::get(ACTION) }, false).await;
            assert_eq!(answer["statusCode"], 405, "{method}: {answer}");
            assert_eq!(gateway.header(&answer, "allow").as_deref(), Some("POST"));
            assert_eq!(answer["body"] == "", method == "HEAD");
        }
    }
}
