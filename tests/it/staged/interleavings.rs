//! Every order in which the calls of a few actors can reach the table, with actors that stop at any call, calls that are
//! lost or come late, and leases that end at any time. The larger scenes: see `soak`.

use tests::explore::{Budget, Report, explore};

use super::scene::{Role, Scene};
use crate::soak::rounds;

const NONE: Budget = Budget { crashes: 0, losses: 0, delays: 0, jumps: 0 };
const A: Role = Role::Large(&[("PATCH", "x", "a"), ("PATCH", "y", "a"), ("PATCH", "z", "a")]);
const B: Role = Role::Large(&[("PATCH", "z", "b"), ("PATCH", "y", "b"), ("PATCH", "x", "b")]);

fn try_all(name: &str, roles: &[Role], budget: Budget) -> Report {
    let report = explore(&Scene { there: &["x", "y", "z"], roles: roles.to_vec() }, budget);
    eprintln!("{name}: {report}");
    report
}

fn is_full() -> bool {
    rounds(0, 1) == 1
}

const A2: Role = Role::Large(&[("PATCH", "x", "a"), ("PATCH", "y", "a")]);
const B2: Role = Role::Large(&[("PATCH", "y", "b"), ("PATCH", "x", "b")]);
const SMALL: Role = Role::Small(&[("PATCH", "x", "s"), ("PATCH", "z", "s")]);
const PATCH: Role = Role::Patch("y", "p");
/// All that can become of an item.
const MIXED: Role = Role::Large(&[("POST", "n", "c"), ("DELETE", "y", ""), ("PATCH", "x", "c")]);
const RIVAL: Role = Role::Large(&[("PATCH", "x", "d"), ("POST", "n", "d")]);
const CHILDREN: Role = Role::Large(&[("CHILD", "child0", "t"), ("CHILD", "child1", "t")]);
const ALL: &[&str] = &["x", "y", "z"];

#[test]
fn soak_two_large_units_in_any_order() {
    try_all("two large units of two", &[A2, B2], NONE);
    try_all("two large units of three", &[A, B], NONE);
}

#[test]
fn soak_a_large_unit_among_small_ones_and_readers() {
    try_all("a transaction and a patch", &[A, SMALL, PATCH], NONE);
    try_all("a reader of lists", &[A, Role::List(2)], NONE);
    try_all("a reader of entities", &[A, Role::Get(ALL)], NONE);
    try_all("a reader of a batch", &[A, Role::Batch(ALL)], NONE);
    try_all("creation, deletion, change", &[MIXED, RIVAL], NONE);
    try_all("creation, deletion, change, a reader", &[MIXED, Role::List(1)], NONE);
}

#[test]
fn soak_a_parent_is_there_when_its_children_are_made() {
    let deletion = Role::Small(&[("DELETE", "y", "")]);
    try_all("children, a deletion of the parent, a patch", &[CHILDREN, deletion, PATCH], NONE);
    try_all("children, a large deletion of the parent", &[CHILDREN, Role::Large(&[("DELETE", "y", "")])], NONE);
}

#[test]
fn soak_units_whose_owners_stop() {
    let crash = Budget { crashes: 1, jumps: 1, ..NONE };
    try_all("an owner that stops, a reader", &[A, Role::List(1)], crash);
    try_all("an owner that stops, the sweep", &[A, Role::Sweep], crash);
    try_all("an owner that stops, a patch", &[A2, PATCH], crash);
    try_all("an owner that stops, another unit", &[A2, B2], Budget { jumps: 0, ..crash });
}

#[test]
fn soak_calls_that_are_lost_or_late() {
    try_all("a lost call, a reader", &[A2, Role::List(1)], Budget { losses: 1, ..NONE });
    try_all("a late call, a patch", &[A2, PATCH], Budget { delays: 1, ..NONE });
    try_all("a late call of a unit with a rival", &[A2, B2], Budget { delays: 1, ..NONE });
}

#[test]
fn soak_the_large_scenes() {
    if is_full() {
        let crash = Budget { crashes: 1, jumps: 1, ..NONE };
        try_all("two large, a transaction, a patch", &[A, B, SMALL, PATCH], NONE);
        try_all("two large, a reader", &[A, B, Role::List(2)], NONE);
        try_all("two large, the sweep, crashes", &[A, B, Role::Sweep], crash);
        try_all("two large, a reader, crashes", &[A2, B2, Role::List(1)], crash);
        try_all("losses and late calls", &[A2, B2, PATCH], Budget { losses: 1, delays: 1, ..NONE });
        try_all("everything", &[A2, SMALL, Role::List(1), Role::Sweep], Budget { delays: 1, ..crash });
        try_all("three large units", &[A2, B2, MIXED], NONE);
    }
}
