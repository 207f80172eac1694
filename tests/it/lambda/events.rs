//! Events that lead to no request: every function treats them alike.

use serde_json::{Value, json};

use super::{
    Running, body,
    gateway::{GATEWAYS, Gateway, Sent},
};

const FUNCTIONS: [&str; 2] = ["batch", "job-state"];
const NOWHERE: &str = "/nowhere";

#[tokio::test]
async fn requests_that_cannot_be_read_are_refused() {
    for function in FUNCTIONS {
        let running = Running::start(function, &[]).await;
        for gateway in GATEWAYS {
            for fault in faults(gateway) {
                let answer = running.function.invoke(fault).await.unwrap();
                assert_eq!(answer["statusCode"], 400, "{answer}");
                assert!(body(&answer)["error"]["message"].is_string(), "{answer}");
            }
            let lost = running.send(gateway, &Sent::get(NOWHERE), false).await;
            assert_eq!((&lost["statusCode"], &body(&lost)["error"]["code"]), (&json!(404), &json!("NotFound")));
        }
    }
}

/// A body that is not base64, a header and a method that are none.
fn faults(gateway: Gateway) -> [Value; 3] {
    let good = gateway.event(&Sent::post("/data/BatchJobs", "application/json", "{}"), true);
    let mut faults = [good.clone(), good.clone(), good];
    faults[0]["body"] = "e30".into();
    if gateway == Gateway::RestApi {
        faults[1]["multiValueHeaders"]["not a name"] = json!(["x"]);
        faults[2]["httpMethod"] = "G T".into();
    } else {
        faults[1]["headers"]["not a name"] = "x".into();
        faults[2]["requestContext"]["http"]["method"] = "G T".into();
    }
    faults
}

#[tokio::test]
async fn events_that_are_no_requests_fail_and_the_next_one_is_answered() {
    for function in FUNCTIONS {
        let running = Running::start(function, &[]).await;
        let good = Gateway::HttpApi.event(&Sent::get(NOWHERE), false);
        let mut no_path = good.clone();
        no_path["rawPath"] = json!(5);
        let mut no_method = good.clone();
        no_method["requestContext"]["http"] = json!({});
        let mut odd_headers = good.clone();
        odd_headers["headers"] = json!(["a"]);
        let events = [
            (json!(null), "UnknownEvent"),
            (json!("text"), "UnknownEvent"),
            (json!({}), "UnknownEvent"),
            (json!({ "Records": [{ "eventSource": "aws:sqs" }] }), "UnknownEvent"),
            (json!({ "version": "2.0", "requestContext": null, "rawPath": "/" }), "UnknownEvent"),
            (json!({ "version": 2, "requestContext": {}, "rawPath": "/" }), "UnknownEvent"),
            (json!({ "httpMethod": "GET", "requestContext": { "elb": {} } }), "MalformedEvent"),
            (no_path, "MalformedEvent"),
            (no_method, "MalformedEvent"),
            (odd_headers, "MalformedEvent"),
        ];
        for (event, expected) in events {
            let error = running.function.invoke(event.clone()).await.unwrap_err();
            assert_eq!(error["errorType"], expected, "{event}: {error}");
            assert_eq!(running.function.invoke(good.clone()).await.unwrap()["statusCode"], 404);
        }
    }
}

#[tokio::test]
async fn pages_may_call_where_the_environment_says_so() {
    let page = "https://app.example";
    for function in FUNCTIONS {
        let running = Running::start(function, &[("CORS_ORIGINS", "https://other.example https://app.example")]).await;
        for gateway in GATEWAYS {
            let asks = Sent { method: "OPTIONS", ..Sent::get("/data/BatchJobs") };
            let asks = asks.header("Origin", page).header("Access-Control-Request-Method", "POST");
            let answer = running.send(gateway, &asks, false).await;
            assert_eq!(answer["statusCode"], 204, "{gateway:?}: {answer}");
            let lost = running.send(gateway, &Sent::get(NOWHERE).header("Origin", page), false).await;
            assert_eq!(lost["statusCode"], 404);
            for answer in [answer, lost] {
                assert_eq!(gateway.header(&answer, "access-control-allow-origin").as_deref(), Some(page), "{answer}");
            }
        }
    }
}
