//! What a request says about being a repeat.

use http::HeaderName;
use jiff::Timestamp;

use crate::batch::Headers;

use super::RepeatFault;

/// The header with the id.
const REQUEST_ID: &str = "repeatability-request-id";
/// The header with the time of the first one.
pub const FIRST_SENT: &str = "repeatability-first-sent";
/// The header with the part of the client that made the id.
const CLIENT_ID: &str = "repeatability-client-id";
/// Longest id, in bytes: a GUID is 36.
const MAX_ID: usize = 100;

/// The headers, each by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `Repeatability-Request-ID`
    pub id: Option<String>,
    /// `Repeatability-Client-ID`
    pub client: Option<String>,
    /// `Repeatability-First-Sent`
    pub first_sent: Option<Timestamp>,
}

/// The headers of a request that may be a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatability {
    pub(super) id: String,
    pub(super) client: String,
    pub(super) first_sent: Timestamp,
}

impl Given {
    /// Reads them.
    pub fn of(headers: &Headers) -> Result<Self, RepeatFault> {
        let first_sent = one(headers, FIRST_SENT)?.map(|text| {
            let time = httpdate::parse_http_date(text).ok().and_then(|time| Timestamp::try_from(time).ok());
            time.ok_or(RepeatFault::Header { name: FIRST_SENT, reason: "it is no date as HTTP writes it" })
        });
        Ok(Self {
            id: bounded(headers, REQUEST_ID)?,
            client: bounded(headers, CLIENT_ID)?,
            first_sent: first_sent.transpose()?,
        })
    }

    /// Both headers, or neither of them.
    pub fn together(self) -> Result<Option<Repeatability>, RepeatFault> {
        match (self.id, self.first_sent) {
            (None, None) => Ok(None),
            (Some(id), Some(first_sent)) => {
                Ok(Some(Repeatability { id, client: self.client.unwrap_or_default(), first_sent }))
            }
            (Some(_), None) => {
                Err(RepeatFault::Header { name: FIRST_SENT, reason: "it belongs to Repeatability-Request-ID" })
            }
            (None, Some(_)) => {
                Err(RepeatFault::Header { name: REQUEST_ID, reason: "it belongs to Repeatability-First-Sent" })
            }
        }
    }
}

fn bounded(headers: &Headers, name: &'static str) -> Result<Option<String>, RepeatFault> {
    match one(headers, name)? {
        Some(value) if value.is_empty() || value.len() > MAX_ID => {
            Err(RepeatFault::Header { name, reason: "it must have 1 to 100 bytes" })
        }
        value => Ok(value.map(str::to_owned)),
    }
}

/// The one value of a header.
fn one<'h>(headers: &'h Headers, name: &'static str) -> Result<Option<&'h str>, RepeatFault> {
    let of_name = |(n, value): (&HeaderName, _)| (n.as_str() == name).then_some(value);
    let mut values = headers.iter().filter_map(of_name).map(http::HeaderValue::to_str);
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.map_err(|_| RepeatFault::Header { name, reason: "it must be ASCII" })?.trim();
    if values.any(|other| other.map(str::trim).ok() != Some(value)) {
        return Err(RepeatFault::Header { name, reason: "it is given twice" });
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn given(list: &[(&str, &str)]) -> Result<Option<Repeatability>, RepeatFault> {
        let mut headers = Headers::new();
        for (name, value) in list {
            headers.try_append(name, value).unwrap();
        }
        Given::of(&headers)?.together()
    }

    #[test]
    fn id_and_time_belong_together() {
        let both = given(&[(REQUEST_ID, " a "), (FIRST_SENT, SENT), (REQUEST_ID, "a")]).unwrap().unwrap();
        assert_eq!((both.id.as_str(), both.client.as_str(), both.first_sent.as_second()), ("a", "", 784_111_777));
        assert_eq!(given(&[(REQUEST_ID, "a"), (FIRST_SENT, SENT), (CLIENT_ID, "c")]).unwrap().unwrap().client, "c");
        assert_eq!((given(&[]), given(&[(CLIENT_ID, "c")])), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_wrong_is_told_by_the_name_of_the_header() {
        let long = "x".repeat(101);
        for (list, at_fault) in [
            (&[(REQUEST_ID, "a")][..], FIRST_SENT),
            (&[(FIRST_SENT, SENT)], REQUEST_ID),
            (&[(REQUEST_ID, ""), (FIRST_SENT, SENT)], REQUEST_ID),
            (&[(REQUEST_ID, &long), (FIRST_SENT, SENT)], REQUEST_ID),
            (&[(REQUEST_ID, "ü"), (FIRST_SENT, SENT)], REQUEST_ID),
            (&[(REQUEST_ID, "a"), (REQUEST_ID, "b"), (FIRST_SENT, SENT)], REQUEST_ID),
            (&[(REQUEST_ID, "a"), (FIRST_SENT, "yesterday")], FIRST_SENT),
            (&[(REQUEST_ID, "a"), (FIRST_SENT, "1994-11-06T08:49:37Z")], FIRST_SENT),
            (&[(REQUEST_ID, "a"), (FIRST_SENT, SENT), (CLIENT_ID, &long)], CLIENT_ID),
        ] {
            match given(list) {
                Err(RepeatFault::Header { name, .. }) => assert_eq!(name, at_fault, "{list:?}"),
                other => panic!("{list:?}: {other:?}"),
            }
        }
    }
}
