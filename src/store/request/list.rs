//! Which requests a list shows, and in which order.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::SelectStatement,
};
use serde::Serialize;

use crate::{
    domain::{Caller, Error, MediaType, Page, PageToken, RequestStatus, Sealer},
    entity::request::{Column, Entity, Model},
    store::{
        PageRequest,
        feature::{is, of_category},
        page::{List, Sorting, some},
    },
};

use super::scan;

/// Names the list in page tokens.
const LIST: &str = "requests";

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

    pub(super) fn sorting<M>(&self, key: fn(&M) -> Vec<i64>) -> Sorting<Entity, M> {
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
pub(super) fn key_of(by_update: bool, id: i64, updated_at: DateTime<Utc>) -> Vec<i64> {
    match by_update {
        true => vec![updated_at.timestamp_micros(), id],
        false => vec![id],
    }
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
fn narrowed(caller: Caller, filter: &Filter) -> Select<Entity> {
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

/// The requests that the filter names, for what belongs to them: rows that are told only when they are live belong to live
/// requests, which more indexes find.
pub(in crate::store) fn ids(caller: Caller, filter: &Filter) -> SelectStatement {
    let ids = narrowed(caller, filter).select_only().column(Column::Id);
    ids.into_query()
}
