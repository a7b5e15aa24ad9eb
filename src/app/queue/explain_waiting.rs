//! Why a pending job does not start, from what the workers have said of themselves lately, and what operators have paused.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    domain::{Error, JobStatus, QueuePart, job::Capability},
    entity::job,
    provider::Registry,
    store::queue::{self, Announced, Situation},
};

use super::ANNOUNCE_INTERVAL;

/// A worker that has said nothing for so long may be gone.
pub(super) const FRESH: Duration = ANNOUNCE_INTERVAL.saturating_mul(4);

/// Tells why jobs wait that nobody can run, or is to.
#[derive(Default)]
pub struct WaitingReasons {
    situation: Arc<Situation>,
    /// Those of this process, some of which may let no job begin now.
    providers: Registry,
}

impl App {
    /// What the workers can run now, as far as these jobs ask for it.
    pub async fn waiting_reasons(
        &self,
        jobs: impl IntoIterator<Item = &job::Model>,
    ) -> Result<WaitingReasons, Error> {
        if !jobs.into_iter().any(WaitingReasons::may_tell) {
            return Ok(WaitingReasons::default());
        }
        let situation = Arc::new(self.situation().await?);
        Ok(WaitingReasons::of_situation(self, situation))
    }

    /// What the workers have said of themselves lately.
    pub async fn announced(&self) -> Result<Vec<Announced>, Error> {
        Ok(self.situation().await?.announced)
    }

    /// The same, and what is paused.
    pub async fn situation(&self) -> Result<Situation, Error> {
        queue::situation(self.store.reader(), FRESH, self.clock.queue()).await
    }
}

impl WaitingReasons {
    /// Whether there may be a reason to tell.
    pub(in crate::app) fn may_tell(job: &job::Model) -> bool {
        waits(job)
    }

    /// The reasons by how it stands.
    pub(in crate::app) fn of_situation(app: &App, situation: Arc<Situation>) -> Self {
        Self {
            situation,
            providers: app.providers.clone(),
        }
    }

    /// The reason as a sentence for the user; empty if the job waits for its turn, or not at all. The job is one of those
    /// for which the reasons were made.
    pub fn of(&self, job: &job::Model) -> String {
        let Some(provider) = job.provider().filter(|_| waits(job)) else {
            return String::new();
        };
        if let Some((part, reason)) = self.pause_of(job, provider) {
            return paused(part, reason);
        }
        if job.parked && job.started_at.is_none() {
            return "It is to start later.".to_owned();
        }
        if job.paused {
            return "It begins when another of its feature has ended: as many run as may at once."
                .to_owned();
        }
        if job.held {
            let most = job.concurrency.unwrap_or_default();
            return format!(
                "It begins when another of its user has ended: the plan lets {most} run at once."
            );
        }
        if let Some(why) = self.providers.closed(provider) {
            return format!("The generator {provider:?} {why}.");
        }
        let mut announced = self.situation.announced.iter();
        let announced = announced.find(|announced| {
            (announced.provider.as_str(), announced.category) == (provider, job.category)
        });
        let category = job.category.as_str();
        match announced {
            Some(announced) if announced.lately => String::new(),
            Some(Announced {
                missing: Some(missing),
                ..
            }) => {
                format!("No worker can run the generator {provider:?} now: {missing}.")
            }
            _ => format!("No worker has a generator named {provider:?} that makes {category} now."),
        }
    }

    /// The line that the job stands in and that moves, since workers take from it; `None` if there is none.
    pub(in crate::app) fn line_of(&self, job: &job::Model) -> Option<Capability> {
        // Of a job as it was before nothing is told: it has no provider.
        let provider = job.provider.clone().filter(|_| waits(job))?;
        let is_out = job.parked || job.held || job.paused || self.is_paused(job);
        let line = Capability {
            provider,
            category: job.category,
        };
        (!is_out && self.is_served(&line)).then_some(line)
    }

    /// Whether a worker has said of late that it can run such jobs.
    fn is_served(&self, kind: &Capability) -> bool {
        let mut announced = self.situation.announced.iter();
        announced
            .any(|it| it.lately && (&it.provider, it.category) == (&kind.provider, kind.category))
    }

    /// Whether operators have paused what the job waits for.
    pub fn is_paused(&self, job: &job::Model) -> bool {
        let provider = job.provider().filter(|_| waits(job));
        provider.is_some_and(|provider| self.pause_of(job, provider).is_some())
    }

    /// The first pause that keeps the job.
    fn pause_of(&self, job: &job::Model, provider: &str) -> Option<(&QueuePart, &str)> {
        let mut pauses = self.situation.pauses.iter();
        let pause = pauses.find(|(part, _)| part.has(job.feature_id, Some(provider)));
        pause.map(|(part, reason)| (part, reason.as_str()))
    }
}

fn paused(part: &QueuePart, reason: &str) -> String {
    let what = match part {
        QueuePart::Whole => "The queue".to_owned(),
        QueuePart::Feature(_) => "The feature".to_owned(),
        QueuePart::Provider(name) => format!("The generator {name:?}"),
    };
    match reason.trim_end_matches('.') {
        "" => format!("{what} is paused."),
        reason => format!("{what} is paused: {reason}."),
    }
}

fn waits(job: &job::Model) -> bool {
    job.status == JobStatus::Pending && job.deleted_at.is_none()
}
