//! The function `job-state`.

use serde_json::json;

use super::{
    Running, body,
    gateway::{GATEWAYS, Gateway, Sent},
};

const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";

/// What Finance & Operations says in an error.
fn message(answer: &serde_json::Value) -> String {
    body(answer)["error"]["innererror"]["message"].as_str().unwrap().to_owned()
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
