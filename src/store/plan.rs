//! What users have used of what their plans allow, see docs/plans.md. How many of their jobs run at once is decided where
//! jobs are claimed, in [`queue`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, Select, Statement,
};

use crate::{
    domain::{Error, Exceeded, JobStatus, Plan, Quota, Spent, Use},
    entity::{job, plan_retry},
};

use super::{
    Transaction,
    one_of::{array, id_list, one_of_ids, pairs},
    queue,
};

/// What a user has asked for later than a time: requests that were made under a plan, deleted or not, for what is deleted has been
/// asked for all the same, and retries.
fn made(user: &str, since: &str) -> String {
    format!(
        "FROM (
             SELECT created_at FROM generation_requests WHERE user_id = {user} AND plan IS NOT NULL AND created_at > {since}
             UNION ALL SELECT created_at FROM generation_plan_retries WHERE user_id = {user} AND created_at > {since}
         ) AS made"
    )
}

/// One more request.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The plan that it is made under.
    pub plan: &'a Plan,
    /// Whose it is.
    pub user_id: i64,
    /// How many it has.
    pub jobs: usize,
}

/// Keeps others from using up what the plans of these users allow until the transaction ends. On SQLite nobody else writes
/// meanwhile.
///
/// It comes after the locks of jobs and requests, if there are any, and before those of credits. Who locks several users does so
/// in order of their ids.
pub async fn lock(tx: &Transaction, users: BTreeSet<i64>) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Postgres && !users.is_empty() {
        let lock = format!(
            "SELECT pg_advisory_xact_lock(hashtextextended('atelier: requests of user ' || given.id, 0))
             FROM unnest({}) WITH ORDINALITY AS given (id, place) ORDER BY given.place",
            array("$1", "bigint"),
        );
        let lock = Statement::from_sql_and_values(backend, lock, [id_list(backend, users)]);
        tx.query_all_raw(lock).await?;
    }
    Ok(())
}

/// What the plans leave no room in for each of these, as if all before it were made.
pub async fn exceeded(
    db: &impl ConnectionTrait,
    wishes: &[Wish<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Option<Exceeded>>, Error> {
    let turns = turns(wishes);
    let in_day = filled(db, &turns, Quota::RequestsPerDay, now).await?;
    let in_minute = filled(db, &turns, Quota::RequestsPerMinute, now).await?;
    let limited = wishes.iter().filter(|wish| wish.plan.pending_jobs > 0);
    let waiting = queue::waiting(db, limited.map(|wish| wish.user_id).collect()).await?;
    let overflows = turns.iter().map(|turn| turn.overflow(&waiting));
    let rates = in_day.into_iter().zip(in_minute);
    let rates = rates.map(|(in_day, in_minute)| in_day.or(in_minute));
    let all = rates.zip(overflows);
    Ok(all.map(|(rate, overflow)| rate.or(overflow)).collect())
}

/// A wish with what comes before it of the same user's.
struct Turn<'a> {
    wish: Wish<'a>,
    requests: i64,
    jobs: i64,
}

fn turns<'a>(wishes: &[Wish<'a>]) -> Vec<Turn<'a>> {
    let mut before: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let turn = |wish: &Wish<'a>| {
        let (requests, jobs) = before.entry(wish.user_id).or_default();
        let turn = Turn {
            wish: *wish,
            requests: *requests,
            jobs: *jobs,
        };
        *requests += 1;
        *jobs = jobs.saturating_add(i64::try_from(wish.jobs).unwrap_or(i64::MAX));
        turn
    };
    wishes.iter().map(turn).collect()
}

impl Turn<'_> {
    /// How many of the user's newest requests there may be after the one by which a rate is filled, and the rate; less than
    /// none if those before this one fill it.
    fn newer(&self, quota: Quota) -> Option<(i64, u32)> {
        let mut rates = self.wish.plan.rates();
        let (_, most) = rates.find(|(rate, _)| *rate == quota)?;
        Some((i64::from(most) - 1 - self.requests, most))
    }

    fn overflow(&self, waiting: &BTreeMap<i64, i64>) -> Option<Exceeded> {
        let Wish {
            plan,
            user_id,
            jobs,
        } = self.wish;
        let waiting = waiting.get(&user_id).copied().unwrap_or_default();
        let waiting = waiting.saturating_add(self.jobs);
        plan.check_pending(user_id, waiting, jobs).err()
    }
}

/// The turns whose user has used up a rate, with when he may come again.
async fn filled(
    db: &impl ConnectionTrait,
    turns: &[Turn<'_>],
    quota: Quota,
    now: DateTime<Utc>,
) -> Result<Vec<Option<Exceeded>>, Error> {
    let since = now - quota.window();
    let newer = turns
        .iter()
        .filter_map(|turn| Some((turn.wish.user_id, turn.newer(quota)?.0)));
    let filled_at = filled_at(db, newer.filter(|(_, newer)| *newer >= 0).collect(), since).await?;
    let of_turn = |turn: &Turn<'_>| {
        let (user_id, (newer, most)) = (turn.wish.user_id, turn.newer(quota)?);
        let filled_at = match newer {
            0.. => *filled_at.get(&(user_id, newer))?,
            _ => now,
        };
        let wait = (filled_at - since).to_std().unwrap_or_default();
        Some(turn.wish.plan.exceeded(user_id, (quota, most), wait))
    };
    Ok(turns.iter().map(of_turn).collect())
}

/// When the newest but so many of each user's was made, where that is later than `since`.
async fn filled_at(
    db: &impl ConnectionTrait,
    newer: BTreeSet<(i64, i64)>,
    since: DateTime<Utc>,
) -> Result<BTreeMap<(i64, i64), DateTime<Utc>>, Error> {
    if newer.is_empty() {
        return Ok(BTreeMap::new());
    }
    let backend = db.get_database_backend();
    let made = made("pair.id", "$3");
    let newest = match backend {
        DbBackend::Postgres => {
            format!("SELECT created_at {made} ORDER BY created_at DESC LIMIT 1 OFFSET pair.number")
        }
        // Its OFFSET names no column.
        _ => format!(
            "SELECT created_at FROM (SELECT created_at, row_number() OVER (ORDER BY created_at DESC) AS place {made}) AS newest
             WHERE place = pair.number + 1"
        ),
    };
    let newest = format!(
        "SELECT pair.id, pair.number, ({newest}) AS created_at FROM ({pairs}) AS pair",
        pairs = pairs(backend),
    );
    let (users, numbers) = newer.into_iter().unzip::<_, _, Vec<i64>, Vec<i64>>();
    let values = [
        id_list(backend, users),
        id_list(backend, numbers),
        since.into(),
    ];
    let newest = Statement::from_sql_and_values(backend, newest, values);
    let mut filled = BTreeMap::new();
    for row in db.query_all_raw(newest).await? {
        let which = (row.try_get("", "id")?, row.try_get("", "number")?);
        if let Some(at) = row.try_get::<Option<DateTime<Utc>>>("", "created_at")? {
            filled.insert(which, at);
        }
    }
    Ok(filled)
}

/// The user has had jobs made again.
pub async fn note_retry(tx: &Transaction, user_id: i64, now: DateTime<Utc>) -> Result<(), Error> {
    let retry = plan_retry::ActiveModel {
        id: NotSet,
        user_id: Set(user_id),
        created_at: Set(now),
    };
    let retry = plan_retry::Entity::insert(retry);
    retry.exec_without_returning(tx).await?;
    Ok(())
}

/// Forgets retries that count for nobody any more.
pub async fn forget_retries(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<(), Error> {
    let oldest = now - Quota::RequestsPerDay.window();
    plan_retry::Entity::delete_many()
        .filter(plan_retry::Column::CreatedAt.lte(oldest))
        .exec(db)
        .await?;
    Ok(())
}

/// How much the user has used of all.
pub async fn used(
    db: &impl ConnectionTrait,
    user_id: i64,
    now: DateTime<Utc>,
) -> Result<Use, Error> {
    let user = BTreeSet::from([user_id]);
    let running = live(db, user.clone(), JobStatus::Processing);
    let running = running.filter(job::Column::Concurrency.is_not_null());
    let waiting = queue::waiting(db, user).await?;
    Ok(Use {
        pending: waiting.get(&user_id).copied().unwrap_or_default(),
        running: count(running.count(db).await?)?,
        in_minute: spent(db, user_id, Quota::RequestsPerMinute, now).await?,
        in_day: spent(db, user_id, Quota::RequestsPerDay, now).await?,
    })
}

async fn spent(
    db: &impl ConnectionTrait,
    user_id: i64,
    quota: Quota,
    now: DateTime<Utc>,
) -> Result<Spent, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        requests: i64,
        oldest: Option<DateTime<Utc>>,
    }
    let made = made("$1", "$2");
    let spent = format!("SELECT COUNT(*) AS requests, MIN(created_at) AS oldest {made}");
    let values = [user_id.into(), (now - quota.window()).into()];
    let spent = Statement::from_sql_and_values(db.get_database_backend(), spent, values);
    let row = Row::find_by_statement(spent).one(db).await?;
    let spent = row.map(|row| Spent {
        requests: row.requests,
        frees_at: row.oldest.map(|oldest| oldest + quota.window()),
    });
    Ok(spent.unwrap_or_default())
}

fn live(db: &impl ConnectionTrait, users: BTreeSet<i64>, status: JobStatus) -> Select<job::Entity> {
    let backend = db.get_database_backend();
    job::Entity::find()
        .filter(one_of_ids(backend, job::Column::UserId, users))
        .filter(job::Column::Status.eq(status))
        .filter(job::Column::DeletedAt.is_null())
}

fn count(rows: u64) -> Result<i64, Error> {
    i64::try_from(rows).map_err(Error::internal)
}
