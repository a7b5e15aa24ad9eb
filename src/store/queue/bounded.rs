//! How many jobs of a feature run at once, see docs/domain.md#the-queue.
//!
//! They are counted where they are claimed, under a lock on the feature, as those of a user are. What a full feature has in the
//! queue then is set aside as that of a paused one is, and let back one by one as others end.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::{
    domain::{Error, job::Transition},
    entity::job::Model,
    store::Transaction,
};

use super::{
    concurrency::{Whose, lock, try_lock},
    dialect::{Dialect, condition_of},
    line::TURN,
    paused,
    steps::distinct,
};

/// The index of what runs.
const RUNNING: &str = "idx_generation_jobs_running";

/// The index of what is set aside, in the order in which it comes back.
const NEXT: &str = "idx_generation_jobs_next_of_feature";

/// Most jobs of a provider that are let back at once; those that begin let back others when they end.
const AT_ONCE: i64 = 64;

/// Whether the feature of a job has a limit.
pub(super) fn of_feature(sql: Dialect) -> String {
    format!("job.{}", has_limit(sql))
}

fn has_limit(sql: Dialect) -> String {
    format!(
        "feature_id IN (SELECT feature.id FROM generation_features AS feature WHERE {} IS NOT NULL)",
        sql.limit_of_feature()
    )
}

/// Notes at jobs that begin that another of their feature may when they end, as a further assignment: a second change of a row in
/// one transaction has PostgreSQL look after all that it refers to.
pub(super) fn counts(sql: Dialect) -> String {
    format!(", counted = counted OR {}", has_limit(sql))
}

/// What may begin of features with a limit that nobody else counts now.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    room: BTreeMap<i64, i64>,
    full: BTreeSet<i64>,
}

impl Bounds {
    /// Of the features of these jobs, which a claim has met.
    pub(super) async fn read(tx: &Transaction, due: &[Model]) -> Result<Self, Error> {
        let bounded = due.iter().filter(|job| job.held);
        let met = bounded.map(|job| job.feature_id).collect();
        let locked = try_lock(Dialect::of(tx), tx, Whose::Feature, met).await?;
        Ok(Self {
            room: room(tx, &locked).await?,
            full: BTreeSet::new(),
        })
    }

    /// Whether the job may begin, which then takes a place.
    pub(super) fn take(&mut self, job: &Model) -> bool {
        if !job.held {
            return true;
        }
        match self.room.get_mut(&job.feature_id) {
            Some(0) => {
                self.full.insert(job.feature_id);
                false
            }
            Some(room) => {
                *room -= 1;
                true
            }
            None => false,
        }
    }

    /// The features, and those of them that are full.
    pub(super) fn looked_at(self) -> (BTreeSet<i64>, BTreeSet<i64>) {
        (self.room.into_keys().collect(), self.full)
    }
}

/// How many jobs may begin of each of these features. One whose limit has just gone has room for all.
async fn room(tx: &Transaction, ids: &BTreeSet<i64>) -> Result<BTreeMap<i64, i64>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (limits, running) = (limits(tx, ids).await?, running(tx, ids).await?);
    let room = |id: &i64| {
        let limit = limits.get(id).copied().unwrap_or(i64::MAX);
        let running = running.get(id).copied().unwrap_or_default();
        (*id, (limit - running).max(0))
    };
    Ok(ids.iter().map(room).collect())
}

/// How many jobs of a feature run at once; `None` if it has no limit.
pub async fn limit_of(db: &impl ConnectionTrait, feature_id: i64) -> Result<Option<i64>, Error> {
    let limits = limits(db, &BTreeSet::from([feature_id])).await?;
    Ok(limits.into_values().next())
}

/// What another program wrote that is no limit is none.
async fn limits(
    db: &impl ConnectionTrait,
    ids: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        most: String,
    }
    let sql = Dialect::of(db);
    let limit = sql.limit_of_feature();
    let statement = format!(
        "SELECT id, CAST({limit} AS TEXT) AS most FROM generation_features WHERE id {ids} AND {limit} IS NOT NULL",
        ids = sql.one_of("$1"),
    );
    let values = [sql.list(ids.iter().copied())];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(db).await?.into_iter();
    let limits = rows.filter_map(|row| Some((row.id, row.most.parse::<i64>().ok()?)));
    Ok(limits.filter(|(_, most)| *most > 0).collect())
}

/// How many jobs run of each of these features: all that run are read, which are as many as the workers have slots.
async fn running(tx: &Transaction, ids: &BTreeSet<i64>) -> Result<BTreeMap<i64, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        jobs: i64,
    }
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH running AS MATERIALIZED (
             SELECT job.feature_id FROM generation_jobs AS job {indexed} WHERE {runs}
         )
         SELECT bounded.id, (SELECT COUNT(*) FROM running WHERE running.feature_id = bounded.id) AS jobs
         FROM {bounded} AS bounded",
        indexed = sql.indexed_by(RUNNING),
        runs = condition_of("job", Transition::Complete),
        bounded = sql.rows_of("$1"),
    );
    let values = [sql.list(ids.iter().copied())];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(tx).await?.into_iter();
    Ok(rows.map(|row| (row.id, row.jobs)).collect())
}

/// Notes the same at what runs of these features since before there was a limit. One that is locked right now is about to end; the
/// next upkeep does what it does not.
pub(super) async fn count(tx: &Transaction, features: &BTreeSet<i64>) -> Result<(), Error> {
    if features.is_empty() {
        return Ok(());
    }
    let sql = Dialect::of(tx);
    let statement = format!(
        "WITH uncounted AS MATERIALIZED (
             SELECT job.id FROM generation_jobs AS job {indexed}
             WHERE {runs} AND job.counted = FALSE AND job.feature_id {features}
             ORDER BY job.id {skip_locked}
         )
         UPDATE generation_jobs SET counted = TRUE WHERE id IN (SELECT id FROM uncounted)",
        indexed = sql.indexed_by(RUNNING),
        runs = condition_of("job", Transition::Complete),
        features = sql.one_of("$1"),
        skip_locked = sql.skip_locked("job"),
    );
    let values = [sql.list(features.iter().copied())];
    sql.execute(tx, statement, values).await?;
    Ok(())
}

/// Takes what these full features have near the met jobs out of the queue; how many. Their locks are held.
pub(super) async fn set_aside(
    tx: &Transaction,
    met: &[Model],
    full: &BTreeSet<i64>,
) -> Result<u64, Error> {
    if full.is_empty() {
        return Ok(0);
    }
    let sql = Dialect::of(tx);
    let met: Vec<_> = met
        .iter()
        .filter(|job| full.contains(&job.feature_id))
        .cloned()
        .collect();
    let features = format!(
        "SELECT id AS feature_id FROM {} AS features",
        sql.rows_of("$2")
    );
    paused::set_aside_of(tx, &met, &features, Some(sql.list(full.iter().copied()))).await
}

/// Lets jobs of a feature with a limit back into the queue, now that one has left it, or its worker: as many as may begin, of each
/// provider, since nobody knows which is free first. Of equal priority those of the users come next who come after `last` by their
/// ids, one of each. How many. `last` is 0 where none has left: what runs may have begun before there was a limit then, and lets
/// others back from now on when it ends.
///
/// The lock of the feature comes after those of users. A job that another has locked is passed over: it is about to end, and does
/// this too.
pub async fn let_next_back(tx: &Transaction, feature_id: i64, last: i64) -> Result<u64, Error> {
    let sql = Dialect::of(tx);
    lock(sql, tx, Whose::Feature, feature_id).await?;
    let providers = providers_aside(sql, tx, feature_id).await?;
    if providers.is_empty() {
        return Ok(0);
    }
    let features = BTreeSet::from([feature_id]);
    if last == 0 {
        count(tx, &features).await?;
    }
    let room = room(tx, &features).await?;
    let room = room.get(&feature_id).copied().unwrap_or_default();
    let mut let_back = 0;
    for provider in providers {
        let mut last = last;
        for _ in 0..room.min(AT_ONCE) {
            let Some(next) = let_one_back(sql, tx, feature_id, &provider, last).await? else {
                break;
            };
            last = next;
            let_back += 1;
        }
    }
    Ok(let_back)
}

/// Whose it was; `None` if there is none.
async fn let_one_back(
    sql: Dialect,
    tx: &Transaction,
    feature_id: i64,
    provider: &str,
    last: i64,
) -> Result<Option<i64>, Error> {
    let queue = format!(
        "FROM generation_jobs AS job {indexed} WHERE {aside} AND job.feature_id = $1 AND {provider_of} = $2",
        indexed = sql.indexed_by(NEXT),
        aside = sql.aside("job"),
        provider_of = sql.provider_of("job"),
    );
    let first = |users: &str| {
        format!(
            "SELECT job.id {queue} AND job.priority = (SELECT priority FROM urgent) AND job.user_id {users} $3
             ORDER BY job.user_id, {TURN}, job.id LIMIT 1 {skip_locked}",
            skip_locked = sql.skip_locked("job"),
        )
    };
    let statement = format!(
        "WITH urgent AS MATERIALIZED (SELECT job.priority {queue} ORDER BY job.priority DESC LIMIT 1),
         next AS MATERIALIZED (
             SELECT id FROM ({later}) AS later UNION ALL SELECT id FROM ({earlier}) AS earlier LIMIT 1
         )
         UPDATE generation_jobs SET paused = FALSE, counted = TRUE
         WHERE id IN (SELECT id FROM next)
             AND NOT EXISTS (SELECT 1 FROM generation_pauses AS pause WHERE pause.feature_id = $1)
         RETURNING user_id",
        later = first(">"),
        earlier = first("<="),
    );
    let values: [Value; 3] = [feature_id.into(), provider.into(), last.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let row = tx.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "user_id")).transpose()?)
}

/// The providers of what is set aside of a feature: one look into the index for each, however many jobs there are.
async fn providers_aside(
    sql: Dialect,
    tx: &Transaction,
    feature_id: i64,
) -> Result<Vec<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        provider: String,
    }
    let aside = format!("{} AND job.feature_id = $1", sql.aside("job"));
    let statement = format!(
        "WITH RECURSIVE {named} SELECT value AS provider FROM named WHERE value IS NOT NULL",
        named = distinct(
            "named",
            &sql.provider_of("job"),
            &aside,
            &sql.indexed_by(NEXT)
        ),
    );
    let values = [feature_id.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(tx).await?;
    Ok(rows.into_iter().map(|row| row.provider).collect())
}
