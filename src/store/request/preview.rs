//! Requests that only try a template.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    domain::Error,
    entity::request::{Column, Entity},
    store::feature::is,
};

/// Those that only try a template.
fn previews() -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is(Column::IsPreview, true))
}

/// Whether a job or a media with this column belongs to no preview. The few that there are found once.
pub(in crate::store) fn of_no_preview(request_id: impl ColumnTrait) -> SimpleExpr {
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
