//! When jobs may be requeued: hours of days of a week, by the clock of a time zone.
//!
//! A span goes from one time of the clock to another, and begins at the first instant at which the clock shows its
//! `from` or a later time; it ends at the first instant at which the clock shows its `to` or a later time. So where the
//! clock jumps over a time, that time is the instant of the jump, and a span that lies wholly inside of the jump is
//! none; where the clock shows a time twice, the first one counts, and the span begins and ends once.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};

/// Days before and after an instant whose spans are looked at. A week and a day would do if no clock ever jumped.
const DAYS_BEFORE: i32 = 2;
const DAYS_AFTER: i32 = 15;
/// Minutes of a day and of a week.
const DAY: usize = 24 * 60;
const WEEK: usize = 7 * DAY;

/// Spans of a week, by the clock of a time zone.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Its name in the file.
    pub(super) name: String,
    pub(super) zone: TimeZone,
    pub(super) spans: Vec<Span>,
}

/// A time of some days of the week. One that ends before it begins ends on the day after, and so does one that ends
/// when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The days on which it begins, from Monday.
    pub(super) days: [bool; 7],
    /// Minute of the day, below 1440.
    pub(super) from: u16,
    /// Minute of the day, up to 1440.
    pub(super) to: u16,
}

/// Inside or outside of a window.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) window: Window,
    pub(super) outside: bool,
}

impl Span {
    /// Its length on the clock, in minutes: 1 to 1440.
    fn minutes(&self) -> u16 {
        if self.to > self.from { self.to - self.from } else { self.to + 1440 - self.from }
    }

    fn begins_on(&self, day: Weekday) -> bool {
        usize::try_from(day.to_monday_zero_offset()).is_ok_and(|at| self.days.get(at).copied().unwrap_or_default())
    }

    /// Begin and end of the span that begins on a day.
    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let from = date.to_datetime(Time::midnight()).checked_add(i64::from(self.from).minutes()).ok()?;
        let to = from.checked_add(i64::from(self.minutes()).minutes()).ok()?;
        Some((first_instant(zone, from)?, first_instant(zone, to)?)).filter(|(begin, end)| begin < end)
    }
}

impl Window {
    /// Whether the clock shows no time of any week that is not in a span.
    pub(super) fn is_always_open(&self) -> bool {
        let mut open = [false; WEEK];
        for span in &self.spans {
            for (day, _) in span.days.iter().enumerate().filter(|(_, begins)| **begins) {
                let begin = day * DAY + usize::from(span.from);
                for minute in begin..begin + usize::from(span.minutes()) {
                    if let Some(minute) = open.get_mut(minute % WEEK) {
                        *minute = true;
                    }
                }
            }
        }
        open.iter().all(|minute| *minute)
    }

    /// The stretches of time around an instant in which it is open, in their order and apart from each other.
    fn stretches(&self, around: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let today = self.zone.to_datetime(around).date();
        let days = (-DAYS_BEFORE..=DAYS_AFTER).filter_map(|days| today.checked_add(days.days()).ok());
        let mut spans: Vec<_> = days
            .flat_map(|date| {
                let begin = self.spans.iter().filter(move |span| span.begins_on(date.weekday()));
                begin.filter_map(move |span| span.on(date, &self.zone))
            })
            .collect();
        spans.sort_unstable();
        let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (begin, end) in spans {
            match stretches.last_mut() {
                Some(last) if begin <= last.1 => last.1 = last.1.max(end),
                _ => stretches.push((begin, end)),
            }
        }
        stretches
    }
}

impl Allowed {
    /// The first instant, at `at` or after it, at which it is allowed. (At the end of all time that is `at`.)
    pub(super) fn first(&self, at: Timestamp) -> Timestamp {
        let next = self.window.stretches(at).into_iter().find(|(_, end)| *end > at);
        match next {
            Some((begin, end)) if self.outside => {
                if begin <= at {
                    end
                } else {
                    at
                }
            }
            Some((begin, _)) => begin.max(at),
            None => at,
        }
    }
}

/// The first instant at which the clock of a zone shows a time or a later one.
fn first_instant(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(time).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // With the offset of after the jump, a time inside of it is an instant before it.
            let before_jump = after.to_timestamp(time).ok()?;
            zone.following(before_jump).next().map(|jump| jump.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const ALL: [bool; 7] = [true; 7];

    fn minutes(text: &str) -> u16 {
        let (hours, minutes) = text.split_once(':').unwrap();
        hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
    }

    fn span(days: [bool; 7], from: &str, to: &str) -> Span {
        Span { days, from: minutes(from), to: minutes(to) }
    }

    fn allowed(zone: &str, spans: Vec<Span>, outside: bool) -> Allowed {
        let zone = TimeZone::get(zone).unwrap();
        Allowed { window: Window { name: "w".into(), zone, spans }, outside }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// From and to of every day in a zone, an instant, and the first one that is allowed.
    fn check(zone: &str, (from, to): (&str, &str), cases: &[(&str, &str)]) {
        let allowed = allowed(zone, vec![span(ALL, from, to)], false);
        for (asked, first) in cases {
            assert_eq!(allowed.first(at(asked)), at(first), "{zone} {from}–{to}, {asked}");
        }
    }

    #[test]
    fn a_span_past_midnight_belongs_to_the_day_it_begins_on() {
        // Fridays from 22:00 to 06:00. The 20th of November 2026 is a Friday; Berlin is an hour ahead.
        let friday = [false, false, false, false, true, false, false];
        let night = allowed("Europe/Berlin", vec![span(friday, "22:00", "06:00")], false);
        for (asked, first) in [
            ("2026-11-20T20:59:59Z", "2026-11-20T21:00:00Z"),
            ("2026-11-20T21:00:00Z", "2026-11-20T21:00:00Z"),
            ("2026-11-21T04:59:59.999Z", "2026-11-21T04:59:59.999Z"),
            ("2026-11-21T05:00:00Z", "2026-11-27T21:00:00Z"),
            ("2026-11-20T01:00:00Z", "2026-11-20T21:00:00Z"),
        ] {
            assert_eq!(night.first(at(asked)), at(first), "{asked}");
        }
    }

    #[test]
    fn outside_of_a_window_is_when_it_is_closed() {
        let weekdays = [true, true, true, true, true, false, false];
        let hours = [span(weekdays, "08:00", "12:00"), span(weekdays, "12:00", "18:00")];
        let outside = allowed("Europe/Berlin", hours.to_vec(), true);
        for (asked, first) in [
            ("2026-11-20T06:59:59Z", "2026-11-20T06:59:59Z"),
            ("2026-11-20T07:00:00Z", "2026-11-20T17:00:00Z"),
            ("2026-11-20T11:00:00Z", "2026-11-20T17:00:00Z"),
            ("2026-11-20T17:00:00Z", "2026-11-20T17:00:00Z"),
            ("2026-11-21T11:00:00Z", "2026-11-21T11:00:00Z"),
        ] {
            assert_eq!(outside.first(at(asked)), at(first), "{asked}");
        }
    }

    #[test]
    fn from_a_time_to_the_same_is_a_day() {
        check("UTC", ("10:00", "10:00"), &[("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z")]);
        for (from, to) in [("00:00", "24:00"), ("00:00", "00:00"), ("22:00", "22:00")] {
            assert!(allowed("UTC", vec![span(ALL, from, to)], false).window.is_always_open(), "{from} {to}");
        }
        assert!(!allowed("UTC", vec![span(ALL, "00:00", "23:59")], false).window.is_always_open());
        let monday = [true, false, false, false, false, false, false];
        let until_midnight = allowed("UTC", vec![span(monday, "23:00", "24:00")], false);
        assert_eq!(until_midnight.first(at("2026-11-23T23:30:00Z")), at("2026-11-23T23:30:00Z"));
        assert_eq!(until_midnight.first(at("2026-11-24T00:00:00Z")), at("2026-11-30T23:00:00Z"));
    }

    #[test]
    fn a_time_that_the_clock_jumps_over_is_the_instant_of_the_jump() {
        // Berlin, 29 March 2026: 01:00Z, from 02:00 to 03:00. New York, 8 March 2026: 07:00Z, the same.
        for (zone, day, jump) in [("Europe/Berlin", "2026-03-29T0", 1), ("America/New_York", "2026-03-08T0", 7)] {
            let z = |hours: i32, rest: &str| format!("{day}{}{rest}", jump + hours);
            let pair = |a: (i32, &str), b: (i32, &str)| (z(a.0, a.1), z(b.0, b.1));
            for (from, to, asked) in [
                ("02:30", "10:00", pair((-1, ":00:00Z"), (0, ":00:00Z"))),
                ("01:30", "02:30", pair((-1, ":45:00Z"), (-1, ":45:00Z"))),
                ("02:30", "03:15", pair((0, ":14:59Z"), (0, ":14:59Z"))),
            ] {
                check(zone, (from, to), &[(&asked.0, &asked.1)]);
            }
        }
        // Closed from the jump on; the next opening is that of the next day.
        check("Europe/Berlin", ("01:30", "02:30"), &[("2026-03-29T01:00:00Z", "2026-03-29T23:30:00Z")]);
        // A span inside of the jump is none on that day.
        check("Europe/Berlin", ("02:15", "02:45"), &[("2026-03-29T00:00:00Z", "2026-03-30T00:15:00Z")]);
        // A night is an hour shorter.
        check("Europe/Berlin", ("22:00", "06:00"), &[("2026-03-29T04:00:00Z", "2026-03-29T20:00:00Z")]);
    }

    #[test]
    fn of_a_time_that_the_clock_shows_twice_the_first_counts() {
        // Berlin, 25 October 2026: 01:00Z, from 03:00 back to 02:00. New York, 1 November 2026: 06:00Z, 02:00 to 01:00.
        check(
            "Europe/Berlin",
            ("02:00", "02:30"),
            &[
                ("2026-10-25T00:00:00Z", "2026-10-25T00:00:00Z"),
                ("2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"),
                ("2026-10-25T01:15:00Z", "2026-10-26T01:00:00Z"),
            ],
        );
        check(
            "America/New_York",
            ("01:30", "05:00"),
            &[
                ("2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"),
                ("2026-11-01T06:15:00Z", "2026-11-01T06:15:00Z"),
                ("2026-11-01T09:59:00Z", "2026-11-01T09:59:00Z"),
                ("2026-11-01T10:00:00Z", "2026-11-02T06:30:00Z"),
            ],
        );
        // A night is an hour longer.
        check("Europe/Berlin", ("22:00", "06:00"), &[("2026-10-25T04:59:00Z", "2026-10-25T04:59:00Z")]);
    }

    #[test]
    fn clocks_that_jump_over_a_day_or_at_midnight_are_followed() {
        // Samoa had no 30 December 2011: the day after 29 December began at 10:00Z of the 30th.
        check("Pacific/Apia", ("08:00", "09:00"), &[("2011-12-30T10:00:00Z", "2011-12-30T18:00:00Z")]);
        // Cairo, 24 April 2026: from 00:00 to 01:00, at 22:00Z of the 23rd.
        check("Africa/Cairo", ("00:00", "06:00"), &[("2026-04-23T21:59:00Z", "2026-04-23T22:00:00Z")]);
        let always = allowed("Asia/Tokyo", vec![span(ALL, "00:00", "24:00")], false);
        assert_eq!(always.first(Timestamp::MAX), Timestamp::MAX);
    }

    prop_compose! {
        fn spans()(days in any::<[bool; 7]>(), from in 0..1440_u16, to in 0..=1440_u16) -> Span {
            Span { days, from, to }
        }
    }

    /// Whether it is allowed at an instant, by looking at all spans of the days around.
    fn is_allowed(allowed: &Allowed, at: Timestamp) -> bool {
        let window = &allowed.window;
        let today = window.zone.to_datetime(at).date();
        let open = (-3..=3).any(|days: i32| {
            let date = today.checked_add(days.days()).unwrap();
            let mut spans = window.spans.iter().filter(|span| span.begins_on(date.weekday()));
            spans.any(|span| span.on(date, &window.zone).is_some_and(|(begin, end)| (begin..end).contains(&at)))
        });
        open != allowed.outside
    }

    proptest! {
        #[test]
        fn what_is_found_is_allowed_and_nothing_before_it_is(
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
            spans in prop::collection::vec(spans(), 1..4),
            outside in any::<bool>(),
            near in prop::sample::select(vec!["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"]),
            seconds in -200_000..200_000_i64,
        ) {
            let allowed = allowed(zone, spans, outside);
            let never = if outside { allowed.window.is_always_open() } else { allowed.window.spans.iter().all(|s| s.days == [false; 7]) };
            prop_assume!(!never);
            let asked = at(near) + SignedDuration::from_secs(seconds);
            let first = allowed.first(asked);
            prop_assert!(first >= asked && is_allowed(&allowed, first), "{} {}", asked, first);
            let mut minute = asked;
            while minute < first {
                prop_assert!(!is_allowed(&allowed, minute), "{} before {}", minute, first);
                minute += SignedDuration::from_mins(1);
            }
        }
    }
}
