//! The time that is written on all that is deleted together, see docs/domain.md#soft-delete.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// When something is deleted that takes rows along, `latest` being when the last of them was deleted by itself.
///
/// Undeleting brings back the rows that bear this very time. So it lies behind `latest`, and has microseconds, which is what
/// both databases keep.
pub fn deletion_time(now: DateTime<Utc>, latest: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let behind = latest.map(|latest| latest + TimeDelta::microseconds(1));
    behind
        .map_or(now, |behind| now.max(behind))
        .trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_at_the_same_instant_or_ahead_of_this_clock_keeps_a_time_of_its_own() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(5_700);
        let micros = |micros| DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros);
        assert_eq!(deletion_time(now, None), micros(5));
        assert_eq!(deletion_time(now, Some(micros(3))), micros(5));
        assert_eq!(deletion_time(micros(5), Some(micros(5))), micros(6));
        assert_eq!(deletion_time(now, Some(micros(90))), micros(91));
    }
}
