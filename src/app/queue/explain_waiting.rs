//! Why a pending job does not start, from what the workers have said of themselves lately.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    domain::{Error, JobStatus},
    entity::job,
    provider::Registry,
    store::queue::{self, Announced},
};

use super::ANNOUNCE_INTERVAL;

/// A worker that has said nothing for so long may be gone.
const FRESH: Duration = ANNOUNCE_INTERVAL.saturating_mul(4);

/// Tells why jobs wait that nobody can run.
#[derive(Default)]
pub struct WaitingReasons {
    announced: Arc<Vec<Announced>>,
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
        let announced = Arc::new(self.announced().await?);
        Ok(WaitingReasons::of_announced(self, announced))
    }

    /// What the workers have said of themselves lately.
    pub async fn announced(&self) -> Result<Vec<Announced>, Error> {
        queue::announced(self.store.reader(), FRESH, self.clock.queue()).await
    }
}

impl WaitingReasons {
    /// Whether there may be a reason to tell.
    pub(in crate::app) fn may_tell(job: &job::Model) -> bool {
        waits(job)
    }

    /// The reasons by what the workers have said.
    pub(in crate::app) fn of_announced(app: &App, announced: Arc<Vec<Announced>>) -> Self {
        Self {
            announced,
            providers: app.providers.clone(),
        }
    }

    /// The reason as a sentence for the user; empty if the job waits for its turn, or not at all. The job is one of those
    /// for which the reasons were made.
    pub fn of(&self, job: &job::Model) -> String {
        let Some(provider) = job.provider().filter(|_| waits(job)) else {
            return String::new();
        };
        if job.parked && job.started_at.is_none() {
            return "It is to start later.".to_owned();
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
        let mut announced = self.announced.iter();
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
}

fn waits(job: &job::Model) -> bool {
    job.status == JobStatus::Pending && job.deleted_at.is_none()
}
