//! Ids, group names and dependencies: rules of the whole batch (Protocol §11.7.3, JSON Format §19.1).

use std::collections::HashMap;

use super::error::{DependencyFault, Fault};
use crate::batch::{BatchItem, Request, RequestId};

/// The bearer of a name: the n-th request, or the group that is the n-th item.
#[derive(Clone, Copy)]
enum Named {
    Request(usize),
    Group(usize),
}

/// Checks the names and dependencies of a JSON batch: names are unique, dependencies point backwards. An error comes with
/// the index of the request (all requests of the batch counted from 0).
pub(super) fn check(items: &[BatchItem]) -> Result<(), (usize, Fault)> {
    let names = names(items)?;
    for (n, item, request) in requests(items) {
        for name in &request.depends_on {
            let reason = match names.get(name) {
                Some(Named::Request(m)) if *m < n => continue,
                Some(Named::Group(m)) if *m < item => continue,
                Some(Named::Request(m)) if *m == n => DependencyFault::Itself,
                Some(Named::Group(m)) if *m == item => DependencyFault::OwnGroup,
                Some(_) => DependencyFault::Later,
                None => DependencyFault::Unknown,
            };
            return Err((n, Fault::DependsOn { name: name.clone(), reason }));
        }
    }
    Ok(())
}

fn names(items: &[BatchItem]) -> Result<HashMap<&RequestId, Named>, (usize, Fault)> {
    let mut names = HashMap::new();
    for (n, index, request) in requests(items) {
        if let Some(BatchItem::Group(group)) = items.get(index)
            && let Some(name) = &group.name
            && let Some(Named::Request(_)) = names.insert(name, Named::Group(index))
        {
            return Err((n, Fault::IdIsGroup(name.clone())));
        }
        let Some(id) = &request.id else { continue };
        match names.insert(id, Named::Request(n)) {
            None => {}
            Some(Named::Request(_)) => return Err((n, Fault::DuplicateId(id.clone()))),
            Some(Named::Group(_)) => return Err((n, Fault::IdIsGroup(id.clone()))),
        }
    }
    Ok(names)
}

/// The requests of a multipart batch whose id an earlier one has, by their index as in [`check`].
///
/// With `by_change_set`, parts of the batch may use the same id when one of them is a change set.
pub(super) fn duplicates(items: &[BatchItem], by_change_set: bool) -> Vec<(usize, Fault)> {
    let is_group = |at: usize| matches!(items.get(at), Some(BatchItem::Group(_)));
    let apart = |a: usize, b: usize| by_change_set && a != b && (is_group(a) || is_group(b));
    let mut items_of: HashMap<&RequestId, usize> = HashMap::new();
    let mut duplicates = Vec::new();
    for (n, item, request) in requests(items) {
        let Some(id) = &request.id else { continue };
        match items_of.get(id) {
            Some(earlier) if !apart(*earlier, item) => duplicates.push((n, Fault::DuplicateId(id.clone()))),
            _ => _ = items_of.insert(id, item),
        }
    }
    duplicates
}

/// All requests, each with its own index and that of its item.
fn requests(items: &[BatchItem]) -> impl Iterator<Item = (usize, usize, &Request)> {
    let members =
        items.iter().enumerate().flat_map(|(index, item)| item.requests().iter().map(move |request| (index, request)));
    members.enumerate().map(|(n, (index, request))| (n, index, request))
}
