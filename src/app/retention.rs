//! The end of what is kept no longer, see docs/retention.md: step after step, in short transactions, one replica at a time.
//! Whatever cuts a run off, the next goes on where it was.

mod deleted_media;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    app::App,
    domain::{Caller, Deadline, Error, RetentionStep, etag},
    entity::retention_step,
    store::{self, queue},
};

/// Most rows of one transaction.
const BATCH: u64 = 200;
/// Most rows that take others along.
const FEW: u64 = 25;
/// Between two of them others have their turn: so many times as long as the last one took, within these bounds.
const REST: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// A run that says nothing for so long is lost. It says something with each batch.
const LEASE: TimeDelta = TimeDelta::minutes(2);

/// What a run did with a step.
#[derive(Debug)]
pub struct RetentionRun {
    /// Which.
    pub step: RetentionStep,
    /// How many rows it has touched.
    pub done: u64,
    /// How it ended.
    pub end: RunEnd,
}

/// How a run of a step ended.
#[derive(Debug)]
pub enum RunEnd {
    /// Nothing is due any more, but what others had locked.
    Finished,
    /// Another run does it, or has done it a moment ago.
    Left,
    /// This server stops; another goes on.
    Stopping,
    /// It goes on with the next run.
    Failed(Error),
}

/// How a step stands.
#[derive(Clone, Debug)]
pub struct RetentionReport {
    /// Which.
    pub step: RetentionStep,
    /// How long it lets be what it looks for; zero for ever, or as each plan says.
    pub period: Duration,
    /// Whether it looks for anything.
    pub is_on: bool,
    /// How many rows are due now, as far as they were counted.
    pub due: i64,
    /// The last run; `None` before the first.
    pub last: Option<retention_step::Model>,
}

/// The turn of a run.
struct Turn {
    step: RetentionStep,
    holder: String,
    done: u64,
    /// What the storage did not do.
    refused: Vec<Error>,
}

impl App {
    /// How each step stands; up to `limit` rows are counted.
    pub async fn retention_report(&self, limit: u64) -> Result<Vec<RetentionReport>, Error> {
        let db = self.store.reader();
        let now = queue::time(db, self.clock.queue()).await?;
        let mut last = store::retention::last_runs(db).await?;
        let mut reports = Vec::new();
        for step in RetentionStep::all() {
            let deadlines = self.deadlines(step, now);
            let mut due = 0;
            for deadline in &deadlines {
                due += store::retention::due(db, step, deadline, limit).await?;
            }
            reports.push(RetentionReport {
                step,
                period: self.settings.retention.period(step),
                is_on: !deadlines.is_empty(),
                due: due.min(i64::try_from(limit).unwrap_or(i64::MAX)),
                last: last.remove(step.name()).filter(|row| row.ran_at.is_some()),
            });
        }
        Ok(reports)
    }

    /// Does every step that is on, unless another run does it, or one has ended within `pause`. Any number of replicas may call.
    pub async fn run_retention(&self, pause: Option<Duration>) -> Vec<RetentionRun> {
        let mut runs = Vec::new();
        for step in RetentionStep::all() {
            let mut turn = Turn {
                step,
                holder: Uuid::new_v4().to_string(),
                done: 0,
                refused: Vec::new(),
            };
            let end = match self.run_step(&mut turn, pause).await {
                Ok(None) => continue,
                Ok(Some(end)) => end,
                Err(error) => RunEnd::Failed(error),
            };
            let done = turn.done;
            runs.push(RetentionRun { step, done, end });
        }
        runs
    }

    /// `None` where the step is off.
    async fn run_step(
        &self,
        turn: &mut Turn,
        pause: Option<Duration>,
    ) -> Result<Option<RunEnd>, Error> {
        let db = self.store.writer();
        let now = queue::time(db, self.clock.queue()).await?;
        let deadlines = self.deadlines(turn.step, now);
        if deadlines.is_empty() {
            return Ok(None);
        }
        let since =
            pause.and_then(|pause| now.checked_sub_signed(TimeDelta::from_std(pause).ok()?));
        let (times, holder) = ((now, now + LEASE), turn.holder.as_str());
        if !store::retention::take_turn(db, turn.step.name(), holder, times, since).await? {
            return Ok(Some(RunEnd::Left));
        }
        let ended = self.work_off(turn, &deadlines).await;
        let error = ended.as_ref().err().map(reason);
        let now = queue::time(db, self.clock.queue()).await?;
        let outcome = (turn.done, error);
        store::retention::end_turn(db, turn.step.name(), &turn.holder, now, outcome).await?;
        ended.map(Some)
    }

    async fn work_off(&self, turn: &mut Turn, deadlines: &[Deadline]) -> Result<RunEnd, Error> {
        for deadline in deadlines {
            let mut after = 0;
            loop {
                if let Some(end) = self.lose_turn(turn).await? {
                    return Ok(end);
                }
                let began = Instant::now();
                let more = match turn.step {
                    RetentionStep::PlanRequests => {
                        self.delete_next_requests(turn, deadline).await?
                    }
                    RetentionStep::PurgeTemplates => {
                        self.purge_next_template(turn, deadline).await?
                    }
                    RetentionStep::DeletedMedia => {
                        self.remove_next_files(turn, deadline, &mut after).await?
                    }
                    step => self.do_next(turn, step, deadline).await?,
                };
                if !more {
                    break;
                }
                let rest = began.elapsed() * REST;
                sleep(rest.clamp(SHORTEST_REST, LONGEST_REST)).await;
            }
        }
        turn.refused.pop().map_or(Ok(RunEnd::Finished), Err)
    }

    /// Keeps the turn for the next batch. Why there is none, if there is none.
    async fn lose_turn(&self, turn: &Turn) -> Result<Option<RunEnd>, Error> {
        if self.draining.is_cancelled() {
            return Ok(Some(RunEnd::Stopping));
        }
        let db = self.store.writer();
        let until = queue::time(db, self.clock.queue()).await? + LEASE;
        let kept = store::retention::renew_turn(db, turn.step.name(), &turn.holder, until).await?;
        Ok((!kept).then_some(RunEnd::Left))
    }

    /// The steps that are one transaction. False where nothing was left.
    async fn do_next(
        &self,
        turn: &mut Turn,
        step: RetentionStep,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        use store::retention::{
            archive_requests, forget_keys, purge_features, purge_jobs, purge_requests,
        };
        let done = self.store.write(async |tx| match step {
            RetentionStep::ArchiveRequests => {
                let now = queue::time(tx, self.clock.queue()).await?;
                archive_requests(tx, deadline, now, BATCH).await
            }
            RetentionStep::PurgeJobs => purge_jobs(tx, deadline, BATCH).await,
            RetentionStep::IdempotencyKeys => forget_keys(tx, deadline, BATCH).await,
            RetentionStep::PurgeFeatures => purge_features(tx, deadline, FEW).await,
            RetentionStep::PurgeRequests => purge_requests(tx, deadline, FEW).await,
            RetentionStep::PlanRequests
            | RetentionStep::PurgeTemplates
            | RetentionStep::DeletedMedia => Ok(0),
        });
        let done = done.await?;
        turn.done += done;
        Ok(done > 0)
    }

    /// Has the next requests forget a template, or removes it if none has it any more. False where nothing was left.
    async fn purge_next_template(
        &self,
        turn: &mut Turn,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        let db = self.store.reader();
        let Some(id) = store::retention::purgeable_template(db, deadline).await? else {
            return Ok(false);
        };
        let purged = self
            .store
            .write(async |tx| store::retention::purge_template(tx, id, deadline, BATCH).await);
        let gone = purged.await?;
        turn.done += u64::from(gone == Some(true));
        Ok(gone != Some(false))
    }

    /// Deletes the next requests of a plan as their users would, unless they have changed meanwhile.
    async fn delete_next_requests(
        &self,
        turn: &mut Turn,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        let db = self.store.reader();
        let due = store::retention::plan_requests(db, deadline, BATCH).await?;
        let before = turn.done;
        for (id, version) in due {
            let seen = etag(version);
            match self.delete_request(Caller::TrustedService, id, &seen).await {
                Ok(_) => turn.done += 1,
                Err(Error::EtagMismatch { .. } | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(turn.done > before)
    }

    fn deadlines(&self, step: RetentionStep, now: DateTime<Utc>) -> Vec<Deadline> {
        let (retention, plans) = (&self.settings.retention, &self.settings.plans);
        retention.deadlines(step, plans, now)
    }
}

/// Why a run was cut off, in a word for its report. The log tells more.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::StorageUnavailable(_) => "STORAGE_UNAVAILABLE",
        Error::DatabaseUnavailable(_) => "DATABASE_UNAVAILABLE",
        Error::DatabaseFull(_) => "DATABASE_FULL",
        _ => "INTERNAL",
    }
}
