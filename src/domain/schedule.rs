//! When the jobs of a request may start, see docs/domain.md#schedules.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Checks, Flaw};

/// How far ahead a request may be put off.
const FARTHEST: TimeDelta = TimeDelta::days(30);

/// Both sides may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// No job starts earlier.
    pub not_before: Option<DateTime<Utc>>,
    /// What has not started by then is cancelled.
    pub start_deadline: Option<DateTime<Utc>>,
}

impl Schedule {
    /// Whether the jobs may start at any time.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what cannot be kept of it.
    pub fn check(&self, now: DateTime<Utc>, checks: &mut Checks) {
        let farthest = now + FARTHEST;
        if let Some(time) = self.not_before {
            checks.require(time <= farthest, "not_before_time", || {
                let words =
                    format!("must be within 30 days, at {farthest} at the latest, got {time}");
                Flaw::OutOfRange.says(words).found(time)
            });
        }
        let earliest = self.not_before.map_or(now, |time| time.max(now));
        if let Some(time) = self.start_deadline {
            checks.require(time > earliest, "start_deadline_time", || {
                let words =
                    format!("must be after now and after not_before_time, {earliest}, got {time}");
                Flaw::OutOfRange.says(words).found(time)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_lies_within_thirty_days_and_leaves_time_to_start() {
        let now = DateTime::UNIX_EPOCH;
        let hour = |n| Some(now + TimeDelta::hours(n));
        for (not_before, start_deadline, field) in [
            (None, None, None),
            (hour(-1), None, None),
            (hour(30 * 24), hour(30 * 24 + 1), None),
            (hour(30 * 24 + 1), None, Some("not_before_time")),
            (None, hour(1), None),
            (None, hour(0), Some("start_deadline_time")),
            (hour(2), hour(2), Some("start_deadline_time")),
            (hour(2), hour(1), Some("start_deadline_time")),
            (hour(-2), hour(-1), Some("start_deadline_time")),
        ] {
            let mut checks = Checks::default();
            let schedule = Schedule {
                not_before,
                start_deadline,
            };
            schedule.check(now, &mut checks);
            let violations = checks.into_violations();
            let mut fields = violations.iter().map(|violation| violation.field.as_str());
            let found = fields.next();
            assert_eq!(found, field, "{schedule:?}");
        }
    }
}
