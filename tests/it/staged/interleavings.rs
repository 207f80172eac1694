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

#[test]
fn soak_two_large_units_in_any_order() {
    try_all("two large units", &[A, B], NONE);
}
