//! Lists of templates in several orders. Names and tags are searched in folded form.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Iterable, Order, QueryFilter,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, SimpleExpr},
};
use serde::Serialize;

use crate::{
    domain::{Error, MediaType, Names, Page, folded},
    entity::template::{Column, Entity, Model},
};

use crate::store::{
    PageRequest,
    feature::{is, of_category, offered},
    one_of::one_of_ids,
    page::{List, Sorting, some},
    search,
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
    /// Those of features that users are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_offered: bool,
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
        .apply_if(filter.of_offered.then_some(()), |query, ()| {
            query.filter(Column::FeatureId.in_subquery(offered()))
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

pub(super) fn folded_each(tags: &[String]) -> Vec<String> {
    tags.iter().map(|tag| folded(tag)).collect()
}

fn json_array(tags: &[String]) -> String {
    serde_json::Value::from(folded_each(tags)).to_string()
}
