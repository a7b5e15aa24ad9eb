//! Requests, see docs/domain.md#requests, with the counts of their jobs.

mod scan;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, EntityName, EntityTrait, Order, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, SqlErr,
    sea_query::{Expr, LockType, SelectStatement, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{
        Caller, Error, JobCounts, JobStatus, MediaType, Page, PageToken, RequestDraft,
        RequestNotes, RequestStatus, Resolved, Resource, Sealer, request_status,
    },
    entity::{
        TextList, job,
        request::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction, deletion,
    feature::{is, of_category},
    media,
    one_of::{FirstOfEach, id_list, one_of_ids, time_list},
    page::{List, Sorting, some},
    rows::Rows,
    sequence,
};

/// Not FOR UPDATE: that would wait for transactions that insert jobs or media of the request. SQLite has no row locks, and
/// its query builder leaves them out.
const LOCK: LockType = LockType::NoKeyUpdate;
/// Names the list in page tokens.
const LIST: &str = "requests";

/// A request with how those of its jobs stand that count for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The request.
    pub request: Model,
    /// Those that its status is the sum of.
    pub counts: JobCounts,
}

/// What a list shows; `None` means all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those of this user, as far as the caller may see them.
    pub user_id: Option<i64>,
    /// Those of this collection.
    pub project_id: Option<i64>,
    /// Those of this feature.
    pub feature_id: Option<i64>,
    /// Those of features that make this.
    pub category: Option<MediaType>,
    /// Those with this template.
    pub template_id: Option<i64>,
    /// Created then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Created earlier.
    pub created_before: Option<DateTime<Utc>>,
    /// Those that stand in one of these ways; empty means all.
    pub statuses: Vec<RequestStatus>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// Those too that only try a template.
    pub show_previews: bool,
    /// Deleted ones and no others.
    pub show_only_deleted: bool,
    /// Archived ones too.
    pub show_archived: bool,
    /// Those with this in what the user wrote, folded like it; empty means all.
    pub text: String,
    /// Those whose metadata has this key with this text.
    pub metadata: Option<(String, String)>,
    /// Those of which a job that counts has failed, or those of which none has.
    pub has_failed_jobs: Option<bool>,
    /// The last changed first, and not the newest.
    pub by_update: bool,
    /// The other way round.
    pub reversed: bool,
}

impl Filter {
    /// Whether it names what no index finds, so that a page looks at a bounded number of rows and may be short.
    pub fn scans(&self) -> bool {
        !self.text.is_empty() || self.metadata.is_some() || self.has_failed_jobs.is_some()
    }

    fn sorting<M>(&self, key: fn(&M) -> Vec<i64>) -> Sorting<Entity, M> {
        let direction = match self.reversed {
            true => Order::Asc,
            false => Order::Desc,
        };
        match self.by_update {
            true => Sorting {
                direction,
                columns: vec![Column::UpdatedAt, Column::Id],
                key,
                by_time: true,
            },
            false => Sorting::by(Column::Id, direction, key),
        }
    }
}

/// What a request has in the order of [`Filter::by_update`], or in the other.
fn key_of(by_update: bool, id: i64, updated_at: DateTime<Utc>) -> Vec<i64> {
    match by_update {
        true => vec![updated_at.timestamp_micros(), id],
        false => vec![id],
    }
}

/// An id that no request has and no other will get, for one whose files or credits are kept before it.
pub async fn reserve_id(tx: &Transaction) -> Result<i64, Error> {
    let drawn = sequence::draw(tx, Entity.table_name(), 1).await?;
    let id = drawn.first().copied();
    id.ok_or_else(|| Error::internal("the database hands out no ids"))
}

/// A request that is accepted.
#[derive(Debug)]
pub struct NewRequest<'a> {
    /// If one is reserved for it.
    pub id: Option<i64>,
    /// With the ids of the feature and the template that it names.
    pub draft: &'a RequestDraft,
    /// What it comes to.
    pub resolved: &'a Resolved,
    /// The feature's.
    pub system_prompt: Option<String>,
    /// Of whose limits it is within.
    pub plan: Option<String>,
}

/// Adds accepted requests, and returns them in their order; their jobs come next, in the same transaction. Either all of them
/// have a reserved id or none has. [`Error::UserUnknown`] if there is no user of a single one.
///
/// The features are held, and templates are only hidden: so no other foreign key can be violated.
pub async fn insert(
    tx: &Transaction,
    new: &[NewRequest<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Model>, Error> {
    let backend = tx.get_database_backend();
    let rows: Result<Vec<_>, Error> = new.iter().map(|new| row(new, backend, now)).collect();
    let mut inserted = Rows::new(rows?)
        .insert(tx)
        .await
        .map_err(|error| match new {
            [new] if error.sql_err().is_some_and(is_foreign_key) => {
                Error::UserUnknown(new.draft.user_id)
            }
            _ => error.into(),
        })?;
    inserted.sort_unstable_by_key(|request| request.id);
    Ok(inserted)
}

fn is_foreign_key(error: SqlErr) -> bool {
    matches!(error, SqlErr::ForeignKeyConstraintViolation(_))
}

fn row(new: &NewRequest<'_>, backend: DbBackend, now: DateTime<Utc>) -> Result<ActiveModel, Error> {
    let (draft, resolved) = (new.draft, new.resolved);
    let urls = TextList::for_backend(draft.user_media_urls.clone(), backend);
    let input = serde_json::to_value(&draft.input).map_err(Error::internal)?;
    Ok(ActiveModel {
        id: new.id.map_or(NotSet, Set),
        user_id: Set(draft.user_id),
        project_id: Set(draft.project_id),
        feature_id: Set(draft.feature_id),
        template_id: Set(draft.template_id),
        template_prompt: Set(resolved.template_prompt.clone()),
        system_prompt: Set(new.system_prompt.clone()),
        user_prompt: Set(resolved.user_prompt.clone()),
        user_media_urls: Set(urls),
        input_metadata: Set(Some(input)),
        status: Set(RequestStatus::Pending),
        metadata: Set((!draft.metadata.is_empty()).then(|| draft.metadata.clone().into())),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        title: Set(None),
        version: Set(1),
        is_preview: Set(draft.preview.is_some()),
        hides_prompt: Set(resolved.jobs.iter().any(|job| job.hide_prompt)),
        plan: Set(new.plan.clone()),
        archived_at: Set(None),
        not_before: Set(draft.schedule.not_before),
        start_deadline: Set(draft.schedule.start_deadline),
        purged_jobs: Set(0),
        purged_completed: Set(0),
        purged_failed: Set(0),
        purged_cancelled: Set(0),
    })
}

/// The request, deleted or not, if the caller may see it.
pub async fn find(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Model, Error> {
    let mut query = Entity::find_by_id(id);
    if let Some(user_id) = caller.scope() {
        query = query.filter(Column::UserId.eq(user_id));
    }
    let found = query.one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Request, id))
}

/// Fails with the first of the requests that the caller may not see or that is not there, deleted or not.
pub async fn require_all(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: &BTreeSet<i64>,
) -> Result<(), Error> {
    let found = visible(db, caller, ids.clone()).await?;
    match ids.iter().find(|id| !found.contains(id)) {
        Some(missing) => Err(Error::not_found(Resource::Request, *missing)),
        None => Ok(()),
    }
}

/// Those of the requests that are there, deleted or not, and that the caller may see.
pub async fn visible(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: BTreeSet<i64>,
) -> Result<BTreeSet<i64>, Error> {
    let found = Entity::find()
        .select_only()
        .column(Column::Id)
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .filter(one_of_ids(db.get_database_backend(), Column::Id, ids));
    let found: Vec<i64> = found.into_tuple().all(db).await?;
    Ok(found.into_iter().collect())
}

/// Those of the requests, deleted or not, that the caller may see.
pub async fn find_all(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Model>, Error> {
    let requests = Entity::find()
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .filter(one_of_ids(db.get_database_backend(), Column::Id, ids));
    Ok(requests.all(db).await?)
}

/// Requests, in the order that the filter says.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let list = List {
        name: LIST,
        filter,
        query: narrowed(caller, filter),
        page,
    };
    if filter.scans() {
        return scan::page(db, caller, list).await;
    }
    let key: fn(&Model) -> Vec<i64> = match filter.by_update {
        true => |row| key_of(true, row.id, row.updated_at),
        false => |row| key_of(false, row.id, row.updated_at),
    };
    list.sorted(db, filter.sorting(key)).await
}

/// The token of the page that comes after this request, which need not be in the list: for lists in the order of ids.
pub fn page_after(filter: &Filter, id: i64, sealer: &Sealer) -> Result<String, Error> {
    PageToken::of(LIST, filter, sealer)?.encode(&[id])
}

/// How many requests stand where; nothing is told of a status that none has.
pub async fn count_all(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
) -> Result<Vec<(RequestStatus, i64)>, Error> {
    let counts = narrowed(caller, filter)
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "requests")
        .group_by(Column::Status);
    Ok(counts.into_tuple().all(db).await?)
}

/// Those that the filter names, as far as an index finds them.
pub(super) fn narrowed(caller: Caller, filter: &Filter) -> Select<Entity> {
    let mut query = Entity::find()
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.user_id, |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.project_id, |query, id| {
            query.filter(Column::ProjectId.eq(id))
        })
        .apply_if(filter.feature_id, |query, id| {
            query.filter(Column::FeatureId.eq(id))
        })
        .apply_if(filter.category, |query, category| {
            query.filter(Column::FeatureId.in_subquery(of_category(category)))
        })
        .apply_if(filter.template_id, |query, id| {
            query.filter(Column::TemplateId.eq(id))
        })
        .apply_if(filter.created_from, |query, time| {
            query.filter(Column::CreatedAt.gte(time))
        })
        .apply_if(filter.created_before, |query, time| {
            query.filter(Column::CreatedAt.lt(time))
        })
        .apply_if(some(&filter.statuses), |query, statuses| {
            query.filter(Column::Status.is_in(statuses.iter().copied()))
        });
    if filter.show_only_deleted {
        query = query.filter(Column::DeletedAt.is_not_null());
    } else if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    if !filter.show_archived {
        query = query.filter(Column::ArchivedAt.is_null());
    }
    if !filter.show_previews {
        query = query.filter(is(Column::IsPreview, false));
    }
    query
}

/// Those that only try a template.
fn previews() -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is(Column::IsPreview, true))
}

/// Whether a job or a media with this column belongs to no preview. The few that there are found once.
pub(super) fn of_no_preview(request_id: impl ColumnTrait) -> SimpleExpr {
    request_id.not_in_subquery(previews().into_query())
}

/// The first `limit` live previews from before then, without those that the catalogue is shown by.
pub async fn old_previews(
    db: &impl ConnectionTrait,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<i64>, Error> {
    let shown = "generation_requests.id NOT IN (SELECT request_id FROM generation_media WHERE id IN (
        SELECT preview_media_id FROM generation_features WHERE preview_media_id IS NOT NULL
        UNION SELECT preview_media_id FROM generation_templates WHERE preview_media_id IS NOT NULL))";
    let old = previews()
        .filter(Column::DeletedAt.is_null())
        .filter(Column::CreatedAt.lt(before))
        .filter(Expr::cust(shown))
        .order_by_asc(Column::CreatedAt)
        .limit(limit);
    Ok(old.into_tuple().all(db).await?)
}

/// The requests that the filter names, for what belongs to them: rows that are told only when they are live belong to live
/// requests, which more indexes find.
pub(super) fn ids(caller: Caller, filter: &Filter) -> SelectStatement {
    let ids = narrowed(caller, filter).select_only().column(Column::Id);
    ids.into_query()
}

/// The first `limit` live requests of a user's collection after `id`, ascending.
pub async fn of_project_after(
    db: &impl ConnectionTrait,
    (user_id, project_id): (i64, i64),
    id: i64,
    limit: u64,
) -> Result<Vec<i64>, Error> {
    let requests = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(user_id))
        .filter(Column::ProjectId.eq(project_id))
        .filter(Column::DeletedAt.is_null())
        .filter(Column::Id.gt(id))
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(requests.into_tuple().all(db).await?)
}

/// Changes what a locked request is known by.
pub async fn update(
    tx: &Transaction,
    locked: Model,
    notes: RequestNotes,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let changed = ActiveModel {
        id: Unchanged(locked.id),
        title: Set(Some(notes.title).filter(|title| !title.is_empty())),
        project_id: Set(notes.project_id),
        metadata: Set((!notes.metadata.is_empty()).then(|| notes.metadata.into())),
        updated_at: Set(now),
        version: Set(locked.version + 1),
        archived_at: Set(None),
        ..Default::default()
    };
    Ok(changed.update(tx).await?)
}

/// The first `limit` requests of each of these users that were deleted at the time beside him or later, and when.
pub async fn deleted_from(
    db: &impl ConnectionTrait,
    from: &BTreeSet<(i64, DateTime<Utc>)>,
    limit: usize,
) -> Result<BTreeMap<(i64, DateTime<Utc>), Vec<(i64, DateTime<Utc>)>>, Error> {
    let backend = db.get_database_backend();
    let users = id_list(backend, from.iter().map(|(user_id, _)| *user_id));
    let times = time_list(backend, from.iter().map(|(_, time)| *time));
    let first = FirstOfEach {
        table: Entity.table_name(),
        // Few are deleted lately, and a user may have many: so the sum keeps the planner from the index of the user's.
        condition: "one.user_id + 0 = asked.key AND one.deleted_at >= asked.bound",
        order: "one.deleted_at, one.id",
        bounds: "timestamptz",
        limit,
    };
    let deleted = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UserId, Column::DeletedAt])
        .filter(first.filter(backend, Column::Id, users, times))
        .order_by_asc(Column::DeletedAt)
        .order_by_asc(Column::Id);
    let deleted: Vec<(i64, i64, DateTime<Utc>)> = deleted.into_tuple().all(db).await?;
    let of = |&(user_id, from): &(i64, DateTime<Utc>)| {
        let deleted = deleted.iter();
        let later = deleted.filter(|(_, of, at)| *of == user_id && *at >= from);
        later.take(limit).map(|(id, _, at)| (*id, *at)).collect()
    };
    Ok(from.iter().map(|asked| (*asked, of(asked))).collect())
}

/// A record that a scoped look-up has given: whoever has it may have its request locked.
pub trait OfRequest {
    /// The request's id.
    fn request_id(&self) -> i64;
}

impl OfRequest for Model {
    fn request_id(&self) -> i64 {
        self.id
    }
}

impl OfRequest for job::Model {
    fn request_id(&self) -> i64 {
        self.request_id
    }
}

impl OfRequest for media::Shown {
    fn request_id(&self) -> i64 {
        self.request_id
    }
}

/// The request, deleted or not, locked until the transaction ends. Its jobs' locks come before this one, everywhere.
pub async fn lock(tx: &Transaction, found: &impl OfRequest) -> Result<Model, Error> {
    let id = found.request_id();
    let found = Entity::find_by_id(id).lock(LOCK).one(tx).await?;
    found.ok_or_else(|| Error::not_found(Resource::Request, id))
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

/// Writes down that a client has changed a locked request, or its jobs, or that it is deleted or live now. One that was archived
/// is shown again.
pub async fn change(
    tx: &Transaction,
    request: Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Counted, Error> {
    let request = Model {
        deleted_at,
        updated_at: now,
        version: request.version + 1,
        archived_at: None,
        ..request
    };
    let Counted {
        mut request,
        counts,
    } = count(tx, request).await?;
    request.status = request_status(counts, request.status);
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .col_expr(Column::Version, Expr::value(request.version))
        .col_expr(Column::DeletedAt, Expr::value(deleted_at))
        .col_expr(Column::ArchivedAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::Status, Expr::value(request.status))
        .filter(Column::Id.eq(request.id))
        .exec(tx)
        .await?;
    Ok(Counted { request, counts })
}
