use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::{
    domain::{Error, job::EventDetail},
    entity::{
        job,
        job_event::{ActiveModel, Column, Entity, Model},
    },
};

use super::Transaction;

/// Most events read at once; a watcher that is further behind reads again.
const BATCH: u64 = 100;

/// Records the transition that each of these jobs has just made. It happened at the job's `updated_at`.
pub async fn record(
    tx: &Transaction,
    jobs: &[job::Model],
    detail: &EventDetail,
) -> Result<(), Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let detail = serde_json::to_value(detail).map_err(Error::internal)?;
    let events = jobs.iter().map(|job| ActiveModel {
        job_id: Set(job.id),
        revision: Set(job.revision),
        status: Set(job.status),
        attempt: Set(job.attempt),
        detail: Set(Some(detail.clone())),
        created_at: Set(job.updated_at),
    });
    Entity::insert_many(events)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// The next transitions of a job after a revision, in order.
pub async fn after(
    db: &impl ConnectionTrait,
    job_id: i64,
    revision: i64,
) -> Result<Vec<Model>, Error> {
    let events = Entity::find()
        .filter(Column::JobId.eq(job_id))
        .filter(Column::Revision.gt(revision))
        .order_by_asc(Column::Revision)
        .limit(BATCH);
    Ok(events.all(db).await?)
}
