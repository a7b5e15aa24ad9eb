//! Files without the place where they were taken.

use bytes::Bytes;
use codec::{Format, location};

use super::bounded::run_bounded;
use super::cost::Cost;
use super::facts::{InspectError, Limits};

/// The file without its location, as far as its format tells it in a way that is known here, on a thread for blocking work. A file
/// that tells none is the same.
///
/// # Errors
///
/// [`InspectError::Busy`] or [`InspectError::TimedOut`] when the server is too busy.
pub async fn without_location(
    content: Bytes,
    format: Format,
    limits: &Limits,
) -> Result<Bytes, InspectError> {
    let bytes = Cost::of_size(format.kind(), content.len(), None).bytes;
    let work = move |_| {
        let stripped = location::without(&content, format);
        Ok(stripped.map_or(content, Bytes::from))
    };
    run_bounded(limits.max_duration, bytes, work).await
}
