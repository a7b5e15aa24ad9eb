//! Requests, see docs/domain.md#requests.

mod count;
mod list;
mod preview;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, EntityName, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, SqlErr,
    sea_query::{Expr, LockType},
};

use crate::{
    domain::{
        Caller, Error, RequestDraft, RequestNotes, RequestStatus, Resolved, Resource,
        request_status,
    },
    entity::{
        TextList, job,
        request::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    Transaction, media,
    one_of::{FirstOfEach, id_list, one_of_ids, time_list},
    rows::Rows,
    sequence,
};

pub use count::{Counted, count, counted, job_counts};
pub(super) use list::ids;
pub use list::{Filter, count_all, list, page_after};
pub(super) use preview::of_no_preview;
pub use preview::old_previews;

/// Not FOR UPDATE: that would wait for transactions that insert jobs or media of the request. SQLite has no row locks, and
/// its query builder leaves them out.
const LOCK: LockType = LockType::NoKeyUpdate;

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
