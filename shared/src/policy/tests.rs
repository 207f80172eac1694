//! What the rules decide, and when.

use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::events::{JobEvent, What};

const SOURCES: &str = r#"
    [targets.own]
    [sources.local]
    target = "own"
    authentication = "none"
    [sources.other]
    target = "own"
    authentication = { signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
    [event_names]
    failed = ["ContosoJobFailed"]
    [windows.off-peak]
    time_zone = "Europe/Berlin"
    open = [{ days = ["mon-fri"], from = "22:00", to = "06:00" }, { days = ["sat", "sun"], from = "00:00", to = "24:00" }]
"#;

fn policy(rules: &str) -> Policy {
    Policy::parse("policy.toml", &format!("{SOURCES}{rules}"), SecretsOf::Nobody, |_| None).unwrap()
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn event(what: What) -> JobEvent {
    JobEvent {
        id: Uuid::from_u128(1),
        given_id: "1".into(),
        what,
        type_name: "BatchJobFailedBusinessEvent".into(),
        control_number: 7,
        time: Some(now()),
        time_note: None,
        legal_entity: "USMF".into(),
        job: Some(5_637_144_576),
        job_description: "Month end closing".into(),
        job_status: "Error".into(),
        error_text: "SQL: chosen as deadlock victim".into(),
        trace: None,
    }
}

fn failed() -> JobEvent {
    event(What::Job(EventKind::Failed))
}

fn decided(policy: &Policy, event: &JobEvent) -> (Decision, Option<String>, String) {
    let verdict = policy.decide(policy.source("local").unwrap(), event, now());
    assert_eq!(verdict.limit.is_some(), verdict.decision == Decision::Requeue);
    assert!(!verdict.reason.contains('\n'));
    (verdict.decision, verdict.rule, verdict.reason)
}

fn matches(condition: &str, event: &JobEvent) -> bool {
    let policy = policy(&format!("[[rules]]\nname = \"r\"\naction = \"requeue\"\n{condition}"));
    let source = policy.source("local").unwrap();
    let explanation = policy.explain(source, event, now());
    let found = explanation.verdict.rule.is_some();
    assert_eq!(explanation.rules[0].mismatches.is_empty(), found, "{condition}");
    found
}

#[test]
fn each_condition_is_met_by_any_of_its_values() {
    for (condition, expected) in [
        ("", true),
        ("source = \"local\"", true),
        ("source = \"other\"", false),
        ("source = [\"other\", \"local\"]", true),
        ("event = \"canceled\"", false),
        ("event = [\"canceled\", \"failed\"]", true),
        ("job = 5637144576", true),
        ("job = [1, 2]", false),
        ("description = \"month*\"", true),
        ("description = \"month\"", false),
        ("description = { regex = \"^Month end\" }", true),
        ("description = [\"x\", { regex = \"closing$\" }]", true),
        ("description = { regex = \"^month\" }", false),
        ("legal_entity = \"usmf\"", true),
        ("legal_entity = [\"dat\"]", false),
        ("status = \"error\"", true),
        ("status = [\"Canceled\"]", false),
        ("error = \"deadlock\"", true),
        ("error = [\"timeout\", { regex = \"(?i)DEADLOCK\" }]", true),
        ("error = \"^deadlock\"", false),
        ("job = 5637144576\ndescription = \"Year*\"", false),
    ] {
        assert_eq!(matches(condition, &failed()), expected, "{condition}");
    }
    assert!(!matches("job = 5637144576", &JobEvent { job: None, ..failed() }));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(
        r#"
        [[rules]]
        name = "not by hand"
        description = "manual*"
        action = "ignore"
        [[rules]]
        name = "deadlocks"
        error = "deadlock"
        action = "requeue"
        max_retries = 1
        reset_after = "2h"
        [[rules]]
        name = "rest"
        action = "requeue"
        "#,
    );
    let (decision, rule, reason) = decided(&policy, &failed());
    assert_eq!((decision, rule.as_deref()), (Decision::Requeue, Some("deadlocks")));
    assert_eq!(reason, "rule 'deadlocks' requeues the job, once at most");
    let limit = policy.decide(policy.source("local").unwrap(), &failed(), now()).limit;
    assert_eq!(limit, Some(Limit { max_retries: 1, reset_after: Some(7200) }));
    let other = JobEvent { error_text: String::new(), ..failed() };
    assert_eq!(decided(&policy, &other).2, "rule 'rest' requeues the job, 5 times at most");
    let manual = JobEvent { job_description: "Manual run".into(), ..failed() };
    assert_eq!(
        decided(&policy, &manual),
        (Decision::Ignored, Some("not by hand".into()), "rule 'not by hand' ignores it".into())
    );
    let canceled = event(What::Job(EventKind::Canceled));
    assert_eq!(decided(&policy, &canceled), (Decision::NoRule, None, "none of the 3 rules matches".into()));
    assert_eq!(decided(&self::policy(""), &failed()).2, "there is no rule");
    let jobless = JobEvent { job: None, ..other };
    assert_eq!(decided(&policy, &jobless).0, Decision::Ignored);
    assert_eq!(decided(&policy, &jobless).2, "rule 'rest' would requeue the job, but the event names none");
}

#[test]
fn an_event_is_too_old_after_its_max_age_and_from_the_future() {
    let policy = policy("[[rules]]\nname = \"r\"\naction = \"requeue\"\nmax_age = \"1h\"");
    for (seconds, decision, reason) in [
        (-300, Decision::Requeue, "rule 'r' requeues the job, 5 times at most"),
        (-301, Decision::TooOld, "rule 'r' matches, but the event is 5m 1s in the future; 5m are let pass"),
        (3600, Decision::Requeue, "rule 'r' requeues the job, 5 times at most"),
        (3601, Decision::TooOld, "rule 'r' matches, but the event happened 1h 1s ago; its max_age is 1h"),
    ] {
        let event = JobEvent { time: Some(now() - SignedDuration::from_secs(seconds)), ..failed() };
        assert_eq!(decided(&policy, &event), (decision, Some("r".into()), reason.into()));
    }
    assert_eq!(decided(&policy, &JobEvent { time: None, ..failed() }).0, Decision::Requeue);
    let noted = JobEvent { time_note: Some("EventTimeIso8601 has no offset: it is taken as UTC".into()), ..failed() };
    let reason = "rule 'r' requeues the job, 5 times at most (EventTimeIso8601 has no offset: it is taken as UTC)";
    assert_eq!(decided(&policy, &noted).2, reason);
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(decided(&policy, &JobEvent { time: Some(end), ..failed() }).0, Decision::TooOld);
    }
}

#[test]
fn events_that_are_no_failure_have_their_own_decisions() {
    let rules = policy("[[rules]]\nname = \"r\"\naction = \"requeue\"");
    for (what, decision, reason) in [
        (What::Test, Decision::Test, "it tests the endpoint"),
        (What::Job(EventKind::Finished), Decision::Reset, "the job finished: its retries are counted anew"),
        (What::Job(EventKind::Started), Decision::Ignored, "a job that starts needs nothing"),
    ] {
        assert_eq!(decided(&rules, &event(what)), (decision, None, reason.into()));
    }
    let other = JobEvent { type_name: "Vendor\nInvoice".into(), ..event(What::Other) };
    assert_eq!(
        decided(&rules, &other),
        (Decision::Ignored, None, "\"Vendor\\nInvoice\" is no event of a batch job".into())
    );
    assert_eq!(rules.event_kind("ContosoJobFailed"), Some(EventKind::Failed));
    let finished = event(What::Job(EventKind::Finished));
    let future =
        JobEvent { time: finished.time.map(|at| at.checked_add(jiff::Span::new().hours(1)).unwrap()), ..finished };
    let (decision, _, reason) = decided(&rules, &future);
    assert_eq!(decision, Decision::TooOld);
    assert!(reason.starts_with("the job finished, but the event is"), "{reason}");
    let ignored = policy("[[rules]]\nname = \"r\"\naction = \"ignore\"\nevent = [\"started\", \"finished\"]");
    for kind in [EventKind::Started, EventKind::Finished] {
        assert_eq!(decided(&ignored, &event(What::Job(kind))).1.as_deref(), Some("r"));
    }
}

#[test]
fn an_explanation_names_what_does_not_match() {
    let policy = policy(
        "[[rules]]\nname = \"a\"\naction = \"ignore\"\njob = [1, 2]\ndescription = [\"Year*\", { regex = \"^x\" }]\n\
         [[rules]]\nname = \"b\"\naction = \"requeue\"\n[[rules]]\nname = \"c\"\naction = \"requeue\"\nevent = \"canceled\"",
    );
    let explanation = policy.explain(policy.source("local").unwrap(), &failed(), now());
    let mismatch =
        |condition, wanted: &str, found: &str| Mismatch { condition, wanted: wanted.into(), found: found.into() };
    assert_eq!(
        explanation.rules,
        [
            Asked {
                rule: "a".into(),
                mismatches: vec![
                    mismatch("job", "1 or 2", "5637144576"),
                    mismatch("description", "\"Year*\" or /^x/", "\"Month end closing\""),
                ],
            },
            Asked { rule: "b".into(), mismatches: vec![] },
            Asked { rule: "c".into(), mismatches: vec![mismatch("event", "\"canceled\"", "\"failed\"")] },
        ]
    );
    assert_eq!((explanation.kind, explanation.verdict.rule.as_deref()), (Some(EventKind::Failed), Some("b")));
    assert_eq!(policy.explain(policy.source("local").unwrap(), &event(What::Test), now()).rules, []);
}

#[test]
fn a_retry_waits_and_then_for_its_window() {
    let policy = policy(
        r#"
        [[rules]]
        name = "at once"
        action = "requeue"
        [[rules]]
        name = "off-peak"
        action = "requeue"
        backoff = { initial = "1h", factor = 3, cap = "8h", jitter = 0 }
        window = "off-peak"
        [[rules]]
        name = "peak"
        action = "requeue"
        backoff = { initial = "10m" }
        window = { outside = "off-peak" }
        [[rules]]
        name = "never"
        action = "ignore"
        "#,
    );
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // A Friday, 20:00 in Berlin.
    let friday = at("2026-11-20T19:00:00Z");
    for (rule, retry, jitter, due) in [
        ("at once", 1, 0.9, "2026-11-20T19:00:00Z"),
        ("at once", 5, 0.1, "2026-11-20T19:00:00Z"),
        ("off-peak", 1, 0.5, "2026-11-20T21:00:00Z"),
        ("off-peak", 2, 0.5, "2026-11-20T22:00:00Z"),
        ("off-peak", 3, 0.5, "2026-11-21T03:00:00Z"),
        ("peak", 1, 0.0, "2026-11-20T19:08:00Z"),
        ("peak", 1, 1.0, "2026-11-20T19:12:00Z"),
        ("peak", 6, 0.5, "2026-11-20T20:00:00Z"),
        ("never", 1, 0.5, "2026-11-20T19:00:00Z"),
        ("no such rule", 1, 0.5, "2026-11-20T19:00:00Z"),
    ] {
        assert_eq!(policy.schedule(rule, retry, friday, jitter), at(due), "{rule} {retry}");
    }
    assert_eq!(policy.open_at("off-peak", friday), at("2026-11-20T21:00:00Z"));
    assert_eq!(policy.open_at("peak", at("2026-11-20T21:00:00Z")), at("2026-11-22T23:00:00Z"));
    assert_eq!(policy.open_at("at once", friday), friday);
}

#[test]
fn an_open_source_is_refused_or_left_out() {
    let policy = policy("");
    let error = policy.check_closed().unwrap_err();
    assert_eq!(error.to_string(), "source 'local' has authentication \"none\"");
    let (all, open) = (policy.sources().count(), policy.sources().filter(|source| source.is_open()).count());
    let closed = policy.without_open();
    assert_eq!((closed.check_closed(), closed.sources().count()), (Ok(()), all - open));
    assert!(closed.source("local").is_none() && closed.left_out().contains(&"local".to_owned()));
    assert_eq!(closed.left_out().len(), open);
    let empty = Policy::parse("p", "", SecretsOf::Sources, |_| None).unwrap();
    assert_eq!(empty.check_closed(), Ok(()));
    assert!(empty.without_open().left_out().is_empty());
}

#[test]
fn a_file_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    let load = || Policy::load(&path, SecretsOf::Everybody, |_| None);
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load().unwrap_err().to_string()
    };
    assert!(refused(b"x").contains("policy.toml:1:2: "));
    assert!(refused(b"\xff").ends_with("policy.toml:1:1: is not UTF-8 text"));
    assert!(refused(&vec![b'\n'; (1 << 20) + 1]).ends_with("policy.toml: has more than 1048576 bytes"));
    std::fs::write(&path, SOURCES).unwrap();
    assert_eq!(load().unwrap().sources().count(), 2);
    std::fs::remove_file(&path).unwrap();
    assert!(load().unwrap_err().to_string().contains("policy.toml: cannot be read"));
}

/// The sample is the documentation: what it shows in comments must hold.
#[test]
fn the_sample_is_a_policy_with_and_without_what_it_shows() {
    let sample = include_str!("../../../infra/policy.toml");
    let is_setting = |text: &str| {
        let key = text.split(" = ").next().unwrap_or_default();
        text.starts_with('[') || (key.len() < text.len() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let shown = |line: &str| match line.strip_prefix("# ") {
        Some(text) if is_setting(text) => text.to_owned(),
        _ => line.to_owned(),
    };
    let all = sample.lines().map(shown).collect::<Vec<_>>().join("\n");
    for (text, sources, rules) in [(sample, 1, 1), (&all, 2, 4)] {
        let policy =
            Policy::parse("policy.toml", text, SecretsOf::Everybody, |_| Some("c1ient~secret".into())).unwrap();
        assert_eq!((policy.sources().count(), policy.targets().count(), policy.rules.len()), (sources, sources, rules));
        let (decision, rule, reason) = decided(&policy, &JobEvent { error_text: String::new(), ..failed() });
        assert_eq!((decision, rule.as_deref()), (Decision::Requeue, Some("failed jobs")));
        assert_eq!(reason, "rule 'failed jobs' requeues the job, 5 times at most");
    }
}
