//! Public links to media. Whose they are, the requests of their media tell.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Condition, Expr, ExprTrait},
};
use serde::Serialize;

use crate::{
    domain::{Caller, Error, Page, Resource, ShareDraft, SharedFiles, to_map},
    entity::{
        media, request,
        share::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction,
    page::{List, Sorting},
};

/// How many of a media's links are kept that have ended.
const MOST_ENDED: u64 = 100;

/// What a list shows.
#[derive(Debug, Serialize)]
pub struct Filter {
    /// The links to this media.
    pub media_id: i64,
    /// Those that have ended too.
    pub show_ended: bool,
}

/// Those that lead somewhere, as far as they themselves tell.
fn is_open(now: DateTime<Utc>) -> Condition {
    let is_to_come = Column::ExpiresAt.is_null().or(Column::ExpiresAt.gt(now));
    Condition::all()
        .add(Column::RevokedAt.is_null())
        .add(is_to_come)
}

fn visible(caller: Caller) -> Select<Entity> {
    let media = Entity::belongs_to(media::Entity)
        .from(Column::MediaId)
        .to(media::Column::Id)
        .into();
    let request = media::Entity::belongs_to(request::Entity)
        .from(media::Column::RequestId)
        .to(request::Column::Id)
        .into();
    Entity::find()
        .join(JoinType::InnerJoin, media)
        .join(JoinType::InnerJoin, request)
        .apply_if(caller.scope(), |query, id| {
            query.filter(request::Column::UserId.eq(id))
        })
}

/// The link, ended or not, if the caller may see it.
pub async fn find(db: &impl ConnectionTrait, caller: Caller, id: i64) -> Result<Model, Error> {
    let found = visible(caller).filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Share, id))
}

/// The link with this hash of its token, unless it has ended.
pub async fn find_open(
    db: &impl ConnectionTrait,
    token_hash: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<Option<Model>, Error> {
    let shares = Entity::find().filter(Column::TokenHash.eq(token_hash));
    Ok(shares.filter(is_open(now)).one(db).await?)
}

/// The links to a media, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    (filter, now): (&Filter, DateTime<Utc>),
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let shares = visible(caller).filter(Column::MediaId.eq(filter.media_id));
    let list = List {
        name: "shares of a media by id descending",
        filter,
        query: match filter.show_ended {
            true => shares,
            false => shares.filter(is_open(now)),
        },
        page,
    };
    let newest = Sorting::newest(Column::Id, |row: &Model| vec![row.id]);
    list.sorted(db, newest).await
}

/// How many links lead to the media.
pub async fn count_open(tx: &Transaction, media_id: i64, now: DateTime<Utc>) -> Result<u64, Error> {
    let shares = Entity::find().filter(Column::MediaId.eq(media_id));
    Ok(shares.filter(is_open(now)).count(tx).await?)
}

/// Keeps a link.
pub async fn add(
    tx: &Transaction,
    draft: ShareDraft,
    token_hash: Vec<u8>,
    files: &SharedFiles,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let row = ActiveModel {
        id: NotSet,
        media_id: Set(draft.media_id),
        token_hash: Set(token_hash),
        title: Set(Some(draft.title).filter(|title| !title.is_empty())),
        max_size: Set(draft.max_size),
        show_recipe: Set(draft.show_recipe),
        files: Set(to_map(files).into()),
        created_at: Set(now),
        expires_at: Set(draft.expires_at),
        revoked_at: Set(None),
    };
    Ok(row.insert(tx).await?)
}

/// Removes the links to a media that have ended, but for the newest of them.
pub async fn forget_ended(
    tx: &Transaction,
    media_id: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ended = || {
        Condition::all()
            .add(Column::MediaId.eq(media_id))
            .add(is_open(now).not())
    };
    let oldest_kept = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(ended())
        .order_by_desc(Column::Id)
        .offset(MOST_ENDED - 1)
        .limit(1);
    let Some(oldest_kept) = oldest_kept.into_tuple::<i64>().one(tx).await? else {
        return Ok(());
    };
    let older = Entity::delete_many().filter(ended());
    older.filter(Column::Id.lt(oldest_kept)).exec(tx).await?;
    Ok(())
}

/// Ends a link, unless that is done.
pub async fn revoke(tx: &Transaction, id: i64, now: DateTime<Utc>) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}
