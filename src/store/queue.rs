//! The job queue's own statements: the only SQL that differs between the databases.
//!
//! Time is the database's clock, so that leases do not depend on the clocks of the replicas. `now` replaces it in tests.
//! What a statement does to the status, and which rows it may change, comes from [`Transition`].

mod attempt;
mod bounded;
mod capability;
mod concurrency;
mod deadline;
mod depth;
pub(super) mod dialect;
mod line;
mod pace;
mod parked;
mod paused;
mod request_status;
mod steps;
mod worker;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::{
    domain::{
        Error,
        job::{Capability, Failure, Transition},
    },
    entity::job::Model,
};

use super::Transaction;

use attempt::failure_values;
pub use attempt::{
    Lease, Report, Submission, complete, end, heartbeat, held, note_submission, note_submissions,
    note_task, progress_interval,
};
pub use bounded::{let_next_back, limit_of};
pub use capability::{AWAY, Announced, Situation, announce, fail_unclaimed, situation, unclaimed};
pub use concurrency::{release_held, stranded};
pub use deadline::cancel_late;
pub use depth::depth;
use dialect::{Dialect, condition};
pub(super) use line::join;
pub use line::{MOST_COUNTED, first_in_line, jobs_before, waiting};
use line::{Queue, TURN};
pub use pace::{Paces, paces};
pub use parked::{next_due, unpark_due};
pub use paused::{let_back, resumed};
pub use request_status::refresh_requests;
pub use worker::{Presence, forget_worker, note_worker, running_jobs, set_drained, workers};

/// What of the found jobs begins at once.
const FREE: &str = "concurrency IS NULL AND NOT bounded AND NOT paused";

/// How often a claim looks again because what it found is held or paused now.
const ROUNDS: u32 = 8;

/// The clock of the queue: the database's unless a test gives a time.
pub type Now = Option<DateTime<Utc>>;

/// The database's time, as an expression for other statements.
pub(super) fn clock(db: &impl ConnectionTrait) -> String {
    Dialect::of(db).now("NULL")
}

/// The queue's time.
pub async fn time(db: &impl ConnectionTrait, now: Now) -> Result<DateTime<Utc>, Error> {
    let sql = Dialect::of(db);
    let statement = format!("SELECT {} AS now", sql.now("$1"));
    let statement =
        Statement::from_sql_and_values(db.get_database_backend(), statement, [now.into()]);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| Error::internal("the database tells no time"))?;
    Ok(row.try_get("", "now")?)
}

/// The time that changes bear which all replicas compare: the database's. An embedded one goes by this computer's clock itself,
/// and tells it less finely than `own`.
pub async fn moment(
    db: &impl ConnectionTrait,
    own: DateTime<Utc>,
    now: Now,
) -> Result<DateTime<Utc>, Error> {
    match db.get_database_backend() {
        DbBackend::Sqlite => Ok(own),
        _ => time(db, now).await,
    }
}

/// What jobs are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// To be run.
    Run,
    /// To be run too, of the priority whose next job has been there for the longest.
    Longest,
    /// To be given to another provider, since theirs cannot run them: those that name another, and that theirs has never got.
    FallBack,
}

/// Who takes jobs.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// Its name.
    pub worker_id: &'a str,
    /// By which it shows that they are its own.
    pub lease_token: &'a str,
    /// How long they are, unless it says that it still runs them.
    pub lease: Duration,
}

/// What a claim has taken.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Highest priority first, and among equals the next in turn.
    pub jobs: Vec<Model>,
    /// Whether others may find something now that they did not before.
    pub more: bool,
    /// Whether it may find more if it looks again: so much of what it met may not begin.
    pub unfinished: bool,
}

/// Takes up to `slots` due jobs, highest priority first and the next in turn among equals, for a worker that can run them.
/// Their requests are processing from then on.
///
/// Nothing of what operators have paused is taken, and nothing by a worker that they drain: the statement itself looks. It waits for no lock: a job is passed over while somebody has it or its request locked, however long that takes, and one with
/// a limit while somebody claims or ends others of its user.
pub async fn claim(
    tx: &Transaction,
    claimant: Claimant<'_>,
    slots: u32,
    what: Claim,
    capabilities: &[Capability],
    now: Now,
) -> Result<Claimed, Error> {
    let mut claimed = Claimed::default();
    for round in 1..=ROUNDS {
        let taken = u32::try_from(claimed.jobs.len()).unwrap_or(slots);
        let free = slots.saturating_sub(taken);
        if capabilities.is_empty() || free == 0 {
            break;
        }
        let jobs = claim_due(tx, claimant, free, what, capabilities, now).await?;
        let (jobs, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Model::is_running);
        claimed.jobs.extend(jobs);
        let (paused, limited): (Vec<_>, Vec<_>) = others.into_iter().partition(|job| job.paused);
        let mut is_other = !paused.is_empty() && paused::set_aside(tx, &paused).await? > 0;
        is_other |= !limited.is_empty() && claimed.take_limited(tx, claimant, limited, now).await?;
        if !is_other {
            break;
        }
        claimed.unfinished = round == ROUNDS;
    }
    claimed.jobs.sort_by_key(Model::place);
    Ok(claimed)
}

impl Claimed {
    /// Takes those that may begin of locked jobs with a limit, of their users or features, and holds the others. Whether the queue is another one now.
    async fn take_limited(
        &mut self,
        tx: &Transaction,
        claimant: Claimant<'_>,
        mut due: Vec<Model>,
        now: Now,
    ) -> Result<bool, Error> {
        due.sort_by_key(Model::place);
        let chosen = concurrency::choose(tx, &due).await?;
        if !chosen.ids.is_empty() {
            // Who passed over these users meanwhile comes again.
            self.more = true;
            let sql = Dialect::of(tx);
            let next = format!(
                "SELECT id, request_id, CAST(NULL AS INTEGER) AS concurrency, FALSE AS bounded, FALSE AS paused FROM generation_jobs WHERE id {}",
                sql.one_of("$5")
            );
            let values = vec![sql.list(chosen.ids)];
            let counted = bounded::counts(sql);
            let begun = begin(tx, claimant, (&next, &counted), values, now).await?;
            self.jobs.extend(begun);
        }
        bounded::count(tx, &chosen.features).await?;
        let mut held = bounded::set_aside(tx, &due, &chosen.full_features).await?;
        for (user_id, running) in chosen.full {
            held += concurrency::hold(tx, user_id, running, now).await?;
        }
        for (feature_id, user_id) in chosen.passed_over {
            if chosen.features.contains(&feature_id) {
                held += let_next_back(tx, feature_id, user_id).await?;
            }
        }
        self.more |= held > 0;
        Ok(held > 0)
    }
}

/// Takes due jobs without a limit; those that have one, or are paused, come back locked, and as they were but for `paused`, and
/// `held` of those whose feature has a limit.
async fn claim_due(
    tx: &Transaction,
    claimant: Claimant<'_>,
    slots: u32,
    what: Claim,
    capabilities: &[Capability],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let next = next(Dialect::of(tx), what, capabilities, "$1", "$5");
    let mut values: Vec<Value> = vec![i64::from(slots).into()];
    let providers = capabilities.iter().map(|capability| &capability.provider);
    values.extend(providers.map(|provider| Value::from(provider.as_str())));
    begin(tx, claimant, (&next, ""), values, now).await
}

/// Begins an attempt at those of the `next` jobs that have no limit and are not paused, with further assignments, and returns them
/// with the others. The query's own values are the parameters from $5 on.
async fn begin(
    tx: &Transaction,
    claimant: Claimant<'_>,
    (next, further): (&str, &str),
    own: Vec<Value>,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let next = format!("WITH next AS MATERIALIZED ({next})");
    let begin_requests = format!(
        "UPDATE generation_requests SET status = 'processing', updated_at = {now}, version = version + 1
         WHERE id IN (SELECT request_id FROM next WHERE {FREE}) AND status <> 'processing'",
        now = sql.now("$1"),
    );
    let claim = format!(
        "UPDATE generation_jobs SET {assignments},
             worker_id = $2, lease_token = $3, lease_expires_at = {lease_end},
             error_code = NULL, error_message = NULL, error_detail = NULL{further}
         WHERE id IN (SELECT id FROM next WHERE {FREE}) RETURNING {columns}",
        assignments = sql.assignments(Transition::Claim, "$1"),
        lease_end = sql.after("$1", "$4"),
        columns = sql.columns(),
    );
    let others = format!(
        "SELECT {columns} FROM generation_jobs WHERE id IN (SELECT id FROM next WHERE NOT ({FREE}))",
        columns = sql.columns_of_met(),
    );
    let mut values: Vec<Value> = vec![
        now.into(),
        claimant.worker_id.into(),
        claimant.lease_token.into(),
        claimant.lease.as_secs_f64().into(),
    ];
    values.extend(own);
    let statement = sql.all(&next, &others, &begin_requests, &claim);
    sql.rows(tx, statement, values).await
}

/// Finds as many due jobs as parameter `slots` says that have one of these capabilities, the providers of which are the
/// parameters from $6 on, and locks them. Each capability has its jobs in order in the index, and these are merged: nobody
/// walks past jobs that he cannot run.
fn next(
    sql: Dialect,
    what: Claim,
    capabilities: &[Capability],
    given: &str,
    slots: &str,
) -> String {
    let queues: Vec<_> = (6..)
        .zip(capabilities)
        .map(|(parameter, capability)| Queue {
            provider: format!("${parameter}"),
            category: sql.category(capability.category),
        })
        .collect();
    let due = format!(
        "{ready} AND job.run_after <= {now} AND {in_time}{narrowed}",
        ready = line::ready(sql),
        in_time = deadline::in_time(sql, given),
        now = sql.now(given),
        narrowed = match what {
            Claim::Run => String::new(),
            Claim::Longest => " AND job.priority = (SELECT priority FROM band)".to_owned(),
            Claim::FallBack => format!(
                " AND {} AND job.submission_key IS NULL",
                sql.has_fallbacks("job")
            ),
        },
    );
    // Where all have one priority it must not be sorted by: the index would not be seen to have the order.
    let by_priority = |column: &str| match what {
        Claim::Longest => String::new(),
        Claim::Run | Claim::FallBack => format!("{column} DESC, "),
    };
    let first = |queue: &Queue| {
        format!(
            "SELECT * FROM (
                 SELECT job.id, job.request_id, job.concurrency, job.priority, {TURN} AS turn, {bounded} AS bounded, {paused} AS paused
                 FROM generation_jobs AS job WHERE {due} AND {of_queue} AND NOT {closed} AND NOT {drained}
                 ORDER BY {by_priority}{TURN}, job.id LIMIT {most}
             ) AS queue",
            bounded = bounded::of_feature(sql),
            paused = paused::of_feature(),
            of_queue = queue.holds(sql),
            closed = paused::closes(&queue.provider),
            drained = worker::is_drained("$2"),
            by_priority = by_priority("job.priority"),
            most = sql.looked_at(slots),
        )
    };
    let queue = format!(
        "SELECT id, request_id, concurrency, bounded, paused FROM ({queues}) AS queue ORDER BY {by_priority}turn, id",
        by_priority = by_priority("priority"),
        queues = queues
            .iter()
            .map(first)
            .collect::<Vec<_>>()
            .join(" UNION ALL "),
    );
    let first = sql.first_unlocked(&queue, &due, slots);
    match what {
        Claim::Longest => format!("WITH RECURSIVE {} {first}", line::longest(sql, &queues)),
        Claim::Run | Claim::FallBack => first,
    }
}

/// Cancels those of these jobs that can make the `transition`, and returns them in order of id.
pub async fn cancel(
    tx: &Transaction,
    transition: Transition,
    job_ids: &[i64],
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "UPDATE generation_jobs SET {assignments},
             error_code = NULL, error_message = NULL, error_detail = NULL
         WHERE id {ids} AND {condition} RETURNING {columns}",
        assignments = sql.assignments(transition, "$1"),
        ids = sql.one_of("$2"),
        condition = condition(transition),
        columns = sql.columns(),
    );
    let values: [Value; 2] = [now.into(), sql.list(job_ids.iter().copied())];
    let mut jobs = sql.rows(tx, statement, values).await?;
    jobs.sort_unstable_by_key(|job| job.id);
    Ok(jobs)
}

/// What to do with jobs whose lease has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Queue those that have attempts left.
    Requeue,
    /// Cancel those that an older program has deleted and left running.
    StopDeleted,
    /// Fail those that have no attempt left.
    FailSpent,
}

/// Takes up to `limit` jobs from workers whose lease has run out.
pub async fn rescue(
    tx: &Transaction,
    what: Expired,
    failure: &Failure,
    limit: u32,
    now: Now,
) -> Result<Vec<Model>, Error> {
    let sql = Dialect::of(tx);
    let (transition, which) = match what {
        Expired::Requeue => (Transition::Rescue, "attempt < max_attempts"),
        Expired::StopDeleted => (Transition::Stop, "deleted_at IS NOT NULL"),
        Expired::FailSpent => (
            Transition::Fail,
            "deleted_at IS NULL AND attempt >= max_attempts",
        ),
    };
    let unless_deleted = |value| format!("CASE WHEN deleted_at IS NULL THEN {value} END");
    let queue = match what {
        Expired::Requeue => format!(", {}", sql.due_at_once("$1")),
        Expired::StopDeleted | Expired::FailSpent => String::new(),
    };
    let statement = format!(
        "WITH expired AS MATERIALIZED (
             SELECT id FROM generation_jobs {running}
             WHERE {condition} AND lease_expires_at < {now} AND {which}
             ORDER BY id LIMIT $5 {skip_locked}
         )
         UPDATE generation_jobs SET {assignments}{queue},
             error_code = {code}, error_message = {message}, error_detail = {detail}
         WHERE id IN (SELECT id FROM expired)",
        // What is stopped has not failed.
        code = unless_deleted("$2"),
        message = unless_deleted("$3"),
        detail = unless_deleted("$4"),
        running = sql.indexed_by("idx_generation_jobs_running"),
        condition = condition(transition),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked("generation_jobs"),
        assignments = sql.assignments(transition, "$1"),
    );
    let mut values: Vec<Value> = vec![now.into()];
    values.extend(failure_values(failure));
    values.push(i64::from(limit).into());
    sql.rows(tx, sql.locking_requests(&statement), values).await
}
