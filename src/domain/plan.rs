//! What a user may have at once and in a time, by his plan, see docs/plans.md.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Checks, FeatureProperties, Flaw, OutputSettings, RequestDraft, Resolution};

/// Clients ask again whether jobs have begun, which nobody knows beforehand.
const PENDING_WAIT: Duration = Duration::from_secs(10);

/// What one plan allows. A number of 0, and an empty list, set no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// As tokens and requests name it.
    pub name: String,
    /// Of the jobs of requests that give none.
    pub priority: i32,
    /// Most jobs that wait.
    pub pending_jobs: u32,
    /// Most jobs that run at once.
    pub concurrent_jobs: u32,
    /// Most variations of one request.
    pub variations: u32,
    /// Most requests within a minute.
    pub requests_per_minute: u32,
    /// Most requests within a day.
    pub requests_per_day: u32,
    /// Names of the only features that may be asked for.
    pub features: Vec<String>,
    /// The largest output; `None`: as large as the feature allows.
    pub max_resolution: Option<Resolution>,
    /// The longest output that may be asked for; `None`: as long as the feature allows.
    pub max_duration: Option<Duration>,
    /// Requests are deleted so long after they have ended; zero: never.
    pub retention: Duration,
}

/// The plans of a server; none is no limit for anybody.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// By their names.
    pub by_name: BTreeMap<String, Plan>,
    /// Whose plan is not said has this one, which is among them.
    pub default: Option<String>,
}

/// What other requests of the user use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Quota {
    /// Jobs that wait.
    PendingJobs,
    /// Requests within the last minute.
    RequestsPerMinute,
    /// Requests within the last 24 hours.
    RequestsPerDay,
}

/// A quota that leaves no room for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose it is.
    pub user_id: i64,
    /// The name of the plan.
    pub plan: String,
    /// Which of its limits.
    pub quota: Quota,
    /// As it is configured.
    pub most: u32,
    /// When to come again; `None`: the request is larger than the limit by itself.
    pub wait: Option<Duration>,
}

/// How much of the quotas a user has used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Jobs that wait.
    pub pending: i64,
    /// Jobs that run, of requests with a plan.
    pub running: i64,
    /// Requests within the last minute.
    pub in_minute: Spent,
    /// Requests within the last 24 hours.
    pub in_day: Spent,
}

/// Requests within a time that passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many.
    pub requests: i64,
    /// When the oldest of them does not count any more; `None` where there is none.
    pub frees_at: Option<DateTime<Utc>>,
}

impl Plans {
    /// The plan of this name, or of who has none.
    ///
    /// # Errors
    /// The name, where there are plans and none is called so.
    pub fn find(&self, named: Option<&str>) -> Result<Option<&Plan>, String> {
        if self.by_name.is_empty() {
            return Ok(None);
        }
        match named.or(self.default.as_deref()) {
            Some(name) => self.by_name.get(name).map(Some).ok_or(name.to_owned()),
            None => Ok(None),
        }
    }
}

impl Quota {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The time within which requests count.
    pub fn window(self) -> TimeDelta {
        match self {
            Self::PendingJobs => TimeDelta::zero(),
            Self::RequestsPerMinute => TimeDelta::minutes(1),
            Self::RequestsPerDay => TimeDelta::days(1),
        }
    }

    /// In words, after its value.
    pub fn counted(self) -> &'static str {
        match self {
            Self::PendingJobs => "jobs waiting",
            Self::RequestsPerMinute => "requests a minute",
            Self::RequestsPerDay => "requests a day",
        }
    }
}

impl Plan {
    /// The quotas of requests in a time that it has, the longest time first.
    pub fn rates(&self) -> impl Iterator<Item = (Quota, u32)> {
        let rates = [
            (Quota::RequestsPerDay, self.requests_per_day),
            (Quota::RequestsPerMinute, self.requests_per_minute),
        ];
        rates.into_iter().filter(|(_, most)| *most > 0)
    }

    /// Whether it limits what other requests use up.
    pub fn has_quotas(&self) -> bool {
        self.pending_jobs > 0 || self.rates().next().is_some()
    }

    /// The limit of jobs that run at once, as a job keeps it.
    pub fn concurrency(&self) -> Option<i32> {
        let most = Some(self.concurrent_jobs).filter(|most| *most > 0);
        most.map(|most| i32::try_from(most).unwrap_or(i32::MAX))
    }

    /// The quota is used up, until then.
    pub fn exceeded(&self, user_id: i64, (quota, most): (Quota, u32), wait: Duration) -> Exceeded {
        Exceeded {
            user_id,
            plan: self.name.clone(),
            quota,
            most,
            wait: Some(wait),
        }
    }

    /// Whether so many jobs may wait beside those that do.
    ///
    /// # Errors
    /// They may not.
    pub fn check_pending(&self, user_id: i64, waiting: i64, new: usize) -> Result<(), Exceeded> {
        let (most, new) = (i64::from(self.pending_jobs), i64::try_from(new));
        let new = new.unwrap_or(i64::MAX);
        if most == 0 || waiting.saturating_add(new) <= most {
            return Ok(());
        }
        let limit = (Quota::PendingJobs, self.pending_jobs);
        let exceeded = self.exceeded(user_id, limit, PENDING_WAIT);
        let wait = exceeded.wait.filter(|_| new <= most);
        Err(Exceeded { wait, ..exceeded })
    }

    /// Notes a feature that it does not have.
    pub(super) fn check_feature(&self, draft: &RequestDraft, feature: &str, checks: &mut Checks) {
        let has = self.features.is_empty() || self.features.iter().any(|name| name == feature);
        checks.require(has, draft.feature_field(), || {
            let words = format!("names {feature:?}, which the plan {:?} has not", self.name);
            let problem = Flaw::PlanLimit.says(words);
            problem.allowed(&self.features).found(feature)
        });
    }

    /// Notes more variations than it allows.
    pub(super) fn check_variations(&self, asked: u32, checks: &mut Checks) {
        let (most, field) = (self.variations, "input.variations");
        let holds = most == 0 || asked <= most || checks.tells(field);
        checks.require(holds, field, || {
            let words = format!(
                "must be at most {most} by the plan {:?}, got {asked}",
                self.name
            );
            Flaw::PlanLimit.says(words).max(most).found(asked)
        });
    }

    /// The feature's limits of an output of which nobody has said how large, or how long, it is to be: one that the plan allows.
    pub(super) fn narrow(
        &self,
        output: &OutputSettings,
        properties: &FeatureProperties,
    ) -> FeatureProperties {
        let mut narrowed = properties.clone();
        let has_size = output.width.is_some() || output.height.is_some();
        if let Some(most) = self.max_resolution.filter(|_| !has_size) {
            narrowed.max_resolution = most.within(properties.resolution()).to_string();
        }
        let has_length = output.duration_seconds.unwrap_or(0) != 0;
        if let Some(most) = self.max_duration.filter(|_| !has_length) {
            let most = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
            narrowed.max_duration = match properties.max_duration {
                0 => most,
                longest => longest.min(most),
            };
        }
        narrowed
    }

    /// Notes an output that is larger or longer than it allows.
    pub(super) fn check_output(
        &self,
        (width, height): (u32, u32),
        seconds: Option<u32>,
        checks: &mut Checks,
    ) {
        let name = &self.name;
        let most = self
            .max_resolution
            .filter(|most| !most.allows(width, height));
        if let Some(most) = most.filter(|_| !checks.tells("input.output.width")) {
            let found = format!("{width}x{height}");
            let words = format!("must stay within {most} pixels by the plan {name:?}, got {found}");
            let problem = Flaw::PlanLimit.says(words).found(found);
            checks.add("input.output.width", problem);
        }
        let most = self.max_duration.map(|most| most.as_secs());
        let (field, asked) = ("input.output.duration_seconds", seconds.unwrap_or(0));
        if let Some(most) = most.filter(|most| u64::from(asked) > *most && !checks.tells(field)) {
            let words = format!("must be at most {most} seconds by the plan {name:?}, got {asked}");
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            checks.add(field, Flaw::PlanLimit.says(words).max(most).found(asked));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            name: "free".to_owned(),
            pending_jobs: 3,
            ..Plan::default()
        }
    }

    #[test]
    fn who_names_no_plan_has_the_default_and_who_names_another_is_told_so() {
        let free = ("free".to_owned(), plan());
        let plans = Plans {
            by_name: BTreeMap::from([free]),
            default: Some("free".to_owned()),
        };
        assert_eq!(plans.find(None).unwrap(), Some(&plan()));
        assert_eq!(plans.find(Some("free")).unwrap(), Some(&plan()));
        assert_eq!(plans.find(Some("gold")).unwrap_err(), "gold");
        let none = Plans::default();
        assert_eq!(none.find(Some("gold")).unwrap(), None);
    }

    #[test]
    fn jobs_wait_up_to_the_limit_and_more_than_that_never_will() {
        let wait = |waiting, new| plan().check_pending(7, waiting, new).map_err(|it| it.wait);
        assert_eq!(wait(0, 3), Ok(()));
        assert_eq!(wait(2, 1), Ok(()));
        assert_eq!(wait(3, 1), Err(Some(PENDING_WAIT)));
        assert_eq!(wait(0, 4), Err(None));
        let open = Plan::default().check_pending(7, 1_000_000, 16);
        assert_eq!(open, Ok(()));
    }

    #[test]
    fn what_the_feature_refuses_already_is_told_once() {
        let plan = Plan {
            variations: 2,
            max_resolution: "640x640".parse().ok(),
            max_duration: Some(Duration::from_secs(5)),
            ..plan()
        };
        let mut checks = Checks::default();
        checks.add(
            "input.variations",
            Flaw::OutOfRange.says("must be at most 4"),
        );
        plan.check_variations(9, &mut checks);
        plan.check_output((1_280, 640), Some(6), &mut checks);
        plan.check_output((640, 640), Some(5), &mut checks);
        plan.check_output((0, 0), None, &mut checks);
        let told = checks.into_violations();
        let told: Vec<_> = told.iter().map(|it| (it.field.as_str(), it.flaw)).collect();
        let expected = [
            ("input.variations", Flaw::OutOfRange),
            ("input.output.width", Flaw::PlanLimit),
            ("input.output.duration_seconds", Flaw::PlanLimit),
        ];
        assert_eq!(told, expected);
    }
}
