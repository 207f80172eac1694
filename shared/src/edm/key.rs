//! Keys as text for a sort key of the database.

use std::fmt::Write;

use bigdecimal::BigDecimal;
use jiff::SignedDuration;
use thiserror::Error;

use super::primitive::time;
use super::{Model, PrimitiveType, PropertyType, Record, TypeId, TypeKind, Value};

/// Longest encoding in bytes: the limit of a DynamoDB sort key.
const MAX_BYTES: usize = 1024;

/// Between the parts of a key, and the whole of an empty one: below every byte that a part can have.
const SEPARATOR: char = '\u{1}';

/// Before an escaped character.
const ESCAPE: char = '\u{2}';

/// The values of an entity's key, in the key's order.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityKey(pub Vec<Value>);

/// Why a key has no encoding.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A value of this kind cannot be part of a key.
    #[error("{0} cannot be part of a key")]
    Unsupported(&'static str),
    /// The encoding is too long.
    #[error("the key takes {got} bytes, the maximum is {max}")]
    TooLong {
        /// Bytes of the encoding.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl EntityKey {
    /// The key of a record; `None` unless it has all key values.
    pub fn of(model: &Model, record: &Record) -> Option<Self> {
        let ty = model.ty(record.ty);
        let values = ty.key.iter().map(|at| match record.values.get(*at) {
            Some(Some(value)) if *value != Value::Null => Some(value.clone()),
            _ => None,
        });
        values.collect::<Option<Vec<_>>>().filter(|values| !values.is_empty()).map(Self)
    }

    /// A text for each key, never empty, in the order of the keys of one type: bytewise order of the texts is the
    /// order of the values, first part first. Short texts and GUIDs stay readable.
    pub fn encode(&self) -> Result<String, KeyError> {
        let mut text = String::new();
        for (at, value) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(SEPARATOR);
            }
            encode(&mut text, value)?;
        }
        if text.is_empty() {
            text.push(SEPARATOR);
        }
        if text.len() > MAX_BYTES {
            return Err(KeyError::TooLong { got: text.len(), max: MAX_BYTES });
        }
        Ok(text)
    }
}

impl EntityKey {
    /// The key of an entity of type `ty` out of its encoding; `None` when it is none. Of equal values that are written in
    /// several ways (`1.0` and `1.00`, the offset of a time) it has one.
    pub fn decode(model: &Model, ty: TypeId, text: &str) -> Option<Self> {
        let ty = model.ty(ty);
        let text = if ty.key.len() == 1 { text.strip_prefix(SEPARATOR).unwrap_or(text) } else { text };
        let mut parts = text.split(SEPARATOR);
        let values = ty.key.iter().map(|at| decode(&ty.properties.get(*at)?.ty, parts.next()?));
        let values = values.collect::<Option<Vec<_>>>()?;
        parts.next().is_none().then_some(Self(values))
    }

    /// What the encoding of each key with these first parts begins with; `whole` says that there are no further parts.
    pub fn encode_prefix(&self, whole: bool) -> Result<String, KeyError> {
        let mut prefix = self.encode()?;
        if !whole {
            prefix.push(SEPARATOR);
        }
        Ok(prefix)
    }
}

/// Appends one part. Writing to a String cannot fail.
fn encode(text: &mut String, value: &Value) -> Result<(), KeyError> {
    match value {
        Value::Boolean(flag) => text.push(if *flag { '1' } else { '0' }),
        Value::Integer(number) | Value::Enum(number) => {
            let _ = write!(text, "{:020}", ordered(*number));
        }
        Value::Decimal(exact) => encode_decimal(text, exact)?,
        Value::Double(number) => encode_double(text, *number)?,
        Value::String(string) => encode_string(text, string),
        Value::Guid(guid) => text.push_str(guid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
        Value::Date(date) => text.push_str(&date.to_string()),
        Value::DateTimeOffset(at) => {
            // Without `Z`, which is greater than the digits of a fraction.
            let utc = at.utc().ok_or(KeyError::Unsupported("a time after the year 9999"))?;
            let _ = write!(text, "{}T{}", utc.date(), time::time_text(utc.time()));
        }
        Value::TimeOfDay(time) => text.push_str(&time::time_text(*time)),
        Value::Duration(duration) => encode_duration(text, *duration),
        Value::Binary(bytes) => {
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
        }
        Value::Null => return Err(KeyError::Unsupported("null")),
        Value::Complex(_) => return Err(KeyError::Unsupported("a complex value")),
        Value::Collection(_) => return Err(KeyError::Unsupported("a collection")),
        Value::Json(_) => return Err(KeyError::Unsupported("a JSON value")),
    }
    Ok(())
}

/// Characters below U+0003 are escaped, in their order, so that the separator is below all of a string's characters.
fn encode_string(text: &mut String, string: &str) {
    for character in string.chars() {
        match character {
            '\0' => text.extend([ESCAPE, '\u{2}']),
            '\u{1}' => text.extend([ESCAPE, '\u{3}']),
            '\u{2}' => text.extend([ESCAPE, '\u{4}']),
            other => text.push(other),
        }
    }
}

/// An integer moved to where its order is that of an unsigned one.
fn ordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

fn encode_duration(text: &mut String, duration: SignedDuration) {
    let floor = duration.as_nanos().div_euclid(1_000_000_000);
    let nanos = duration.as_nanos().rem_euclid(1_000_000_000);
    let seconds = i64::try_from(floor).unwrap_or(i64::MIN);
    let _ = write!(text, "{:020}.{nanos:09}", ordered(seconds));
}

fn encode_double(text: &mut String, number: f64) -> Result<(), KeyError> {
    if number.is_nan() {
        return Err(KeyError::Unsupported("NaN"));
    }
    // Both zeros are equal.
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    let _ = write!(text, "{ordered:016x}");
    Ok(())
}

/// Sign, power of ten and digits; of a negative number both complemented, and ended by what is above digits.
fn encode_decimal(text: &mut String, exact: &BigDecimal) -> Result<(), KeyError> {
    let plain = exact.normalized();
    let (number, scale) = plain.into_bigint_and_scale();
    let signed = number.to_string();
    let (negative, digits) = match signed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, signed.as_str()),
    };
    if digits == "0" {
        text.push('1');
        return Ok(());
    }
    let power = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_sub(scale).saturating_add(50_000);
    if !(0..100_000).contains(&power) {
        return Err(KeyError::Unsupported("a Decimal beyond 10^±50000"));
    }
    if negative {
        let _ = write!(text, "0{:05}", 99_999 - power);
        text.extend(digits.bytes().map(|digit| char::from(b'9' - (digit - b'0'))));
        text.push('~');
    } else {
        let _ = write!(text, "2{power:05}{digits}");
    }
    Ok(())
}

/// Reads one part.
fn decode(ty: &PropertyType, text: &str) -> Option<Value> {
    let TypeKind::Primitive(primitive) = ty.kind else {
        return matches!(ty.kind, TypeKind::Enum(_)).then(|| decode_integer(text).map(Value::Enum))?;
    };
    Some(match primitive {
        PrimitiveType::Boolean => Value::Boolean(text == "1"),
        PrimitiveType::Byte
        | PrimitiveType::SByte
        | PrimitiveType::Int16
        | PrimitiveType::Int32
        | PrimitiveType::Int64 => Value::Integer(decode_integer(text)?),
        PrimitiveType::Decimal => Value::Decimal(decode_decimal(text)?),
        PrimitiveType::Double | PrimitiveType::Single => {
            let ordered = u64::from_str_radix(text, 16).ok()?;
            Value::Double(f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered }))
        }
        PrimitiveType::String => Value::String(decode_string(text)?),
        PrimitiveType::Guid | PrimitiveType::Date | PrimitiveType::TimeOfDay => primitive.parse_text(text).ok()?,
        PrimitiveType::DateTimeOffset => primitive.parse_text(&format!("{text}Z")).ok()?,
        PrimitiveType::Duration => {
            let (seconds, nanos) = text.split_once('.')?;
            let nanos = nanos.parse().ok().filter(|nanos| (0..1_000_000_000).contains(nanos))?;
            Value::Duration(SignedDuration::new(decode_integer(seconds)?, nanos))
        }
        PrimitiveType::Binary => {
            let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
            Value::Binary((0..text.len()).step_by(2).map(byte).collect::<Option<_>>()?)
        }
        PrimitiveType::Geo | PrimitiveType::Untyped => return None,
    })
}

fn decode_integer(text: &str) -> Option<i64> {
    Some((text.parse::<u64>().ok()? ^ (1 << 63)).cast_signed())
}

fn decode_string(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let mut string = String::new();
    while let Some(character) = characters.next() {
        string.push(match character {
            ESCAPE => char::from(u8::try_from(characters.next()?).ok()?.checked_sub(2)?),
            other => other,
        });
    }
    Some(string)
}

fn decode_decimal(text: &str) -> Option<BigDecimal> {
    if text == "1" {
        return Some(BigDecimal::from(0));
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (power, digits) = rest.split_at_checked(5)?;
    let power: i64 = power.parse().ok()?;
    if sign == "2" {
        return format!("0.{digits}e{}", power - 50_000).parse().ok();
    }
    let complement = |digit: u8| char::from(b'9' - digit.min(b'9') + b'0');
    let digits: String = digits.strip_suffix('~')?.bytes().map(complement).collect();
    format!("-0.{digits}e{}", 49_999 - power).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::edm::sample::{self, typed_value};

    fn key<const N: usize>(values: [Value; N]) -> EntityKey {
        EntityKey(values.into())
    }

    fn text(value: &str) -> Value {
        Value::String(value.into())
    }

    #[test]
    fn single_texts_and_guids_stay_readable() {
        assert_eq!(key([text("ALFKI")]).encode().as_deref(), Ok("ALFKI"));
        let guid = "0a1b2c3d-0000-4000-8000-00000000abcd";
        assert_eq!(key([Value::Guid(guid.parse().unwrap())]).encode().as_deref(), Ok(guid));
        assert_eq!(key([text("")]).encode().as_deref(), Ok("\u{1}"));
    }

    #[test]
    fn a_key_has_a_limit_of_bytes() {
        assert!(key([text(&"a".repeat(1024))]).encode().is_ok());
        assert_eq!(key([text(&"ä".repeat(513))]).encode(), Err(KeyError::TooLong { got: 1026, max: 1024 }));
    }

    #[test]
    fn a_record_has_a_key_when_all_its_values_are_there() {
        let model = sample::model();
        let mut record = Record::new(&model, sample::type_id(&model, "Other"));
        record.values = vec![Some(Value::Integer(1)), None];
        assert_eq!(EntityKey::of(&model, &record), None);
        record.values[1] = Some(Value::Null);
        assert_eq!(EntityKey::of(&model, &record), None);
        record.values[1] = Some(text("x"));
        assert_eq!(EntityKey::of(&model, &record), Some(key([text("x"), Value::Integer(1)])));
    }

    #[test]
    fn a_key_is_decoded_by_the_type_of_its_entity() {
        let model = sample::model();
        let other = sample::type_id(&model, "Other");
        for values in [
            [text("x"), Value::Integer(-1)],
            [text(""), Value::Integer(0)],
            [text("\0\u{1}\u{2}\u{3}"), Value::Integer(7)],
        ] {
            let key = key(values);
            assert_eq!(EntityKey::decode(&model, other, &key.encode().unwrap()), Some(key));
        }
        for wrong in ["", "x", "x\u{1}y", "x\u{1}1\u{1}1", "x\u{2}\u{1}09223372036854775807"] {
            assert_eq!(EntityKey::decode(&model, other, wrong), None, "{wrong:?}");
        }
    }

    /// Checks that the order of two keys is that of their encodings.
    fn check(a: &EntityKey, b: &EntityKey) -> Result<(), TestCaseError> {
        let (Ok(encoded_a), Ok(encoded_b)) = (a.encode(), b.encode()) else { return Ok(()) };
        let order = a.0.iter().zip(&b.0).map(|(a, b)| a.compare(b).unwrap()).find(|order| order.is_ne());
        prop_assert!(!encoded_a.is_empty());
        prop_assert_eq!(encoded_a.cmp(&encoded_b), order.unwrap_or(Ordering::Equal), "{:?} {:?}", encoded_a, encoded_b);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn encodings_of_texts_are_in_order(a in sample::text(), b in sample::text(), c in sample::text(), d in sample::text()) {
            check(&key([text(&a)]), &key([text(&b)]))?;
            check(&key([text(&a), text(&b)]), &key([text(&c), text(&d)]))?;
            check(&key([text(&a), text(&b)]), &key([text(&a), text(&d)]))?;
        }

        #[test]
        fn encodings_of_decimals_are_in_order(a in sample::decimal(), b in sample::decimal(), small in -20..20_i64, scale in -3..3_i64) {
            check(&key([Value::Decimal(a.clone())]), &key([Value::Decimal(b)]))?;
            let small = Value::Decimal(BigDecimal::new(small.into(), scale));
            check(&key([Value::Decimal(a)]), &key([small.clone()]))?;
            check(&key([small]), &key([Value::Decimal(BigDecimal::new((-12).into(), 1))]))?;
        }

        #[test]
        fn what_is_encoded_is_decoded((ty, value) in typed_value()) {
            if let Ok(encoded) = key([value.clone()]).encode() {
                let whole = encoded.strip_prefix(SEPARATOR).unwrap_or(&encoded);
                let decoded = decode(&ty, whole).unwrap();
                prop_assert!(value.compare(&decoded).unwrap().is_eq(), "{:?} {:?} {:?}", value, encoded, decoded);
                prop_assert_eq!(key([decoded]).encode(), Ok(encoded));
            }
        }

        #[test]
        fn encodings_of_every_type_are_in_order((ty, a) in typed_value(), others in prop::collection::vec(typed_value(), 30)) {
            for (_, b) in others.into_iter().filter(|(other, _)| other.kind == ty.kind) {
                check(&key([a.clone()]), &key([b.clone()]))?;
                check(&key([a.clone(), text("x")]), &key([b, text("")]))?;
            }
        }
    }
}
