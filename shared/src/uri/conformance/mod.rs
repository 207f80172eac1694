//! The standard's own test cases of its grammar, counted by what becomes of them.
//!
//! A case is one of 840 inputs of a rule, valid or not. The table says how many of each rule are understood, named as
//! not supported, named as unknown to the model, and refused as malformed, and for how many no parser is here. A change
//! of any number fails: for the worse it is a mistake, for the better the table is brought up to date.

mod cases;
mod table;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use cases::cases;
use table::TABLE;

use super::{Encoding, KeyPredicate, LiteralShape, QueryOptions, UriError, UriLimits, literal::is_identifier};
use super::{parse_filter, parse_path, resolve};
use crate::{
    batch::{Headers, Preferences, RequestId},
    edm::{Model, PrimitiveType, PropertyType, TypeKind, parse_literal},
    plan,
    service::{Service, Services, Source},
};

/// The outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Read, with a meaning in the model.
    Understood,
    /// Named as not supported (501).
    Unsupported,
    /// Read, and the model has nothing of that name, or no key of that type (404, 400); a preference that is ignored.
    Unknown,
    /// Refused as malformed, or as out of range (400).
    Refused,
    /// No parser here reads such a text.
    NotAsked,
}

/// How many cases of a rule have each outcome, in the order of [`Outcome`].
type Counts = [usize; 5];

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let service_toml = "roots = [\"/service\"]\n[profile]\nbase = \"odata\"\n".into();
    let model_xml = include_str!("model.xml").into();
    let source = Source { name: "grammar".into(), service_toml, model_xml, seed_json: None };
    Services::from_sources(vec![source]).unwrap().iter().next().unwrap().clone()
});

fn model() -> &'static Model {
    &SERVICE.model
}

/// The outcome of an input of a rule.
fn ask(rule: &str, input: &str) -> Outcome {
    match rule {
        "odatarelativeuri" | "resourcepath" | "entitysetname" => relative(input),
        "odatauri" => absolute(input),
        "functionparameter" => of(path(&format!("Products({input})"))),
        "odataidentifier" => is_read(is_identifier(input)),
        "queryoptions" => of(query(input).map(drop)),
        "filter" | "systemqueryoption" | "select" | "expand" | "orderby" | "search" | "compute"
        | "customqueryoption" | "skiptoken" | "deltatoken" => option(input),
        "searchexpr" => option(&format!("$search={input}")),
        "commonexpr" | "boolcommonexpr" | "firstmemberexpr" | "notexpr" | "isofexpr" | "anyexpr"
        | "propertypathexpr" => expression(input),
        "preference" | "includeannotationspreference" | "maxpagesizepreference" => preference(input),
        "prefer" => preference(input.split_once(':').map_or(input, |(_, value)| value)),
        "header" => header(input),
        "request-id" => is_read(RequestId::new(input).is_ok()),
        "primitiveliteral" | "null" => decoded(input, |text| is_read(LiteralShape::of(text).is_some())),
        geo if geo.starts_with("geo") => expression(&format!("Name eq {input}")),
        _ => literal_or_value(rule, input),
    }
}

/// Rules of literals in URLs (`…Literal`) and of values in payloads (`…Value`).
fn literal_or_value(rule: &str, input: &str) -> Outcome {
    if let Some(ty) = rule.strip_suffix("value").and_then(type_of) {
        return value(ty, input);
    }
    match type_of(rule.strip_suffix("literal").unwrap_or(rule)) {
        Some(ty) => decoded(input, |text| is_read(parse_literal(model(), &PropertyType::of(ty), text).is_ok())),
        None if rule == "datetimeoffsetvalueinurl" => {
            let ty = TypeKind::Primitive(PrimitiveType::DateTimeOffset);
            decoded(input, |text| value(ty, text))
        }
        None => Outcome::NotAsked,
    }
}

fn type_of(name: &str) -> Option<TypeKind> {
    if name == "enum" {
        return model().enum_id("Sales.Pattern").map(TypeKind::Enum);
    }
    let names = [
        "Binary",
        "Boolean",
        "Byte",
        "Date",
        "DateTimeOffset",
        "Decimal",
        "Double",
        "Duration",
        "Guid",
        "Int16",
        "Int32",
        "Int64",
        "SByte",
        "Single",
        "String",
        "TimeOfDay",
    ];
    let name = names.iter().find(|known| known.eq_ignore_ascii_case(name))?;
    PrimitiveType::from_name(name).map(TypeKind::Primitive)
}

fn value(ty: TypeKind, text: &str) -> Outcome {
    is_read(match ty {
        TypeKind::Primitive(ty) => ty.parse_text(text).is_ok(),
        TypeKind::Enum(id) => model().enumeration(id).parse(text).is_some(),
        TypeKind::Complex(_) => false,
    })
}

fn is_read(read: bool) -> Outcome {
    if read { Outcome::Understood } else { Outcome::Refused }
}

/// The outcome for the text of a URL, percent-decoded.
fn decoded(input: &str, ask: impl Fn(&str) -> Outcome) -> Outcome {
    super::path::decode(input, 0).map_or(Outcome::Refused, |text| ask(&text))
}

fn of(read: Result<(), UriError>) -> Outcome {
    match read {
        Ok(()) => Outcome::Understood,
        Err(error) if error.is_unsupported() => Outcome::Unsupported,
        Err(UriError::NotFound { .. } | UriError::BadKey { .. }) => Outcome::Unknown,
        Err(_) => Outcome::Refused,
    }
}

fn path(text: &str) -> Result<(), UriError> {
    let segments = parse_path(text, Encoding::Percent, &UriLimits::default())?;
    match resolve(model(), &segments, None) {
        // A literal of another type than the key has here.
        Err(UriError::BadKeyValue { segment, .. }) if segments.iter().all(|s| has_literals(s.arguments.as_ref())) => {
            Err(UriError::NotFound { segment })
        }
        found => found.map(drop),
    }
}

fn has_literals(arguments: Option<&KeyPredicate>) -> bool {
    let is_literal = |text: &str| LiteralShape::of(text).is_some();
    match arguments {
        None | Some(KeyPredicate::Empty) => true,
        Some(KeyPredicate::Single(text)) => is_literal(text),
        Some(KeyPredicate::Named(parts)) => parts.iter().all(|(_, text)| is_literal(text)),
    }
}

fn query(text: &str) -> Result<QueryOptions, UriError> {
    QueryOptions::parse(text, &UriLimits::default())
}

/// One query option, not several.
fn option(text: &str) -> Outcome {
    match query(text) {
        Ok(options) => is_read(options.given().count() + options.custom.len() == 1),
        Err(error) => of(Err(error)),
    }
}

/// A path with its query: what becomes of the worse part.
fn relative(input: &str) -> Outcome {
    let input = input.split_once('#').map_or(input, |(before, _)| before);
    let (before, after) = input.split_once('?').unwrap_or((input, ""));
    of(path(before)).max(of(query(after).map(drop)))
}

/// A URL of a service whose root the case does not tell: the part below the roots that the file uses.
fn absolute(input: &str) -> Outcome {
    let Some((_, rest)) = input.split_once("://") else { return relative(input) };
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let roots = ["/MyService", "/service", "/OData/OData.svc"];
    let below = roots.iter().find_map(|root| path.strip_prefix(root)).unwrap_or(path);
    relative(below)
}

fn expression(input: &str) -> Outcome {
    decoded(input, |text| of(parse_filter(text, &UriLimits::default()).map(drop)))
}

fn headers(name: &str, value: &str) -> Headers {
    let mut headers = Headers::new();
    headers.try_append(name, value).unwrap();
    headers
}

fn preference(input: &str) -> Outcome {
    if Preferences::of(&headers("prefer", input)) != Preferences::default() {
        return Outcome::Understood;
    }
    let name = input.split(['=', ';']).next().unwrap_or_default();
    let known = ["maxpagesize", "return", "continue-on-error"];
    if known.contains(&name.trim_start_matches("odata.")) { Outcome::Refused } else { Outcome::Unknown }
}

fn header(input: &str) -> Outcome {
    let (name, value) = input.split_once(':').unwrap_or((input, ""));
    let (name, value) = (name.to_ascii_lowercase(), value.trim());
    is_read(match name.as_str() {
        "odata-version" | "odata-maxversion" => plan::version(&headers(&name, value), &SERVICE).is_ok(),
        "isolation" | "odata-isolation" => matches!(plan::isolation(&headers(&name, value), &SERVICE), Ok(Some(_))),
        "content-id" => RequestId::new(value).is_ok(),
        // Headers of answers.
        _ => return Outcome::NotAsked,
    })
}

#[test]
fn what_becomes_of_each_case_is_counted() {
    let Some(cases) = cases() else { return };
    let mut counts: BTreeMap<&str, (Counts, Counts)> = BTreeMap::new();
    let mut notes = String::new();
    for case in &cases {
        let outcome = ask(&case.rule, &case.input);
        let (valid, invalid) = counts.entry(&case.rule).or_default();
        let row = if case.fails { invalid } else { valid };
        row[outcome as usize] += 1;
        let wrong = if case.fails { outcome != Outcome::Refused } else { outcome == Outcome::Refused };
        if wrong && outcome != Outcome::NotAsked {
            let kind = if case.fails { "invalid" } else { "valid" };
            writeln!(notes, "{kind} {} {outcome:?}: {}", case.rule, case.input).unwrap();
        }
    }
    let expected: BTreeMap<&str, (Counts, Counts)> =
        TABLE.iter().map(|(r, valid, other)| (*r, (*valid, *other))).collect();
    let differs = |(rule, counts): &(&&str, &(Counts, Counts))| expected.get(**rule) != Some(counts);
    let rows = counts.iter().map(|(rule, (valid, other))| format!("    ({rule:?}, {valid:?}, {other:?}),\n"));
    let changed = counts
        .iter()
        .filter(differs)
        .map(|(rule, counts)| format!("{rule}: {counts:?}, not {:?}\n", expected.get(rule)));
    assert!(
        counts == expected,
        "changed:\n{}\nthe table as it would be:\n{}\nnot as the grammar says:\n{notes}",
        changed.collect::<String>(),
        rows.collect::<String>()
    );
}

#[test]
fn every_text_of_the_file_is_harmless_everywhere() {
    let Some(cases) = cases() else { return };
    for case in &cases {
        for rule in ["resourcepath", "queryoptions", "commonexpr", "preference", "primitiveliteral", "datevalue"] {
            if !case.input.contains('\n') {
                let _ = ask(rule, &case.input);
            }
            let _ = parse_path(&case.input, Encoding::Decoded, &UriLimits::default());
        }
    }
}
