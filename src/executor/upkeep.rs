use std::time::Duration;

use tokio::time::Instant;

use super::Executor;

/// Orphaned objects are few and cost little, but finding them reads the whole listing.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(60 * 60);

impl Executor {
    /// Rescues jobs of lost workers and removes orphaned objects, for as long as the executor works. Any number of
    /// replicas may do so.
    pub(super) async fn upkeep_loop(&self) {
        let mut orphans_at = Instant::now() + ORPHAN_INTERVAL;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.upkeep_interval) => {}
            }
            match self.app.rescue_jobs().await {
                Ok(0) => {}
                Ok(jobs) => tracing::warn!(jobs, "rescued jobs of lost workers"),
                Err(error) => tracing::error!(%error, "cannot rescue jobs"),
            }
            if Instant::now() >= orphans_at {
                orphans_at = Instant::now() + ORPHAN_INTERVAL;
                match self.app.remove_orphans(self.settings.orphan_age).await {
                    Ok(0) => {}
                    Ok(objects) => tracing::info!(objects, "removed orphaned objects"),
                    Err(error) => tracing::error!(%error, "cannot remove orphaned objects"),
                }
            }
        }
    }
}
