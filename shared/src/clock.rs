//! The clock of this machine, read here alone: a time that nothing here could tell stops a start and no request.

use std::time::SystemTime;

use jiff::Timestamp;

/// Why the clock is of no use: dates of HTTP and times in the table are those from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Too early.
    #[error("the clock of this machine says a time before 1970: set it")]
    Before,
    /// Too late.
    #[error("the clock of this machine says a time after {}: set it", Timestamp::MAX)]
    After,
}

/// The time. Where it cannot be told, the nearest one that can.
pub fn now() -> Timestamp {
    system().unwrap_or_else(|error| match error {
        ClockError::Before => Timestamp::UNIX_EPOCH,
        ClockError::After => Timestamp::MAX,
    })
}

/// Whether the clock is of use.
pub fn check() -> Result<(), ClockError> {
    system().map(drop)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn system() -> Result<Timestamp, ClockError> {
    told(SystemTime::now())
}

fn told(time: SystemTime) -> Result<Timestamp, ClockError> {
    if time < SystemTime::UNIX_EPOCH {
        return Err(ClockError::Before);
    }
    Timestamp::try_from(time).map_err(|_| ClockError::After)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_from_1970_to_9999_can_be_told() {
        let epoch = SystemTime::UNIX_EPOCH;
        let last = Duration::from_secs(Timestamp::MAX.as_second().unsigned_abs());
        assert_eq!(told(epoch), Ok(Timestamp::UNIX_EPOCH));
        assert_eq!(told(epoch + last).map(Timestamp::as_second), Ok(Timestamp::MAX.as_second()));
        assert_eq!(told(epoch - Duration::from_nanos(1)), Err(ClockError::Before));
        assert_eq!(told(epoch + last + Duration::from_secs(1)), Err(ClockError::After));
        // As late as the system can say.
        assert_eq!(told(epoch + Duration::from_secs(1 << 62)), Err(ClockError::After));
        let message = ClockError::After.to_string();
        assert!(message.starts_with("the clock of this machine says a time after 9999-12-30"), "{message}");
    }
}
