//! Who runs jobs, and who of them is to take none, see docs/operations.md#draining-a-worker.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    app::{Acting, App},
    domain::{AuditAction, Checks, Deed, Error, check_hold_reason},
    entity::worker,
    provider::part_of,
    store::{
        Transaction,
        queue::{self, Presence},
        wake_up::WakeUp,
    },
};

use super::explain_waiting::FRESH;

/// Longest name of a worker, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Workers, and how many jobs each runs.
#[derive(Debug)]
pub struct Crew {
    /// In order of their names.
    pub workers: Vec<worker::Model>,
    /// By their names; none if it runs none.
    pub running: BTreeMap<String, i64>,
    /// By the clock by which they were seen.
    pub now: DateTime<Utc>,
}

impl Crew {
    /// Whether a worker has said something of late.
    pub fn is_alive(&self, worker: &worker::Model) -> bool {
        let silence = (self.now - worker.seen_at).to_std();
        silence.is_ok_and(|silence| silence <= FRESH) || worker.seen_at > self.now
    }

    /// How many of them take jobs.
    pub fn working(&self) -> u32 {
        u32::try_from(self.takers_of_all().count()).unwrap_or(u32::MAX)
    }

    /// How many jobs they run at once at most of so many that they share, of which 0 is no limit, if they run as many.
    pub fn fills(&self, total: u32) -> Option<u32> {
        let workers = self.working();
        let most = part_of(total, workers).saturating_mul(workers);
        let running: i64 = self.running.values().sum();
        (most > 0 && running >= i64::from(most)).then_some(most)
    }

    fn takers_of_all(&self) -> impl Iterator<Item = &worker::Model> {
        let undrained = self.workers.iter().filter(|it| it.drained_at.is_none());
        undrained.filter(move |it| self.is_alive(it))
    }

    /// How many of them take jobs for this provider.
    ///
    /// # Errors
    /// Where another program wrote a row.
    pub fn takers(&self, provider: &str) -> Result<u32, Error> {
        let mut takers = 0;
        for worker in self.takers_of_all() {
            let skills = worker.skills()?;
            takers += u32::from(skills.iter().any(|skill| skill.provider == provider));
        }
        Ok(takers)
    }

    /// What a worker does, in a word for people.
    pub fn state(&self, worker: &worker::Model) -> &'static str {
        match (self.is_alive(worker), worker.drained_at) {
            (false, _) => "lost",
            (true, Some(_)) => "drained",
            (true, None) => "works",
        }
    }
}

impl App {
    /// Says that a worker is there. Returns whether operators drain it.
    pub async fn note_worker(&self, presence: &Presence) -> Result<bool, Error> {
        queue::note_worker(self.store.writer(), presence, self.clock.queue()).await
    }

    /// Says that a worker ends.
    pub async fn forget_worker(&self, name: &str, instance: &str) -> Result<(), Error> {
        queue::forget_worker(self.store.writer(), name, instance).await
    }

    /// Has all workers look anew who they are.
    pub fn tell_workers(&self) {
        self.events.publish(WakeUp {
            drains: true,
            ..WakeUp::default()
        });
    }

    /// All workers that are known.
    pub async fn crew(&self) -> Result<Crew, Error> {
        let db = self.store.reader();
        Ok(Crew {
            workers: queue::workers(db).await?,
            running: queue::running_jobs(db).await?,
            now: queue::time(db, self.clock.queue()).await?,
        })
    }
}

impl Acting<'_> {
    /// Has a worker take no job from now on, until it is undrained or its process ends. Of one that is drained nothing changes.
    ///
    /// # Errors
    /// [`Error::NotNamed`] if there is none of this name.
    pub async fn drain_worker(&self, name: &str, reason: &str) -> Result<worker::Model, Error> {
        let mut checks = Checks::default();
        check_hold_reason(reason, &mut checks);
        self.set_drained(name, Some(reason), checks).await
    }

    /// Has a worker take jobs again. Of one that does nothing changes.
    ///
    /// # Errors
    /// [`Error::NotNamed`] if there is none of this name.
    pub async fn undrain_worker(&self, name: &str) -> Result<worker::Model, Error> {
        self.set_drained(name, None, Checks::default()).await
    }

    async fn set_drained(
        &self,
        name: &str,
        reason: Option<&str>,
        mut checks: Checks,
    ) -> Result<worker::Model, Error> {
        checks.line("worker_id", name, MAX_NAME_CHARS);
        checks.finish(())?;
        let now = self.app.clock.now();
        let action = match reason {
            Some(_) => AuditAction::DrainWorker,
            None => AuditAction::UndrainWorker,
        };
        let change = async |tx: &Transaction| {
            let drain = reason.map(|reason| (reason, self.actor_name()));
            let (worker, is_changed) = queue::set_drained(tx, name, drain, now).await?;
            let deed = Deed::to(action, worker.id).with("worker", name);
            let deed = deed.with_reason(reason.unwrap_or_default());
            Ok((worker, is_changed.then_some(deed).into_iter().collect()))
        };
        let worker = self.write(change).await?;
        // It hears of it, and the others take what it leaves.
        self.app.events.publish(WakeUp {
            work: true,
            drains: true,
            ..WakeUp::default()
        });
        Ok(worker)
    }
}
