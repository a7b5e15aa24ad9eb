//! The events of jobs, see docs/domain.md#attempts.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Order,
    QueryFilter, Statement,
};

use crate::{
    domain::{
        Caller, Error, JobStatus, Page,
        job::{Cause, EventDetail, attempt_key},
    },
    entity::{
        job,
        job_event::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction,
    one_of::{id_list, one_of_ids, pairs},
    page::{List, Sorting},
    rows::Rows,
};

/// Adds these events, in one statement.
pub async fn insert(tx: &Transaction, events: Vec<ActiveModel>) -> Result<(), Error> {
    Rows::new(events).add(tx).await
}

/// The event of the transition that a job has just made, for `cause` if the statuses do not tell. It happened at the job's
/// `updated_at`.
pub fn event_of(job: &job::Model, cause: Option<Cause>) -> Result<ActiveModel, Error> {
    let detail = EventDetail {
        cause,
        worker_id: job.worker_id.clone(),
        started_at: job.started_at,
        run_after: Some(job.run_after),
        attempt_key: job.lease_token.as_deref().map(attempt_key),
        error_code: job.error_code.clone(),
        error_message: job.error_message.clone(),
    };
    Ok(ActiveModel {
        job_id: Set(job.id),
        revision: Set(job.revision),
        status: Set(job.status),
        attempt: Set(job.attempt),
        detail: Set(Some(serde_json::to_value(detail).map_err(Error::internal)?)),
        created_at: Set(job.updated_at),
    })
}

/// The attempts at each of these jobs that have begun, by [`attempt_key`]; `None` for those that an older program began.
pub async fn begun_attempts(
    db: &impl ConnectionTrait,
    job_ids: Vec<i64>,
) -> Result<BTreeMap<i64, Vec<Option<String>>>, Error> {
    let of_jobs = one_of_ids(db.get_database_backend(), Column::JobId, job_ids);
    let begun = Entity::find()
        .filter(of_jobs)
        .filter(Column::Status.eq(JobStatus::Processing))
        .all(db)
        .await?;
    let mut attempts: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for event in begun {
        let key = detail(event.detail)?.attempt_key;
        attempts.entry(event.job_id).or_default().push(key);
    }
    Ok(attempts)
}

/// The next transitions of each of these jobs after the revision beside it, in order: at most so many of each.
pub async fn after(
    db: &impl ConnectionTrait,
    read: &BTreeSet<(i64, i64)>,
    most: i64,
) -> Result<BTreeMap<(i64, i64), Vec<Model>>, Error> {
    let backend = db.get_database_backend();
    // Revisions are dense, so their numbers say how many there are.
    let statement = format!(
        "SELECT read.number, event.job_id, event.revision, CAST(event.status AS text) AS status, event.attempt, event.detail,
                event.created_at
         FROM ({pairs}) AS read
         JOIN generation_job_events AS event
             ON event.job_id = read.id AND event.revision > read.number AND event.revision <= read.number + {most}
         ORDER BY event.job_id, event.revision",
        pairs = pairs(backend),
    );
    let jobs = id_list(backend, read.iter().map(|(job_id, _)| *job_id));
    let numbers = id_list(backend, read.iter().map(|(_, number)| *number));
    let statement = Statement::from_sql_and_values(backend, statement, [jobs, numbers]);
    let mut after: BTreeMap<(i64, i64), Vec<Model>> = BTreeMap::new();
    for row in db.query_all_raw(statement).await? {
        let event = Model::from_query_result(&row, "")?;
        let asked = (event.job_id, row.try_get("", "number")?);
        after.entry(asked).or_default().push(event);
    }
    Ok(after)
}

/// All transitions of a job that the caller may see, in order.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    job_id: i64,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    super::job::find(db, caller, job_id).await?;
    let list = List {
        name: "job events by revision",
        filter: &job_id,
        query: Entity::find().filter(Column::JobId.eq(job_id)),
        page,
    };
    let in_order = Sorting::by(Column::Revision, Order::Asc, |row: &Model| {
        vec![row.revision]
    });
    list.sorted(db, in_order).await
}

/// What an event keeps beside the status.
pub fn detail(stored: Option<serde_json::Value>) -> Result<EventDetail, Error> {
    stored
        .map_or_else(|| Ok(EventDetail::default()), serde_json::from_value)
        .map_err(Error::internal)
}
