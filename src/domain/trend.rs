//! The window in which a template is trending whatever its popularity.

use chrono::{DateTime, Utc};

/// Whether `now` lies in the window from `start` to before `end`. A side that is not set is open; without either there is no
/// window.
pub fn in_window(
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    (start.is_some() || end.is_some())
        && start.is_none_or(|start| start <= now)
        && end.is_none_or(|end| now < end)
}
