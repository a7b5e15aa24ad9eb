//! What has to be done at intervals. Every replica does it, so that none is special.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    app::{ANNOUNCE_INTERVAL, Sweep, Withheld},
    domain::Error,
    store::report,
};

use super::Executor;

/// Orphaned objects are few and cost little, but finding them reads the whole listing.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Jobs that no worker can run wait for hours.
const UNCLAIMED_INTERVAL: Duration = Duration::from_secs(60);

impl Executor {
    /// Rescues jobs of lost workers, fails those that no worker can run, removes orphaned objects, tells of a storage that
    /// is away and folds trends, until the stop. Any number of replicas may do so.
    pub(super) async fn upkeep_loop(&self) {
        tokio::select! {
            () = self.app.draining.cancelled() => {}
            () = self.rescue_loop() => {}
            () = self.unclaimed_loop() => {}
            () = self.orphan_loop() => {}
            () = self.outage_loop() => {}
            () = self.trend_loop() => {}
        }
    }

    async fn rescue_loop(&self) {
        loop {
            tokio::time::sleep(self.settings.upkeep_interval).await;
            self.sweep_spool().await;
            match self.app.rescue_jobs().await {
                Ok(0) => {}
                Ok(jobs) => tracing::warn!(jobs, "rescued jobs of lost workers"),
                Err(error) => report(&error, "cannot rescue jobs"),
            }
        }
    }

    async fn unclaimed_loop(&self) {
        let mut looked_at = None;
        loop {
            if let Err(error) = self.fail_unclaimed(&mut looked_at).await {
                report(&error, "cannot tell what can be run here");
            }
            tokio::time::sleep(ANNOUNCE_INTERVAL.min(self.settings.upkeep_interval)).await;
        }
    }

    /// Only once it is said what this worker can run, and not each time: it walks over everything that waits.
    async fn fail_unclaimed(&self, looked_at: &mut Option<Instant>) -> Result<(), Error> {
        self.app.announce_capabilities(&self.capabilities()).await?;
        let timeout = self.settings.unclaimed_timeout;
        let pause = timeout.min(UNCLAIMED_INTERVAL);
        if looked_at.is_some_and(|time| time.elapsed() < pause) {
            return Ok(());
        }
        let failed = self.app.fail_unclaimed_jobs(timeout).await?;
        *looked_at = Some(Instant::now());
        if failed > 0 {
            tracing::warn!(jobs = failed, "failed jobs that no worker could run");
        }
        Ok(())
    }

    /// Tells of a storage that is away, which health asks whether it is back. The executor claims no jobs until then.
    async fn outage_loop(&self) {
        let storage = &self.app.storage;
        loop {
            storage.gone().await;
            tracing::error!("the media storage is away: no new jobs are begun until it is back");
            storage.back().await;
            tracing::info!("the media storage is back");
        }
    }

    async fn orphan_loop(&self) {
        loop {
            tokio::time::sleep(ORPHAN_INTERVAL).await;
            match self.app.sweep_storage(&self.settings.removal).await {
                Ok(sweep) => tell(&sweep),
                Err(error) => report(&error, "cannot remove orphaned objects"),
            }
        }
    }

    async fn trend_loop(&self) {
        loop {
            tokio::time::sleep(self.settings.fold_interval).await;
            match self.app.fold_trends().await {
                Ok(folded) if folded.is_nothing() => {}
                Ok(folded) => tracing::debug!(?folded, "folded trends"),
                Err(error) => report(&error, "cannot fold trends"),
            }
        }
    }
}

fn tell(sweep: &Sweep) {
    let Sweep {
        objects,
        orphans,
        removed,
        withheld,
    } = sweep;
    match withheld {
        Some(Withheld::Off) => {}
        Some(Withheld::DryRun) if *orphans == 0 => {}
        Some(why @ Withheld::DryRun) => {
            tracing::info!(objects, orphans, why = %why, "objects without a record are not removed");
        }
        Some(why) => {
            tracing::warn!(objects, orphans, why = %why, "objects without a record are not removed");
        }
        None if *removed > 0 => tracing::info!(objects, removed, "removed orphaned objects"),
        None => {}
    }
}
