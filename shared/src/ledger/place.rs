//! The places of events, and the claims that are made of them.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{edm::DateTimeOffset, events::id_text, policy::Limit, store::Claims};

/// A claim on one retry of a job: the place of the failure, then the event's id. The order of the texts is that of the
/// places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim(pub String);

impl Claim {
    /// The claim of an event.
    pub fn new(control_number: i64, at: Timestamp, event: Uuid) -> Self {
        Self(format!("{}|{}", place(control_number, at), id_text(event)))
    }

    /// The event of a claim.
    pub(super) fn event(claim: &str) -> Option<Uuid> {
        Uuid::try_parse(claim.rsplit('|').next()?).ok()
    }

    /// When the failure of a claim happened.
    fn time(claim: &str) -> Option<Timestamp> {
        DateTimeOffset::parse(claim.split('|').next()?).ok().map(|at| at.instant())
    }
}

/// The place of an event: its time, then its control number.
pub(super) fn place(control_number: i64, at: Timestamp) -> String {
    // The least number is 0 then, and each text has as many digits.
    let number = control_number.cast_unsigned() ^ (1 << 63);
    format!("{}|{number:020}", DateTimeOffset::from_timestamp(at, 7))
}

/// The claims that count with a failure at that place: not cleared, and not too old for it.
pub(super) fn counting<'c>(claims: &'c Claims, own: &Claim, limit: Limit) -> impl Iterator<Item = &'c String> {
    let since = limit.reset_after.map(Duration::from_secs).zip(Claim::time(&own.0));
    let since = since.and_then(|(age, at)| at.checked_sub(age).ok());
    let counts = move |claim: &&String| {
        let cleared = claims.cleared.as_ref().is_some_and(|place| *claim <= place);
        let old = since.zip(Claim::time(claim)).is_some_and(|(since, at)| at < since);
        !cleared && !old
    };
    claims.held.iter().filter(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn places_are_in_the_order_of_times_then_of_control_numbers() {
        let places = [(70, 0), (i64::MAX, 0), (7, 1), (-1, 5), (0, 5), (0, 6), (i64::MIN, 9)]
            .map(|(number, second)| place(number, at(second)));
        assert!(places.is_sorted() && places.windows(2).all(|two| two[0] != two[1]), "{places:#?}");
    }

    #[test]
    fn what_is_cleared_or_too_old_does_not_count() {
        let claim = |number, second| Claim::new(number, at(second), Uuid::nil());
        let held = [claim(1, 100), claim(2, 200), claim(3, 300)].map(|claim| claim.0).into();
        let mut claims = Claims { held, ..Claims::default() };
        let counted = |claims: &Claims, reset_after| {
            counting(claims, &claim(4, 400), Limit { max_retries: 5, reset_after }).count()
        };
        assert_eq!(counted(&claims, None), 3);
        assert_eq!(counted(&claims, Some(200)), 2);
        assert_eq!(counted(&claims, Some(199)), 1);
        claims.cleared = Some(place(2, at(200)));
        assert_eq!(counted(&claims, None), 2, "a failure at the same place is not before it");
        claims.cleared = Some(place(2, at(201)));
        assert_eq!(counted(&claims, None), 1);
    }

    #[test]
    fn a_claim_tells_its_event() {
        let event = Uuid::from_u128(7);
        assert_eq!(Claim::event(&Claim::new(-1, at(100), event).0), Some(event));
        assert_eq!(Claim::event("x|y"), None);
    }
}
