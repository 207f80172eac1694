//! Whether a request is one of its source.

use http::header;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::{
    auth::{AuthError, Tokens},
    events::{Secret, SignatureFault, verify},
    exchange::Incoming,
    policy::{Source, SourceAuthentication},
};

/// Name of the query parameter that a secret may stand in.
const CODE: &str = "code";

/// The headers of one message of Standard Webhooks.
#[derive(Clone, Copy, Debug)]
struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

/// Their names, and their older ones: a message has those of one row.
const NAMES: [Names; 2] = [
    Names { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" },
    Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" },
];

/// Why a request is not let in. Nothing of what it brought is in any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// A header of Standard Webhooks is missing.
    #[error("the header {0} is needed")]
    Unsigned(&'static str),
    /// With a '.' in it, it could be another id and another time of the same signature.
    #[error("{0} is empty or has a '.'")]
    Id(&'static str),
    /// The signature is not one of this message, or not of this time.
    #[error("{header} {fault}")]
    Signature {
        /// The header that is at fault.
        header: &'static str,
        /// The fault.
        fault: SignatureFault,
    },
    /// No secret, or none of this source.
    #[error("the secret of the source is needed")]
    Secret,
    /// No token, or none that is accepted.
    #[error(transparent)]
    Bearer(AuthError),
    /// A token of somebody else.
    #[error("the caller is none of those of the source")]
    Caller,
}

/// Finds out by its head whether a request is one of its source, and takes what showed it out of the request. A signature
/// is one of the body: [`by_body`] looks at it.
pub(super) async fn by_head(source: &Source, incoming: &mut Incoming, now: Timestamp) -> Result<(), Denied> {
    let result = match &source.authentication {
        // The signature is checked with the body; a request without one need not be read.
        SourceAuthentication::Signature(_) => return signature(incoming).map(|_| ()),
        SourceAuthentication::None => Ok(()),
        SourceAuthentication::Withheld | SourceAuthentication::InProcess => Err(Denied::Secret),
        SourceAuthentication::Shared { header, code, secrets } => {
            let header = header.as_ref().map(header::HeaderName::as_str);
            knows(header, *code, secrets, incoming)
        }
        SourceAuthentication::Bearer { authenticator, callers } => {
            let caller = authenticator.authenticate(&incoming.headers, now).await.map_err(Denied::Bearer);
            caller.and_then(|caller| {
                let known = callers.is_empty() || callers.contains(&caller.name);
                if known { Ok(()) } else { Err(Denied::Caller) }
            })
        }
    };
    forget(source, incoming);
    result
}

/// The same by its body, where the source signs it.
pub(super) fn by_body(source: &Source, incoming: &mut Incoming, now: Timestamp) -> Result<(), Denied> {
    let SourceAuthentication::Signature(secrets) = &source.authentication else { return Ok(()) };
    let result = signed(secrets, incoming, now);
    forget(source, incoming);
    result
}

/// Whether a handshake may be answered: the sender signs nothing yet, but its URL has the secret that it was given.
pub(super) fn may_ask(source: &Source, incoming: &Incoming) -> Result<(), Denied> {
    match &source.authentication {
        SourceAuthentication::Shared { header, code: true, secrets } => {
            knows(header.as_ref().map(header::HeaderName::as_str), true, secrets, incoming)
        }
        _ => Ok(()),
    }
}

fn signed(secrets: &[Secret], incoming: &Incoming, now: Timestamp) -> Result<(), Denied> {
    let (names, [id, sent, signatures]) = signature(incoming)?;
    let mut verified = Err(SignatureFault::NoMatch);
    for secret in secrets {
        // All of them are tried, whichever fits: the time it takes tells nothing of them.
        let this = verify(secret, id, sent, signatures, &incoming.body, now.as_second());
        if verified.is_err() {
            verified = this;
        }
    }
    verified.map_err(|fault| Denied::Signature {
        header: match fault {
            SignatureFault::Timestamp | SignatureFault::OutOfTime => names.timestamp,
            SignatureFault::NoMatch => names.signature,
        },
        fault,
    })
}

/// The headers of a signature, and their values, as far as they can be looked at without the body.
fn signature(incoming: &Incoming) -> Result<(Names, [&str; 3]), Denied> {
    let names = names(incoming);
    let header = |name| incoming.headers.get(name).ok_or(Denied::Unsigned(name));
    let values @ [id, _, _] = [header(names.id)?, header(names.timestamp)?, header(names.signature)?];
    if id.is_empty() || id.contains('.') {
        return Err(Denied::Id(names.id));
    }
    Ok((names, values))
}

/// The names that a message uses: the first row of which it has all, else of which it has one.
fn names(incoming: &Incoming) -> Names {
    let count = |names: &Names| {
        [names.id, names.timestamp, names.signature]
            .into_iter()
            .filter(|name| incoming.headers.get(name).is_some())
            .count()
    };
    let [current, _] = NAMES;
    let having = |least: usize| NAMES.into_iter().find(|names| count(names) >= least);
    having(3).or_else(|| having(1)).unwrap_or(current)
}

fn knows(header: Option<&str>, code: bool, secrets: &Tokens, incoming: &Incoming) -> Result<(), Denied> {
    let in_header = header.and_then(|name| incoming.headers.get(name)).is_some_and(|given| secrets.contain(given));
    let in_query = code && code_of(incoming).is_some_and(|given| secrets.contain(&given));
    if in_header || in_query { Ok(()) } else { Err(Denied::Secret) }
}

/// The first `code` of the query. A `+` is one: base64 has it.
fn code_of(incoming: &Incoming) -> Option<String> {
    let pairs = incoming.query.as_deref()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == CODE)?;
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// From here on, what showed who the sender is has no use.
fn forget(source: &Source, incoming: &mut Incoming) {
    incoming.query = None;
    let shared = match &source.authentication {
        SourceAuthentication::Shared { header: Some(header), .. } => Some(header.as_str()),
        _ => None,
    };
    let signatures = NAMES.iter().map(|names| names.signature);
    for name in signatures.chain([header::AUTHORIZATION.as_str()]).chain(shared) {
        while incoming.headers.take(name).is_some() {}
    }
}
