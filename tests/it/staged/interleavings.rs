//! Every order in which the calls of a few actors can reach the table, with actors that stop at any call, calls that are
//! lost or come late, and leases that end at any time. The larger scenes: see `soak`.

use tests::explore::{Budget, explore};

use super::scene::{Role, Scene};
use crate::soak::rounds;

const NONE: Budget = Budget { switches: usize::MAX, crashes: 0, losses: 0, delays: 0, jumps: 0 };
const CRASH: Budget = Budget { crashes: 1, jumps: 1, ..NONE };
const LOSS: Budget = Budget { losses: 1, ..NONE };
const LATE: Budget = Budget { delays: 1, ..NONE };

/// Of scenes with too many orders, those in which running actors are interrupted so often.
const fn switches(switches: usize, budget: Budget) -> Budget {
    Budget { switches, ..budget }
}

/// Large units that overlap, in different orders. Who comes first in a scene is the older one.
const A: Role = Role::Large(&[("PATCH", "x", "a"), ("PATCH", "y", "a"), ("PATCH", "z", "a")]);
const B: Role = Role::Large(&[("PATCH", "z", "b"), ("PATCH", "y", "b"), ("PATCH", "x", "b")]);
const A2: Role = Role::Large(&[("PATCH", "x", "a"), ("PATCH", "y", "a")]);
const B2: Role = Role::Large(&[("PATCH", "y", "b"), ("PATCH", "x", "b")]);
/// All that can become of an item, and another one that wants the same.
const MIXED: Role = Role::Large(&[("POST", "n", "c"), ("DELETE", "y", ""), ("PATCH", "x", "c")]);
const RIVAL: Role = Role::Large(&[("PATCH", "x", "d"), ("POST", "n", "d")]);
/// Their keys end as those of numbers 0 and 1 do.
const CHILDREN: Role = Role::Large(&[("CHILD", "child8", "t"), ("CHILD", "child9", "t")]);
const DELETION: Role = Role::Small(&[("DELETE", "y", "")]);
const LARGE_DELETION: Role = Role::Large(&[("DELETE", "y", "")]);
const SMALL: Role = Role::Small(&[("PATCH", "x", "s"), ("PATCH", "z", "s")]);
const PATCH: Role = Role::Patch("y", "p");
const LIST: Role = Role::List(1);
/// The smallest units that need the same.
const ONE: Role = Role::Large(&[("PATCH", "x", "a")]);
const OTHER: Role = Role::Large(&[("PATCH", "x", "b")]);
const ALL: &[&str] = &["x", "y", "z"];

fn try_all(name: &str, roles: &[Role], budget: Budget) {
    let report = explore(&Scene { there: ALL, roles: roles.to_vec() }, budget);
    eprintln!("{name}: {report}");
}

fn is_full() -> bool {
    rounds(0, 1) == 1
}

#[test]
fn a_large_unit_and_a_writer_or_a_reader_in_any_order() {
    try_all("a patch", &[A2, PATCH], NONE);
    try_all("a reader", &[A2, LIST], NONE);
}

#[test]
fn an_owner_that_stops_at_any_call() {
    try_all("an owner that stops, a reader", &[A2, LIST], Budget { jumps: 0, ..CRASH });
}

#[test]
fn an_owner_does_not_wait_for_a_late_call_of_its_own() {
    try_all("a late call, the smallest units", &[ONE, OTHER], switches(1, LATE));
}

#[test]
fn soak_two_large_units_in_any_order() {
    if is_full() {
        try_all("two large units of two", &[A2, B2], switches(3, NONE));
        try_all("two large units of three", &[A, B], switches(2, NONE));
        try_all("creation, deletion, change", &[MIXED, RIVAL], switches(2, NONE));
        try_all("the same, the other one older", &[RIVAL, MIXED], switches(2, NONE));
        try_all("three large units", &[A2, B2, RIVAL], switches(2, NONE));
    }
}

#[test]
fn soak_a_large_unit_among_small_ones_and_readers() {
    if is_full() {
        try_all("a reader of lists", &[A, Role::List(2)], NONE);
        try_all("a reader of entities", &[A, Role::Get(ALL)], NONE);
        try_all("a reader of a batch", &[A, Role::Batch(ALL)], NONE);
        try_all("creation, deletion, change, a reader", &[MIXED, LIST], NONE);
        try_all("a transaction and a patch", &[A, SMALL, PATCH], switches(2, NONE));
        try_all("two large, a reader", &[A2, B2, LIST], switches(2, NONE));
        try_all("two large, a transaction, a patch", &[A2, B2, SMALL, PATCH], switches(1, NONE));
    }
}

#[test]
fn soak_a_parent_is_there_when_its_children_are_made() {
    if is_full() {
        try_all("children, a deletion of the parent, a patch", &[CHILDREN, DELETION, PATCH], switches(3, NONE));
        try_all("children, a large deletion of the parent", &[CHILDREN, LARGE_DELETION], switches(3, NONE));
        try_all("a large deletion of the parent, children", &[LARGE_DELETION, CHILDREN], switches(3, NONE));
    }
}

#[test]
fn soak_owners_that_stop_among_readers() {
    if is_full() {
        try_all("an owner that stops, a reader", &[A2, LIST], CRASH);
        try_all("a larger unit whose owner stops, a reader", &[A, LIST], CRASH);
        try_all("an owner that stops, the sweep", &[A, Role::Sweep], switches(2, CRASH));
    }
}

#[test]
fn soak_owners_that_stop_among_writers() {
    if is_full() {
        try_all("an owner that stops, a patch", &[A2, PATCH], CRASH);
        try_all("an owner that stops, a deletion of the parent", &[CHILDREN, DELETION], switches(2, CRASH));
        try_all("an owner that stops, another unit", &[A2, B2], switches(1, CRASH));
        try_all("an owner that stops, another unit, a reader", &[A2, B2, LIST], switches(1, CRASH));
        let twice = Budget { crashes: 2, ..CRASH };
        try_all("everybody may stop", &[A2, SMALL, LIST, Role::Sweep], switches(1, twice));
    }
}

#[test]
fn soak_calls_that_are_lost_or_late() {
    if is_full() {
        try_all("a lost call, a reader", &[A2, LIST], LOSS);
        try_all("a late call, a patch", &[A2, PATCH], LATE);
        try_all("a late call, another unit", &[A2, B2], switches(1, LATE));
        try_all("a late call, the sweep", &[A2, Role::Sweep], switches(2, Budget { jumps: 1, ..LATE }));
        let all = Budget { losses: 1, delays: 1, ..CRASH };
        try_all("lost and late calls, a patch, a stop", &[A2, PATCH], switches(1, all));
    }
}
