//! Each mistake with its place and its message.

use super::*;
use crate::policy::{SourceAuthentication, SourceFormat, TargetAuthentication};

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SHARED: &str = "0123456789abcdef0123456789abcdef";

fn var(name: &str) -> Option<String> {
    let vars =
        [("SIGNING", SIGNING), ("SHARED", SHARED), ("CLIENT", "c1ient~secret"), ("EMPTY", " "), ("SHORT", "hunter2")];
    vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn parse(text: &str) -> Result<Policy, PolicyFileError> {
    Policy::parse("policy.toml", text, SecretsOf::Everybody, var)
}

/// Checks that each text is refused with a place (line:column) and a message.
fn refused(before: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = parse(&format!("{before}{text}")).expect_err(text);
        let shown = error.to_string();
        assert_eq!(shown.strip_prefix("policy.toml:").unwrap(), *expected, "{text}");
        assert!(!shown.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_form_of_the_file_is_checked() {
    refused(
        "",
        &[
            ("[sources", "1:9: unclosed table, expected `]`"),
            (
                "[source.x]",
                "1:2: unknown field `source`, expected one of `keep_decisions`, `sources`, `targets`, `event_names`, `windows`, `rules`",
            ),
            ("keep_decisions = 90", "1:18: invalid type: integer, expected a string"),
            ("keep_decisions = \"12h\"", "1:18: keep_decisions is 1d to 3650d, not 12h"),
            ("\nkeep_decisions = \"90 days\"", "2:18: '90 days' is no length of time: write 90s, 5m, 1h30m or 2d"),
            ("rules = 5", "1:9: invalid type: integer, expected a sequence"),
            ("[targets.\"a b\"]", "1:10: a name has 1 to 50 letters, digits, '-' and '_'"),
            ("[targets.\"\"]", "1:10: a name has 1 to 50 letters, digits, '-' and '_'"),
        ],
    );
    let many = (0..=MAX_ENTRIES).map(|n| format!("[targets.t{n}]")).collect::<Vec<_>>().join("\n");
    refused("", &[(&many, "1:1: there are 201 targets; at most 200 are taken")]);
}

#[test]
fn a_file_may_say_nothing() {
    let policy = parse("").unwrap();
    assert_eq!((policy.sources().count(), policy.targets().count()), (0, 0));
    assert_eq!(policy.keep_decisions(), Duration::from_hours(90 * 24));
}

/// Events of the service's own jobs come from it, as soon as the service is a target.
#[test]
fn the_source_self_is_there_without_a_table() {
    let reserved =
        "the name 'self' is reserved: it is the source of events about this service's own jobs, and needs no table";
    let table = "[targets.own]\n[sources.self]\ntarget = \"own\"\nauthentication = \"none\"";
    refused("", &[(table, &format!("2:10: {reserved}"))]);
    let rule = "[[rules]]\nname = \"r\"\nsource = [\"s\", \"self\"]\naction = \"requeue\"\n";
    let elsewhere =
        "[targets.own]\nurl = \"https://a.example\"\n[sources.s]\ntarget = \"own\"\nauthentication = \"none\"\n";
    refused(elsewhere, &[(rule, "8:16: there is no source 'self'")]);
    assert!(parse(elsewhere).unwrap().own_source().is_none());
    let here = elsewhere.replace("url = \"https://a.example\"", "");
    let policy = parse(&format!("[targets.another]\n{here}{rule}")).unwrap();
    let own = policy.own_source().unwrap();
    assert_eq!((own.name.as_str(), own.target.as_str()), ("self", "another"), "the first one by name");
    assert!(policy.source("self").is_none() && policy.sources().all(|source| source.name == "s"));
    assert_eq!(parse("[targets.own]").unwrap().check_closed(), Ok(()), "nobody else can be that source");
}

/// A source that lacks its authentication, in line 4.
const SOURCE: &str = "[targets.own]\n[sources.s]\ntarget = \"own\"\n";

/// What comes before a rule; the rule begins in line 5.
const RULES: &str = "[windows.always]\ntime_zone = \"UTC\"\nopen = [{ from = \"00:00\", to = \"24:00\" }]\n[[rules]]\n";

/// A rule that lacks all but its name and action; what comes next is in line 7.
fn rule() -> String {
    format!("{RULES}name = \"r\"\naction = \"requeue\"\n")
}

#[test]
fn the_method_of_a_source_is_checked() {
    refused(
        SOURCE,
        &[
            ("", "2:10: source 's' says nothing of its authentication: say \"none\" if none is meant"),
            (
                "authentication = \"hunter2\"",
                "4:18: authentication is \"none\" or a table with one of 'signature', 'shared' and 'bearer'",
            ),
            (
                "authentication = {}",
                "4:18: authentication is \"none\" or a table with one of 'signature', 'shared' and 'bearer'",
            ),
            (
                "authentication = { signature = \"a\", shared = \"b\" }",
                "4:18: authentication is \"none\" or a table with one of 'signature', 'shared' and 'bearer'",
            ),
            ("authentication = { signature = [] }", "4:32: a list without values is met by nothing"),
            ("authentication = { signature = \"hunter2\" }", "4:32: a secret begins with \"whsec_\""),
            (
                "authentication = { signature = [{ env = \"SIGNING\" }, { env = \"SHORT\" }] }",
                "4:54: a secret begins with \"whsec_\"",
            ),
            (
                "authentication = { signature = { env = \"MISSING\" } }",
                "4:40: the environment has no variable MISSING, or an empty one",
            ),
            (
                "authentication = { signature = { env = \"EMPTY\" } }",
                "4:40: the environment has no variable EMPTY, or an empty one",
            ),
            ("authentication = { signature = { env = \"\" } }", "4:40: a variable of the environment has a name"),
            ("authentication = { signature = { file = \"x\" } }", "4:34: unknown field `file`, expected `env`"),
            ("authentication = { signature = 5 }", "4:32: invalid type: integer, expected a text or a table"),
            (
                "authentication = { signature = { env = \"SIGNING\" }, code = true }",
                "4:60: 'header' and 'code' say where the secret of 'shared' is: without it they have no meaning",
            ),
        ],
    );
}

#[test]
fn a_shared_secret_and_an_issuer_are_checked() {
    refused(
        SOURCE,
        &[
            (
                "authentication = { shared = { env = \"SHARED\" } }",
                "4:29: 'shared' needs a place for the secret: header = \"X-…\", code = true, or both",
            ),
            (
                "authentication = { shared = { env = \"SHARED\" }, code = false }",
                "4:29: 'shared' needs a place for the secret: header = \"X-…\", code = true, or both",
            ),
            (
                "authentication = { shared = { env = \"SHARED\" }, header = \"X Y\" }",
                "4:58: 'X Y' is no name of a header",
            ),
            (
                "authentication = { shared = [{ env = \"SHORT\" }], code = true }",
                "4:30: a token has 7 characters; 32 to 16384 are possible",
            ),
            (
                "authentication = { shared = \"hunter2\\\"\", code = true }",
                "4:29: a token has a character other than letters, digits and -._~+/=",
            ),
            ("authentication = { bearer = \"hunter2\" }", "4:29: invalid type: string, expected a table"),
            ("authentication = { bearer = { issuer = \"i\", audience = \"a\" } }", "4:29: missing field `keys`"),
            (
                "authentication = { bearer = { issuer = \"i\", audience = [], keys = \"k\" } }",
                "4:56: a list without values is met by nothing",
            ),
            (
                "authentication = { bearer = { issuer = \"i\", audience = \"a\", keys = \"http://a.example/k\" } }",
                "4:29: 'http://a.example/k': keys come over https, over http from this machine only",
            ),
        ],
    );
}

#[test]
fn sources_are_checked() {
    refused(
        SOURCE,
        &[
            (
                "authentication = \"none\"\nformat = \"xml\"",
                "5:10: unknown variant `xml`, expected one of `auto`, `finance-operations`, `event-grid`, `cloud-events`",
            ),
            (
                "authentication = \"none\"\nallowed_origins = [\"*\", \"a b\"]",
                "5:25: 'a b' is no origin: a host name, or \"*\" for all",
            ),
            ("authentication = \"none\"\nallowed_rate = 0", "5:16: allowed_rate is 1 to 1000000, not 0"),
        ],
    );
    refused(
        "",
        &[
            ("[sources.s]\nauthentication = \"none\"", "1:1: missing field `target`"),
            ("[sources.s]\nauthentication = \"none\"\ntarget = \"own\"", "3:10: there is no target 'own'"),
        ],
    );
}

#[test]
fn targets_are_checked() {
    refused(
        "[targets.t]\n",
        &[
            ("url = \"example.com\"", "2:7: no absolute URL: relative URL without a base"),
            (
                "url = \"http://example.com/data\"",
                "2:7: the URL begins with https://, or with http:// for this machine only",
            ),
            ("url = \"https:example.com\"", "2:7: the URL begins with https://, or with http:// for this machine only"),
            ("url = \"https://u:hunter2@example.com\"", "2:7: the URL has no user, password, query or fragment"),
            ("url = \"https://example.com/data?x=1\"", "2:7: the URL has no user, password, query or fragment"),
            ("timeout = \"31s\"", "2:11: timeout is 1s to 30s, not 31s"),
            (
                "authentication = \"hunter2\"",
                "2:18: authentication is \"none\" or a table with one of 'bearer' and 'client_credentials'",
            ),
            ("authentication = { bearer = \"hunter2 \" }", "2:29: a token is made of visible ASCII characters"),
            ("authentication = { bearer = 1234 }", "2:29: invalid type: integer, expected a text or a table"),
            (
                "authentication = { client_credentials = { client_id = \"a\", client_secret = \"hunter2\" } }",
                "2:41: missing field `token_url`",
            ),
            (
                "authentication = { client_credentials = { token_url = \"http://a.example\", client_id = \"a\", client_secret = \"hunter2\" } }",
                "2:55: the URL begins with https://, or with http:// for this machine only",
            ),
            (
                "authentication = { client_credentials = { token_url = \"https://a.example\", client_id = \"\", client_secret = \"hunter2\" } }",
                "2:88: client_id is empty",
            ),
            (
                "authentication = { client_credentials = { token_url = \"https://a.example\", client_id = \"a\", client_secret = \"hunter2\", scope = \"s\", resource = \"r\" } }",
                "2:144: 'scope' and 'resource' are two ways to say the same: one of them is enough",
            ),
        ],
    );
}

#[test]
fn event_names_are_checked() {
    refused(
        "[event_names]\n",
        &[
            ("failed = [\"\"]", "2:11: '' is no name of an event: 1 to 200 characters"),
            ("failed = [\"A\"]\ncanceled = [\"A\"]", "3:13: 'A' is the event \"failed\" already"),
            (
                "failed = [\"BatchJobFinishedBusinessEvent\"]",
                "2:11: 'BatchJobFinishedBusinessEvent' is the event \"finished\" already",
            ),
            ("ended = []", "2:1: unknown field `ended`, expected one of `failed`, `started`, `finished`, `canceled`"),
        ],
    );
    let policy = parse("[event_names]\nfailed = [\"A\", \"BatchJobFailedBusinessEvent\"]\nstarted = [\"B\"]").unwrap();
    for (id, kind) in [("A", Some(EventKind::Failed)), ("B", Some(EventKind::Started)), ("C", None)] {
        assert_eq!(policy.event_kind(id), kind);
    }
    assert_eq!(policy.event_kind("BatchJobFinishedBusinessEvent"), Some(EventKind::Finished));
}

#[test]
fn windows_are_checked() {
    refused(
        "[windows.w]\n",
        &[
            (
                "time_zone = \"Europe/Bonn\"\nopen = [{ from = \"22:00\", to = \"06:00\" }]",
                "2:13: 'Europe/Bonn' is no time zone of the IANA database, such as Europe/Berlin",
            ),
            (
                "time_zone = \"\"\nopen = [{ from = \"22:00\", to = \"06:00\" }]",
                "2:13: '' is no time zone of the IANA database, such as Europe/Berlin",
            ),
            ("time_zone = \"UTC\"\nopen = []", "3:8: a window that is never open"),
            (
                "time_zone = \"UTC\"\nopen = [{ days = [], from = \"22:00\", to = \"06:00\" }]",
                "3:18: a list without values is met by nothing",
            ),
            (
                "time_zone = \"UTC\"\nopen = [{ days = [\"mon-fri\", \"sunday\"], from = \"22:00\", to = \"06:00\" }]",
                "3:30: 'sunday' is no day: mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
            ),
            (
                "time_zone = \"UTC\"\nopen = [{ from = \"24:00\", to = \"06:00\" }]",
                "3:18: '24:00' is no time of the day: 00:00 to 23:59, and 24:00 as an end",
            ),
            (
                "time_zone = \"UTC\"\nopen = [{ from = \"22:00\", to = \"24:01\" }]",
                "3:32: '24:01' is no time of the day: 00:00 to 23:59, and 24:00 as an end",
            ),
            (
                "time_zone = \"UTC\"\nopen = [{ from = \"9:00\", to = \"12:00\" }]",
                "3:18: '9:00' is no time of the day: 00:00 to 23:59, and 24:00 as an end",
            ),
        ],
    );
}

#[test]
fn rules_are_checked() {
    refused(
        RULES,
        &[
            ("action = \"ignore\"", "4:1: missing field `name`"),
            ("name = \"\"\naction = \"ignore\"", "5:8: a rule's name has 1 to 100 characters"),
            ("name = \"r\"\naction = \"retry\"", "6:10: unknown variant `retry`, expected `requeue` or `ignore`"),
            (
                "name = \"r\"\naction = \"ignore\"\n[[rules]]\nname = \"r\"\naction = \"ignore\"",
                "8:8: two rules are named 'r'",
            ),
            ("name = \"r\"\naction = \"ignore\"\nmax_age = \"1h\"", "7:11: 'max_age' is for rules that requeue"),
            ("name = \"r\"\naction = \"ignore\"\nsource = \"x\"", "7:10: there is no source 'x'"),
        ],
    );
}

#[test]
fn what_a_rule_asks_is_checked() {
    refused(
        &rule(),
        &[
            (
                "event = [\"failed\", \"finished\"]",
                "7:20: a job that finished is not requeued: a rule that requeues is about failed and canceled jobs",
            ),
            (
                "event = \"started\"",
                "7:9: a job that started is not requeued: a rule that requeues is about failed and canceled jobs",
            ),
            (
                "event = \"ended\"",
                "7:9: unknown variant `ended`, expected one of `failed`, `canceled`, `started`, `finished`",
            ),
            ("job = \"7\"", "7:7: invalid type: string, expected i64"),
            ("job = []", "7:7: a list without values is met by nothing"),
            (
                "description = [\"a*\", 'C:\\x']",
                "7:22: in a glob a '\\' stands before '*', '?' or '\\', to mean that character",
            ),
            ("description = { regex = \"(\" }", "7:25: no regular expression: unclosed group"),
            ("description = { glob = \"(\" }", "7:17: unknown field `glob`, expected `regex`"),
            ("error = \"\"", "7:9: an empty pattern"),
        ],
    );
}

#[test]
fn how_a_rule_requeues_is_checked() {
    refused(
        &rule(),
        &[
            ("max_retries = 0", "7:15: max_retries is 1 to 100, not 0"),
            ("max_retries = 101", "7:15: max_retries is 1 to 100, not 101"),
            ("reset_after = \"30s\"", "7:15: reset_after is 1m to 365d, not 30s"),
            ("max_age = \"soon\"", "7:11: 'soon' is no length of time: write 90s, 5m, 1h30m or 2d"),
            (
                "max_age = \"90d\"",
                "7:11: max_age 90d is too long: decisions are kept for 90d (keep_decisions), and that must be a day more",
            ),
            ("backoff = { initial = \"2h\" }", "7:11: a wait of 2h to begin with is longer than the longest, 1h"),
            (
                "backoff = { initial = \"2h\", cap = \"1h\" }",
                "7:35: a wait of 2h to begin with is longer than the longest, 1h",
            ),
            ("backoff = { initial = \"8d\" }", "7:23: initial is 0s to 7d, not 8d"),
            ("backoff = { initial = \"1m\", factor = 0.5 }", "7:38: factor is 1 to 10, not 0.5"),
            ("backoff = { initial = \"1m\", factor = nan }", "7:38: factor is 1 to 10, not NaN"),
            ("backoff = { initial = \"1m\", jitter = 2 }", "7:38: jitter is 0 to 1, not 2"),
            ("window = \"never\"", "7:10: there is no window 'never'"),
            (
                "window = { outside = \"always\" }",
                "7:22: window 'always' is always open: outside of it there is no time",
            ),
        ],
    );
    let short = "keep_decisions = \"1d\"\n[[rules]]\nname = \"r\"\naction = \"requeue\"";
    refused(
        "",
        &[(
            short,
            "3:8: max_age 1d is too long: decisions are kept for 1d (keep_decisions), and that must be a day more",
        )],
    );
}

#[test]
fn a_source_has_its_format_and_its_authentication() {
    let policy = parse(
        r#"
        [targets.own]
        [sources.open]
        target = "own"
        authentication = "none"
        [sources.signed]
        target = "own"
        format = "cloud-events"
        authentication = { signature = [{ env = "SIGNING" }, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"] }
        allowed_origins = ["events.example.com"]
        allowed_rate = 120
        [sources.shared]
        target = "own"
        authentication = { shared = { env = "SHARED" }, header = "X-Key", code = true }
        [sources.token]
        target = "own"
        format = "event-grid"
        authentication = { bearer = { issuer = "https://sts.example/", audience = "api://x", keys = "https://sts.example/keys", callers = ["4962773b"] } }
        "#,
    )
    .unwrap();
    let source = |name| policy.source(name).unwrap();
    assert!(matches!(source("open").authentication, SourceAuthentication::None));
    let signed = source("signed");
    assert!(matches!(&signed.authentication, SourceAuthentication::Signature(secrets) if secrets.len() == 2));
    assert_eq!((signed.format, signed.allowed_rate), (SourceFormat::CloudEvents, Some(120)));
    assert_eq!(signed.allowed_origins, ["events.example.com"]);
    let SourceAuthentication::Shared { header, code, .. } = &source("shared").authentication else { panic!("shared") };
    assert_eq!((header.as_ref().unwrap().as_str(), code), ("x-key", &true));
    let SourceAuthentication::Bearer { callers, .. } = &source("token").authentication else { panic!("bearer") };
    assert_eq!((callers.as_slice(), source("token").format), (&["4962773b".to_owned()][..], SourceFormat::EventGrid));
    assert!(policy.source("other").is_none());
    let shown = format!("{policy:?}");
    assert!(!shown.contains("MfKQ9") && !shown.contains(SHARED), "{shown}");
}

#[test]
fn a_target_is_the_service_itself_or_a_url() {
    let policy = parse(
        r#"
        [targets.own]
        [targets.contoso]
        url = "https://contoso.operations.dynamics.com/data/"
        timeout = "20s"
        [targets.contoso.authentication.client_credentials]
        token_url = "https://login.microsoftonline.com/t/oauth2/v2.0/token"
        client_id = "id"
        client_secret = { env = "CLIENT" }
        scope = "https://contoso.operations.dynamics.com/.default"
        [targets.near]
        url = "http://127.0.0.1:8080/data"
        repeatability = true
        authentication = { bearer = { env = "SHARED" } }
        "#,
    )
    .unwrap();
    let own = policy.target("own").unwrap();
    assert_eq!((&own.url, own.repeatability, own.timeout), (&None, true, Duration::from_secs(10)));
    assert!(matches!(own.authentication, TargetAuthentication::None));
    let contoso = policy.target("contoso").unwrap();
    assert_eq!(contoso.url.as_deref(), Some("https://contoso.operations.dynamics.com/data"));
    assert_eq!((contoso.repeatability, contoso.timeout), (false, Duration::from_secs(20)));
    let TargetAuthentication::ClientCredentials { client_secret, scope, resource, .. } = &contoso.authentication else {
        panic!("client credentials")
    };
    assert_eq!((client_secret.0.as_str(), resource), ("c1ient~secret", &None));
    assert_eq!(scope.as_deref(), Some("https://contoso.operations.dynamics.com/.default"));
    let near = policy.target("near").unwrap();
    assert!(
        near.repeatability && matches!(&near.authentication, TargetAuthentication::Bearer(token) if token.0 == SHARED)
    );
    assert_eq!(policy.targets().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["contoso", "near", "own"]);
    assert!(!format!("{policy:?}").contains("c1ient"));
}

#[test]
fn secrets_that_are_not_asked_for_need_not_be_there() {
    let text = "[targets.bearer]\nurl = \"https://a.example\"\nauthentication.bearer = { env = \"T1\" }\n\
                [targets.client]\nurl = \"https://b.example\"\n[targets.client.authentication.client_credentials]\n\
                token_url = \"https://c.example\"\nclient_id = \"i\"\nclient_secret = { env = \"T2\" }\n\
                [sources.signed]\ntarget = \"client\"\nauthentication.signature = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\", { env = \"S1\" }]\n\
                [sources.shared]\ntarget = \"client\"\nauthentication = { shared = { env = \"S2\" }, code = true }\n";
    let load = |secrets, known: char| {
        let asked = std::cell::RefCell::new(Vec::new());
        let policy = Policy::parse("policy.toml", text, secrets, |name| {
            asked.borrow_mut().push(name.to_owned());
            name.starts_with(known).then(|| if name == "S1" { SIGNING } else { SHARED }.to_owned())
        });
        (policy, asked.into_inner())
    };
    let (policy, asked) = load(SecretsOf::Sources, 'S');
    let policy = policy.unwrap();
    assert_eq!(asked, ["S2", "S1"]);
    let of_source = |name| &policy.source(name).unwrap().authentication;
    assert!(matches!(of_source("signed"), SourceAuthentication::Signature(secrets) if secrets.len() == 2));
    assert!(matches!(of_source("shared"), SourceAuthentication::Shared { .. }));
    assert!(policy.targets().all(|target| matches!(target.authentication, TargetAuthentication::Withheld)));

    let (policy, asked) = load(SecretsOf::Targets, 'T');
    let policy = policy.unwrap();
    assert_eq!(asked, ["T1", "T2"]);
    assert!(policy.sources().all(|source| matches!(source.authentication, SourceAuthentication::Withheld)));
    assert!(policy.targets().all(|target| !matches!(target.authentication, TargetAuthentication::Withheld)));

    let (policy, asked) = load(SecretsOf::Nobody, 'S');
    assert!(policy.is_ok() && asked.is_empty());
    let (missing, _) = load(SecretsOf::Everybody, 'S');
    assert!(missing.unwrap_err().to_string().ends_with("the environment has no variable T1, or an empty one"));
}

#[test]
fn what_is_not_looked_up_is_checked_all_the_same() {
    for text in [
        "[targets.t]\nurl = \"https://a.example\"\nauthentication.bearer = { env = \"\" }",
        "[targets.t]\nurl = \"https://a.example\"\nauthentication.bearer = \"a b\"",
        "[targets.own]\n[sources.s]\ntarget = \"own\"\nauthentication.signature = []",
        "[targets.own]\n[sources.s]\ntarget = \"own\"\nauthentication = { shared = { env = \"S\" } }",
    ] {
        assert!(Policy::parse("p", text, SecretsOf::Nobody, |_| None).is_err(), "{text}");
    }
}
