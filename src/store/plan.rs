//! What users have used of what their plans allow, see docs/plans.md. How many of their jobs run at once is decided where
//! jobs are claimed, in [`queue`](super::queue).

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

use super::{Transaction, request::of_no_preview};

/// What a user has asked for later than a time: requests that were made under a plan, deleted or not, for what is deleted has been
/// asked for all the same, and retries.
const MADE: &str = "FROM (
     SELECT created_at FROM generation_requests WHERE user_id = $1 AND plan IS NOT NULL AND created_at > $2
     UNION ALL SELECT created_at FROM generation_plan_retries WHERE user_id = $1 AND created_at > $2
 ) AS made";

/// Keeps others from using up what a user's plan allows until the transaction ends. On SQLite nobody else writes meanwhile.
///
/// It comes after the locks of jobs and requests, if there are any, and before those of credits.
pub async fn lock(tx: &Transaction, user_id: i64) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let name = format!("atelier: requests of user {user_id}");
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()]);
        tx.execute_raw(lock).await?;
    }
    Ok(())
}

/// Live jobs of the user that wait, but for previews.
pub async fn waiting(db: &impl ConnectionTrait, user_id: i64) -> Result<i64, Error> {
    let waiting = live(user_id, JobStatus::Pending).filter(of_no_preview(job::Column::RequestId));
    count(waiting.count(db).await?)
}

/// What a user's plan leaves no room in for one more request of so many jobs.
pub async fn exceeded(
    db: &impl ConnectionTrait,
    (plan, user_id): (&Plan, i64),
    jobs: usize,
    now: DateTime<Utc>,
) -> Result<Option<Exceeded>, Error> {
    for (quota, most) in plan.rates() {
        let since = now - quota.window();
        if let Some(filled) = filled_at(db, user_id, most, since).await? {
            let wait = (filled - since).to_std().unwrap_or_default();
            return Ok(Some(plan.exceeded(user_id, (quota, most), wait)));
        }
    }
    if plan.pending_jobs == 0 {
        return Ok(None);
    }
    let waiting = waiting(db, user_id).await?;
    Ok(plan.check_pending(user_id, waiting, jobs).err())
}

/// When the newest but `most - 1` of the user's was made, if that is later than `since`: he has used up so many.
async fn filled_at(
    db: &impl ConnectionTrait,
    user_id: i64,
    most: u32,
    since: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let newest = format!("SELECT created_at {MADE} ORDER BY created_at DESC LIMIT 1 OFFSET $3");
    let before = i64::from(most.saturating_sub(1));
    let values = [user_id.into(), since.into(), before.into()];
    let newest = Statement::from_sql_and_values(db.get_database_backend(), newest, values);
    let row = db.query_one_raw(newest).await?;
    Ok(row.map(|row| row.try_get("", "created_at")).transpose()?)
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
    let running = live(user_id, JobStatus::Processing);
    let running = running.filter(job::Column::Concurrency.is_not_null());
    Ok(Use {
        pending: waiting(db, user_id).await?,
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
    let spent = format!("SELECT COUNT(*) AS requests, MIN(created_at) AS oldest {MADE}");
    let values = [user_id.into(), (now - quota.window()).into()];
    let spent = Statement::from_sql_and_values(db.get_database_backend(), spent, values);
    let row = Row::find_by_statement(spent).one(db).await?;
    let spent = row.map(|row| Spent {
        requests: row.requests,
        frees_at: row.oldest.map(|oldest| oldest + quota.window()),
    });
    Ok(spent.unwrap_or_default())
}

fn live(user_id: i64, status: JobStatus) -> Select<job::Entity> {
    job::Entity::find()
        .filter(job::Column::UserId.eq(user_id))
        .filter(job::Column::Status.eq(status))
        .filter(job::Column::DeletedAt.is_null())
}

fn count(rows: u64) -> Result<i64, Error> {
    i64::try_from(rows).map_err(Error::internal)
}
