//! Rules that the services of a host keep together, and how messages call their files.

use std::{collections::HashSet, path::Path};

use super::{
    Problem, ServiceError, Source,
    roots::{self, Origin, Pattern},
};

/// The name of a service's file in messages.
pub(super) fn file(dir: &Path, service: &str, name: &str) -> String {
    dir.join(service).join(name).display().to_string()
}

/// Names are part of every key in the table.
pub(super) fn names(dir: &Path, sources: &[Source]) -> Result<(), ServiceError> {
    let mut names = HashSet::new();
    for name in sources.iter().map(|source| source.name.as_str()) {
        let folder = dir.join(name).display().to_string();
        if !roots::is_name(name) {
            return Err(Problem::ServiceName.in_file(&folder));
        }
        if !names.insert(name) {
            return Err(Problem::SameService.in_file(&folder));
        }
    }
    Ok(())
}

/// Two patterns that answer the same paths.
pub(super) fn same_root(
    dir: &Path,
    sources: &[&Source],
    [(first, one), (second, other)]: &[(Pattern, Origin); 2],
) -> ServiceError {
    let source =
        |origin: &Origin| sources.get(origin.service).map(|source| (source.name.as_str(), &*source.service_toml));
    let (service, _) = source(one).unwrap_or_default();
    let (folder, text) = source(other).unwrap_or_default();
    let problem =
        Problem::SameRoot { pattern: second.text().into(), other: first.text().into(), service: service.into() };
    problem.at(&file(dir, folder, "service.toml"), text, other.offset)
}
