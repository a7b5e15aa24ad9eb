//! Operators hold parts of the queue and let them go, see docs/operations.md#holding-the-queue.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    app::{Acting, App},
    domain::{Checks, Error, QueuePart, check_hold_reason, job::Band},
    entity::pause,
    store::{self, Transaction, queue, wake_up::WakeUp},
};

/// How long jobs are let back at once, before the rest is left to the next upkeep.
const LETTING_BACK: Duration = Duration::from_secs(10);

/// What operators see of the queue.
#[derive(Debug)]
pub struct Queue {
    /// What is paused, the oldest pause first.
    pub pauses: Vec<pause::Model>,
    /// What waits, by provider and priority.
    pub bands: Vec<Band>,
}

impl Acting<'_> {
    /// Has nothing of this part be begun from now on. What is paused already stays so, with the reason that it has. `checks` holds
    /// what is wrong already.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such feature.
    pub async fn pause_queue(
        &self,
        part: &QueuePart,
        reason: &str,
        mut checks: Checks,
    ) -> Result<pause::Model, Error> {
        part.check(&mut checks);
        check_hold_reason(reason, &mut checks);
        checks.finish(())?;
        let now = self.app.clock.now();
        let pause = async |tx: &Transaction| {
            if let QueuePart::Feature(id) = part {
                store::feature::find(tx, *id).await?;
            }
            let why = (reason, self.actor_name());
            let (pause, is_new) = store::pause::begin(tx, part, why, now).await?;
            let deed = part.paused().with_reason(reason);
            Ok((pause, is_new.then_some(deed).into_iter().collect()))
        };
        self.write(pause).await
    }

    /// Lets this part go, with what has been taken out of the queue, and wakes the workers. Returns the pause that has ended, if
    /// there was one. `checks` holds what is wrong already.
    pub async fn resume_queue(
        &self,
        part: &QueuePart,
        mut checks: Checks,
    ) -> Result<Option<pause::Model>, Error> {
        part.check(&mut checks);
        checks.finish(())?;
        let end = async |tx: &Transaction| {
            let pause = store::pause::end(tx, part).await?;
            let deeds = pause.iter().map(|_| part.resumed()).collect();
            Ok((pause, deeds))
        };
        let ended = self.write(end).await?;
        self.app.wake_workers();
        // Also what an earlier call has left, or a crash.
        self.app.let_back_resumed().await?;
        Ok(ended)
    }
}

impl App {
    /// The providers that are paused by themselves.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn paused_providers(&self) -> Result<Vec<String>, Error> {
        let pauses = store::pause::list(self.store.reader()).await?;
        let providers = pauses.into_iter().filter_map(|pause| pause.provider);
        Ok(providers.collect())
    }

    /// What is paused, and what waits. Each pending job is counted, so this is not for what is done often.
    pub async fn queue(&self) -> Result<Queue, Error> {
        let db = self.store.reader();
        Ok(Queue {
            pauses: store::pause::list(db).await?,
            bands: queue::depth(db, self.clock.queue()).await?,
        })
    }

    /// Lets jobs back into the queue that are out of it for a pause that has ended, as many as some seconds allow, or for a limit
    /// that lets more begin, and wakes the workers. Returns how many there were of pauses.
    pub async fn let_back_resumed(&self) -> Result<u64, Error> {
        let end = Instant::now() + LETTING_BACK;
        let mut all = 0;
        for feature_id in queue::resumed(self.store.reader()).await? {
            if queue::limit_of(self.store.reader(), feature_id)
                .await?
                .is_some()
            {
                // As many as may begin: whatever should have let them back has passed over a job that was locked.
                self.change_jobs(async |_, changed| {
                    changed.leave_place_of_feature(feature_id, 0);
                    Ok(())
                })
                .await?;
                continue;
            }
            while Instant::now() < end {
                let some = queue::let_back(self.store.writer(), feature_id).await?;
                if some == 0 {
                    break;
                }
                all += some;
                self.wake_workers();
            }
        }
        Ok(all)
    }

    pub(in crate::app) fn wake_workers(&self) {
        self.events.publish(WakeUp::of_any_work());
    }
}
