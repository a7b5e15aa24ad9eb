//! Jobs, see docs/domain.md#jobs: adding, showing and deleting them. Where they stand is in `standing`, what workers do with
//! them in [`queue`].

mod standing;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::NotSet,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityName, EntityTrait, Iterable, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LockType, Query},
};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    domain::{Caller, Error, JobInput, JobStatus, MediaType, Page, Resource, Schedule, Trace},
    entity::{
        job::{ActiveModel, Column, Entity, Model},
        request,
    },
};

use super::{
    PageRequest, Transaction, deletion,
    one_of::one_of_ids,
    page::{List, Sorting, some},
    queue,
    request::of_no_preview,
    sequence,
};

pub use standing::{
    Standing, last_id, newest, standings, standings_after, standings_of_requests, unfinished,
};

/// What a list shows; `None` means all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those of this request.
    pub request_id: Option<i64>,
    /// Those of this user, as far as the caller may see them.
    pub user_id: Option<i64>,
    /// Those of this collection.
    pub project_id: Option<i64>,
    /// Those of this feature.
    pub feature_id: Option<i64>,
    /// Those that make this.
    pub category: Option<MediaType>,
    /// Those of requests with this template.
    pub template_id: Option<i64>,
    /// Created then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Created earlier.
    pub created_before: Option<DateTime<Utc>>,
    /// Those that stand in one of these ways; empty means all.
    pub statuses: Vec<JobStatus>,
    /// Those whose error has this code.
    pub error_code: Option<String>,
    /// Those that a retry has superseded, or the others.
    pub superseded: Option<bool>,
    /// Those that this worker runs, or ran last.
    pub worker_id: Option<String>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// Those of previews too, which are also shown where their request is asked for.
    pub show_previews: bool,
}

/// What the new jobs of a request share, and what they are to make.
#[derive(Debug)]
pub struct NewJobs<'a> {
    /// Theirs.
    pub request: &'a request::Model,
    /// One for each, in order of variation.
    pub inputs: &'a [JobInput],
    /// The feature's.
    pub category: MediaType,
    /// Credits that each of them takes.
    pub cost: i64,
    /// Within the bounds of what the caller may give.
    pub priority: i32,
    /// How many of their user's may run at once; `None`: any number.
    pub concurrency: Option<i32>,
    /// When they may start.
    pub schedule: Schedule,
    /// Attempts after which an error that may pass is final.
    pub max_attempts: i32,
    /// When they are made.
    pub now: DateTime<Utc>,
    /// What the call is known by that makes them.
    pub trace: &'a Trace,
}

/// Ascending ids that no job has and no other will get, for jobs whose credits are held before them.
pub async fn reserve_ids(tx: &Transaction, count: usize) -> Result<Vec<i64>, Error> {
    sequence::draw(tx, Entity.table_name(), count).await
}

/// Adds the jobs of some requests, one for each input, under their reserved ids if they have such, and returns them request by
/// request, in order of variation.
pub async fn insert(
    tx: &Transaction,
    ids: Option<&[i64]>,
    new: &[NewJobs<'_>],
) -> Result<Vec<Vec<Model>>, Error> {
    let jobs = new
        .iter()
        .flat_map(new_jobs)
        .collect::<Result<Vec<_>, Error>>()?;
    let mut of_requests: BTreeMap<i64, Vec<Model>> = BTreeMap::new();
    for job in insert_all(tx, with_ids(jobs, ids)?).await? {
        of_requests.entry(job.request_id).or_default().push(job);
    }
    let requests = new.iter().map(|new| new.request.id);
    Ok(requests
        .map(|id| of_requests.remove(&id).unwrap_or_default())
        .collect())
}

/// Gives the jobs the ids that are reserved for them, one each.
fn with_ids(mut jobs: Vec<ActiveModel>, ids: Option<&[i64]>) -> Result<Vec<ActiveModel>, Error> {
    let Some(ids) = ids else {
        return Ok(jobs);
    };
    if ids.len() != jobs.len() {
        return Err(Error::internal("other jobs were to be stored"));
    }
    for (job, id) in jobs.iter_mut().zip(ids) {
        job.id = Set(*id);
    }
    Ok(jobs)
}

async fn insert_all(tx: &Transaction, jobs: Vec<ActiveModel>) -> Result<Vec<Model>, Error> {
    let mut inserted = queue::join(tx, jobs).await?;
    inserted.sort_unstable_by_key(|job| (job.variation, job.id));
    Ok(inserted)
}

fn new_jobs<'a>(new: &'a NewJobs<'a>) -> impl Iterator<Item = Result<ActiveModel, Error>> + 'a {
    let later = new.schedule.not_before.filter(|time| *time > new.now);
    (0..).zip(new.inputs).map(move |(variation, input)| {
        let waiting = waiting(new.max_attempts, new.now);
        Ok(ActiveModel {
            request_id: Set(new.request.id),
            user_id: Set(new.request.user_id),
            project_id: Set(new.request.project_id),
            feature_id: Set(new.request.feature_id),
            category: Set(new.category),
            priority: Set(new.priority),
            input_json: Set(serde_json::to_value(input).map_err(Error::internal)?),
            provider: Set(Some(input.provider.clone())),
            variation: Set(variation),
            x_request_id: Set(new.trace.x_request_id.clone()),
            traceparent: Set(new.trace.traceparent.clone()),
            cost: Set(Some(new.cost)),
            concurrency: Set(new.concurrency),
            run_after: later.map_or(waiting.run_after.clone(), Set),
            parked: Set(later.is_some()),
            start_deadline: Set(new.schedule.start_deadline),
            ..waiting
        })
    })
}

/// What any new job begins with.
fn waiting(max_attempts: i32, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        status: Set(JobStatus::Pending),
        created_at: Set(now),
        updated_at: Set(now),
        revision: Set(1),
        attempt: Set(0),
        max_attempts: Set(max_attempts),
        // At once, whatever the database's clock says.
        run_after: Set(DateTime::UNIX_EPOCH),
        progress: Set(0.0),
        ..Default::default()
    }
}

/// Adds a job in the place of each of these, which its request has locked with itself, under their reserved ids if they have
/// such: the same work, with all attempts before it. Returns them in order of variation.
pub async fn insert_successors(
    tx: &Transaction,
    ids: Option<&[i64]>,
    jobs: &[Model],
    now: DateTime<Utc>,
) -> Result<Vec<Model>, Error> {
    let successors = jobs.iter().map(|job| successor(job, now));
    let successors = with_ids(successors.collect(), ids)?;
    let successors = insert_all(tx, successors).await?;
    let backend = tx.get_database_backend();
    let ids = successors.iter().map(|successor| successor.id);
    let successor = Query::select()
        .column(("successor", Column::Id))
        .from_as(Entity, "successor")
        .and_where(one_of_ids(backend, ("successor", Column::Id), ids))
        .and_where(Expr::col(("successor", Column::Variation)).equals((Entity, Column::Variation)))
        .to_owned();
    let superseded = Entity::update_many()
        .col_expr(
            Column::SupersededBy,
            Expr::SubQuery(None, Box::new(successor.into())),
        )
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(one_of_ids(
            backend,
            Column::Id,
            jobs.iter().map(|job| job.id),
        ))
        .filter(Column::SupersededBy.is_null())
        .exec(tx)
        .await?;
    if usize::try_from(superseded.rows_affected) != Ok(jobs.len()) {
        return Err(Error::internal("a job was superseded behind its lock"));
    }
    Ok(successors)
}

/// What an attempt wrote stays behind, the submission key above all: a provider must not take the new job for the old.
fn successor(job: &Model, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        request_id: Set(job.request_id),
        user_id: Set(job.user_id),
        project_id: Set(job.project_id),
        feature_id: Set(job.feature_id),
        category: Set(job.category),
        priority: Set(job.priority),
        input_json: Set(job.input_json.clone()),
        provider: Set(job.provider.clone()),
        variation: Set(job.variation),
        x_request_id: Set(job.x_request_id.clone()),
        traceparent: Set(job.traceparent.clone()),
        cost: Set(job.cost),
        concurrency: Set(job.concurrency),
        ..waiting(job.max_attempts, now)
    }
}

/// The job under its lock, if the caller may see it. The lock of its request comes after it.
pub async fn lock(tx: &Transaction, caller: Caller, id: i64) -> Result<Model, Error> {
    let query = visible(caller, id).lock(LockType::NoKeyUpdate);
    let found = query.one(tx).await?;
    found.ok_or_else(|| Error::not_found(Resource::Job, id))
}

/// Deletes a locked job by itself, or brings it back.
pub async fn set_deleted(
    tx: &Transaction,
    job: &Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(deleted_at))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(job.id))
        .exec(tx)
        .await?;
    find(tx, Caller::TrustedService, job.id).await
}

/// Moves all jobs of a request, deleted ones too, to its collection.
pub async fn set_project(
    tx: &Transaction,
    request: &request::Model,
    project_id: Option<i64>,
) -> Result<(), Error> {
    let elsewhere = match project_id {
        Some(id) => Column::ProjectId.is_null().or(Column::ProjectId.ne(id)),
        None => Column::ProjectId.is_not_null(),
    };
    Entity::update_many()
        .col_expr(Column::ProjectId, Expr::value(project_id))
        .filter(Column::RequestId.eq(request.id))
        .filter(elsewhere)
        .exec(tx)
        .await?;
    Ok(())
}

/// The job, deleted or not, if the caller may see it.
pub async fn find(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Model, Error> {
    let found = visible(caller, id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Job, id))
}

fn visible(caller: Caller, id: i64) -> Select<Entity> {
    Entity::find_by_id(id).apply_if(caller.scope(), |query, id| {
        query.filter(Column::UserId.eq(id))
    })
}

/// Those of the jobs, deleted or not, that the caller may see, without their inputs.
pub async fn find_all(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Model>, Error> {
    let jobs = without_input()
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .filter(one_of_ids(db.get_database_backend(), Column::Id, ids));
    Ok(jobs.all(db).await?)
}

/// Those of the jobs, deleted or not, with their inputs, whoever asks.
pub async fn find_all_whole(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Model>, Error> {
    let these = one_of_ids(db.get_database_backend(), Column::Id, ids);
    Ok(Entity::find().filter(these).all(db).await?)
}

/// The jobs of each request that count for it, see [`JobCounts`](crate::domain::JobCounts): in order of variation, without
/// their inputs.
pub async fn of_requests(
    db: &impl ConnectionTrait,
    request_ids: &[i64],
) -> Result<Vec<Model>, Error> {
    counting(db, without_input(), request_ids).await
}

/// The same with their inputs.
pub async fn of_requests_with_inputs(
    db: &impl ConnectionTrait,
    request_ids: &[i64],
) -> Result<Vec<Model>, Error> {
    counting(db, Entity::find(), request_ids).await
}

async fn counting(
    db: &impl ConnectionTrait,
    jobs: Select<Entity>,
    request_ids: &[i64],
) -> Result<Vec<Model>, Error> {
    let columns = (Column::RequestId, Column::DeletedAt);
    let backend = db.get_database_backend();
    let ids = request_ids.iter().copied();
    let jobs = deletion::members_of(backend, jobs, columns, ids)
        .filter(Column::SupersededBy.is_null())
        .order_by_asc(Column::Variation)
        .order_by_asc(Column::Id);
    Ok(jobs.all(db).await?)
}

fn without_input() -> Select<Entity> {
    let told = Column::iter().filter(|column| !matches!(column, Column::InputJson));
    Entity::find()
        .select_only()
        .columns(told)
        .expr_as(Expr::value(Json::Null), Column::InputJson)
}

/// Jobs, newest first, without their inputs: these are large, and no list shows them.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let query = narrowed(without_input(), caller, filter);
    let list = List {
        name: "jobs by id descending",
        filter,
        query,
        page,
    };
    let newest_first = Sorting::newest(Column::Id, |row: &Model| vec![row.id]);
    list.sorted(db, newest_first).await
}

/// How many jobs stand where; nothing is told of a status that none has.
pub async fn count(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
) -> Result<Vec<(JobStatus, i64)>, Error> {
    let counts = narrowed(Entity::find(), caller, filter)
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "jobs")
        .group_by(Column::Status);
    Ok(counts.into_tuple().all(db).await?)
}

fn narrowed(jobs: Select<Entity>, caller: Caller, filter: &Filter) -> Select<Entity> {
    let mut query = jobs
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.user_id, |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.request_id, |query, id| {
            query.filter(Column::RequestId.eq(id))
        })
        .apply_if(filter.feature_id, |query, id| {
            query.filter(Column::FeatureId.eq(id))
        })
        .apply_if(filter.project_id, |query, id| {
            query.filter(Column::ProjectId.eq(id))
        })
        .apply_if(filter.category, |query, category| {
            query.filter(Column::Category.eq(category))
        })
        .apply_if(filter.template_id, |query, id| {
            let requests = super::request::Filter {
                template_id: Some(id),
                show_deleted: filter.show_deleted,
                ..Default::default()
            };
            let requests = super::request::ids(caller, &requests);
            query.filter(Column::RequestId.in_subquery(requests))
        })
        .apply_if(filter.created_from, |query, time| {
            query.filter(Column::CreatedAt.gte(time))
        })
        .apply_if(filter.created_before, |query, time| {
            query.filter(Column::CreatedAt.lt(time))
        })
        .apply_if(some(&filter.statuses), |query, statuses| {
            query.filter(Column::Status.is_in(statuses.iter().copied()))
        })
        .apply_if(filter.error_code.as_deref(), |query, code| {
            query.filter(Column::ErrorCode.eq(code))
        })
        .apply_if(filter.superseded, |query, superseded| {
            query.filter(match superseded {
                true => Column::SupersededBy.is_not_null(),
                false => Column::SupersededBy.is_null(),
            })
        })
        .apply_if(filter.worker_id.as_deref(), |query, id| {
            query.filter(Column::WorkerId.eq(id))
        });
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    if !filter.show_previews && filter.request_id.is_none() {
        query = query.filter(of_no_preview(Column::RequestId));
    }
    query
}
