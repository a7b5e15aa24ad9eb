//! Media, see docs/domain.md#media. Whose they are, their requests tell.

mod insert;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType, Order,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, NullOrdering, Query, SimpleExpr},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{
        Caller, Error, FileName, MediaMetadata, MediaNotes, MediaRole, MediaType, Page, Place,
        Resource,
    },
    entity::{
        media::{Column, Entity, Model},
        request,
    },
};

use super::{
    PageRequest, Transaction, deletion,
    one_of::{known_texts, one_of_ids},
    page::{List, Sorting, some},
    request::of_no_preview,
};

pub use insert::{Added, NewMedia, insert};

/// How much of a prompt is shown with a media.
const MAX_START_CHARS: usize = 100;

/// What a list shows; `None` means all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those of this request.
    pub request_id: Option<i64>,
    /// Those of one of these.
    pub request_ids: Vec<i64>,
    /// Those that this job made.
    pub job_id: Option<i64>,
    /// Those of this user's requests, as far as the caller may see them.
    pub user_id: Option<i64>,
    /// Those that are this.
    pub media_type: Option<MediaType>,
    /// Those of requests for this feature.
    pub feature_id: Option<i64>,
    /// Those of requests with this template.
    pub template_id: Option<i64>,
    /// Those of requests of this collection.
    pub project_id: Option<i64>,
    /// Made then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Made earlier.
    pub created_before: Option<DateTime<Utc>>,
    /// Those that are one of these to their job; empty means all.
    pub roles: Vec<MediaRole>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// Those of previews too, which are also shown where their request or job is asked for.
    pub show_previews: bool,
}

/// A media row with what its request tells of it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Shown {
    /// The row itself.
    #[sea_orm(nested)]
    pub media: Model,
    /// The request's.
    pub user_id: i64,
    /// The request's.
    pub feature_id: i64,
    /// The request's.
    pub template_id: Option<i64>,
    /// How what the user wrote begins.
    pub prompt_start: String,
}

impl std::ops::Deref for Shown {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.media
    }
}

/// All media, as they are shown.
pub(super) fn shown() -> Select<Entity> {
    let request = Entity::belongs_to(request::Entity)
        .from(Column::RequestId)
        .to(request::Column::Id)
        .into();
    told_by_request(Entity::find().join(JoinType::InnerJoin, request))
}

/// With the columns of [`Shown`], from the request that is joined.
fn told_by_request(media: Select<Entity>) -> Select<Entity> {
    let prompt_start = format!("substr(generation_requests.user_prompt, 1, {MAX_START_CHARS})");
    media
        .columns([
            request::Column::UserId,
            request::Column::FeatureId,
            request::Column::TemplateId,
        ])
        .expr_as(Expr::cust(prompt_start), "prompt_start")
}

/// The media that the caller may see, as they are shown.
fn visible(caller: Caller) -> Select<Entity> {
    shown().apply_if(caller.scope(), |query, id| {
        query.filter(request::Column::UserId.eq(id))
    })
}

/// The media, deleted or not, if the caller may see it.
pub async fn find(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Shown, Error> {
    let query = visible(caller).filter(Column::Id.eq(id));
    let found = query.into_model().one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Media, id))
}

/// Those of the media, deleted or not, that the caller may see.
pub async fn find_all(
    db: &impl ConnectionTrait,
    caller: Caller,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Shown>, Error> {
    let these = one_of_ids(db.get_database_backend(), (Entity, Column::Id), ids);
    let media = visible(caller).filter(these);
    Ok(media.into_model().all(db).await?)
}

/// The media, unless it is deleted, if the caller may see it.
pub async fn find_live(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Shown, Error> {
    let media = find(db, caller, id).await?;
    if media.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Media, id));
    }
    Ok(media)
}

/// What is live of what was made of the same original as this media, or of the media itself, in the order in which it was made.
pub async fn made_beside(db: &impl ConnectionTrait, media: &Model) -> Result<Vec<Model>, Error> {
    let of_request = Entity::find()
        .filter(Column::RequestId.eq(media.request_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id);
    let original = original_of(media).unwrap_or(media.id);
    let mut made = of_request.all(db).await?;
    made.retain(|it| original_of(it) == Some(original));
    Ok(made)
}

fn original_of(media: &Model) -> Option<i64> {
    let metadata = media.metadata.as_ref().and_then(Value::as_object);
    MediaMetadata::read(metadata.cloned().unwrap_or_default()).original_id
}

/// Those of the media that are live pictures, each after its user.
pub(super) async fn live_pictures(
    db: &impl ConnectionTrait,
    ids: BTreeSet<i64>,
) -> Result<BTreeSet<(i64, i64)>, Error> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = find_all(db, Caller::TrustedService, ids).await?.into_iter();
    let pictures =
        found.filter(|media| media.deleted_at.is_none() && media.media_type == MediaType::Image);
    Ok(pictures.map(|media| (media.user_id, media.id)).collect())
}

/// What a download tells of a media beside the file.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Told {
    /// Of the file.
    pub sha256: Option<String>,
    role: MediaRole,
    metadata: Option<Value>,
    storage_key: Option<String>,
    deleted_at: Option<DateTime<Utc>>,
    request_id: i64,
    user_prompt: String,
    /// How many outputs its job has.
    outputs: i64,
}

impl Told {
    /// Whether the media is there and not deleted.
    pub fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Where the file is.
    pub fn storage_key(&self) -> Option<&str> {
        self.storage_key.as_deref()
    }

    /// What the file is called.
    pub fn file_name(&self) -> FileName<'_> {
        let metadata = self.metadata.as_ref().and_then(Value::as_object);
        let MediaNotes {
            variation, index, ..
        } = MediaMetadata::read(metadata.cloned().unwrap_or_default()).notes;
        FileName {
            prompt: &self.user_prompt,
            request_id: self.request_id,
            place: Place {
                variation: variation.unwrap_or(0),
                index: index.filter(|_| self.outputs > 1),
            },
            role: self.role,
        }
    }
}

/// How a link names a media.
#[derive(Clone, Copy, Debug)]
pub enum LinkedBy<'a> {
    /// By its id.
    Id(i64),
    /// By its object.
    Object(&'a str),
}

/// What is to be told of the media that a link names, deleted or not; of those that share an object, a live one.
pub async fn told_of(
    db: &impl ConnectionTrait,
    linked: LinkedBy<'_>,
) -> Result<Option<Told>, Error> {
    let request = Entity::belongs_to(request::Entity)
        .from(Column::RequestId)
        .to(request::Column::Id)
        .into();
    let output = "output";
    let outputs = Query::select()
        .expr(Expr::col((output, Column::Id)).count())
        .from_as(Entity, output)
        .and_where(Expr::col((output, Column::JobId)).equals((Entity, Column::JobId)))
        .and_where(Expr::col((output, Column::Role)).eq(MediaRole::Original))
        .to_owned();
    let told = Entity::find()
        .select_only()
        .columns([
            Column::Sha256,
            Column::Role,
            Column::Metadata,
            Column::StorageKey,
            Column::DeletedAt,
            Column::RequestId,
        ])
        .column(request::Column::UserPrompt)
        .expr_as(outputs, "outputs")
        .join(JoinType::InnerJoin, request)
        .filter(match linked {
            LinkedBy::Id(id) => Column::Id.eq(id),
            LinkedBy::Object(path) => Column::StorageKey.eq(path),
        })
        .order_by_with_nulls(Column::DeletedAt, Order::Asc, NullOrdering::First);
    Ok(told.into_model().one(db).await?)
}

/// Media, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Shown>, Error> {
    let list = List {
        name: "media by id descending",
        filter,
        query: narrowed(caller, filter, db.get_database_backend()),
        page,
    };
    list.sorted(db, newest_first()).await
}

fn newest_first() -> Sorting<Entity, Shown> {
    Sorting::newest(Column::Id, |row| vec![row.id])
}

fn narrowed(caller: Caller, filter: &Filter, backend: DbBackend) -> Select<Entity> {
    let mut query = visible(caller)
        .apply_if(filter.user_id, |query, id| {
            query.filter(request::Column::UserId.eq(id))
        })
        .apply_if(filter.feature_id, |query, id| {
            query.filter(request::Column::FeatureId.eq(id))
        })
        .apply_if(filter.template_id, |query, id| {
            query.filter(request::Column::TemplateId.eq(id))
        })
        .apply_if(filter.project_id, |query, id| {
            query.filter(request::Column::ProjectId.eq(id))
        })
        .apply_if(some(&filter.request_ids), |query, ids| {
            let ids = ids.iter().copied();
            query.filter(one_of_ids(backend, (Entity, Column::RequestId), ids))
        })
        .apply_if(filter.created_from, |query, time| {
            query.filter(Column::CreatedAt.gte(time))
        })
        .apply_if(filter.created_before, |query, time| {
            query.filter(Column::CreatedAt.lt(time))
        })
        .apply_if(filter.request_id, |query, id| {
            query.filter(Column::RequestId.eq(id))
        })
        .apply_if(filter.job_id, |query, id| {
            query.filter(Column::JobId.eq(id))
        })
        .apply_if(filter.media_type, |query, kind| {
            query.filter(Column::MediaType.eq(kind))
        })
        .apply_if(some(&filter.roles), |query, roles| {
            query.filter(Column::Role.is_in(roles.iter().copied()))
        });
    if !filter.show_deleted {
        // Live media are of live requests, which more indexes find.
        query = query
            .filter(Column::DeletedAt.is_null())
            .filter(request::Column::DeletedAt.is_null());
    }
    if !filter.show_previews && filter.request_id.is_none() && filter.job_id.is_none() {
        query = query.filter(of_no_preview(Column::RequestId));
    }
    query
}

/// The live media with exactly these bytes, newest first. `sha256` in lower case.
pub async fn with_content(
    db: &impl ConnectionTrait,
    caller: Caller,
    sha256: &str,
    page: &PageRequest,
) -> Result<Page<Shown>, Error> {
    let query = visible(caller)
        .filter(Column::Sha256.eq(sha256))
        .filter(Column::DeletedAt.is_null());
    let list = List {
        name: "media of a file by id descending",
        filter: &sha256,
        query,
        page,
    };
    list.sorted(db, newest_first()).await
}

/// Hides the row unless it is hidden already.
pub async fn delete(tx: &Transaction, media: &Shown, now: DateTime<Utc>) -> Result<(), Error> {
    let live = Column::DeletedAt.is_null();
    set_deleted(tx, media.id, live, Some(now), now).await
}

/// Shows the row again unless it is to be seen, or has no file any more.
pub async fn undelete(tx: &Transaction, media: &Shown, now: DateTime<Utc>) -> Result<(), Error> {
    let deleted = Column::DeletedAt.is_not_null();
    let whole = deleted.and(Column::ContentDeletedAt.is_null());
    set_deleted(tx, media.id, whole, None, now).await
}

async fn set_deleted(
    tx: &Transaction,
    id: i64,
    only_if: SimpleExpr,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(deleted_at))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(only_if)
        .exec(tx)
        .await?;
    Ok(())
}

/// The live media of each of these jobs, in the order in which they were made.
pub async fn of_jobs(
    db: &impl ConnectionTrait,
    job_ids: impl IntoIterator<Item = i64>,
) -> Result<BTreeMap<i64, Vec<Shown>>, Error> {
    let of_one = one_of_ids(db.get_database_backend(), (Entity, Column::JobId), job_ids);
    let media = shown()
        .filter(of_one)
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id);
    let mut of_jobs: BTreeMap<i64, Vec<Shown>> = BTreeMap::new();
    for media in media.into_model::<Shown>().all(db).await? {
        if let Some(job_id) = media.job_id {
            of_jobs.entry(job_id).or_default().push(media);
        }
    }
    Ok(of_jobs)
}

/// The media of each request that share its fate: the live ones, or those that were deleted with it. In no particular order.
pub async fn of_requests(
    db: &impl ConnectionTrait,
    request_ids: &[i64],
) -> Result<Vec<Shown>, Error> {
    let columns = (Column::RequestId, Column::DeletedAt);
    let backend = db.get_database_backend();
    let ids = request_ids.iter().copied();
    let media = deletion::members_of(backend, Entity::find(), columns, ids);
    Ok(told_by_request(media).into_model().all(db).await?)
}

/// The media to show each of the requests by, where there is one: of the first variation that has completed and has any, the
/// largest thumbnail, else the poster, else the original. What a purged job has made tells its variation itself.
pub async fn covers(db: &impl ConnectionTrait, request_ids: &[i64]) -> Result<Vec<Shown>, Error> {
    let covers = select_covers(db.get_database_backend(), request_ids);
    Ok(covers.into_model().all(db).await?)
}

/// The query of [`covers`].
pub fn select_covers(backend: DbBackend, request_ids: &[i64]) -> Select<Entity> {
    // As JSON, numbers are compared as such in PostgreSQL, whatever another program has written.
    let (these, size, variation) = match backend {
        DbBackend::Postgres => (
            "$1",
            "media.metadata -> 'thumbnail_size'",
            "CASE WHEN jsonb_typeof(media.metadata -> 'variation') = 'number' THEN (media.metadata ->> 'variation')::numeric END",
        ),
        _ => (
            "?",
            "media.metadata ->> 'thumbnail_size'",
            "media.metadata ->> 'variation'",
        ),
    };
    // NOT and DISTINCT keep SQLite from its index of deletions, by which it would read all that is live.
    let first = format!(
        "generation_media.id IN (SELECT ranked.id FROM (
             SELECT media.id, ROW_NUMBER() OVER (
                 PARTITION BY request.id ORDER BY COALESCE(job.variation, {variation}),
                 CASE media.role WHEN 'thumbnail' THEN 0 WHEN 'poster' THEN 1 ELSE 2 END, {size} DESC, media.id
             ) AS place
             FROM generation_requests AS request
             JOIN generation_media AS media ON media.request_id = request.id
             LEFT JOIN generation_jobs AS job ON job.id = media.job_id
             WHERE {these} AND (media.job_id IS NULL OR (job.status = 'completed' AND job.superseded_by IS NULL
                     AND NOT (job.deleted_at IS DISTINCT FROM request.deleted_at)))
                 AND NOT (media.deleted_at IS DISTINCT FROM request.deleted_at)
                 AND media.role IN ('thumbnail', 'poster', 'original')
         ) AS ranked WHERE ranked.place = 1)"
    );
    let ids = request_ids.iter().copied();
    let these = one_of_ids(backend, ("request", request::Column::Id), ids);
    shown().filter(Expr::cust_with_exprs(first, [these]))
}

/// Whether there are any records, deleted or not.
pub async fn exist(db: &impl ConnectionTrait) -> Result<bool, Error> {
    let any: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .one(db)
        .await?;
    Ok(any.is_some())
}

/// Those of these objects that a row, deleted or not, still names.
pub async fn known_storage_keys(
    db: &impl ConnectionTrait,
    keys: Vec<String>,
) -> Result<BTreeSet<String>, Error> {
    known_texts(db, Entity::find(), Column::StorageKey, keys).await
}

/// Those of these objects that a row, deleted or not, promises: its file is not given up.
pub async fn promised(
    db: &impl ConnectionTrait,
    keys: Vec<String>,
) -> Result<BTreeSet<String>, Error> {
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let promised = Entity::find().filter(Column::ContentDeletedAt.is_null());
    known_texts(db, promised, Column::StorageKey, keys).await
}
