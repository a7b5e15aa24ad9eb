//! What becomes of spooled outputs beyond the attempts that left them.

use tokio::{task::JoinSet, time::Instant};

use crate::{
    domain::{Caller, Error, JobStatus, with_causes},
    entity::job,
    store::{
        self,
        queue::{self, Lease, Report},
    },
};

use super::{Executor, spool::Spooled};

/// Where a spooled output stands.
enum Standing {
    /// Its attempt goes on: nobody has noticed that the worker was gone.
    Held(Box<job::Model>),
    /// Its job waits for another attempt, or another worker has it.
    Awaited,
    /// Its job has ended, or was submitted anew.
    Useless,
}

impl Executor {
    /// Goes on with the attempts that a worker of this machine left with their outputs in the spool, and removes outputs that
    /// nobody waits for. The attempts keep their leases, so they neither count again nor run twice.
    pub(super) async fn resume_spooled(&self, running: &mut JoinSet<()>) {
        for spooled in self.spooled() {
            let asked = Instant::now();
            match self.standing(&spooled).await {
                Ok(Standing::Held(job)) => {
                    tracing::info!(job_id = job.id, "going on with a spooled output");
                    // Unlocked for the attempt.
                    drop(spooled);
                    let passage = self
                        .app
                        .providers
                        .pass_beside(job.provider().unwrap_or_default());
                    running.spawn(self.clone().run_job(*job, passage, asked));
                }
                Ok(Standing::Awaited) => {}
                Ok(Standing::Useless) => spooled.1.remove(),
                Err(error) => {
                    tracing::error!(
                        error = with_causes(&error),
                        "cannot resume a spooled output"
                    );
                }
            }
        }
    }

    /// Removes spooled outputs that nobody waits for.
    pub(super) async fn sweep_spool(&self) -> Result<(), Error> {
        for spooled in self.spooled() {
            if self.row(&spooled).await?.is_none() {
                spooled.1.remove();
            }
        }
        Ok(())
    }

    /// The spooled outputs that nobody works on, with their submission keys.
    fn spooled(&self) -> Vec<(String, Spooled)> {
        let keys = self.spool.keys().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the spool");
            Vec::new()
        });
        keys.into_iter()
            .filter_map(|key| Some((key.clone(), self.spool.take(&key)?)))
            .collect()
    }

    async fn standing(&self, spooled: &(String, Spooled)) -> Result<Standing, Error> {
        let Some(job) = self.row(spooled).await? else {
            return Ok(Standing::Useless);
        };
        let lease = spooled.1.lease();
        let held = job.status == JobStatus::Processing
            && job.lease_token.as_ref() == Some(&lease.token)
            && self.take_up(&lease).await?;
        Ok(match held {
            true => Standing::Held(Box::new(job)),
            false => Standing::Awaited,
        })
    }

    async fn take_up(&self, lease: &Lease) -> Result<bool, Error> {
        let (db, now) = (self.app.store.writer(), self.app.clock.queue());
        queue::heartbeat(db, lease, self.settings.lease, Report::default(), now).await
    }

    /// The job of a spooled output, if it may still want it.
    async fn row(&self, (key, spooled): &(String, Spooled)) -> Result<Option<job::Model>, Error> {
        let (db, id) = (self.app.store.reader(), spooled.lease().job_id);
        match store::job::find(db, Caller::TrustedService, id).await {
            Ok(job) => Ok(Some(job).filter(|job| {
                !job.status.is_terminal() && job.submission_key.as_ref() == Some(key)
            })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
