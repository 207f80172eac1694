//! `rebatch check-rules` as a process: what it says about an event, and what stops it.

use std::{fs, path::PathBuf, process::Stdio};

use tempfile::TempDir;
use tests::binaries::{binary, workspace};
use tokio::{io::AsyncWriteExt, process::Command};

const FAILED: &str = r#"{"BusinessEventId":"BatchJobFailedBusinessEvent","BusinessEventLegalEntity":"USMF","ControlNumber":5637611083,"EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D","EventTime":"/Date(1795185000000)/","EventTimeIso8601":"2026-11-20T14:30:00.0000000Z","JobDescription":"Month end closing","JobId":5637144576,"JobStatus":"Error","MajorVersion":0,"MinorVersion":0}"#;

const POLICY: &str = r#"
[targets.own]
[targets.contoso]
url = "https://contoso.operations.dynamics.com/data"
[sources.local]
target = "own"
authentication = "none"
[sources.contoso]
target = "contoso"
authentication = { signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
[windows.off-peak]
time_zone = "Europe/Berlin"
open = [{ from = "20:00", to = "06:00" }]
[[rules]]
name = "by hand"
description = "Manual*"
legal_entity = "DEMF"
action = "ignore"
[[rules]]
name = "nightly"
action = "requeue"
max_retries = 2
backoff = { initial = "10m" }
window = "off-peak"
[[rules]]
name = "rest"
action = "requeue"
"#;

/// `rebatch` with these arguments; not started yet.
fn rebatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("rebatch"));
    command.current_dir(workspace()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A folder with a policy and an event.
struct Files(TempDir);

impl Files {
    fn new(policy: &str, event: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy.toml"), policy).unwrap();
        fs::write(folder.path().join("event.json"), event).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Exit code, standard output and standard error, without the folder's name.
    async fn check(&self, arguments: &[&str]) -> (i32, String, String) {
        let (policy, event) = (self.path("policy.toml"), self.path("event.json"));
        let files = ["check-rules", "--policy", policy.to_str().unwrap(), "--event", event.to_str().unwrap()];
        let output = rebatch(&[&files, arguments].concat()).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", self.0.path().display()), "");
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[tokio::test]
async fn it_says_what_each_rule_makes_of_an_event_and_when_the_job_is_requeued() {
    let files = Files::new(POLICY, FAILED);
    let (code, out, _) = files.check(&["--source", "contoso", "--at", "2026-11-20T15:00:00Z"]).await;
    let expected = r#"event     "BatchJobFailedBusinessEvent" 8D1220EB-E514-4E35-844E-E062DEF0C05D of source 'contoso'
          job 5637144576 "Month end closing" of legal entity "USMF", status "Error", at 2026-11-20T14:30:00Z
rules     1. 'by hand' does not match: description is "Month end closing", not "Manual*"; legal_entity is "USMF", not "DEMF"
          2. 'nightly' matches
          3. 'rest' would match, but a rule before it does
decision  Requeue: rule 'nightly' requeues the job, twice at most
when      retry 1 of 2, at 2026-11-20T19:00:00Z
target    'contoso': https://contoso.operations.dynamics.com/data

Nothing was done.
"#;
    assert_eq!((code, out.as_str()), (0, expected));
    let (_, out, _) = files.check(&["--source", "local", "--at", "2026-11-20T20:00:00Z", "--retries", "1"]).await;
    assert!(out.contains("retry 2 of 2, between 2026-11-20T20:16:00Z and 2026-11-20T20:24:00Z\n"), "{out}");
    assert!(out.contains("target    'own': this service\n"), "{out}");
    let (code, out, _) = files.check(&["--source", "local", "--at", "2026-11-20T15:00:00Z", "--retries", "2"]).await;
    assert!(code == 0 && out.contains("decision  Exhausted: ") && !out.contains("when "), "{out}");
    let (code, out, _) = files.check(&["--source", "local", "--at", "2026-11-22T15:00:00Z"]).await;
    assert!(code == 0 && out.contains("decision  TooOld: rule 'nightly' matches, but the event happened 2d"), "{out}");
}

#[tokio::test]
async fn it_takes_several_events_in_any_form_and_from_standard_input() {
    let test = r#"{"BusinessEventId":"BusinessEventsTestEndpointContract","BusinessEventLegalEntity":"001","ControlNumber":-9223372036854775808,"EventId":"8D1220EB-E514-4E35-844E-E062DEF0C05D"}"#;
    let cloud = format!(
        r#"{{"specversion":"1.0","id":"1","source":"x","type":"BatchJobFailedBusinessEvent","time":"2026-11-20T14:30:00Z","data":{FAILED}}}"#
    );
    let grid = r#"{"id":"7","eventType":"Contoso.Other","subject":"","eventTime":"2026-11-20T14:30:00Z","data":{},"dataVersion":"1"}"#;
    let files = Files::new(POLICY, &format!("[{test},{cloud},{grid},5]"));
    let (code, out, error) = files.check(&["--source", "local", "--at", "2026-11-20T15:00:00Z"]).await;
    let decisions: Vec<_> = out.lines().filter_map(|line| line.strip_prefix("decision  ")).collect();
    assert_eq!(decisions.len(), 4, "{out}");
    for (decision, expected) in decisions.iter().zip(["Test", "Requeue", "", "Unreadable"]) {
        assert!(decision.starts_with(expected), "{decision}");
    }
    assert_eq!((code, error.as_str()), (1, "rebatch: event.json: event 3 is a number, not an object\n"));
    // The sample of the repository, which has one source.
    let mut command = rebatch(&["check-rules", "--event", "-", "--at", "2026-11-20T15:00:00Z"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(FAILED.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.contains("Requeue: rule 'failed jobs'") && out.contains("retry 1 of 5, at 2026-11-20T15:00:05Z"),
        "{out}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_one_line_with_its_place() {
    let broken_rule = format!("{POLICY}\n[[rules]]\nname = \"rest\"\naction = \"ignore\"\n");
    for (policy, event, arguments, expected) in [
        ("[rules", FAILED, &[][..], "policy.toml:1:7: unclosed table, expected `]`"),
        (&broken_rule, FAILED, &[], "policy.toml:30:8: two rules are named 'rest'"),
        (POLICY, FAILED, &[], "the policy has several sources, so --source must name one: contoso, local, self"),
        (POLICY, FAILED, &["--source", "x"], "there is no source 'x' in the policy: contoso, local, self"),
        ("", FAILED, &[], "the policy has no source"),
        (POLICY, "{\n  \"a\": oops}", &["--source", "local"], "event.json:2:8: is not JSON: expected value"),
        (POLICY, "5", &["--source", "local"], "event.json: the body is a number, not a JSON object or array"),
    ] {
        let (code, out, error) = Files::new(policy, event).check(arguments).await;
        assert_eq!((code, out.as_str(), error.as_str()), (1, "", format!("rebatch: {expected}\n").as_str()));
    }
    let files = Files::new(POLICY, FAILED);
    let (code, out, _) = files.check(&["--source", "self", "--at", "2026-11-20T15:00:00Z"]).await;
    assert!(code == 0 && out.contains("of source 'self'") && out.contains("target    'own': this service"), "{out}");
    fs::remove_file(files.path("event.json")).unwrap();
    let (code, _, error) = files.check(&["--source", "local"]).await;
    assert!(code == 1 && error.starts_with("rebatch: event.json: cannot be read: "), "{error}");
}
