//! `WWW-Authenticate`: what a client has to do to be let in (RFC 6750 §3).

use http::HeaderValue;

use crate::{auth::AuthError, jobs::Refusal, plan::PlanError};

use super::Failure;

/// One token is good for all services of a host.
const REALM: &str = "Bearer realm=\"rebatch\"";

/// The challenge that goes with a failure.
pub(super) fn challenge(failure: &Failure) -> Option<HeaderValue> {
    let text = match failure {
        Failure::Auth(AuthError::Missing) => REALM.to_owned(),
        Failure::Auth(error @ AuthError::Repeated) => described("invalid_request", error),
        Failure::Auth(error @ AuthError::Token(_)) => described("invalid_token", error),
        Failure::Plan(PlanError::Forbidden { given_by, .. }) => insufficient(given_by.first()),
        Failure::Plan(PlanError::NotSetToWaiting(refused)) if refused.refusal == Refusal::Forbidden => {
            insufficient(None)
        }
        _ => return None,
    };
    HeaderValue::try_from(text).ok()
}

fn described(error: &str, description: &AuthError) -> String {
    format!("{REALM}, error=\"{error}\", error_description=\"{description}\"")
}

/// The scope to ask for. Names that could not stand in the header are left to the body.
fn insufficient(scope: Option<&String>) -> String {
    let is_scope = |scope: &&String| scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let scope = scope.filter(is_scope).map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
    format!("{REALM}, error=\"insufficient_scope\"{scope}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Permission, TokenError};

    fn text(failure: impl Into<Failure>) -> String {
        challenge(&failure.into()).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_challenge_says_what_is_wrong_with_a_token() {
        assert_eq!(text(AuthError::Missing), "Bearer realm=\"rebatch\"");
        assert_eq!(
            text(AuthError::Token(TokenError::Expired)),
            "Bearer realm=\"rebatch\", error=\"invalid_token\", error_description=\"the token has expired\""
        );
        assert!(text(AuthError::Repeated).contains("error=\"invalid_request\""));
        assert!(challenge(&Failure::NoService).is_none());
    }

    #[test]
    fn a_challenge_names_the_scope_to_ask_for() {
        let forbidden =
            |scope: &str| PlanError::Forbidden { permission: Permission::DataRead, given_by: vec![scope.into()] };
        let start = "Bearer realm=\"rebatch\", error=\"insufficient_scope\"";
        assert_eq!(text(forbidden("Data.Read")), format!("{start}, scope=\"Data.Read\""));
        for unspeakable in ["all of it", "a\"b", "a\\b", "\u{e4}"] {
            assert_eq!(text(forbidden(unspeakable)), start);
        }
    }
}
