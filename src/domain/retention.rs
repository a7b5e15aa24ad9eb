//! What is kept for how long, see docs/retention.md.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use strum::{EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};

use super::Plans;

/// What happens to something whose time is over, in the order in which it does: what a step does makes nothing due for those after
/// it, so that what was counted before a run is what it does. The next run goes on from there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum RetentionStep {
    /// Requests are hidden that nobody has touched for long.
    ArchiveRequests,
    /// Requests are deleted that their plan keeps no longer.
    PlanRequests,
    /// Jobs that have ended are removed for good, with their events.
    PurgeJobs,
    /// Keys of calls that nobody repeats any more are forgotten.
    IdempotencyKeys,
    /// Deleted templates are removed for good.
    PurgeTemplates,
    /// Deleted features are removed for good that nothing is of any more.
    PurgeFeatures,
    /// Deleted requests are removed for good, with all that is of them.
    PurgeRequests,
    /// Files of deleted media are removed.
    DeletedMedia,
}

/// How long what is kept; zero is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Requests that have ended are shown in lists so long after their last change.
    pub archive_requests: Duration,
    /// Jobs stay so long after they have ended.
    pub purge_jobs: Duration,
    /// The files of media stay so long after these were deleted.
    pub deleted_media: Duration,
    /// Keys of calls are known so long.
    pub idempotency_keys: Duration,
    /// Deleted requests stay so long.
    pub purge_requests: Duration,
    /// Deleted features and templates stay so long.
    pub purge_catalogue: Duration,
}

/// What a step looks for: all from before a time, or all of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Only what was made under this plan.
    pub plan: Option<String>,
    /// What was last touched before is due.
    pub before: DateTime<Utc>,
}

impl RetentionStep {
    /// As the database and operators know it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Every step, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }
}

impl Retention {
    /// How long the step lets be what it looks for; zero where it does nothing, or each plan says.
    pub fn period(&self, step: RetentionStep) -> Duration {
        match step {
            RetentionStep::PlanRequests => Duration::ZERO,
            RetentionStep::ArchiveRequests => self.archive_requests,
            RetentionStep::PurgeJobs => self.purge_jobs,
            RetentionStep::DeletedMedia => self.deleted_media,
            RetentionStep::IdempotencyKeys => self.idempotency_keys,
            RetentionStep::PurgeTemplates | RetentionStep::PurgeFeatures => self.purge_catalogue,
            RetentionStep::PurgeRequests => self.purge_requests,
        }
    }

    /// What the step looks for now; nothing where it is off.
    pub fn deadlines(
        &self,
        step: RetentionStep,
        plans: &Plans,
        now: DateTime<Utc>,
    ) -> Vec<Deadline> {
        let deadline = |plan, period| {
            Some(Deadline {
                plan,
                before: long_before(now, period)?,
            })
        };
        match step {
            RetentionStep::PlanRequests => {
                let plans = plans.by_name.values();
                let due =
                    plans.filter_map(|plan| deadline(Some(plan.name.clone()), plan.retention));
                due.collect()
            }
            _ => deadline(None, self.period(step)).into_iter().collect(),
        }
    }
}

/// `None` for a period that never ends.
fn long_before(now: DateTime<Utc>, period: Duration) -> Option<DateTime<Utc>> {
    if period.is_zero() {
        return None;
    }
    now.checked_sub_signed(TimeDelta::from_std(period).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::domain::Plan;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_period_of_zero_is_for_ever() {
        let off = Retention::default();
        for step in RetentionStep::all() {
            assert_eq!(
                off.deadlines(step, &Plans::default(), now()),
                [],
                "{step:?}"
            );
        }
        let retention = Retention {
            purge_jobs: DAY,
            ..off
        };
        let due = retention.deadlines(RetentionStep::PurgeJobs, &Plans::default(), now());
        let expected = Deadline {
            plan: None,
            before: now() - TimeDelta::days(1),
        };
        assert_eq!(due, [expected]);
        let beyond = Retention {
            purge_jobs: Duration::MAX,
            ..off
        };
        let due = beyond.deadlines(RetentionStep::PurgeJobs, &Plans::default(), now());
        assert_eq!(due, []);
    }

    #[test]
    fn each_plan_that_keeps_requests_for_a_time_has_a_deadline_of_its_own() {
        let plan = |name: &str, retention| Plan {
            name: name.to_owned(),
            retention,
            ..Plan::default()
        };
        let plans = [plan("free", DAY), plan("pro", Duration::ZERO)];
        let plans = Plans {
            by_name: plans
                .into_iter()
                .map(|it| (it.name.clone(), it))
                .collect::<BTreeMap<_, _>>(),
            default: None,
        };
        let due = Retention::default().deadlines(RetentionStep::PlanRequests, &plans, now());
        let named: Vec<_> = due.iter().map(|it| it.plan.as_deref()).collect();
        assert_eq!(named, [Some("free")]);
    }

    #[test]
    fn every_step_has_a_name_that_fits_its_column_and_is_read_back() {
        for step in RetentionStep::all() {
            assert!(step.name().len() <= 32, "{step:?}");
            assert_eq!(step.name().parse(), Ok(step));
        }
    }
}
