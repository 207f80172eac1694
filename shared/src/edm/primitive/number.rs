//! Numbers as text, exact.

use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};

use super::{PrimitiveType, TextError};

/// Longest plain notation of a Decimal, in digits: keeps `1e999999999` from becoming a gigabyte.
const MAX_DECIMAL_DIGITS: usize = 400;

const DECIMAL_LIMIT: &str = "Edm.Decimal has at most 400 digits";

/// Reads an integer of a type: an optional sign and digits.
pub(crate) fn integer(text: &str, ty: PrimitiveType) -> Result<i64, TextError> {
    match text.parse::<i64>() {
        Ok(number) => in_range(number, ty),
        Err(_) if is_integer_text(text) => Err(TextError::OutOfRange(limit(ty))),
        Err(_) => Err(TextError::Malformed),
    }
}

/// Reads an integer that may be written as `1.0` or `1e3`.
pub(crate) fn integral(text: &str, ty: PrimitiveType) -> Result<i64, TextError> {
    match integer(text, ty) {
        Err(TextError::Malformed) => {
            let exact = decimal(text)?;
            if !exact.is_integer() {
                return Err(TextError::Malformed);
            }
            exact.to_i64().ok_or(TextError::OutOfRange(limit(ty))).and_then(|number| in_range(number, ty))
        }
        result => result,
    }
}

/// Reads a Decimal. The value keeps the decimals it is written with; an exponent is resolved.
pub(crate) fn decimal(text: &str) -> Result<BigDecimal, TextError> {
    let exponent = split_number(text).ok_or(TextError::Malformed)?;
    let exponent: i32 = match exponent {
        "" => 0,
        digits => digits.parse().map_err(|_| TextError::OutOfRange(DECIMAL_LIMIT))?,
    };
    if text.len() + exponent.unsigned_abs() as usize > MAX_DECIMAL_DIGITS {
        return Err(TextError::OutOfRange(DECIMAL_LIMIT));
    }
    let exact = BigDecimal::from_str(text).map_err(|_| TextError::Malformed)?;
    Ok(if exact.fractional_digit_count() < 0 { exact.with_scale(0) } else { exact })
}

/// Reads a Double: a number, `INF`, `-INF` or `NaN`. A number beyond the range is an error, not an infinity.
pub(crate) fn double(text: &str) -> Result<f64, TextError> {
    if let Some(special) = special(text) {
        return Ok(special);
    }
    split_number(text).ok_or(TextError::Malformed)?;
    let number: f64 = text.parse().map_err(|_| TextError::Malformed)?;
    if number.is_finite() { Ok(number) } else { Err(TextError::OutOfRange(limit(PrimitiveType::Double))) }
}

/// Reads a Single, which a Double holds exactly.
pub(crate) fn single(text: &str) -> Result<f64, TextError> {
    if let Some(special) = special(text) {
        return Ok(special);
    }
    split_number(text).ok_or(TextError::Malformed)?;
    let number: f32 = text.parse().map_err(|_| TextError::Malformed)?;
    if number.is_finite() { Ok(number.into()) } else { Err(TextError::OutOfRange(limit(PrimitiveType::Single))) }
}

/// Checks a Decimal against `Precision` and `Scale` (CSDL 4.01 §7.2.3, §7.2.4) and gives it the scale.
/// The error says what the limit is.
pub(crate) fn fit(exact: BigDecimal, precision: Option<u32>, scale: Option<u32>) -> Result<BigDecimal, String> {
    let exact = match scale {
        Some(scale) if exact.fractional_digit_count() > i64::from(scale) => {
            let short = exact.with_scale(scale.into());
            if short != exact {
                return Err(format!("at most {scale} decimals"));
            }
            short
        }
        Some(scale) => exact.with_scale(scale.into()),
        None => exact,
    };
    let Some(precision) = precision else { return Ok(exact) };
    let plain = exact.normalized();
    let (digits, decimals) = (i64::try_from(plain.digits()).unwrap_or(i64::MAX), plain.fractional_digit_count());
    let fits = match scale {
        Some(scale) => plain == BigDecimal::default() || digits - decimals <= i64::from(precision) - i64::from(scale),
        None => digits - decimals.min(0) <= i64::from(precision),
    };
    if fits {
        return Ok(exact);
    }
    Err(match scale {
        Some(scale) => format!("at most {} digits before the decimal point", precision.saturating_sub(scale)),
        None => format!("at most {precision} digits"),
    })
}

/// The text of a Double, shortest that reads back the same.
pub(crate) fn double_text(number: f64, single: bool) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "INF".into() } else { "-INF".into() }
    } else if single {
        format!("{:?}", to_single(number))
    } else {
        format!("{number:?}")
    }
}

/// A Double that was read as a Single, as a Single again.
#[expect(clippy::cast_possible_truncation, reason = "values of Edm.Single are exact as f32")]
pub(crate) fn to_single(number: f64) -> f32 {
    number as f32
}

/// The text of a Decimal in plain notation, with at least `scale` decimals.
pub(crate) fn decimal_text(exact: &BigDecimal, scale: Option<u32>) -> String {
    let Some(scale) = scale.map(i64::from) else { return exact.to_plain_string() };
    let decimals = exact.fractional_digit_count();
    if decimals == scale {
        return exact.to_plain_string();
    }
    let scaled = exact.with_scale(scale);
    // A value with more decimals than the facet, which only a changed model makes, is not cut.
    if decimals > scale && scaled != *exact { exact.to_plain_string() } else { scaled.to_plain_string() }
}

fn in_range(number: i64, ty: PrimitiveType) -> Result<i64, TextError> {
    let fits = match ty {
        PrimitiveType::Byte => u8::try_from(number).is_ok(),
        PrimitiveType::SByte => i8::try_from(number).is_ok(),
        PrimitiveType::Int16 => i16::try_from(number).is_ok(),
        PrimitiveType::Int32 => i32::try_from(number).is_ok(),
        _ => true,
    };
    if fits { Ok(number) } else { Err(TextError::OutOfRange(limit(ty))) }
}

fn limit(ty: PrimitiveType) -> &'static str {
    match ty {
        PrimitiveType::Byte => "Edm.Byte is from 0 to 255",
        PrimitiveType::SByte => "Edm.SByte is from -128 to 127",
        PrimitiveType::Int16 => "Edm.Int16 is from -32768 to 32767",
        PrimitiveType::Int32 => "Edm.Int32 is from -2147483648 to 2147483647",
        PrimitiveType::Int64 => "Edm.Int64 is from -9223372036854775808 to 9223372036854775807",
        PrimitiveType::Single => "Edm.Single is below 3.5e38",
        _ => "Edm.Double is below 1.8e308",
    }
}

fn special(text: &str) -> Option<f64> {
    match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => None,
    }
}

fn is_integer_text(text: &str) -> bool {
    all_digits(text.strip_prefix(['+', '-']).unwrap_or(text))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks the rule `[sign] digits ["." digits] ["e" [sign] digits]` and returns the exponent's text.
fn split_number(text: &str) -> Option<&str> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if is_integer_text(exponent) => (mantissa, exponent),
        Some(_) => return None,
        None => (unsigned, ""),
    };
    let well_formed = match mantissa.split_once('.') {
        Some((whole, decimals)) => all_digits(whole) && all_digits(decimals),
        None => all_digits(mantissa),
    };
    well_formed.then_some(exponent)
}
