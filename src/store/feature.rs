//! Features, see docs/domain.md#features. A change leaves new requests their way, a deletion holds them up: that is why
//! there are several locks.

mod offered;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, Order, PaginatorTrait,
    QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType, SelectStatement, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{
        Error, FeatureDraft, FeatureProperties, JobStatus, MediaType, Named, Page, Resource,
        folded_lines, is_name, stored,
    },
    entity::{
        feature::{ActiveModel, Column, Entity, Model},
        job,
    },
};

use super::{
    PageRequest, Transaction,
    error::is_unique_violation,
    page::{List, Sorting},
    search::{self, Searched},
};

pub use offered::{Offered, find_all_asked_for, find_all_offered, find_asked_for, find_offered};

/// What a list shows; `None` and empty mean all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those that make this.
    pub category: Option<MediaType>,
    /// Those that take requests, or those that do not.
    pub is_active: Option<bool>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// In the name or the description, folded like them.
    pub text: String,
}

/// Adds a checked feature. [`Error::FeatureNameTaken`] if a live one has its name.
pub async fn insert(
    db: &impl ConnectionTrait,
    draft: FeatureDraft,
    category: MediaType,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let name = draft.name.clone();
    let search_text = folded_lines(&draft.name, &draft.description, &draft.names);
    let feature = ActiveModel {
        id: NotSet,
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        category: Set(category),
        system_prompt: Set(non_empty(draft.system_prompt)),
        properties: Set(Some(draft.names.stored_with(&draft.properties)?)),
        preview_url: Set(non_empty(draft.preview_url)),
        icon_url: Set(non_empty(draft.icon_url)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: Set(1),
        search_text: Set(Some(search_text)),
        search_version: Set(Some(1)),
        preview_media_id: Set(draft.preview_media_id),
    };
    let inserted = feature.insert(db).await;
    inserted.map_err(|error| name_taken(error, name))
}

fn name_taken(error: DbErr, name: String) -> Error {
    if is_unique_violation(&error) {
        Error::FeatureNameTaken { name }
    } else {
        error.into()
    }
}

pub(super) fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The feature, deleted or not.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Feature, id))
}

/// The feature, if it is not deleted.
pub async fn find_live(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    live(find(db, id).await?)
}

/// The live feature with this name.
pub async fn find_named(db: &impl ConnectionTrait, name: &str) -> Result<Model, Error> {
    let live = Entity::find().filter(Column::DeletedAt.is_null());
    let named = live.filter(Column::Name.eq(name));
    // Others hold what no database takes.
    let found = if is_name(name) {
        named.one(db).await?
    } else {
        None
    };
    found.ok_or_else(|| Error::not_named(Resource::Feature, name))
}

/// [`Error::NotFound`] if the feature is deleted.
pub fn live(feature: Model) -> Result<Model, Error> {
    if feature.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Feature, feature.id));
    }
    Ok(feature)
}

/// The live feature, which nobody else changes until the transaction ends. Requests may still be made with it.
pub async fn lock(tx: &Transaction, id: i64) -> Result<Model, Error> {
    live(find_with(tx, id, LockType::NoKeyUpdate).await?)
}

/// The feature, deleted or not, which nobody else changes until the transaction ends, and which no request, job or template
/// is made with: their foreign keys wait for the row, and see what has become of it.
pub async fn lock_whole(tx: &Transaction, id: i64) -> Result<Model, Error> {
    find_with(tx, id, LockType::Update).await
}

/// The feature, deleted or not, which nobody else deletes or undeletes until the transaction ends.
pub async fn hold(tx: &Transaction, id: i64) -> Result<Model, Error> {
    find_with(tx, id, LockType::KeyShare).await
}

/// On SQLite a transaction that may write is alone anyway, and no lock is asked for.
async fn find_with(tx: &Transaction, id: i64, lock: LockType) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).lock(lock).one(tx).await?;
    found.ok_or_else(|| Error::not_found(Resource::Feature, id))
}

/// Changes a locked feature to what the checked draft says.
pub async fn update(
    tx: &Transaction,
    locked: &Model,
    draft: FeatureDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let name = draft.name.clone();
    let search_text = folded_lines(&draft.name, &draft.description, &draft.names);
    let feature = ActiveModel {
        search_text: Set(Some(search_text)),
        search_version: Set(Some(locked.version + 1)),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        system_prompt: Set(non_empty(draft.system_prompt)),
        properties: Set(Some(draft.names.stored_with(&draft.properties)?)),
        preview_media_id: Set(draft.preview_media_id),
        preview_url: Set(non_empty(draft.preview_url)),
        icon_url: Set(non_empty(draft.icon_url)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        ..next_version(locked, now)
    };
    let updated = feature.update(tx).await;
    updated.map_err(|error| name_taken(error, name))
}

/// Sets a locked feature's time of deletion, or takes it away. [`Error::FeatureNameTaken`] if a live one has its name.
pub async fn set_deleted(
    tx: &Transaction,
    locked: &Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let feature = ActiveModel {
        deleted_at: Set(deleted_at),
        ..next_version(locked, now)
    };
    let updated = feature.update(tx).await;
    updated.map_err(|error| name_taken(error, locked.name.clone()))
}

fn next_version(locked: &Model, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Unchanged(locked.id),
        updated_at: Set(now),
        version: Set(locked.version + 1),
        // What is searched stays as it is.
        search_version: Set(locked.search_version.map(|version| version + 1)),
        ..Default::default()
    }
}

impl Searched for Entity {
    fn folded(feature: Model, _: DbBackend) -> ActiveModel {
        let description = feature.description.unwrap_or_default();
        let Named::<FeatureProperties> { names, .. } = stored::show(feature.properties);
        ActiveModel {
            id: Unchanged(feature.id),
            search_text: Set(Some(folded_lines(&feature.name, &description, &names))),
            search_version: Set(Some(feature.version)),
            ..Default::default()
        }
    }
}

/// How many live jobs of the feature wait, and how many run.
pub async fn unfinished_jobs(db: &impl ConnectionTrait, id: i64) -> Result<(u64, u64), Error> {
    let count = |status: JobStatus| {
        job::Entity::find()
            .filter(job::Column::FeatureId.eq(id))
            .filter(job::Column::Status.eq(status))
            .filter(job::Column::DeletedAt.is_null())
            .count(db)
    };
    let pending = count(JobStatus::Pending).await?;
    Ok((pending, count(JobStatus::Processing).await?))
}

/// Whether no feature was ever made.
pub async fn is_empty(db: &impl ConnectionTrait) -> Result<bool, Error> {
    Ok(Entity::find().limit(1).count(db).await? == 0)
}

/// Those that make this, deleted or not.
pub(super) fn of_category(category: MediaType) -> SelectStatement {
    let features = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Category.eq(category));
    features.into_query()
}

/// Those that users are shown: live and active.
pub(super) fn offered() -> SelectStatement {
    let features = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DeletedAt.is_null())
        .filter(is(Column::IsActive, true));
    features.into_query()
}

/// Features in display order.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let mut query = Entity::find();
    if let Some(category) = filter.category {
        query = query.filter(Column::Category.eq(category));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(is(Column::IsActive, is_active));
    }
    if !filter.text.is_empty() {
        query = query.filter(search::contains(&filter.text, db.get_database_backend()));
    }
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    let list = List {
        name: "features by order_index, id",
        filter,
        query,
        page,
    };
    let sorting = Sorting {
        direction: Order::Asc,
        columns: vec![Column::OrderIndex, Column::Id],
        key: |row: &Model| vec![row.order_index.into(), row.id],
        by_time: false,
    };
    list.sorted(db, sorting).await
}

/// Whether a flag is set or not, as a literal: a plan for any value could not use an index of the rows that have it set.
pub(super) fn is(flag: impl ColumnTrait, set: bool) -> SimpleExpr {
    flag.into_expr()
        .eq(Expr::cust(if set { "TRUE" } else { "FALSE" }))
}
