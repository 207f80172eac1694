//! The primitive types of the EDM (CSDL 4.01 §3.3) and their text forms.

pub(crate) mod number;
pub(crate) mod time;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use thiserror::Error;
use uuid::Uuid;

use super::{DateTimeOffset, Value};

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of CSDL")]
pub enum PrimitiveType {
    Binary,
    Boolean,
    Byte,
    Date,
    DateTimeOffset,
    Decimal,
    Double,
    Duration,
    Guid,
    Int16,
    Int32,
    Int64,
    SByte,
    Single,
    String,
    TimeOfDay,
    /// Any geography or geometry type: kept as the GeoJSON text that was sent.
    Geo,
    /// `Edm.Untyped` and `Edm.PrimitiveType`: kept as JSON text.
    Untyped,
}

/// Why a text is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// It has not the form of the type.
    #[error("malformed")]
    Malformed,
    /// It has the form, but names a value outside the limit.
    #[error("out of range: {0}")]
    OutOfRange(&'static str),
}

impl PrimitiveType {
    /// The type of a name without `Edm.`; every geography and geometry type is [`Self::Geo`].
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Binary" => Self::Binary,
            "Boolean" => Self::Boolean,
            "Byte" => Self::Byte,
            "Date" => Self::Date,
            "DateTimeOffset" => Self::DateTimeOffset,
            "Decimal" => Self::Decimal,
            "Double" => Self::Double,
            "Duration" => Self::Duration,
            "Guid" => Self::Guid,
            "Int16" => Self::Int16,
            "Int32" => Self::Int32,
            "Int64" => Self::Int64,
            "SByte" => Self::SByte,
            "Single" => Self::Single,
            "String" => Self::String,
            "TimeOfDay" => Self::TimeOfDay,
            "Untyped" | "PrimitiveType" => Self::Untyped,
            _ if name.starts_with("Geography") || name.starts_with("Geometry") => Self::Geo,
            _ => return None,
        })
    }

    /// The qualified name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "Edm.Binary",
            Self::Boolean => "Edm.Boolean",
            Self::Byte => "Edm.Byte",
            Self::Date => "Edm.Date",
            Self::DateTimeOffset => "Edm.DateTimeOffset",
            Self::Decimal => "Edm.Decimal",
            Self::Double => "Edm.Double",
            Self::Duration => "Edm.Duration",
            Self::Guid => "Edm.Guid",
            Self::Int16 => "Edm.Int16",
            Self::Int32 => "Edm.Int32",
            Self::Int64 => "Edm.Int64",
            Self::SByte => "Edm.SByte",
            Self::Single => "Edm.Single",
            Self::String => "Edm.String",
            Self::TimeOfDay => "Edm.TimeOfDay",
            Self::Geo => "Edm.Geography",
            Self::Untyped => "Edm.Untyped",
        }
    }

    /// Whether its values are numbers.
    pub(crate) fn is_number(self) -> bool {
        use PrimitiveType as P;
        matches!(self, P::Byte | P::Decimal | P::Double | P::Int16 | P::Int32 | P::Int64 | P::SByte | P::Single)
    }

    /// Reads the form a value has without quotes and prefixes: the `…Value` rules of the ABNF.
    ///
    /// Geo and untyped values have no such form.
    pub fn parse_text(self, text: &str) -> Result<Value, TextError> {
        match self {
            Self::Boolean => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(TextError::Malformed),
            },
            Self::Byte | Self::SByte | Self::Int16 | Self::Int32 | Self::Int64 => {
                number::integer(text, self).map(Value::Integer)
            }
            Self::Decimal => number::decimal(text).map(Value::Decimal),
            Self::Double => number::double(text).map(Value::Double),
            Self::Single => number::single(text).map(Value::Double),
            Self::String => Ok(Value::String(text.into())),
            Self::Guid => guid(text).map(Value::Guid).ok_or(TextError::Malformed),
            Self::Date => time::date(text).map(Value::Date),
            Self::DateTimeOffset => DateTimeOffset::parse(text).map(Value::DateTimeOffset),
            Self::TimeOfDay => time::time_of_day(text).map(|clock| Value::TimeOfDay(clock.time)),
            Self::Duration => time::duration(text).map(Value::Duration),
            Self::Binary => binary(text).map(Value::Binary).ok_or(TextError::Malformed),
            Self::Geo | Self::Untyped => Err(TextError::Malformed),
        }
    }
}

/// A GUID in the form 8-4-4-4-12, any case.
fn guid(text: &str) -> Option<Uuid> {
    // The other forms a UUID can have are shorter or longer.
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Base64url or base64, with or without padding.
fn binary(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    if digits.contains(['+', '/']) {
        let digits = digits.replace('+', "-").replace('/', "_");
        return URL_SAFE_NO_PAD.decode(digits).ok();
    }
    URL_SAFE_NO_PAD.decode(digits).ok()
}

/// Base64url with padding, which both strict and lenient decoders read.
pub(crate) fn binary_text(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

#[cfg(test)]
mod tests;
