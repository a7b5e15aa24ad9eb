//! What has to be done at intervals. Every replica can do all of it, so that none is special; what one is enough for they do in
//! turn.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt, future::select_all};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{ANNOUNCE_INTERVAL, Chore, RunEnd, Sweep, Withheld},
    domain::Error,
    store::{self, Trouble},
};

use super::Executor;

/// Orphaned objects are few and cost little, but finding them reads the whole listing.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Shorter than the least age at which objects without a record go, so that no copy of the database removes what it does not
/// know.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// Jobs that no worker can run wait for hours.
const UNCLAIMED_INTERVAL: Duration = Duration::from_secs(60);

/// Uploads are kept for hours.
const UPLOAD_INTERVAL: Duration = Duration::from_secs(60);

impl Executor {
    /// Rescues jobs of lost workers, ends pauses, cancels what did not start in time, removes uploads that nothing uses, hides old previews, forgets answers, ends credits, lets go what is held for nothing, fails those that no worker can run, removes orphaned objects, tells of a storage that
    /// is away, folds trends and ends what is kept no longer, until the stop. Any number of replicas may do so.
    pub(super) async fn upkeep_loop(&self) {
        // Each by itself: all of them together would fill the stack of a thread.
        let loops = [
            self.rescue_loop().boxed(),
            self.unpark_loop().boxed(),
            self.unclaimed_loop().boxed(),
            self.orphan_loop().boxed(),
            self.outage_loop().boxed(),
            self.trend_loop().boxed(),
            self.upload_loop().boxed(),
            self.erasure_loop().boxed(),
            self.retention_loop().boxed(),
        ];
        tokio::select! {
            () = self.app.draining.cancelled() => {}
            _ = select_all(loops) => {}
        }
    }

    async fn retention_loop(&self) {
        let pause = self.settings.retention_interval;
        let mut troubles = BTreeMap::new();
        loop {
            tokio::time::sleep(pause).await;
            // A little less, since clocks differ.
            for run in self.app.run_retention(Some(pause.mul_f32(0.9))).await {
                let (step, done) = (run.step.name(), run.done);
                let trouble = troubles.entry(run.step);
                let trouble: &mut Trouble =
                    trouble.or_insert_with(|| Trouble::new("cannot let go what is kept no longer"));
                if done > 0 {
                    tracing::info!(step, done, "let go what is kept no longer");
                }
                match run.end {
                    RunEnd::Finished => trouble.end(),
                    RunEnd::Failed(error) => trouble.meet(&error),
                    RunEnd::Left | RunEnd::Stopping => {}
                }
            }
        }
    }

    async fn rescue_loop(&self) {
        let mut trouble = Trouble::new("cannot rescue jobs");
        let mut sweeping = Trouble::new("cannot sweep the spool");
        let mut hiding = Trouble::new("cannot hide old previews");
        let mut forgetting = Trouble::new("cannot forget answers of services");
        let mut expiring = Trouble::new("cannot end credits");
        let mut forgetting_calls = Trouble::new("cannot forget calls");
        let mut forgetting_retries = Trouble::new("cannot forget retries");
        let mut late = Trouble::new("cannot cancel jobs that did not start in time");
        let mut releasing = Trouble::new("cannot let go jobs that are held");
        let mut resuming = Trouble::new("cannot let back jobs of features that were resumed");
        let mut settling = Trouble::new("cannot settle what jobs have left reserved");
        let mut settled_to = 0;
        loop {
            tokio::time::sleep(self.settings.upkeep_interval).await;
            sweeping.pass(self.sweep_spool().await);
            hiding.pass(self.app.hide_previews().await);
            forgetting.pass(store::job_answer::forget(self.app.store.writer()).await);
            expiring.pass(self.app.expire_credits().await);
            forgetting_calls.pass(self.app.forget_calls().await);
            forgetting_retries.pass(self.app.forget_retries().await);
            releasing.pass(self.app.release_stranded_jobs().await);
            resuming.pass(self.app.let_back_resumed().await);
            match late.pass(self.app.cancel_late_jobs().await) {
                None | Some(0) => {}
                Some(jobs) => tracing::info!(jobs, "cancelled jobs that did not start in time"),
            }
            if let Some(last) = settling.pass(self.app.settle_left(settled_to).await) {
                settled_to = last;
            }
            match trouble.pass(self.app.rescue_jobs().await) {
                None | Some(0) => {}
                Some(jobs) => tracing::warn!(jobs, "rescued jobs of lost workers"),
            }
        }
    }

    async fn unclaimed_loop(&self) {
        // All workers may just have been started, or have the database back: each has time to say what it can run.
        let mut looked_at = Instant::now();
        let mut trouble = Trouble::new("cannot tell what can be run here");
        loop {
            trouble.pass(self.fail_unclaimed(&mut looked_at).await);
            let pause = ANNOUNCE_INTERVAL.min(self.settings.upkeep_interval);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.app.events.drain() => {}
            }
        }
    }

    /// Only once it is said what this worker can run, and not each time.
    async fn fail_unclaimed(&self, looked_at: &mut Instant) -> Result<(), Error> {
        if let Err(error) = self.say_what_runs().await {
            *looked_at = Instant::now();
            return Err(error);
        }
        let timeout = self.settings.unclaimed_timeout;
        let pause = timeout.min(UNCLAIMED_INTERVAL);
        if looked_at.elapsed() < pause {
            return Ok(());
        }
        let failing = self.app.fail_unclaimed_jobs(timeout);
        let failed = self.app.in_turn(Chore::FailUnclaimed, pause, failing);
        if let Some(jobs @ 1..) = failed.await? {
            tracing::warn!(jobs, "failed jobs that no worker could run");
        }
        *looked_at = Instant::now();
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
        let mut trouble = Trouble::new("cannot remove orphaned objects");
        loop {
            tokio::time::sleep(ORPHAN_INTERVAL).await;
            let sweep = self.app.sweep_storage(&self.settings.removal);
            let swept = self
                .app
                .in_turn(Chore::SweepStorage, ORPHAN_INTERVAL, sweep);
            if let Some(Some(sweep)) = trouble.pass(swept.await) {
                tell(&sweep);
            }
        }
    }

    /// Counts what this process has stored, until it has `worked`, and then once more.
    pub(super) async fn count_loop(&self, worked: &CancellationToken) {
        let interval = COUNT_INTERVAL.min(self.settings.upkeep_interval);
        let mut trouble = Trouble::new("cannot count what was stored");
        let mut counted = self.app.storage.stored();
        loop {
            let ended = tokio::time::timeout(interval, worked.cancelled()).await;
            let stored = self.app.storage.stored();
            if stored != counted && trouble.pass(self.app.count_stored().await).is_some() {
                counted = stored;
            }
            if ended.is_ok() {
                break;
            }
        }
    }

    async fn upload_loop(&self) {
        let mut trouble = Trouble::new("cannot remove uploads that nothing uses");
        loop {
            tokio::time::sleep(UPLOAD_INTERVAL.max(self.settings.upkeep_interval)).await;
            let removal = self.settings.removal.mode;
            match trouble.pass(self.app.remove_idle_uploads(removal).await) {
                None | Some(0) => {}
                Some(uploads) => tracing::info!(uploads, "removed uploads that nothing used"),
            }
        }
    }

    /// By itself, since each may take a while: what is rescued does not wait for it.
    async fn erasure_loop(&self) {
        let mut trouble = Trouble::new("cannot go on erasing users");
        loop {
            tokio::time::sleep(self.settings.upkeep_interval).await;
            trouble.pass(self.app.go_on_erasing().await);
        }
    }

    async fn trend_loop(&self) {
        let mut trouble = Trouble::new("cannot fold trends");
        loop {
            let interval = self.settings.fold_interval;
            tokio::time::sleep(interval).await;
            let folding = self.app.fold_trends();
            let folded = self.app.in_turn(Chore::FoldTrends, interval, folding).await;
            match trouble.pass(folded) {
                None | Some(None) => {}
                Some(Some(folded)) if folded.is_nothing() => {}
                Some(Some(folded)) => tracing::debug!(?folded, "folded trends"),
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
