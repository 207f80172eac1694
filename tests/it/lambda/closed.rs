//! Functions that let nobody in without a token.

use jiff::Timestamp;
use serde_json::json;
use tests::{
    binaries::binary,
    issuer::{Issuer, SigningKey},
};
use tokio::process::Command;

use super::{
    Running,
    gateway::{GATEWAYS, Sent},
};

const ACTION: &str = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";

#[tokio::test]
async fn a_function_fetches_keys_for_its_first_token() {
    let key = SigningKey::rs256("k");
    let issuer = Issuer::start(&[&key]).await;
    let url = issuer.url();
    let variables = [
        ("AUTH_MODE", "jwt"),
        ("AUTH_ISSUER", "https://sts.example/a https://sts.example/b"),
        ("AUTH_AUDIENCE", "api://jobs"),
        ("AUTH_JWKS", url.as_str()),
    ];
    let exp = Timestamp::now().as_second() + 300;
    let claims = json!({ "iss": "https://sts.example/b", "aud": "api://jobs", "exp": exp, "sub": "s" });
    let (mut reader, mut operator) = (claims.clone(), claims);
    reader["scp"] = "data.read".into();
    operator["roles"] = json!(["jobs.requeue"]);
    let with = |sent: Sent, claims| sent.header("Authorization", &format!("Bearer {}", key.sign(claims)));
    let get = || Sent::get("/data/BatchJobs");
    let post = || Sent::post(ACTION, "application/json", json!({ "batchJobId": 1 }).to_string());
    let (batch, jobs) = (Running::start("batch", &variables).await, Running::start("job-state", &variables).await);
    for gateway in GATEWAYS {
        for (function, bare, reads, requeues) in
            [(&batch, get(), 200, 403), (&batch, post(), 403, 404), (&jobs, post(), 403, 404)]
        {
            let refused = function.send(gateway, &bare, false).await;
            assert_eq!(refused["statusCode"], 401, "{gateway:?}: {refused}");
            assert_eq!(gateway.header(&refused, "www-authenticate").as_deref(), Some("Bearer realm=\"rebatch\""));
            for (claims, expected) in [(&reader, reads), (&operator, requeues)] {
                let answer = function.send(gateway, &with(bare.clone(), claims), false).await;
                assert_eq!(answer["statusCode"], expected, "{gateway:?}: {answer}");
            }
        }
    }
    // Each function has asked once.
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_function_that_is_not_told_whom_to_let_in_does_not_start() {
    for (name, mode, reason) in
        [("batch", "", "AUTH_MODE is not set: jwt, token or none"), ("job-state", "jwt", "AUTH_ISSUER is not set")]
    {
        let mut command = Command::new(binary(name));
        command.envs([("TABLE_NAME", "t"), ("AUTH_MODE", mode), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && said.contains(&format!("authentication: {reason}")), "{name}: {said}");
        assert_eq!((said.lines().count(), output.stderr.len()), (1, 0), "{name}: {said}");
    }
}
