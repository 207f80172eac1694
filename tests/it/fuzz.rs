//! A short run over mutated inputs; `tests/examples/fuzz.rs` makes long ones.

use tests::fuzz::Fuzz;

#[test]
fn mutated_inputs_are_read_or_refused() {
    let report = Fuzz::new().run(0..20_000, 2);
    assert!(report.failures.is_empty(), "{}", report.failures.first().unwrap());
    assert!(report.counts.iter().all(|(all, accepted)| *all == 4_000 && *accepted > 100), "{:?}", report.counts);
}

#[test]
fn time_grows_no_faster_than_inputs() {
    let growths = Fuzz::new().growth(0..24);
    assert!(growths.is_empty(), "{}", growths.first().unwrap());
}
