//! Ids, group names and dependencies: rules of the whole batch (Protocol §11.7.3, JSON Format §19.1).

use std::collections::HashMap;

use super::error::{DependencyFault, Fault};
use crate::batch::{BatchItem, Request, RequestId};

/// What a name stands for: the n-th request, which is in that item, or the group that is the n-th item.
#[derive(Clone, Copy)]
enum Named {
    Request { n: usize, item: usize },
    Group(usize),
}

/// Checks that names are unique and dependencies point backwards. An error comes with the index of the request (all
/// requests of the batch counted from 0).
///
/// With `by_change_set`, parts of the batch may use the same id when one of them is a change set.
pub(super) fn check(items: &[BatchItem], by_change_set: bool) -> Result<(), (usize, Fault)> {
    let names = names(items, by_change_set)?;
    for (n, item, request) in requests(items) {
        for name in &request.depends_on {
            let reason = match names.get(name) {
                Some(Named::Request { n: m, .. }) if *m < n => continue,
                Some(Named::Group(m)) if *m < item => continue,
                Some(Named::Request { n: m, .. }) if *m == n => DependencyFault::Itself,
                Some(Named::Group(m)) if *m == item => DependencyFault::OwnGroup,
                Some(_) => DependencyFault::Later,
                None => DependencyFault::Unknown,
            };
            return Err((n, Fault::DependsOn { name: name.clone(), reason }));
        }
    }
    Ok(())
}

fn names(items: &[BatchItem], by_change_set: bool) -> Result<HashMap<&RequestId, Named>, (usize, Fault)> {
    let mut names = HashMap::new();
    for (n, index, request) in requests(items) {
        if let Some(BatchItem::Group(group)) = items.get(index)
            && let Some(name) = &group.name
            && let Some(Named::Request { .. }) = names.insert(name, Named::Group(index))
        {
            return Err((n, Fault::IdIsGroup(name.clone())));
        }
        let Some(id) = &request.id else { continue };
        let apart = |item: usize| {
            let is_group = |at: usize| matches!(items.get(at), Some(BatchItem::Group(_)));
            by_change_set && item != index && (is_group(item) || is_group(index))
        };
        match names.insert(id, Named::Request { n, item: index }) {
            None => {}
            Some(Named::Request { item, .. }) if apart(item) => {}
            Some(Named::Request { .. }) => return Err((n, Fault::DuplicateId(id.clone()))),
            Some(Named::Group(_)) => return Err((n, Fault::IdIsGroup(id.clone()))),
        }
    }
    Ok(names)
}

/// All requests, each with its own index and that of its item.
fn requests(items: &[BatchItem]) -> impl Iterator<Item = (usize, usize, &Request)> {
    let members =
        items.iter().enumerate().flat_map(|(index, item)| item.requests().iter().map(move |request| (index, request)));
    members.enumerate().map(|(n, (index, request))| (n, index, request))
}
