//! Times that every database and contract can hold.

use chrono::{DateTime, TimeDelta, Utc};

/// Years 1 to 9999 in seconds since 1970, which is what both a protobuf Timestamp and a TOML file may say.
pub const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A time as databases keep it, in microseconds: one between two of them is the later, so that the same rows lie before it.
/// `None` outside of [`SECONDS`].
pub fn storable_time(seconds: i64, nanos: u32) -> Option<DateTime<Utc>> {
    if !SECONDS.contains(&seconds) {
        return None;
    }
    let micros = i64::from(nanos.div_ceil(1_000));
    let time = DateTime::from_timestamp(seconds, 0)? + TimeDelta::microseconds(micros);
    // Not into the year 10000, whose number sorts elsewhere as a text.
    Some(time.min(DateTime::from_timestamp(*SECONDS.end(), 999_999_000)?))
}
