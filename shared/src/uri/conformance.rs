//! The standard's own test cases, read from the reference material where it is at hand.

use std::path::PathBuf;

use super::{
    Encoding, QueryOptions, UriError, UriLimits, fixture::model, options::REPEATED, parse_filter, parse_path, resolve,
};

/// A case of the file.
struct Case {
    rule: String,
    input: String,
    fails: bool,
}

/// The cases; `None`, said aloud, where the material is not at hand.
fn cases() -> Option<Vec<Case>> {
    let root = std::env::var_os("REBATCH_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let file = root.join("reference/odata-abnf-testcases.yaml");
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", file.display());
        eprintln!("skipped: {} is missing", file.display());
        return None;
    };
    Some(read_cases(&text))
}

/// Reads the few forms of YAML that the file uses: a scalar in one line or folded over several, plain or quoted.
fn read_cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("  - Name:") {
            cases.push(Case { rule: String::new(), input: String::new(), fails: false });
        }
        let (Some(case), Some((name, value))) = (cases.last_mut(), line.trim().split_once(':')) else { continue };
        if !line.starts_with("    ") || line.starts_with("     ") {
            continue;
        }
        let mut value = value.trim().to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with("      ")) {
            let space = if value.is_empty() { "" } else { " " };
            value = format!("{value}{space}{}", more.trim());
        }
        match name {
            "Rule" => case.rule = scalar(&value),
            "Input" => case.input = scalar(&value),
            "FailAt" => case.fails = true,
            _ => {}
        }
    }
    cases
}

fn scalar(value: &str) -> String {
    let inside = |quote| value.strip_prefix(quote).and_then(|v: &str| v.strip_suffix(quote));
    if let Some(text) = inside('\'') {
        return text.replace("''", "'");
    }
    inside('"')
        .map_or_else(|| value.to_owned(), |text| text.replace("\\\"", "\"").replace("\\t", "\t").replace("\\\\", "\\"))
}

/// Reads the input as its rule says; `None` for rules that are no business of this module.
fn read(rule: &str, input: &str) -> Option<Result<(), UriError>> {
    let limits = UriLimits::default();
    let path = |text: &str| {
        let segments = parse_path(text, Encoding::Percent, &limits)?;
        resolve(&model(), &segments, None).map(drop)
    };
    let query = |text: &str| QueryOptions::parse(text, &limits).map(drop);
    Some(match rule.to_ascii_lowercase().as_str() {
        "odatarelativeuri" | "resourcepath" => match input.split_once('?') {
            Some((before, after)) => {
                path(before).or_else(|error| if error.is_not_found() { query(after) } else { Err(error) })
            }
            None => path(input.split_once('#').map_or(input, |(before, _)| before)),
        },
        "queryoptions" | "filter" | "systemqueryoption" | "select" | "expand" | "orderby" | "search" | "compute"
        | "customqueryoption" => query(input),
        "commonexpr" | "boolcommonexpr" | "firstmemberexpr" | "notexpr" | "isofexpr" | "anyexpr"
        | "propertypathexpr" => {
            let decoded = super::path::decode(input, 0);
            decoded.and_then(|text| parse_filter(&text, &limits)).map(drop)
        }
        _ => return None,
    })
}

#[test]
fn legal_addresses_are_read_or_named_as_unsupported() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for case in cases.iter().filter(|case| !case.fails) {
        match read(&case.rule, &case.input) {
            // The grammar lets an option repeat, Protocol §11.2.1 does not.
            Some(Err(UriError::BadOption { reason: REPEATED, .. })) | None => {}
            Some(Err(error)) if !error.is_unsupported() && !error.is_not_found() => {
                wrong.push(format!("{}: {}: {error}", case.rule, case.input));
            }
            Some(_) => seen += 1,
        }
    }
    assert!(wrong.is_empty(), "{} read, these not:\n{}", seen, wrong.join("\n"));
    assert!(seen > 450, "only {seen} cases were found");
}

#[test]
fn illegal_addresses_are_refused() {
    let Some(cases) = cases() else { return };
    let accepted: Vec<_> = cases
        .iter()
        .filter(|case| case.fails && matches!(read(&case.rule, &case.input), Some(Ok(()))))
        .map(|case| format!("{}: {}", case.rule, case.input))
        .collect();
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
}

#[test]
fn every_text_of_the_file_is_harmless_everywhere() {
    let Some(cases) = cases() else { return };
    for case in &cases {
        for rule in ["resourcePath", "queryOptions", "commonExpr"] {
            let _ = read(rule, &case.input);
            let _ = parse_path(&case.input, Encoding::Decoded, &UriLimits::default());
        }
    }
}
