//! Whether a host has the sources of its policy that let everybody in.

use local::own_names::OwnNames;
use shared::policy::{OpenSource, Policy};

use crate::cli::{AuthMode, Serve};

/// Why a host is not one for sources that let everybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Guarded {
    #[error("this host asks callers to show who they are (--auth)")]
    Authentication,
    #[error("others than this machine reach this host (--public-url)")]
    PublicUrl,
}

/// A policy that was asked for has such a source, and the host is not one for it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{source}, and {why}: such a source is only for a host with --allow-open-sources, where whoever reaches it uses it"
)]
pub(crate) struct OpenSourceError {
    source: OpenSource,
    why: Guarded,
}

/// Why such sources are not for a host with these options. An address that others reach needs `--auth`.
fn guarded(args: &Serve) -> Option<Guarded> {
    match args.auth.mode {
        _ if args.allow_open_sources => None,
        AuthMode::Token | AuthMode::Jwt => Some(Guarded::Authentication),
        AuthMode::None if args.public_url.as_deref().is_some_and(is_of_others) => Some(Guarded::PublicUrl),
        AuthMode::None => None,
    }
}

fn is_of_others(public_url: &str) -> bool {
    !OwnNames::is_of_this_machine(public_url)
}

/// The policy as this host has it. A policy that was found, and not asked for, does not keep the host from serving:
/// its open sources are left out, and that is said.
pub(crate) fn admitted(policy: Policy, args: &Serve) -> Result<Policy, OpenSourceError> {
    let Some(why) = guarded(args) else { return Ok(policy) };
    match policy.check_closed() {
        Ok(()) => Ok(policy),
        Err(source) if args.policy.is_some() => Err(OpenSourceError { source, why }),
        Err(_) => {
            let policy = policy.without_open();
            tracing::warn!("{}", left_out(&policy, why));
            Ok(policy)
        }
    }
}

fn left_out(policy: &Policy, why: Guarded) -> String {
    let paths: Vec<String> = policy.left_out().iter().map(|name| format!("/events/{name}")).collect();
    format!(
        "{} takes no events: its authentication in the policy is \"none\", and {why}; --allow-open-sources lets whoever \
         reaches it use it",
        paths.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use shared::policy::SecretsOf;

    use super::*;
    use crate::cli::Command;

    const POLICY: &str = r#"
        [targets.own]
        [sources.local]
        target = "own"
        authentication = "none"
        [sources.signed]
        target = "own"
        authentication = { signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
        [[rules]]
        name = "of the open one"
        source = "local"
        action = "requeue"
    "#;

    fn of(arguments: &[&str]) -> Result<Policy, String> {
        let line = ["rebatch"].iter().chain(arguments).map(Into::into);
        let Ok(Command::Serve(args)) = Command::parse(line) else { panic!("{arguments:?}") };
        let policy = Policy::parse("policy.toml", POLICY, SecretsOf::Everybody, |_| None).unwrap();
        admitted(policy, &args).map_err(|error| error.to_string())
    }

    fn sources(arguments: &[&str]) -> Vec<String> {
        of(arguments).unwrap().sources().map(|source| source.name.clone()).collect()
    }

    const PUBLIC: [&str; 2] = ["--public-url", "https://a.example"];

    #[test]
    fn an_open_source_is_for_an_open_host_or_one_that_says_so() {
        assert_eq!(sources(&[]), ["local", "signed"]);
        for guarded in [&PUBLIC[..], &["--auth", "jwt"], &["--auth", "token"], &["--auth", "jwt", PUBLIC[0], PUBLIC[1]]]
        {
            assert_eq!(sources(guarded), ["signed"], "{guarded:?}");
            let policy = of(guarded).unwrap();
            assert_eq!((policy.left_out(), policy.targets().count()), (&["local".to_owned()][..], 1));
            let asked = [guarded, &["--policy", "p.toml"]].concat();
            let refused = of(&asked).unwrap_err();
            let why = if guarded[0] == "--auth" { "(--auth)" } else { "(--public-url)" };
            assert!(refused.starts_with("source 'local' has authentication \"none\", and "), "{refused}");
            assert!(refused.contains(why) && refused.contains("--allow-open-sources"), "{refused}");
            for options in [guarded, &asked] {
                let allowed = [options, &["--allow-open-sources"]].concat();
                assert_eq!(sources(&allowed), ["local", "signed"], "{allowed:?}");
            }
        }
    }

    #[test]
    fn the_warning_says_which_why_and_how_to_allow_it() {
        let policy = of(&PUBLIC).unwrap();
        let text = left_out(&policy, Guarded::PublicUrl);
        for part in ["/events/local takes no events", "(--public-url)", "--allow-open-sources"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
