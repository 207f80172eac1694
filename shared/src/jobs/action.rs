//! SetBatchJobToWaiting: its parameter and its reply (`reference/microsoft-wire.md` §1.1).

use serde::Serialize;

use crate::edm::{Object, ValueError};

use super::{ReplyForm, Status};

/// Name of the action, without namespace.
pub const SET_BATCH_JOB_TO_WAITING: &str = "SetBatchJobToWaiting";
/// Its parameter.
const PARAMETER: &str = "batchJobId";
/// Characters of what a client sent that a message repeats.
const SHOWN: usize = 60;

/// Why a job is not put back to waiting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is an object, but not `{"batchJobId": <Int64>}`.
    #[error("{0}")]
    Parameter(String),
    /// There is no such job.
    #[error("The batch job {0} does not exist.")]
    Unknown(i64),
    /// The job is in a state that the action does not lead out of.
    #[error("The batch job {job} is {}; only a job that is {} can be set to waiting.", .status.map_or("in no state", Status::name), list(.allowed))]
    State {
        /// Its id.
        job: i64,
        /// Its state.
        status: Option<Status>,
        /// The states it would have to be in.
        allowed: Vec<Status>,
    },
    /// The unit of work has changed the job's state already.
    #[error("A change set can change the state of the batch job {0} once, and this is the second time.")]
    Twice(i64),
    /// The job was put back as often as it may be.
    #[error("The batch job {job} was set to waiting {count} times since it last finished; its limit is {limit}.")]
    Limit {
        /// Its id.
        job: i64,
        /// How often it was put back.
        count: i64,
        /// How often it may be.
        limit: i64,
    },
    /// The caller may not.
    #[error("The caller may not set batch jobs to waiting: the permission 'jobs.requeue' is missing.")]
    Forbidden,
}

fn list(states: &[Status]) -> String {
    states.iter().map(|status| status.name()).collect::<Vec<_>>().join(", ")
}

/// The id in the body of the action. With `text`, an id may be a string of digits: the client has said that its
/// numbers are (`IEEE754Compatible=true`, JSON Format §3.2).
///
/// A body that is no JSON object at all is a malformed call ([`ValueError`]); anything else wrong with it is a refusal.
pub fn batch_job_id(body: &[u8], text: bool) -> Result<Result<i64, Refusal>, ValueError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Err(missing()));
    }
    let members: Object<'_> = serde_json::from_slice(body).map_err(|error| ValueError::Json {
        line: error.line(),
        column: error.column(),
        message: error.to_string().split(" at line").next().unwrap_or_default().to_owned(),
    })?;
    Ok(id_of(&members, text))
}

fn id_of(Object(members): &Object<'_>, text: bool) -> Result<i64, Refusal> {
    let mut id = None;
    for (name, value) in members {
        // Control information is no parameter.
        if name.contains('@') {
            continue;
        }
        if !name.eq_ignore_ascii_case(PARAMETER) {
            return refuse(format!("'{}' is no parameter of the action; '{PARAMETER}' is the only one.", shown(name)));
        }
        if id.replace(number(value.get(), text)?).is_some() {
            return refuse(format!("The parameter '{PARAMETER}' is given twice."));
        }
    }
    id.ok_or_else(missing)
}

fn number(text: &str, as_text: bool) -> Result<i64, Refusal> {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = match (quoted, as_text) {
        (Some(digits), true) => digits,
        (Some(_), false) => return refuse(format!("The parameter '{PARAMETER}' must be a number, not a string.")),
        (None, _) => text,
    };
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let got = match text.as_bytes().first() {
            Some(b'n') => "null",
            Some(b't' | b'f') => "a Boolean",
            Some(b'[') => "an array",
            Some(b'{') => "an object",
            Some(b'"') => "a string that holds no integer",
            _ => "a number with a fraction or an exponent",
        };
        return refuse(format!("The parameter '{PARAMETER}' must be an integer (Edm.Int64), not {got}."));
    }
    digits.parse().or_else(|_| {
        let (min, max) = (i64::MIN, i64::MAX);
        refuse(format!("The parameter '{PARAMETER}' is out of range: {} is not from {min} to {max}.", shown(digits)))
    })
}

fn missing() -> Refusal {
    Refusal::Parameter(format!("The parameter '{PARAMETER}' is missing."))
}

fn refuse<T>(message: String) -> Result<T, Refusal> {
    Err(Refusal::Parameter(message))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// The reply of the action. The names of its members, space and misspelling included, are those of the documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// Status of the HTTP answer.
    #[serde(rename = "ResponseStatusCode")]
    pub status: u16,
    /// Whether the job waits again.
    #[serde(rename = "IsSuccess")]
    pub is_success: bool,
    /// The job; 0 where the call names none.
    #[serde(rename = "Batch JobId")]
    pub job: i64,
    /// What went wrong.
    #[serde(rename = "ExceptionDetails")]
    pub details: String,
    /// What went well.
    #[serde(rename = "reponseMessage")]
    pub message: String,
}

impl Reply {
    /// The job waits again.
    pub fn success(job: i64) -> Self {
        let message = format!("Status of supplied BatchJobId: {job} is Successfully updated to waiting state");
        Self { status: 200, is_success: true, job, details: String::new(), message }
    }

    /// It does not.
    pub fn failure(status: u16, job: i64, refusal: &Refusal) -> Self {
        Self { status, is_success: false, job, details: refusal.to_string(), message: String::new() }
    }

    /// The body of the answer; `metadata_url` is where the context of a wrapped one leads.
    pub fn body(&self, form: ReplyForm, metadata_url: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wrapped<'a> {
            #[serde(rename = "@odata.context")]
            context: &'a str,
            value: &'a str,
        }
        // Numbers and strings always serialize.
        let bare = serde_json::to_string(self).unwrap_or_default();
        match form {
            ReplyForm::Bare => bare.into_bytes(),
            ReplyForm::Value => {
                let context = format!("{metadata_url}#Edm.String");
                serde_json::to_vec(&Wrapped { context: &context, value: &bare }).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        batch_job_id(body.as_bytes(), false).unwrap().unwrap_err().to_string()
    }

    #[test]
    fn the_id_is_an_int64_and_nothing_else() {
        for (body, id) in [
            (r#"{"batchJobId":5637144576}"#, 5_637_144_576),
            (r#" { "BatchJobId" : -1 , "@odata.type" : "x" } "#, -1),
            (r#"{"batchJobId":9223372036854775807}"#, i64::MAX),
            (r#"{"batchJobId":-9223372036854775808}"#, i64::MIN),
        ] {
            assert_eq!(batch_job_id(body.as_bytes(), false).unwrap(), Ok(id), "{body}");
        }
        assert_eq!(batch_job_id(br#"{"batchJobId":"9223372036854775807"}"#, true).unwrap(), Ok(i64::MAX));
    }

    #[test]
    fn each_mistake_is_named() {
        for (body, part) in [
            (r#"{"batchJobId":"5637144576"}"#, "not a string"),
            (r#"{"batchJobId":5637144576.0}"#, "a fraction or an exponent"),
            (r#"{"batchJobId":1e3}"#, "a fraction or an exponent"),
            (
                r#"{"batchJobId":9223372036854775808}"#,
                "9223372036854775808 is not from -9223372036854775808 to 9223372036854775807",
            ),
            (r#"{"batchJobId":null}"#, "not null"),
            (r#"{"batchJobId":true}"#, "not a Boolean"),
            (r#"{"batchJobId":[1]}"#, "not an array"),
            (r#"{"batchJobId":{}}"#, "not an object"),
            (r#"{"batchJobId":1,"batchJobId":1}"#, "given twice"),
            (r#"{"batchJobId":1,"extra":2}"#, "'extra' is no parameter"),
            ("{}", "'batchJobId' is missing"),
            ("", "'batchJobId' is missing"),
        ] {
            assert!(refused(body).contains(part), "{body}: {}", refused(body));
        }
    }

    #[test]
    fn what_is_no_object_is_a_malformed_call() {
        for body in ["[1]", "1", "{", "{\"batchJobId\":01}", "\u{feff}x"] {
            assert!(matches!(batch_job_id(body.as_bytes(), false), Err(ValueError::Json { .. })), "{body}");
        }
    }

    #[test]
    fn the_reply_has_the_documented_members_in_their_order() {
        let body = String::from_utf8(Reply::success(5_637_144_576).body(ReplyForm::Bare, "")).unwrap();
        let documented = r#"{"ResponseStatusCode":200,"IsSuccess":true,"Batch JobId":5637144576,"ExceptionDetails":"","reponseMessage":"Status of supplied BatchJobId: 5637144576 is Successfully updated to waiting state"}"#;
        assert_eq!(body, documented);
        let wrapped = Reply::success(1).body(ReplyForm::Value, "https://h/data/$metadata");
        let wrapped: serde_json::Value = serde_json::from_slice(&wrapped).unwrap();
        assert_eq!(wrapped["@odata.context"], "https://h/data/$metadata#Edm.String");
        let inner: serde_json::Value = serde_json::from_str(wrapped["value"].as_str().unwrap()).unwrap();
        assert_eq!(inner["Batch JobId"], 1);
    }
}
