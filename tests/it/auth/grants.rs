//! What callers may do.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Answer, Closed, FAILED, JOBS, claims, send};

const ENDPOINTS: &str = "/data/BusinessEventEndpoints";
const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";

impl Closed {
    fn request(&self, method: &str, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.host.url()));
        if body.is_null() { request } else { request.json(body) }
    }

    async fn call(&self, scopes: &str, method: &str, path: &str, body: Value) -> Answer {
        send(self.request(method, path, &body).bearer_auth(self.token(scopes))).await
    }
}

fn job(description: &str) -> Value {
    json!({ "JobDescription": description })
}

#[tokio::test]
async fn each_request_needs_its_permission() {
    let closed = Closed::start().await;
    let endpoint = json!({ "Name": "n", "Url": "https://receiver.example/hook" });
    let cases = [
        ("GET", JOBS, Value::Null, "data.read"),
        ("GET", FAILED, Value::Null, "data.read"),
        ("GET", "/data", Value::Null, "data.read"),
        ("GET", "/data/$metadata", Value::Null, "data.read"),
        ("GET", "/data/BusinessEventsCatalogs", Value::Null, "data.read"),
        ("POST", JOBS, job("new"), "data.write"),
        ("PATCH", FAILED, job("changed"), "data.write"),
        ("POST", ACTION, json!({ "batchJobId": 5_637_144_577_i64 }), "jobs.requeue"),
        ("GET", ENDPOINTS, Value::Null, "admin"),
        ("POST", ENDPOINTS, endpoint, "admin"),
        ("DELETE", "/data/BatchJobs(5637144580)", Value::Null, "data.write"),
    ];
    let all = ["data.read", "data.write", "jobs.requeue", "admin"];
    for (method, path, body, needed) in &cases {
        let others: Vec<&str> = all.into_iter().filter(|scope| scope != needed && *scope != "admin").collect();
        let refused = closed.call(&others.join(" "), method, path, body.clone()).await;
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text);
        assert!(refused.text.contains(&format!("the permission '{needed}' is missing")), "{}", refused.text);
        assert!(refused.challenge.contains("error=\"insufficient_scope\""), "{method} {path}: {}", refused.challenge);
        let allowed = closed.call(needed, method, path, body.clone()).await;
        assert!(matches!(allowed.status, 200..=204), "{method} {path}: {}", allowed.text);
    }
    let refused = closed.call("", "GET", JOBS, Value::Null).await;
    assert!(refused.challenge.ends_with(", scope=\"data.read\""), "{}", refused.challenge);
    let message = &refused.body["error"]["innererror"]["message"];
    let expected = "the permission 'data.read' is missing; any of these scopes or roles gives it: data.read, admin";
    assert_eq!(message, expected);
    assert_eq!(closed.call("admin", "GET", JOBS, Value::Null).await.status, 200);
    let nobody = closed.call("Data.Read data.readx", "GET", JOBS, Value::Null).await;
    assert_eq!(nobody.status, 403);
}

#[tokio::test]
async fn a_job_is_not_put_back_to_waiting_by_the_back_door() {
    let closed = Closed::start().await;
    let waiting = json!({ "Status": "Waiting" });
    let refused = closed.call("data.read data.write", "PATCH", FAILED, waiting.clone()).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.text.contains("jobs.requeue"));
    let allowed = closed.call("data.write jobs.requeue", "PATCH", FAILED, waiting).await;
    assert!(matches!(allowed.status, 200 | 204), "{}", allowed.text);
}

#[tokio::test]
async fn inner_requests_have_the_authority_of_their_batch_alone() {
    let closed = Closed::start().await;
    let admin = format!("Bearer {}", closed.token("admin"));
    let own = json!({ "authorization": admin, "content-type": "application/json" });
    let body = json!({ "requests": [
        { "id": "1", "method": "GET", "url": "BatchJobs(5637144576)?$select=Status", "headers": own },
        { "id": "2", "method": "PATCH", "url": "BatchJobs(5637144576)", "headers": own, "body": job("stolen") },
        { "id": "3", "method": "GET", "url": "BusinessEventEndpoints", "headers": own },
        { "id": "4", "atomicityGroup": "g", "method": "POST", "url": "BatchJobs", "headers": own, "body": job("g") },
        { "id": "5", "method": "GET", "url": "BatchJobs/$count", "headers": { "authorization": "Bearer nonsense" } },
    ]});
    let batch = |token: String| {
        let request = closed.request("POST", "/data/$batch", &body);
        request.header("prefer", "odata.continue-on-error").header("accept", "application/json").bearer_auth(token)
    };
    let answer = send(batch(closed.token("data.read"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let responses = answer.body["responses"].as_array().unwrap();
    let status = |id: &str| responses.iter().find(|r| r["id"] == id).unwrap()["status"].as_u64().unwrap();
    assert_eq!(["1", "2", "3", "4", "5"].map(status), [200, 403, 403, 403, 200], "{}", answer.text);
    assert!(!answer.text.to_ascii_lowercase().contains("www-authenticate"), "{}", answer.text);
    assert!(!answer.text.contains("stolen"));
    // A batch without a token of its own is not run, whatever its requests bring along.
    let closed_batch = send(closed.request("POST", "/data/$batch", &body)).await;
    assert_eq!(closed_batch.status, 401);
    let count = closed.call("data.read", "GET", "/data/BatchJobs/$count", Value::Null).await;
    assert!(count.text.ends_with("\n8"), "nothing was made: {}", count.text);
}

#[tokio::test]
async fn the_caller_is_on_record() {
    let closed = Closed::start().await;
    let object_id = "6f3c1c9e-6a3b-4b8e-9c55-2f1f5d0f9a11";
    let mut claims = claims("");
    claims["preferred_username"] = "alice@contoso.com".into();
    claims["oid"] = object_id.into();
    claims["roles"] = json!(["jobs.requeue", "data.read"]);
    let token = closed.key.sign(&claims);
    let requeue = closed.request("POST", ACTION, &json!({ "batchJobId": 5_637_144_576_i64 }));
    assert_eq!(send(requeue.bearer_auth(&token)).await.status, 200);
    let job = send(closed.get(FAILED).bearer_auth(&token)).await.body;
    assert_eq!(json!([job["LastRequeuedBy"], job["LastChangedByObjectId"]]), json!(["alice@contoso.com", object_id]));
}
