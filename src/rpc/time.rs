use chrono::{DateTime, Utc};
use prost_types::Timestamp;

/// A time as `google.protobuf.Timestamp`.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Below 10^9, and one leap second above: both fit.
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}
