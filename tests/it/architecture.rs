//! The arrows between the modules of `shared`, as its crate documentation draws them.

use std::{fs, path::Path};

use tests::binaries::workspace;

/// Module, and the modules it may name.
const ARROWS: [(&str, &[&str]); 26] = [
    ("clock", &[]),
    ("text_file", &[]),
    ("policy", &["auth", "events", "jobs", "service", "text_file"]),
    ("ledger", &["edm", "events", "plan", "policy", "service", "store", "telemetry"]),
    (
        "webhook",
        &[
            "auth",
            "batch",
            "clock",
            "cors",
            "edm",
            "events",
            "exchange",
            "jobs",
            "ledger",
            "policy",
            "service",
            "store",
            "telemetry",
            "uri",
        ],
    ),
    ("events", &["edm", "jobs"]),
    (
        "outbox",
        &[
            "auth",
            "clock",
            "edm",
            "events",
            "exchange",
            "execute",
            "jobs",
            "ledger",
            "plan",
            "policy",
            "service",
            "store",
            "telemetry",
            "uri",
        ],
    ),
    ("auth", &["batch", "text_file"]),
    ("telemetry", &["batch", "clock", "store"]),
    ("jobs", &["edm"]),
    ("batch", &[]),
    ("wire", &["batch"]),
    ("edm", &["text_file"]),
    ("uri", &["edm"]),
    ("query", &["edm", "uri"]),
    ("service", &["auth", "edm", "events", "jobs", "text_file", "uri", "wire"]),
    ("exchange", &["batch", "uri"]),
    ("cors", &["auth", "batch", "exchange"]),
    ("gateway", &["batch", "exchange", "uri"]),
    ("store", &["clock", "edm"]),
    ("secrets", &[]),
    ("repeat", &["auth", "batch", "store"]),
    (
        "respond",
        &[
            "auth", "batch", "cors", "edm", "exchange", "jobs", "plan", "query", "repeat", "service", "store", "uri",
            "wire",
        ],
    ),
    (
        "plan",
        &[
            "auth", "batch", "edm", "events", "exchange", "jobs", "query", "repeat", "respond", "service", "store",
            "uri",
        ],
    ),
    (
        "execute",
        &[
            "auth",
            "batch",
            "clock",
            "cors",
            "edm",
            "events",
            "exchange",
            "jobs",
            "plan",
            "query",
            "repeat",
            "respond",
            "service",
            "store",
            "telemetry",
            "text_file",
            "uri",
            "wire",
        ],
    ),
    (
        "function",
        &[
            "auth",
            "clock",
            "cors",
            "exchange",
            "execute",
            "gateway",
            "ledger",
            "outbox",
            "policy",
            "secrets",
            "service",
            "store",
            "telemetry",
            "webhook",
        ],
    ),
];

/// What a pure module may not say, and the only files that may.
const IMPURE: [(&str, &[&str]); 9] = [
    // aws-lc-rs computes codes and digests, and nothing else.
    ("aws_", &["store/", "secrets.rs", "events/signature.rs", "repeat/claim.rs"]),
    ("lambda_runtime::", &["function/"]),
    ("reqwest", &["auth/jwks/", "outbox/"]),
    ("tokio::", &["auth/jwks/", "store/", "execute/", "function/", "ledger/record.rs", "outbox/", "webhook/"]),
    ("std::fs", &["service/load.rs", "policy/load.rs"]),
    // A line of the log has its time.
    ("SystemTime", &["clock.rs", "telemetry/format.rs"]),
    // `Timestamp::now` panics where the clock is set to a time beyond its range.
    ("Timestamp::now", &[]),
    (
        "clock::now",
        &["execute/", "function/run.rs", "outbox/", "store/staged/mod.rs", "telemetry/format.rs", "webhook/"],
    ),
    ("Uuid::new_v4", &["execute/", "ledger/record.rs", "outbox/", "store/staged/", "webhook/"]),
];

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let mut broken = Vec::new();
    for_each_line(|module, file, line| {
        let allowed = ARROWS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| allowed);
        for used in modules_named(line) {
            if used != module && !allowed.contains(&used) {
                broken.push(format!("{file}: {module} → {used}"));
            }
        }
    });
    assert!(broken.is_empty(), "arrows that the architecture does not have:\n{}", broken.join("\n"));
}

#[test]
fn pure_modules_have_no_clock_no_chance_and_no_io() {
    let mut broken = Vec::new();
    for_each_line(|_, file, line| {
        for (word, places) in IMPURE {
            if line.contains(word) && !places.iter().any(|place| file.starts_with(place)) {
                broken.push(format!("{file}: {}", line.trim()));
            }
        }
    });
    assert!(broken.is_empty(), "impure lines:\n{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let lib = fs::read_to_string(workspace().join("shared/src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(ARROWS.iter().any(|(name, _)| *name == module), "{module} has no row");
    }
}

/// The modules that `crate::…` names in a line, one level of braces included.
fn modules_named(line: &str) -> impl Iterator<Item = &'static str> {
    let line = line.trim_start();
    let grouped = ARROWS.iter().map(|(name, _)| *name).filter(move |name| {
        let single = format!("crate::{name}");
        let in_group = line.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
        in_group
            || line
                .find(&single)
                .is_some_and(|at| !line[at + single.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    grouped.collect::<Vec<_>>().into_iter()
}

/// Calls `visit` with module, file and line of all that is compiled into the library. Tests may do as they like.
fn for_each_line(mut visit: impl FnMut(&str, &str, &str)) {
    let root = workspace().join("shared/src");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                visit_file(&root, &path, &mut visit);
            }
        }
    }
}

fn visit_file(root: &Path, path: &Path, visit: &mut impl FnMut(&str, &str, &str)) {
    let file = path.strip_prefix(root).unwrap().to_str().unwrap();
    let test_only = ["tests", "fixture", "sample", "conformance"];
    if file == "lib.rs" || test_only.iter().any(|word| file.split(['/', '.']).any(|part| part == *word)) {
        return;
    }
    let module = file.split(['/', '.']).next().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    // `use crate::{ … }` lists one module a line; other groups begin with what is not a module.
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        visit(module, file, line);
    }
}
