//! Which form a request has, by its headers.

use super::{ReadError, error::shortened};

/// The form of what a sender sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFormat {
    /// Whatever the headers and the body show.
    #[default]
    Auto,
    /// The flat JSON object of Finance & Operations.
    FinanceOperations,
    /// An array in the schema of Event Grid.
    EventGrid,
    /// CloudEvents 1.0: structured, binary or batched.
    CloudEvents,
}

/// The form of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The flat object, or several of them.
    FinanceOperations,
    /// The schema of Event Grid.
    EventGrid,
    /// One CloudEvent.
    Structured,
    /// An array of CloudEvents.
    Batched,
    /// The attributes of a CloudEvent are headers, the body is its data.
    Binary,
    /// CloudEvents as JSON whose type does not say so.
    CloudJson,
    /// Whatever each object shows.
    AnyJson,
}

impl Form {
    /// The form that the headers show, as far as the format leaves it open. The type of the body is one that is read.
    pub(super) fn of<'h>(format: ReadFormat, header: &impl Fn(&str) -> Option<&'h str>) -> Result<Self, ReadError> {
        if let Some(coding) = header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(ReadError::UnsupportedCoding(shortened(coding)));
        }
        let text = header("content-type").unwrap_or_default();
        let (form, supported) = Self::supported(format, text, header);
        if supported { Ok(form) } else { Err(ReadError::UnsupportedType(shortened(text))) }
    }

    fn supported<'h>(format: ReadFormat, text: &str, header: &impl Fn(&str) -> Option<&'h str>) -> (Self, bool) {
        let (media_type, utf8) = parts(text);
        let cloud = matches!(format, ReadFormat::Auto | ReadFormat::CloudEvents);
        // The order and the prefixes are those of the HTTP binding, §3: a batch begins like a single event.
        if media_type.starts_with("application/cloudevents-batch") {
            return (Self::Batched, cloud && utf8 && media_type == "application/cloudevents-batch+json");
        }
        if media_type.starts_with("application/cloudevents") {
            return (Self::Structured, cloud && utf8 && media_type == "application/cloudevents+json");
        }
        if cloud && header("ce-specversion").is_some() {
            let suffixed = media_type.starts_with("application/") && media_type.ends_with("+json");
            return (Self::Binary, utf8 && (media_type == "application/json" || suffixed));
        }
        let form = match format {
            ReadFormat::FinanceOperations => Self::FinanceOperations,
            ReadFormat::EventGrid => Self::EventGrid,
            ReadFormat::CloudEvents => Self::CloudJson,
            ReadFormat::Auto if header("aeg-event-type").is_some() => Self::EventGrid,
            ReadFormat::Auto => Self::AnyJson,
        };
        (form, utf8 && media_type == "application/json")
    }

    /// What a body of this form is.
    pub(super) fn expects(self) -> &'static str {
        match self {
            Self::Structured => "a JSON object",
            Self::Batched => "a JSON array",
            Self::FinanceOperations | Self::EventGrid | Self::Binary | Self::CloudJson | Self::AnyJson => {
                "a JSON object or array"
            }
        }
    }
}

/// The media type in lower case, and whether the charset is UTF-8, which it is unless another one is named.
fn parts(content_type: &str) -> (String, bool) {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts.filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
        name.trim_end().eq_ignore_ascii_case("charset").then(|| value.trim_start().trim_matches('"'))
    });
    (media_type, charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")))
}
