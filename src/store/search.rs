//! Text in a filter, compared in the form that [`folded`] gives it. What this program writes is folded with it; rows that an
//! older one wrote are folded before a search.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, Order,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType, SimpleExpr},
};

use crate::domain::{Error, folded};

use super::Transaction;

/// A table that is searched.
pub trait Searched:
    EntityTrait<Model: IntoActiveModel<Self::ActiveModel> + Send + Sync, ActiveModel: Send>
{
    /// The columns of a row that a search compares, with the version that they are of.
    fn folded(row: Self::Model, backend: DbBackend) -> Self::ActiveModel;
}

/// Whether the row has the text in what is searched.
pub(super) fn contains(text: &str, backend: DbBackend) -> SimpleExpr {
    let position = match backend {
        DbBackend::Postgres => "strpos(search_text, $1) > 0",
        _ => "instr(search_text, ?) > 0",
    };
    Expr::cust_with_values(position, [folded(text)])
}

/// Whether there is a row of which a search would not know what it compares.
pub async fn is_any_unfolded<E: Searched>(db: &impl ConnectionTrait) -> Result<bool, Error> {
    // Asked for the first one, PostgreSQL would expect to find it soon, and walk over the whole table without its index.
    let unfolded = E::find().filter(is_unfolded(db.get_database_backend()));
    Ok(unfolded.count(db).await? > 0)
}

/// Folds so many of them.
pub async fn fold<E: Searched>(tx: &Transaction, most: u64) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let unfolded = E::find()
        .filter(is_unfolded(backend))
        .order_by(Expr::col("id"), Order::Asc)
        .limit(most)
        .lock(LockType::NoKeyUpdate);
    for row in unfolded.all(tx).await? {
        E::folded(row, backend).update(tx).await?;
    }
    Ok(())
}

/// Whether what is searched is not of the row as it is now.
fn is_unfolded(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => "search_version IS DISTINCT FROM version",
        _ => "search_version IS NOT version",
    })
}
