//! How popular templates are: views are recorded by their day, and everything that was counted is folded into the templates
//! later, see docs/domain.md#popularity-and-trends.

mod fold;
mod record_view;

use chrono::{DateTime, Utc};

use crate::domain::Error;

pub use fold::Folded;

/// Days since 1970-01-01, in UTC.
fn day(time: DateTime<Utc>) -> Result<i32, Error> {
    i32::try_from(time.timestamp().div_euclid(24 * 60 * 60)).map_err(Error::internal)
}
