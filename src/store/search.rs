//! Text in a filter, compared in the form that [`folded`] gives it.

use sea_orm::{
    DbBackend,
    sea_query::{Expr, SimpleExpr},
};

use crate::domain::folded;

/// Whether the row has the text in what is searched.
pub(super) fn contains(text: &str, backend: DbBackend) -> SimpleExpr {
    let position = match backend {
        DbBackend::Postgres => "strpos(search_text, $1) > 0",
        _ => "instr(search_text, ?) > 0",
    };
    Expr::cust_with_values(position, [folded(text)])
}

/// Whether what is searched is not of the row as it is now.
pub(super) fn is_unfolded(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => "search_version IS DISTINCT FROM version",
        _ => "search_version IS NOT version",
    })
}
