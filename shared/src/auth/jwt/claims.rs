//! The claims that count, and the caller they make.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Number;
use uuid::Uuid;

use crate::auth::{Caller, Grants, TokenError};

/// The longest name of a caller, in bytes. It goes into history.
const MAX_NAME: usize = 256;

/// Claims of an access token: RFC 7519 §4.1, RFC 9068 §2.2, and what Entra ID adds.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "numeric_date")]
    exp: Option<i64>,
    #[serde(default, deserialize_with = "numeric_date")]
    nbf: Option<i64>,
    /// Scopes that a user has delegated: separated by spaces, or a list.
    scp: Option<Names>,
    scope: Option<Names>,
    /// Roles that were assigned to the user or the application.
    roles: Option<Names>,
    preferred_username: Option<String>,
    upn: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    oid: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    Spaced(String),
    List(Vec<String>),
}

impl Claims {
    /// `exp` is the first moment that is too late, `nbf` the first that is not too early.
    pub(super) fn check_times(&self, now: Timestamp, leeway: i64) -> Result<(), TokenError> {
        let now = now.as_second();
        let exp = self.exp.ok_or(TokenError::Claim("exp"))?;
        if now >= exp.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > now.saturating_add(leeway)) {
            return Err(TokenError::NotYet);
        }
        Ok(())
    }

    pub(super) fn into_caller(self) -> Result<Caller, TokenError> {
        let name = self.name().ok_or(TokenError::Nameless)?.to_owned();
        let object_id = self.oid.and_then(|oid| oid.parse::<Uuid>().ok());
        let granted: BTreeSet<String> =
            [self.scp, self.scope, self.roles].into_iter().flatten().flat_map(Names::into_list).collect();
        Ok(Caller { name, object_id, grants: Grants::Named(granted) })
    }

    /// The name for history: the user's where there is one. A token without scopes is an application's own, so its
    /// id says more than the subject; in a user's token it would blame the application for what the user did.
    fn name(&self) -> Option<&str> {
        let user = [&self.preferred_username, &self.upn];
        let application = [&self.appid, &self.azp, &self.client_id];
        let subject = [&self.sub];
        let delegated = self.scp.is_some() || self.scope.is_some();
        let order = if delegated { [&user[..], &subject, &application] } else { [&user[..], &application, &subject] };
        order.into_iter().flatten().filter_map(|claim| claim.as_deref()).find(|name| is_name(name))
    }
}

impl Names {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::Spaced(text) => text.split_whitespace().map(str::to_owned).collect(),
            Self::List(list) => list,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// Seconds since 1970; a fraction is cut off (RFC 7519 §2: `NumericDate`).
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let text = number.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().map(Some).map_err(|_| D::Error::custom("not a date"))
}
