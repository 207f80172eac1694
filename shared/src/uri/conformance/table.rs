//! The outcomes of the cases, rule by rule (names in small letters).
//!
//! Valid inputs that are refused: years outside 0001 to 9999 and leap seconds, `INF` and `NaN` as Decimal, values that no
//! member of the enumeration has, a number beyond its type (`sbyte` 128), and an option that is given twice (Protocol
//! §11.2.1 forbids it).

use super::Counts;

/// Rule, counts of the valid cases, counts of the others.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, Counts, Counts)] = &[
    // Paths and URLs.
    ("odatarelativeuri", [27, 84, 32, 0, 0], [0, 4, 3, 8, 0]),
    ("resourcepath", [10, 1, 23, 0, 0], [0, 0, 1, 2, 0]),
    ("odatauri", [15, 3, 5, 0, 0], [0, 0, 0, 1, 0]),
    ("odataidentifier", [2, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("entitysetname", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("functionparameter", [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]),
    // Query options.
    ("queryoptions", [8, 65, 0, 2, 0], [0, 5, 0, 1, 0]),
    ("expand", [0, 27, 0, 0, 0], [0, 5, 0, 0, 0]),
    ("filter", [6, 16, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("select", [3, 17, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("orderby", [0, 11, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("systemqueryoption", [0, 4, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("compute", [0, 3, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("search", [0, 1, 0, 0, 0], [0, 2, 0, 0, 0]),
    ("searchexpr", [0, 1, 0, 0, 0], [0, 1, 0, 0, 0]),
    ("customqueryoption", [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("skiptoken", [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]),
    ("deltatoken", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    // Expressions.
    ("commonexpr", [2, 105, 0, 0, 0], [0, 2, 0, 2, 0]),
    ("boolcommonexpr", [25, 25, 0, 0, 0], [0, 3, 0, 0, 0]),
    ("firstmemberexpr", [16, 4, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("propertypathexpr", [1, 4, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("isofexpr", [0, 5, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("anyexpr", [0, 4, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("notexpr", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    // Headers and preferences.
    ("preference", [11, 0, 25, 0, 0], [0, 0, 0, 0, 0]),
    ("header", [8, 0, 0, 0, 5], [0, 0, 0, 0, 0]),
    ("prefer", [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("includeannotationspreference", [0, 0, 0, 0, 0], [0, 0, 2, 0, 0]),
    ("maxpagesizepreference", [0, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("request-id", [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    // Literals in URLs.
    ("binaryliteral", [9, 0, 0, 0, 0], [0, 0, 0, 1, 0]),
    ("boolean", [3, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("date", [3, 0, 0, 2, 0], [0, 0, 0, 2, 0]),
    ("datetimeoffsetliteral", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("datetimeoffsetvalueinurl", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("decimalliteral", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("doubleliteral", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("durationliteral", [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("enumliteral", [3, 0, 0, 2, 0], [0, 0, 0, 0, 0]),
    ("guid", [1, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("int16literal", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("int32literal", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("int64literal", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("null", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("primitiveliteral", [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("sbyteliteral", [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]),
    ("singleliteral", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("stringliteral", [5, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    ("timeofdayliteral", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    // Values.
    ("booleanvalue", [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]),
    ("bytevalue", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("datetimeoffsetvalue", [5, 0, 0, 3, 0], [0, 0, 0, 7, 0]),
    ("datevalue", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("decimalvalue", [5, 0, 0, 3, 0], [0, 0, 0, 2, 0]),
    ("doublevalue", [5, 0, 0, 0, 0], [0, 0, 0, 1, 0]),
    ("durationvalue", [1, 0, 0, 0, 0], [0, 0, 0, 3, 0]),
    ("enumvalue", [0, 0, 0, 1, 0], [0, 0, 0, 2, 0]),
    ("int16value", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("int32value", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("int64value", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("sbytevalue", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("singlevalue", [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("timeofdayvalue", [3, 0, 0, 0, 0], [0, 0, 0, 2, 0]),
    // Geographic and geometric literals.
    ("geographycollection", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographylinestring", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographymultilinestring", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographymultipoint", [0, 2, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographymultipolygon", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographypoint", [0, 3, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geographypolygon", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrycollection", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrylinestring", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrymultilinestring", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrymultipoint", [0, 2, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrymultipolygon", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrypoint", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    ("geometrypolygon", [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
    // No parser here: a service writes context URLs; a value without a type and a JSON string in a URL are not read.
    ("context", [0, 0, 0, 0, 41], [0, 0, 0, 0, 2]),
    ("primitivevalue", [0, 0, 0, 0, 5], [0, 0, 0, 0, 1]),
    ("stringinurl", [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]),
];
