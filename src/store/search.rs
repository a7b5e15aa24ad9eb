//! Text in a filter.

use sea_orm::{ColumnTrait, Condition, DbBackend, sea_query::Expr};

const ESCAPE: char = '!';

/// Whether one of the columns has the text in it, whatever the case: that of all letters that its locale knows on
/// PostgreSQL, that of A to Z on SQLite.
pub(super) fn contains<C: ColumnTrait>(columns: &[C], text: &str, backend: DbBackend) -> Condition {
    // The query builder puts the pattern and its ESCAPE into parentheses after ILIKE, which is no SQL.
    let template = match backend {
        DbBackend::Postgres => "$1 ILIKE $2 ESCAPE '!'",
        _ => "? LIKE ? ESCAPE '!'",
    };
    let pattern = pattern(text);
    columns
        .iter()
        .map(|column| Expr::cust_with_exprs(template, [column.into_expr(), Expr::val(&pattern)]))
        .fold(Condition::any(), Condition::add)
}

/// The text anywhere, its own wildcards standing for themselves.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_themselves() {
        assert_eq!(pattern("50%_!x"), "%50!%!_!!x%");
    }
}
