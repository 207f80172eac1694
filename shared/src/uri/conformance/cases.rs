//! The cases of the standard's file.

use std::path::PathBuf;

/// A case of the file.
pub(super) struct Case {
    pub(super) rule: String,
    pub(super) input: String,
    /// Whether the input does not match the rule.
    pub(super) fails: bool,
}

/// The cases; `None`, said aloud, where the file is not at hand: it is not part of the repository.
pub(super) fn cases() -> Option<Vec<Case>> {
    let root = std::env::var_os("REBATCH_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let file = root.join("reference/odata-abnf-testcases.yaml");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("skipped: {} is not there", file.display());
        return None;
    };
    Some(read(&text))
}

/// Reads the few forms of YAML that the file uses: a scalar in one line or folded over several, plain or quoted.
fn read(text: &str) -> Vec<Case> {
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
            "Rule" => case.rule = scalar(&value).to_ascii_lowercase(),
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
