use chrono::{DateTime, SubsecRound, Utc};
use prost_types::Timestamp;

use crate::domain::Checks;

/// The years that a Timestamp may lie in, 1 to 9999, in seconds since 1970.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A time as `google.protobuf.Timestamp`.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Below 10^9, and one leap second above: both fit.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// A time that a client gives, with microseconds, which is what both databases keep. One that is no time goes to `checks`.
pub(super) fn time_from(
    field: &str,
    time: Option<Timestamp>,
    checks: &mut Checks,
) -> Option<DateTime<Utc>> {
    let Timestamp { seconds, nanos } = time?;
    let time = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000 && SECONDS.contains(&seconds))
        .and_then(|nanos| DateTime::from_timestamp(seconds, nanos));
    checks.require(time.is_some(), field, || {
        format!(
            "must be a time of the years 1 to 9999 with 0 to 999,999,999 nanos, got {seconds} seconds and {nanos} nanos"
        )
    });
    time.map(|time| time.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_microseconds_and_what_is_none_is_refused() {
        let from = |seconds, nanos| {
            let mut checks = Checks::default();
            let time = time_from("t", Some(Timestamp { seconds, nanos }), &mut checks);
            assert_eq!(
                time.is_none(),
                checks.finish(()).is_err(),
                "{seconds} {nanos}"
            );
            time.map(timestamp)
        };
        let nanos = 999_999_000;
        assert_eq!(from(5, 999_999_999), Some(Timestamp { seconds: 5, nanos }));
        for seconds in [*SECONDS.start(), *SECONDS.end()] {
            assert_eq!(from(seconds, nanos), Some(Timestamp { seconds, nanos }));
        }
        for (seconds, nanos) in [
            (0, -1),
            (0, 1_000_000_000),
            (SECONDS.end() + 1, 0),
            (SECONDS.start() - 1, 0),
            (i64::MAX, i32::MAX),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(from(seconds, nanos), None);
        }
        assert_eq!(time_from("t", None, &mut Checks::default()), None);
    }
}
