//! Times between the contract and the databases, which keep microseconds.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::domain::{Checks, Flaw, SECONDS, storable_time};

const NANOS: std::ops::RangeInclusive<i32> = 0..=999_999_999;

/// A time as `google.protobuf.Timestamp`.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Below 10^9, and one leap second above: both fit.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// The time that one of our own messages tells.
pub(super) fn told(time: Timestamp) -> Option<DateTime<Utc>> {
    storable_time(time.seconds, u32::try_from(time.nanos).ok()?)
}

/// A time that may be left out, as databases keep it; what no Timestamp may say goes to `checks`.
pub(super) fn optional_time(
    field: &str,
    time: Option<Timestamp>,
    checks: &mut Checks,
) -> Option<DateTime<Utc>> {
    let Timestamp { seconds, nanos } = time?;
    checks.require(SECONDS.contains(&seconds), field, || {
        let words = format!("must lie in the years 1 to 9999, got {seconds} seconds since 1970");
        Flaw::OutOfRange.says(words).found(seconds)
    });
    checks.require(NANOS.contains(&nanos), field, || {
        let words = format!("must have 0 to 999999999 nanos, got {nanos}");
        Flaw::OutOfRange.says(words).found(nanos)
    });
    storable_time(seconds, u32::try_from(nanos).ok()?)
}

/// The range of a filter, from `create_time_start` to before `create_time_end`; each may be left out.
pub(super) fn time_range(
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    checks: &mut Checks,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let start = optional_time("create_time_start", start, checks);
    let end = optional_time("create_time_end", end, checks);
    if let (Some(start), Some(end)) = (start, end) {
        checks.require(start <= end, "create_time_end", || {
            Flaw::OutOfRange.says(format!(
                "must not be before create_time_start, got {end} and {start}"
            ))
        });
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(seconds: i64, nanos: i32) -> Result<Option<DateTime<Utc>>, crate::domain::Error> {
        let mut checks = Checks::default();
        let time = optional_time("t", Some(Timestamp { seconds, nanos }), &mut checks);
        checks.finish(time)
    }

    proptest! {
        #[test]
        fn a_time_of_microseconds_survives_the_way_through_a_timestamp(
            seconds in SECONDS, micros in 0..1_000_000_i32,
        ) {
            let message = Timestamp { seconds, nanos: micros * 1_000 };
            let time = read(message.seconds, message.nanos).unwrap().unwrap();
            prop_assert_eq!(timestamp(time), message);
        }

        #[test]
        fn no_timestamp_makes_it_panic(seconds in any::<i64>(), nanos in any::<i32>()) {
            let allowed = SECONDS.contains(&seconds) && NANOS.contains(&nanos);
            prop_assert_eq!(read(seconds, nanos).is_ok(), allowed);
        }
    }

    #[test]
    fn between_two_microseconds_the_later_counts() {
        let time = read(7, 1_001).unwrap().unwrap();
        assert_eq!(time.timestamp_subsec_nanos(), 2_000);
        // After the last of a second comes the next second.
        assert_eq!(read(7, 999_999_999).unwrap().unwrap().timestamp(), 8);
    }

    #[test]
    fn a_time_that_is_left_out_is_none() {
        assert_eq!(optional_time("t", None, &mut Checks::default()), None);
    }
}
