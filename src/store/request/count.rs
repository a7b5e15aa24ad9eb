//! How the jobs of requests stand that count for them, see [`JobCounts`].

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::{
    domain::{Caller, Error, JobCounts, JobStatus},
    entity::{job, request::Model},
    store::deletion,
};

use super::find_all;

/// A request with how those of its jobs stand that count for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The request.
    pub request: Model,
    /// Those that its status is the sum of.
    pub counts: JobCounts,
}

/// How the jobs of each request stand that count for it, see [`JobCounts`]: the live ones, or those that were deleted with
/// it, with those that have been purged.
pub async fn job_counts(
    db: &impl ConnectionTrait,
    requests: &[Model],
) -> Result<BTreeMap<i64, JobCounts>, Error> {
    let ids = requests.iter().map(|request| request.id);
    let columns = (job::Column::RequestId, job::Column::DeletedAt);
    let backend = db.get_database_backend();
    let jobs = deletion::members_of(backend, job::Entity::find(), columns, ids);
    sum(requests, count_by_status(db, jobs).await?)
}

fn sum(
    requests: &[Model],
    rows: Vec<(i64, JobStatus, i64)>,
) -> Result<BTreeMap<i64, JobCounts>, Error> {
    let purged = requests.iter().map(|it| (it.id, purged_counts(it)));
    let mut counts: BTreeMap<i64, JobCounts> = purged.collect();
    for (request_id, status, jobs) in rows {
        let jobs = u32::try_from(jobs).map_err(Error::internal)?;
        counts.entry(request_id).or_default().add(status, jobs);
    }
    Ok(counts)
}

/// How those had ended that have been purged.
fn purged_counts(request: &Model) -> JobCounts {
    let number = |count: i32| u32::try_from(count).unwrap_or_default();
    JobCounts {
        completed: number(request.purged_completed),
        failed: number(request.purged_failed),
        cancelled: number(request.purged_cancelled),
        ..JobCounts::default()
    }
}

async fn count_by_status(
    db: &impl ConnectionTrait,
    jobs: Select<job::Entity>,
) -> Result<Vec<(i64, JobStatus, i64)>, Error> {
    let counts = jobs
        .select_only()
        .column(job::Column::RequestId)
        .column(job::Column::Status)
        .column_as(job::Column::Id.count(), "jobs")
        .filter(job::Column::SupersededBy.is_null())
        .group_by(job::Column::RequestId)
        .group_by(job::Column::Status);
    Ok(counts.into_tuple().all(db).await?)
}

/// Those of the requests that the caller may see, with how their jobs stand, by id.
pub async fn counted(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: BTreeSet<i64>,
) -> Result<BTreeMap<i64, Counted>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let requests = find_all(db, caller, ids).await?;
    let counts = job_counts(db, &requests).await?;
    let count = |request: Model| {
        let counts = counts.get(&request.id).copied().unwrap_or_default();
        (request.id, Counted { request, counts })
    };
    Ok(requests.into_iter().map(count).collect())
}

/// The request with how its jobs stand: the live ones, or those that were deleted with it.
pub async fn count(db: &impl ConnectionTrait, request: Model) -> Result<Counted, Error> {
    let rows = count_by_status(db, deletion::members(&request)).await?;
    let counts = sum(std::slice::from_ref(&request), rows)?;
    let counts = counts.get(&request.id).copied().unwrap_or_default();
    Ok(Counted { request, counts })
}
