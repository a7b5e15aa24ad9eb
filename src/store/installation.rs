//! The one row that says which installation the database is.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    domain::{Error, Installation},
    entity::installation::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// Which installation the database is; `None` before it has claimed a storage.
pub async fn find(db: &impl ConnectionTrait) -> Result<Option<Installation>, Error> {
    let found = Entity::find().one(db).await?;
    Ok(found.map(installation_of))
}

/// Makes the database this installation, unless it is one: then that is returned.
pub async fn claim(tx: &Transaction, installation: Installation) -> Result<Installation, Error> {
    Entity::insert(row(&installation))
        .on_conflict(
            OnConflict::column(Column::Singleton)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(find(tx).await?.unwrap_or(installation))
}

/// Makes the database this installation, whatever it was.
pub async fn set(tx: &Transaction, installation: &Installation) -> Result<(), Error> {
    Entity::delete_many().exec(tx).await?;
    Entity::insert(row(installation))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Counts one more look; `None` if the database is another installation by now.
pub async fn advance(db: &impl ConnectionTrait, id: &str) -> Result<Option<Installation>, Error> {
    let advanced = Entity::update_many()
        .col_expr(Column::Counter, Expr::col(Column::Counter).add(1))
        .filter(Column::Id.eq(id))
        .exec_with_returning(db)
        .await?;
    Ok(advanced.into_iter().next().map(installation_of))
}

fn installation_of(Model { id, counter, .. }: Model) -> Installation {
    Installation {
        id,
        counter,
        adopted_at: None,
    }
}

fn row(installation: &Installation) -> ActiveModel {
    ActiveModel {
        singleton: Set(1),
        id: Set(installation.id.clone()),
        counter: Set(installation.counter),
    }
}
