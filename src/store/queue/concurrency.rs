//! How many jobs of a user run at once, see docs/plans.md#jobs-at-once.
//!
//! Jobs with a limit are counted where they are claimed, under a lock on their user. What a full user has in the queue then is
//! held: a claim does not come past it again, however much it is. When one of his jobs ends as many are let go as may begin,
//! of each provider and type of media, since nobody knows which is free first; what is too much of that is held anew.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use crate::{
    domain::{Error, MediaType},
    entity::job::Model,
    store::Transaction,
};

use super::{Now, bounded::Bounds, dialect::Dialect, line::TURN, steps::distinct};

pub(super) const MEDIA_TYPES: [MediaType; 3] =
    [MediaType::Image, MediaType::Video, MediaType::Audio];

/// The index of what waits of users with a limit.
const LIMITED: &str = "idx_generation_jobs_limited";

/// Most jobs of a user that one claim takes out of the queue; the next goes on.
const HELD_AT_ONCE: u32 = 1_000;

/// What becomes of jobs with a limit that are due.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// They begin.
    pub(super) ids: Vec<i64>,
    /// Users with more of them than may begin, and how many run then.
    pub(super) full: BTreeMap<i64, i64>,
    /// Features with a limit that were looked at.
    pub(super) features: BTreeSet<i64>,
    /// Those with more of them than may begin.
    pub(super) full_features: BTreeSet<i64>,
    /// Those with a limit of which a job stays behind for its user's, and whose it is.
    pub(super) passed_over: BTreeMap<i64, i64>,
}

/// Decides which of these locked jobs begin, in the order of the queue. Those of users or features whose jobs another claims, or
/// ends, right now are left.
pub(super) async fn choose(tx: &Transaction, due: &[Model]) -> Result<Chosen, Error> {
    let sql = Dialect::of(tx);
    let limited = due.iter().filter(|job| job.concurrency.is_some());
    let users = limited.map(|job| job.user_id).collect();
    let users = try_lock(sql, tx, Whose::User, users).await?;
    let mut running = running(sql, tx, &users).await?;
    let mut features = Bounds::read(tx, due).await?;
    let mut chosen = Chosen::default();
    let is_free = |job: &&Model| job.concurrency.is_none() || users.contains(&job.user_id);
    for job in due.iter().filter(is_free) {
        let running = running.entry(job.user_id).or_default();
        if *running >= i64::from(job.concurrency.unwrap_or(i32::MAX)) {
            chosen.full.insert(job.user_id, *running);
            if job.held {
                chosen.passed_over.insert(job.feature_id, job.user_id);
            }
        } else if features.take(job) {
            *running += i64::from(job.concurrency.is_some());
            chosen.ids.push(job.id);
        }
    }
    (chosen.features, chosen.full_features) = features.looked_at();
    // More may have been chosen since one was too many.
    for (user, full) in &mut chosen.full {
        *full = running.get(user).copied().unwrap_or(*full);
    }
    Ok(chosen)
}

/// Takes what is due of a user out of the queue that may not begin while so many run.
pub(super) async fn hold(
    tx: &Transaction,
    user_id: i64,
    running: i64,
    now: Now,
) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH surplus AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job
             WHERE {limited} AND job.user_id = $2 AND job.held = FALSE AND job.concurrency <= $3
                 AND job.run_after <= {now}
             LIMIT {HELD_AT_ONCE} {skip_locked}
         )
         UPDATE generation_jobs SET held = TRUE WHERE id IN (SELECT id FROM surplus)",
        limited = limited(sql),
        now = sql.now("$1"),
        skip_locked = sql.skip_locked("job"),
    );
    let values: [Value; 3] = [now.into(), user_id.into(), running.into()];
    sql.execute(tx, statement, values).await
}

/// Lets jobs of a user back into the queue, now that one of his has left it, or its worker. `limit` is that of the one.
///
/// The lock of the user comes after those of jobs and requests. A job that another has locked is passed over: it is about to
/// end, and does this too.
pub async fn release_held(tx: &Transaction, user_id: i64, limit: i32) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    lock(sql, tx, Whose::User, user_id).await?;
    let providers = held_providers(sql, tx, user_id).await?;
    if providers.is_empty() {
        return Ok(0);
    }
    let running = running(sql, tx, &BTreeSet::from([user_id])).await?;
    let running = running.get(&user_id).copied().unwrap_or_default();
    let room = (i64::from(limit) - running).max(1);
    let mut values: Vec<Value> = vec![user_id.into(), running.into(), room.into()];
    let mut queues = Vec::new();
    for provider in providers {
        values.push(provider.into());
        let place = values.len();
        queues.extend(MEDIA_TYPES.map(|category| first_held(sql, place, category)));
    }
    let statement = format!(
        "WITH next AS MATERIALIZED ({queues})
         UPDATE generation_jobs SET held = FALSE WHERE id IN (SELECT id FROM next)",
        queues = queues.join(" UNION ALL "),
    );
    sql.execute(tx, statement, values).await
}

/// A user of whom fewer jobs run than may, although some are held.
#[derive(Debug, FromQueryResult)]
pub struct Stranded {
    /// Who.
    pub user_id: i64,
    /// The limit of one of those that are held; they may differ where his plan did.
    pub concurrency: i32,
}

/// Those with a free place that nothing has given to what is held. Each user is two looks into the index, however many of his
/// jobs are held.
pub async fn stranded(db: &impl ConnectionTrait) -> Result<Vec<Stranded>, Error> {
    let sql = Dialect::of(db);
    let held = format!("{} AND job.held = TRUE", limited(sql));
    let statement = format!(
        "WITH RECURSIVE {named}
         SELECT * FROM (
             SELECT value AS user_id, (
                 SELECT job.concurrency FROM generation_jobs AS job WHERE {held} AND job.user_id = named.value LIMIT 1
             ) AS concurrency FROM named WHERE value IS NOT NULL
         ) AS held WHERE concurrency > ({running})",
        named = distinct("named", "job.user_id", &held, &sql.indexed_by(LIMITED)),
        running = count_running("held.user_id"),
    );
    let statement = Statement::from_string(db.get_database_backend(), statement);
    Ok(Stranded::find_by_statement(statement).all(db).await?)
}

/// The first that are held of a provider, the name of which is in that parameter, and a type of media.
fn first_held(sql: Dialect, provider: usize, category: MediaType) -> String {
    format!(
        "SELECT id FROM (
             SELECT job.id FROM generation_jobs AS job
             WHERE {limited} AND job.user_id = $1 AND job.held = TRUE AND job.concurrency > $2
                 AND {provider_of} = ${provider} AND job.category = '{category}'
             ORDER BY job.priority DESC, {TURN}, job.id LIMIT $3 {skip_locked}
         ) AS queue",
        limited = limited(sql),
        provider_of = sql.provider_of("job"),
        category = category.as_str(),
        skip_locked = sql.skip_locked("job"),
    )
}

/// The providers of what is held of a user: one look into the index for each, however many jobs there are.
async fn held_providers(
    sql: Dialect,
    tx: &Transaction,
    user_id: i64,
) -> Result<Vec<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        provider: String,
    }
    let held = format!("{} AND job.user_id = $1 AND job.held = TRUE", limited(sql));
    let statement = format!(
        "WITH RECURSIVE {named} SELECT value AS provider FROM named WHERE value IS NOT NULL",
        named = distinct(
            "named",
            &sql.provider_of("job"),
            &held,
            &sql.indexed_by(LIMITED)
        ),
    );
    let values = [user_id.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(tx).await?;
    Ok(rows.into_iter().map(|row| row.provider).collect())
}

/// How many jobs with a limit run of each of these users.
async fn running(
    sql: Dialect,
    tx: &Transaction,
    users: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        user_id: i64,
        jobs: i64,
    }
    if users.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Each by himself: the planner knows how many jobs one has, and not how many users are asked for.
    let statement = format!(
        "SELECT limited.id AS user_id, ({count}) AS jobs FROM {users} AS limited",
        count = count_running("limited.id"),
        users = sql.rows_of("$1"),
    );
    let values = [sql.list(users.iter().copied())];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(tx).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, row.jobs))
        .collect())
}

fn count_running(user: &str) -> String {
    format!(
        "SELECT COUNT(*) FROM generation_jobs AS job
         WHERE job.user_id = {user} AND job.status = 'processing' AND job.deleted_at IS NULL
             AND job.concurrency IS NOT NULL"
    )
}

/// Whose jobs are counted.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    User,
    Feature,
}

/// Those of the users, or features, whose jobs nobody else counts now; nobody does from then on until the transaction ends.
/// Nothing is waited for. On SQLite nobody else writes.
pub(super) async fn try_lock(
    sql: Dialect,
    tx: &Transaction,
    whose: Whose,
    ids: BTreeSet<i64>,
) -> Result<BTreeSet<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
    }
    if ids.is_empty() || tx.get_database_backend() != DbBackend::Postgres {
        return Ok(ids);
    }
    let statement = format!(
        "SELECT id FROM {users} AS limited WHERE pg_try_advisory_xact_lock({name})",
        users = sql.rows_of("$1"),
        name = lock_name(whose, "limited.id"),
    );
    let values = [sql.list(ids)];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, statement, values);
    let rows = Row::find_by_statement(statement).all(tx).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The same of one, for which is waited.
pub(super) async fn lock(
    sql: Dialect,
    tx: &Transaction,
    whose: Whose,
    id: i64,
) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let name = lock_name(whose, "CAST($1 AS bigint)");
        let statement = format!("SELECT pg_advisory_xact_lock({name})");
        sql.execute(tx, statement, [id.into()]).await?;
    }
    Ok(())
}

fn lock_name(whose: Whose, id: &str) -> String {
    let whose = match whose {
        Whose::User => "user",
        Whose::Feature => "feature",
    };
    format!("hashtextextended('atelier: running jobs of {whose} ' || {id}, 0)")
}

/// What waits of users with a limit, in the words of its index.
fn limited(sql: Dialect) -> String {
    let waits = sql.waiting("job");
    format!("job.concurrency IS NOT NULL AND {waits} AND job.parked = FALSE AND job.paused = FALSE")
}
