use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use tokio_util::sync::CancellationToken;

use crate::{
    media::inspect,
    provider::Progress,
    store::queue::{self, Lease, Report},
};

use super::Executor;

/// Shortest time between two writes of progress: the newest replaces those between.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

impl Executor {
    /// Renews the lease and writes the progress down, until the lease is lost. A database that does not answer is asked
    /// again until the lease must have run out.
    /// Then cancels `lost`.
    pub(super) async fn keep_lease(
        self,
        lease: Lease,
        progress: watch::Receiver<Progress>,
        lost: CancellationToken,
    ) {
        self.renew_while_held(&lease, progress).await;
        lost.cancel();
    }

    async fn renew_while_held(&self, lease: &Lease, mut progress: watch::Receiver<Progress>) {
        let mut renewed = Instant::now();
        let mut reporting = true;
        loop {
            let next = renewed + self.settings.heartbeat;
            let reported = async {
                match progress.changed().await {
                    Ok(()) => sleep_until(renewed + PROGRESS_INTERVAL).await,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = reported, if reporting => {}
            }
            reporting = progress.has_changed().is_ok();
            let newest = progress.borrow_and_update().clone();
            match self.renew(lease, &newest).await {
                Some(true) => renewed = Instant::now(),
                Some(false) => return,
                None if renewed.elapsed() >= self.settings.lease => return,
                None => tokio::time::sleep(PROGRESS_INTERVAL).await,
            }
        }
    }

    /// Whether the lease still holds; `None` if the database did not say.
    async fn renew(&self, lease: &Lease, progress: &Progress) -> Option<bool> {
        let report = Report {
            progress: progress.fraction,
            message: (!progress.message.is_empty()).then(|| progress.message.clone()),
            preview: self.tiny_preview(progress).await,
        };
        let renewed = queue::heartbeat(
            self.app.store.writer(),
            lease,
            self.settings.lease,
            report,
            self.app.clock.queue(),
        );
        match renewed.await {
            Ok(held) => {
                self.app.events.publish(&[lease.job_id], false);
                Some(held)
            }
            Err(error) => {
                tracing::warn!(job_id = lease.job_id, %error, "cannot renew a lease");
                None
            }
        }
    }

    /// A preview that cannot be read is left out: the output itself is what counts.
    async fn tiny_preview(&self, progress: &Progress) -> Option<String> {
        let preview = progress.preview.clone()?;
        let inspected = inspect(preview, &self.settings.limits).await;
        inspected.map(|inspected| inspected.tiny_preview).ok()
    }
}
