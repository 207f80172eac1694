//! Lengths of time as people write and read them: `90s`, `5m`, `1h30m`, `2d`. A day has 24 hours.

use std::{fmt, time::Duration};

/// The units, from the longest to the shortest, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The longest that can be written: ten years.
const MAX: Duration = Duration::from_hours(3_650 * 24);

/// Reads one; `None` if it is none, or longer than ten years.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(end)?;
        let unit = after.chars().next()?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        rest = after.strip_prefix(unit)?;
    }
    let duration = Duration::from_secs(total);
    (!text.is_empty() && duration <= MAX).then_some(duration)
}

/// Shows a length of time in its two longest units: `2d 3h`, `45s`.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        let mut parts = Vec::new();
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                parts.push(format!("{}{unit}", rest / seconds));
            }
            rest %= seconds;
        }
        parts.truncate(2);
        if parts.is_empty() { f.write_str("0s") } else { f.write_str(&parts.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            ("1h", 3600),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "5", "m", "5 m", "-5m", "1.5h", "5w", "5M", "3651d", "99999999999999999999s", "h1", "5mm", "٣s"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_shown_in_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (3600, "1h"), (3661, "1h 1m"), (172_801, "2d 1s"), (90_061, "1d 1h")]
        {
            assert_eq!(Shown(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
