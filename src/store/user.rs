use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};

use crate::{
    domain::Error,
    entity::user::{ActiveModel, Column, Entity},
};

/// Adds the user unless it is there.
pub async fn provision(db: &impl ConnectionTrait, id: i64) -> Result<(), Error> {
    Entity::insert(ActiveModel { id: Set(id) })
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}
