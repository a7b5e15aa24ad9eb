//! The lease of a running attempt is renewed, and what the provider tells of its progress is written down with it, see
//! docs/domain.md#attempts.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Error,
    media::inspect,
    provider::Progress,
    store::{
        Trouble,
        queue::{self, Lease, Report},
    },
};

use super::Executor;

/// Pause before a database that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a running attempt tells of itself.
#[derive(Clone)]
struct Reports {
    progress: watch::Receiver<Progress>,
    /// The preview as the job's row is to keep it.
    preview: watch::Receiver<Option<String>>,
    /// The one that the row has by now.
    written: Option<String>,
    /// Its watchers are told, beside the job's.
    request_id: i64,
}

impl Reports {
    /// What is to be written down now: of the preview only what the row does not have.
    fn next(&mut self) -> Report {
        let progress = self.progress.borrow_and_update().clone();
        let preview = self.preview.borrow_and_update().clone();
        Report {
            progress: progress.fraction,
            message: (!progress.message.is_empty()).then_some(progress.message),
            preview: preview.filter(|preview| self.written.as_ref() != Some(preview)),
        }
    }
}

impl Executor {
    /// Renews the lease and writes the progress down, until the lease is lost; then cancels `lost`. `claimed` is when the
    /// lease was asked for.
    pub(super) async fn keep_lease(
        self,
        lease: Lease,
        request_id: i64,
        claimed: Instant,
        progress: watch::Receiver<Progress>,
        lost: CancellationToken,
    ) {
        let (shown, preview) = watch::channel(None);
        let reports = Reports {
            progress: progress.clone(),
            preview,
            written: None,
            request_id,
        };
        tokio::select! {
            () = self.renew_while_held(&lease, claimed, reports) => lost.cancel(),
            // Beside the renewal, which must not wait for a picture to be read.
            () = self.shrink_previews(progress, shown) => {}
        }
    }

    /// A database that does not answer is asked again until the lease must have run out. The time counts from before each
    /// question, so that it never runs behind the database's.
    async fn renew_while_held(&self, lease: &Lease, claimed: Instant, mut reports: Reports) {
        let mut renewed = claimed;
        let mut trouble = Trouble::new("cannot renew a lease");
        loop {
            self.wait_for_news(renewed, &mut reports).await;
            let (asked, expiry) = (Instant::now(), renewed + self.settings.lease);
            let answer_by = expiry.min(asked + self.settings.lease / 4);
            let answer = timeout_at(answer_by, self.renew(lease, &mut reports)).await;
            match answer.map(|renewal| trouble.pass(renewal)) {
                Ok(Some(true)) => renewed = asked,
                Ok(Some(false)) => return,
                Ok(None) | Err(_) if Instant::now() >= expiry => return,
                Ok(None) | Err(_) => sleep(ASK_AGAIN).await,
            }
        }
    }

    /// Until the next heartbeat is due, or there is progress to write down.
    async fn wait_for_news(&self, renewed: Instant, reports: &mut Reports) {
        let news = async {
            tokio::select! {
                Ok(()) = reports.progress.changed() => {}
                Ok(()) = reports.preview.changed() => {}
                else => std::future::pending().await,
            }
            let pause = queue::progress_interval(self.app.store.writer());
            sleep_until(renewed + pause).await;
        };
        tokio::select! {
            () = sleep_until(renewed + self.settings.heartbeat) => {}
            () = news => {}
        }
    }

    /// Whether the lease still holds.
    async fn renew(&self, lease: &Lease, reports: &mut Reports) -> Result<bool, Error> {
        let report = reports.next();
        let preview = report.preview.clone();
        let (db, now) = (self.app.store.writer(), self.app.clock.queue());
        let held = queue::heartbeat(db, lease, self.settings.lease, report, now).await?;
        // Not before: one whose fate is unknown is written again.
        reports.written = preview.or(reports.written.take());
        self.app
            .events
            .publish_progress(lease.job_id, reports.request_id);
        Ok(held)
    }

    /// Makes a tiny picture of each new preview. One that cannot be read is left out: the output itself is what counts.
    async fn shrink_previews(
        &self,
        mut progress: watch::Receiver<Progress>,
        shown: watch::Sender<Option<String>>,
    ) {
        let mut last = None;
        while progress.changed().await.is_ok() {
            let preview = progress.borrow_and_update().preview.clone();
            // Nobody sees what has not been judged.
            let is_news = preview != last && !self.app.moderation.sees();
            let Some(picture) = preview.clone().filter(|_| is_news) else {
                continue;
            };
            last = preview;
            if let Ok(inspected) = inspect(picture, &self.settings.limits).await {
                shown.send_replace(Some(inspected.tiny_preview));
            }
        }
        // The attempt is over; the lease is kept until its end is recorded.
        std::future::pending::<()>().await;
    }
}
