//! Templates, see docs/domain.md#templates: changing them, and lists in several orders. Names and tags are searched in
//! folded form.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, Iterable, Order, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, UpdateMany,
    sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{
        Error, MediaType, Named, Names, Page, Resource, TemplateData, TemplateDraft, folded,
        folded_lines, in_window, is_name, stored,
    },
    entity::{
        TextList, feature,
        template::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction,
    error::is_unique_violation,
    feature::{is, non_empty},
    one_of::one_of_ids,
    page::{List, Sorting, some},
    search::{self, Searched},
    template_version,
};

/// What a list shows; `None` and empty mean all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those of this feature.
    pub feature_id: Option<i64>,
    /// Those of one of these.
    pub feature_ids: Vec<i64>,
    /// Those of features that make this.
    pub category: Option<MediaType>,
    /// The one of each feature that has this name.
    pub name: String,
    /// All of these, folded like those of the template.
    pub tags: Vec<String>,
    /// One of these or more.
    pub any_tags: Vec<String>,
    /// Those that requests may use, or those that they may not.
    pub is_active: Option<bool>,
    /// Those that are trending, or those that are not.
    pub is_trending: Option<bool>,
    /// In what people read of it in any language, folded like it.
    pub text: String,
    /// Deleted ones too.
    pub show_deleted: bool,
}

impl Filter {
    /// Whether it compares what is folded.
    pub fn searches(&self) -> bool {
        !(self.text.is_empty() && self.tags.is_empty() && self.any_tags.is_empty())
    }
}

/// In which order a list shows it.
#[derive(Clone, Copy, Debug)]
pub enum Ranking {
    /// By `order_index`, then `id`.
    Display,
    /// The highest score first, then the most used, then the newest.
    Popularity,
    /// The highest `id` first.
    Newest,
}

/// Adds a checked template. [`Error::TemplateNameTaken`] if a live one of the feature has its name.
pub async fn insert(
    db: &impl ConnectionTrait,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let (feature_id, name) = (draft.feature_id, draft.name.clone());
    let backend = db.get_database_backend();
    let template = ActiveModel {
        search_text: Set(Some(folded_lines(
            &draft.name,
            &draft.description,
            &draft.names,
        ))),
        search_tags: Set(folded_tags(&draft.tags, backend)),
        search_version: Set(Some(1)),
        preview_media_id: Set(draft.preview_media_id),
        id: NotSet,
        feature_id: Set(draft.feature_id),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(draft.names.stored_with(&draft.data)?),
        preview_url: Set(non_empty(draft.preview_url)),
        is_trending: Set(in_window(draft.trend_start, draft.trend_end, now)),
        trend_score: Set(0),
        usage_count: Set(0),
        view_count: Set(0),
        trend_start_date: Set(draft.trend_start),
        trend_end_date: Set(draft.trend_end),
        tags: Set(TextList::for_backend(draft.tags, backend)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: Set(1),
        trend_weight: Set(0.0),
        trend_weighed_at: Set(None),
    };
    let inserted = template.insert(db).await;
    let inserted = inserted.map_err(|error| name_taken(error, feature_id, name))?;
    template_version::keep(db, &inserted).await?;
    Ok(inserted)
}

fn name_taken(error: DbErr, feature_id: i64, name: String) -> Error {
    if is_unique_violation(&error) {
        Error::TemplateNameTaken { feature_id, name }
    } else {
        error.into()
    }
}

/// The template, deleted or not.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    let found = Entity::find_by_id(id).one(db).await?;
    found.ok_or_else(|| Error::not_found(Resource::Template, id))
}

/// Those of the templates, deleted or not, that there are.
pub async fn find_all(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<Model>, Error> {
    let one_of = one_of_ids(db.get_database_backend(), Column::Id, ids);
    Ok(Entity::find().filter(one_of).all(db).await?)
}

/// The template, if it is not deleted.
pub async fn find_live(db: &impl ConnectionTrait, id: i64) -> Result<Model, Error> {
    live(find(db, id).await?)
}

/// The live template with this name, `feature/template`.
pub async fn find_named(db: &impl ConnectionTrait, name: &str) -> Result<Model, Error> {
    let (feature, own) = name.split_once('/').unwrap_or_default();
    let features = feature::Entity::find()
        .select_only()
        .column(feature::Column::Id)
        .filter(feature::Column::DeletedAt.is_null())
        .filter(feature::Column::Name.eq(feature));
    let named = Entity::find()
        .filter(Column::DeletedAt.is_null())
        .filter(Column::FeatureId.in_subquery(features.into_query()))
        .filter(Column::Name.eq(own));
    let can_be = is_name(feature) && is_name(own);
    let found = if can_be { named.one(db).await? } else { None };
    found.ok_or_else(|| Error::not_named(Resource::Template, name))
}

fn live(template: Model) -> Result<Model, Error> {
    if template.deleted_at.is_some() {
        return Err(Error::not_found(Resource::Template, template.id));
    }
    Ok(template)
}

/// The live template, which nobody else changes until the transaction ends.
pub async fn lock(tx: &Transaction, id: i64) -> Result<Model, Error> {
    live(lock_whole(tx, id).await?)
}

/// The template, deleted or not, which nobody else changes until the transaction ends.
pub async fn lock_whole(tx: &Transaction, id: i64) -> Result<Model, Error> {
    // Requests may be made with it meanwhile: their foreign keys only need it to be there.
    let query = Entity::find_by_id(id).lock(LockType::NoKeyUpdate);
    let found = query.one(tx).await?;
    found.ok_or_else(|| Error::not_found(Resource::Template, id))
}

/// Those of the templates that are live and of the feature, by id; nobody else changes them until the transaction ends.
pub async fn lock_live(
    tx: &Transaction,
    feature_id: i64,
    ids: &[i64],
) -> Result<Vec<Model>, Error> {
    let these = one_of_ids(tx.get_database_backend(), Column::Id, ids.iter().copied());
    let templates = Entity::find()
        .filter(these)
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(templates.all(tx).await?)
}

/// Gives a locked template its place.
pub async fn set_order_index(
    tx: &Transaction,
    locked: &Model,
    order_index: i32,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let template = ActiveModel {
        order_index: Set(order_index),
        ..next_version(locked, now)
    };
    Ok(template.update(tx).await?)
}

/// Changes a locked template to what the checked draft says.
pub async fn update(
    tx: &Transaction,
    locked: &Model,
    draft: TemplateDraft,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let is_trending = is_trending(locked, &draft, now);
    let name = draft.name.clone();
    let backend = tx.get_database_backend();
    let template = ActiveModel {
        search_text: Set(Some(folded_lines(
            &draft.name,
            &draft.description,
            &draft.names,
        ))),
        search_tags: Set(folded_tags(&draft.tags, backend)),
        search_version: Set(Some(locked.version + 1)),
        name: Set(draft.name),
        description: Set(non_empty(draft.description)),
        template_data: Set(draft.names.stored_with(&draft.data)?),
        preview_media_id: Set(draft.preview_media_id),
        preview_url: Set(non_empty(draft.preview_url)),
        is_trending: Set(is_trending),
        trend_start_date: Set(draft.trend_start),
        trend_end_date: Set(draft.trend_end),
        tags: Set(TextList::for_backend(draft.tags, backend)),
        is_active: Set(draft.is_active),
        order_index: Set(draft.order_index),
        ..next_version(locked, now)
    };
    let updated = template.update(tx).await;
    let updated = updated.map_err(|error| name_taken(error, locked.feature_id, name))?;
    if updated.template_data != locked.template_data {
        template_version::keep(tx, &updated).await?;
    }
    Ok(updated)
}

/// In its window, or still by the popularity that showed it as trending outside of the window that it had.
fn is_trending(old: &Model, new: &TemplateDraft, now: DateTime<Utc>) -> bool {
    let by_score = old.is_trending && !in_window(old.trend_start_date, old.trend_end_date, now);
    by_score || in_window(new.trend_start, new.trend_end, now)
}

/// Sets a locked template's time of deletion, or takes it away. [`Error::TemplateNameTaken`] if a live one has its name.
pub async fn set_deleted(
    tx: &Transaction,
    locked: &Model,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Model, Error> {
    let template = ActiveModel {
        deleted_at: Set(deleted_at),
        ..next_version(locked, now)
    };
    let updated = template.update(tx).await;
    updated.map_err(|error| name_taken(error, locked.feature_id, locked.name.clone()))
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

fn folded_tags(tags: &[String], backend: DbBackend) -> Option<TextList> {
    TextList::for_backend(folded_each(tags), backend)
}

impl Searched for Entity {
    fn folded(template: Model, backend: DbBackend) -> ActiveModel {
        let description = template.description.unwrap_or_default();
        let Named::<TemplateData> { names, .. } = stored::show(Some(template.template_data));
        let tags = template.tags.as_ref().map_or(&[][..], TextList::items);
        ActiveModel {
            id: Unchanged(template.id),
            search_text: Set(Some(folded_lines(&template.name, &description, &names))),
            search_tags: Set(folded_tags(tags, backend)),
            search_version: Set(Some(template.version)),
            ..Default::default()
        }
    }
}

/// When the last of the feature's deleted templates was deleted.
pub async fn last_deletion(
    db: &impl ConnectionTrait,
    feature_id: i64,
) -> Result<Option<DateTime<Utc>>, Error> {
    let latest = Entity::find()
        .select_only()
        .column_as(Column::DeletedAt.max(), "latest")
        .filter(Column::FeatureId.eq(feature_id))
        .into_tuple::<Option<DateTime<Utc>>>()
        .one(db)
        .await?;
    Ok(latest.flatten())
}

/// The data of a feature's live templates, with their ids.
pub async fn live_data_of_feature(
    db: &impl ConnectionTrait,
    feature_id: i64,
) -> Result<Vec<(i64, serde_json::Value)>, Error> {
    let data = Entity::find()
        .select_only()
        .columns([Column::Id, Column::TemplateData])
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id)
        .into_tuple();
    Ok(data.all(db).await?)
}

/// Deletes the live templates of a feature whose row is locked.
pub async fn delete_of_feature(
    tx: &Transaction,
    feature_id: i64,
    deleted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    lock_of_feature(tx, feature_id).await?;
    let update = next_versions(now)
        .col_expr(Column::DeletedAt, Expr::value(deleted_at))
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.is_null());
    update.exec(tx).await?;
    Ok(())
}

/// Brings back the templates of a locked feature that were deleted at `deleted_at`. [`Error::TemplateNameTaken`] if a live
/// one has the name of one of them.
pub async fn undelete_of_feature(
    tx: &Transaction,
    feature_id: i64,
    deleted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    lock_of_feature(tx, feature_id).await?;
    let live_names = Query::select()
        .column(Column::Name)
        .from(Entity)
        .and_where(Column::FeatureId.eq(feature_id))
        .and_where(Column::DeletedAt.is_null())
        .take();
    let taken = Entity::find()
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.eq(deleted_at))
        .filter(Column::Name.in_subquery(live_names))
        .one(tx)
        .await?;
    if let Some(Model { name, .. }) = taken {
        return Err(Error::TemplateNameTaken { feature_id, name });
    }
    let update = next_versions(now)
        .col_expr(Column::DeletedAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::FeatureId.eq(feature_id))
        .filter(Column::DeletedAt.eq(deleted_at));
    update.exec(tx).await?;
    Ok(())
}

/// Templates are locked in the order of their ids everywhere: that leaves no way into a deadlock.
async fn lock_of_feature(tx: &Transaction, feature_id: i64) -> Result<(), Error> {
    let locked = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::FeatureId.eq(feature_id))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<i64>();
    locked.all(tx).await?;
    Ok(())
}

fn next_versions(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(
            Column::SearchVersion,
            Expr::col(Column::SearchVersion).add(1),
        )
}

/// Templates in this order; of their data only the names, unless it is wanted.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    ranking: Ranking,
    page: &PageRequest,
    with_data: bool,
) -> Result<Page<Model>, Error> {
    let mut list = narrowed(filter, ranking, page, db.get_database_backend());
    if !with_data {
        let told = Column::iter().filter(|column| !matches!(column, Column::TemplateData));
        let columns = list.query.select_only().columns(told);
        let names = names_of_data(db.get_database_backend());
        list.query = columns.expr_as(names, Column::TemplateData);
    }
    list.sorted(db, ranking.sorting()).await
}

/// The data without all but the keys of [`Names`].
fn names_of_data(backend: DbBackend) -> SimpleExpr {
    let entries = Names::KEYS.map(|key| format!("'{key}', template_data->'{key}'"));
    let entries = entries.join(", ");
    Expr::cust(match backend {
        DbBackend::Postgres => format!("jsonb_strip_nulls(jsonb_build_object({entries}))"),
        _ => format!("json_patch('{{}}', json_object({entries}))"),
    })
}

/// The query of [`list`].
pub fn select(
    backend: DbBackend,
    filter: &Filter,
    ranking: Ranking,
    page: &PageRequest,
) -> Result<Select<Entity>, Error> {
    narrowed(filter, ranking, page, backend).select(&ranking.sorting())
}

fn narrowed<'a>(
    filter: &'a Filter,
    ranking: Ranking,
    page: &'a PageRequest,
    backend: DbBackend,
) -> List<'a, Entity, Filter> {
    let query = Entity::find()
        .apply_if(filter.feature_id, |query, id| {
            query.filter(Column::FeatureId.eq(id))
        })
        .apply_if(some(&filter.feature_ids), |query, ids| {
            query.filter(one_of_ids(backend, Column::FeatureId, ids.iter().copied()))
        })
        .apply_if(filter.category, |query, category| {
            query.filter(Column::FeatureId.in_subquery(of_category(category)))
        })
        .apply_if((!filter.name.is_empty()).then_some(()), |query, ()| {
            query.filter(Column::Name.eq(&filter.name))
        })
        .apply_if(filter.is_active, |query, active| {
            query.filter(is(Column::IsActive, active))
        })
        .apply_if(filter.is_trending, |query, trending| {
            query.filter(is(Column::IsTrending, trending))
        })
        .apply_if(some(&filter.tags), |query, tags| {
            query.filter(has_all_tags(tags, backend))
        })
        .apply_if(some(&filter.any_tags), |query, tags| {
            query.filter(has_any_tag(tags, backend))
        })
        .apply_if((!filter.text.is_empty()).then_some(()), |query, ()| {
            query.filter(search::contains(&filter.text, backend))
        })
        .apply_if((!filter.show_deleted).then_some(()), |query, ()| {
            query.filter(Column::DeletedAt.is_null())
        });
    List {
        name: ranking.name(),
        filter,
        query,
        page,
    }
}

/// The features that make this, deleted or not.
fn of_category(category: MediaType) -> SelectStatement {
    let features = feature::Entity::find()
        .select_only()
        .column(feature::Column::Id)
        .filter(feature::Column::Category.eq(category));
    features.into_query()
}

impl Ranking {
    fn name(self) -> &'static str {
        match self {
            Self::Display => "templates by order_index, id",
            Self::Popularity => "templates by trend_score, usage_count, id descending",
            Self::Newest => "templates by id descending",
        }
    }

    fn sorting(self) -> Sorting<Entity> {
        match self {
            Self::Display => Sorting {
                direction: Order::Asc,
                columns: vec![Column::OrderIndex, Column::Id],
                key: |row: &Model| vec![row.order_index.into(), row.id],
                by_time: false,
            },
            Self::Popularity => Sorting {
                direction: Order::Desc,
                columns: vec![Column::TrendScore, Column::UsageCount, Column::Id],
                key: |row: &Model| vec![row.trend_score.into(), row.usage_count.into(), row.id],
                by_time: false,
            },
            Self::Newest => Sorting::newest(Column::Id, |row: &Model| vec![row.id]),
        }
    }
}

/// The array operator that the GIN index serves; SQLite has neither and reads the JSON.
fn has_all_tags(tags: &[String], backend: DbBackend) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        return Expr::cust_with_values("search_tags @> $1", [folded_each(tags)]);
    }
    let none_missing = "NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE wanted.value NOT IN \
                        (SELECT own.value FROM json_each(COALESCE(generation_templates.search_tags, '[]')) AS own))";
    Expr::cust_with_values(none_missing, [json_array(tags)])
}

fn has_any_tag(tags: &[String], backend: DbBackend) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        return Expr::cust_with_values("search_tags && $1", [folded_each(tags)]);
    }
    let one_there = "EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE wanted.value IN \
                     (SELECT own.value FROM json_each(COALESCE(generation_templates.search_tags, '[]')) AS own))";
    Expr::cust_with_values(one_there, [json_array(tags)])
}

fn folded_each(tags: &[String]) -> Vec<String> {
    tags.iter().map(|tag| folded(tag)).collect()
}

fn json_array(tags: &[String]) -> String {
    serde_json::Value::from(folded_each(tags)).to_string()
}
