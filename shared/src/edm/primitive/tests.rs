use super::{PrimitiveType, TextError};
use crate::edm::sample::{model, typed_value};
use crate::edm::{TypeKind, Value};
use proptest::prelude::*;

/// Reads a text and writes it again.
fn again(ty: PrimitiveType, text: &str) -> Result<String, TextError> {
    let property = crate::edm::PropertyType::of(TypeKind::Primitive(ty));
    Ok(ty.parse_text(text)?.text(&model(), &property).unwrap())
}

#[test]
fn texts_of_every_type_are_read_and_written() {
    use PrimitiveType as P;
    let rows = [
        (P::Boolean, "true", "true"),
        (P::Byte, "255", "255"),
        (P::SByte, "-128", "-128"),
        (P::Int16, "+7", "7"),
        (P::Int32, "-2147483648", "-2147483648"),
        (P::Int64, "9223372036854775807", "9223372036854775807"),
        (P::Decimal, "12.50", "12.50"),
        (P::Decimal, "+42", "42"),
        (P::Decimal, "-1.5e3", "-1500"),
        (P::Decimal, "25E-3", "0.025"),
        (P::Double, "-0.25e1", "-2.5"),
        (P::Double, "-INF", "-INF"),
        (P::Double, "NaN", "NaN"),
        (P::Single, "0.1", "0.1"),
        (P::Guid, "0A1B2C3D-0000-4000-8000-00000000ABCD", "0a1b2c3d-0000-4000-8000-00000000abcd"),
        (P::Date, "0001-01-01", "0001-01-01"),
        (P::Date, "2024-02-29", "2024-02-29"),
        (P::TimeOfDay, "07:08", "07:08:00"),
        (P::TimeOfDay, "07:08:09.5000000", "07:08:09.5"),
        (P::Duration, "-P6DT23H59M59.9999S", "-P6DT23H59M59.9999S"),
        (P::Duration, "PT90M", "PT1H30M"),
        (P::Duration, "P1D", "P1D"),
        (P::Duration, "PT0S", "PT0S"),
        (P::Binary, "AAE_-w", "AAE_-w=="),
        (P::Binary, "AAE/+w==", "AAE_-w=="),
        (P::String, "it's", "it's"),
    ];
    for (ty, text, expected) in rows {
        assert_eq!(again(ty, text).as_deref(), Ok(expected), "{ty:?} {text}");
    }
}

#[test]
fn texts_of_no_value_are_refused() {
    use PrimitiveType as P;
    let malformed = [
        (P::Boolean, "True"),
        (P::Int32, ""),
        (P::Int32, "1.0"),
        (P::Int64, "1_000"),
        (P::Decimal, "42."),
        (P::Decimal, ".1"),
        (P::Decimal, "1_0"),
        (P::Decimal, "1e"),
        (P::Decimal, "INF"),
        (P::Double, "-0.314e1e2"),
        (P::Double, "inf"),
        (P::Double, "nan"),
        (P::Guid, "{0a1b2c3d-0000-4000-8000-00000000abcd}"),
        (P::Guid, "0a1b2c3d00004000800000000000abcd"),
        (P::Date, "2024-2-29"),
        (P::Date, "20240229"),
        (P::TimeOfDay, "7:08"),
        (P::TimeOfDay, "11:22:33."),
        (P::TimeOfDay, "11%3A22"),
        (P::Duration, "+P1D"),
        (P::Duration, "P1Y"),
        (P::Duration, "P"),
        (P::Duration, "P1DT"),
        (P::Duration, "PT1S1H"),
        (P::Duration, "PT.5S"),
        (P::Binary, "A"),
        (P::Binary, "A==="),
        (P::Geo, "POINT(1 2)"),
    ];
    for (ty, text) in malformed {
        assert_eq!(ty.parse_text(text), Err(TextError::Malformed), "{ty:?} {text}");
    }
    let beyond = [
        (P::Byte, "256"),
        (P::SByte, "-129"),
        (P::Int64, "9223372036854775808"),
        (P::Decimal, "1e999999999"),
        (P::Decimal, "1e99999999999999999999"),
        (P::Double, "1e400"),
        (P::Single, "1e39"),
        (P::Date, "2023-02-29"),
        (P::Date, "0000-01-01"),
        (P::TimeOfDay, "24:00"),
        (P::Duration, "P999999999999999999D"),
    ];
    for (ty, text) in beyond {
        assert!(matches!(ty.parse_text(text), Err(TextError::OutOfRange(_))), "{ty:?} {text}");
    }
}

proptest! {
    #[test]
    fn a_written_text_reads_as_the_same_value((ty, value) in typed_value()) {
        if let TypeKind::Primitive(primitive) = ty.kind {
            let text = value.text(&model(), &ty).unwrap();
            let read = primitive.parse_text(&text);
            // Equal times may be written in different ways.
            prop_assert_eq!(read.as_ref().ok().and_then(|read| read.text(&model(), &ty)), Some(text.clone()));
            prop_assert_eq!(read, Ok(value), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in "[-+0-9.eEPTDHMSZ:INFa]{0,24}") {
        for ty in [PrimitiveType::Decimal, PrimitiveType::Duration, PrimitiveType::DateTimeOffset, PrimitiveType::Double] {
            if let Ok(value) = ty.parse_text(&text) {
                prop_assert_ne!(value, Value::Null);
            }
        }
    }
}
