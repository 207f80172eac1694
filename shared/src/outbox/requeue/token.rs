//! How calls to a target show who makes them: OAuth 2.0 client credentials (RFC 6749 §4.4), or a token that is given.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::form_urlencoded;

use crate::{
    outbox::{courier::Courier, later},
    policy::TargetAuthentication,
};

use super::answer::{Failure, shortened};

/// How long a token is used of which the endpoint does not say how long it is good for.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);
/// The longest that one is.
const MAX_LIFE: Duration = Duration::from_hours(24);
/// So long before its end a token is not used any more; at most for the second half of its life.
const MARGIN: Duration = Duration::from_mins(1);
/// How long a token endpoint has for its answer.
pub(super) const TOKEN_TIME: Duration = Duration::from_secs(10);
/// The longest token, in bytes.
const MAX_TOKEN: usize = 12 * 1024;
/// So much of what a token endpoint says is told, in characters.
const MAX_TOLD: usize = 200;

/// Where the tokens of a target come from. It cannot be printed.
pub(super) enum Tokens {
    /// Calls have none.
    None,
    /// One that does not change.
    Fixed(Bearer),
    /// Fetched.
    Fetched { grant: Grant, last: Mutex<Last> },
}

/// What the last fetch came to.
#[derive(Default)]
pub(super) struct Last {
    kept: Option<Kept>,
    /// When it failed: who waited for it need not try the same again.
    failed: Option<(Instant, Failure)>,
}

/// A value of the header `Authorization`, marked as one that is not to be shown.
pub(super) type Bearer = HeaderValue;

/// The credentials of a client, as they are sent.
pub(super) struct Grant {
    url: String,
    form: Bytes,
}

/// A token and how long it is used.
struct Kept {
    bearer: Bearer,
    until: Timestamp,
}

/// Answer of a token endpoint (RFC 6749 §5.1, 5.2).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    /// A number; older endpoints write it as text.
    expires_in: Option<Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// What a target's policy says. `None` when there is no token that can be the value of a header.
    pub(super) fn new(authentication: &TargetAuthentication) -> Option<Self> {
        Some(match authentication {
            TargetAuthentication::None => Self::None,
            TargetAuthentication::Withheld => return None,
            TargetAuthentication::Bearer(credential) => Self::Fixed(bearer(&credential.0)?),
            TargetAuthentication::ClientCredentials { token_url, client_id, client_secret, scope, resource } => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "client_credentials");
                form.append_pair("client_id", client_id).append_pair("client_secret", &client_secret.0);
                for (name, value) in [("scope", scope), ("resource", resource)] {
                    if let Some(value) = value {
                        form.append_pair(name, value);
                    }
                }
                let grant = Grant { url: token_url.clone(), form: form.finish().into() };
                Self::Fetched { grant, last: Mutex::default() }
            }
        })
    }

    /// The token for a call; fetched when there is none, one fetch at a time. `refused` is one that the target did not
    /// take: the answer is another one, or `None` where there is no other.
    pub(super) async fn bearer(
        &self,
        courier: &Courier,
        now: Timestamp,
        refused: Option<&Bearer>,
    ) -> Result<Option<Bearer>, Failure> {
        let given = match self {
            Self::None => None,
            Self::Fixed(bearer) => Some(bearer.clone()),
            Self::Fetched { grant, last } => {
                let asked = Instant::now();
                let mut last = last.lock().await;
                let good = last.kept.as_ref().filter(|kept| kept.until > now && Some(&kept.bearer) != refused);
                if let Some(good) = good {
                    return Ok(Some(good.bearer.clone()));
                }
                if let Some((_, failure)) = last.failed.as_ref().filter(|(at, _)| *at >= asked) {
                    return Err(failure.clone());
                }
                match grant.fetch(courier, now).await {
                    Ok(new) => Some(last.kept.insert(new).bearer.clone()),
                    Err(failure) => {
                        last.failed = Some((Instant::now(), failure.clone()));
                        return Err(failure);
                    }
                }
            }
        };
        Ok(given.filter(|bearer| Some(bearer) != refused))
    }
}

impl Grant {
    async fn fetch(&self, courier: &Courier, now: Timestamp) -> Result<Kept, Failure> {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let headers: HeaderMap = headers.into_iter().collect();
        let answer = courier.call((Method::POST, &self.url), headers, self.form.clone(), TOKEN_TIME).await;
        let after = answer.attempt.retry_after;
        let told = match answer.attempt.result {
            Ok(status) => read(status, &answer.body, now),
            Err(reason) => Err(reason),
        };
        told.map_err(|reason| Failure { after, ..failed(&reason) })
    }
}

fn failed(reason: &str) -> Failure {
    Failure::of_target(&format!("no token: {reason}"), None)
}

/// The token in an answer, or what is wrong with it. Nothing of a token or a secret is in that.
fn read(status: u16, body: &[u8], now: Timestamp) -> Result<Kept, String> {
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    if !(200..300).contains(&status) {
        let told = [answer.error, answer.error_description].into_iter().flatten();
        let told: Vec<String> = told.map(|text| text.chars().take(MAX_TOLD).collect()).collect();
        return Err(shortened(&format!("the token endpoint answered {status} {}", told.join(": "))));
    }
    let is_bearer = answer.token_type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer {
        return Err("the token endpoint gives another type of token than Bearer".into());
    }
    let token = answer.access_token.as_deref().and_then(bearer);
    let bearer = token.ok_or("the answer of the token endpoint has no access_token that can be sent")?;
    let life = lifetime(answer.expires_in.as_ref());
    Ok(Kept { bearer, until: later(now, life.saturating_sub(MARGIN).max(life / 2)) })
}

/// How long a token is good for.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
    seconds.map_or(DEFAULT_LIFE, Duration::from_secs).min(MAX_LIFE)
}

/// The header of a token, if it can be one.
fn bearer(token: &str) -> Option<Bearer> {
    let token = token.trim();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn kept(body: &str) -> Result<Kept, String> {
        read(200, body.as_bytes(), NOW)
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, seconds) in [
            (r#","expires_in":3599"#, 3_539),
            (r#","expires_in":"3599""#, 3_539),
            (r#","expires_in":120"#, 60),
            (r#","expires_in":30"#, 15),
            (r#","expires_in":0"#, 0),
            (r#","expires_in":-1"#, 240),
            (r#","expires_in":1e300"#, 240),
            (r#","expires_in":99999999999"#, 86_340),
            ("", 240),
        ] {
            let body = format!(r#"{{"access_token":"a.b.c","token_type":"bearer"{expires_in}}}"#);
            let kept = kept(&body).ok().unwrap();
            assert_eq!(
                (kept.bearer.as_bytes(), kept.until.as_second()),
                (&b"Bearer a.b.c"[..], seconds),
                "{expires_in}"
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"hunter2 hunter2"}"#,
            r#"{"access_token":"hunter2\r\nx: y"}"#,
            r#"{"access_token":"hünter2"}"#,
            r#"{"access_token":"hunter2","token_type":"mac"}"#,
        ] {
            let reason = kept(body).err().unwrap();
            assert!(!reason.contains("nter2"), "{reason}");
        }
        assert!(bearer(&"x".repeat(MAX_TOKEN + 1)).is_none());
    }

    #[test]
    fn an_error_of_the_endpoint_is_told_in_short() {
        let body = format!(r#"{{"error":"invalid_client","error_description":"{}"}}"#, "x\\n".repeat(500));
        let reason = read(401, body.as_bytes(), NOW).err().unwrap();
        assert!(reason.starts_with("the token endpoint answered 401 invalid_client: x x x"), "{reason}");
        assert!(reason.len() < 300 && !reason.contains('\n'), "{reason}");
        assert_eq!(read(503, b"<html>", NOW).err().unwrap(), "the token endpoint answered 503");
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", bearer("hunter2").unwrap()), "Sensitive");
    }
}
