use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;

use crate::domain::{Error, Page, PageToken};

/// Which page of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Rows, 1 to 1,000.
    pub size: u64,
    /// Empty for the first page.
    pub token: String,
}

/// A list, its filter, and how its rows are told apart.
pub(super) struct List<'a, E: EntityTrait, F> {
    /// Names the list and its order in page tokens.
    pub(super) name: &'static str,
    pub(super) filter: &'a F,
    pub(super) query: Select<E>,
    pub(super) page: &'a PageRequest,
}

impl<E: EntityTrait, F: Serialize> List<'_, E, F> {
    /// The page in descending order of id.
    pub(super) async fn newest_first(
        self,
        db: &impl ConnectionTrait,
        id_column: E::Column,
        id: impl Fn(&E::Model) -> i64,
    ) -> Result<Page<E::Model>, Error> {
        let token = PageToken::of(self.name, self.filter)?;
        let mut query = self.query;
        if let Some(last) = token.decode::<i64>(&self.page.token)? {
            query = query.filter(id_column.lt(last));
        }
        let rows = query
            .order_by_desc(id_column)
            .limit(self.page.limit())
            .all(db)
            .await?;
        self.page.finish(rows, &token, id)
    }

    /// The page in ascending order of a number that counts up.
    pub(super) async fn oldest_first(
        self,
        db: &impl ConnectionTrait,
        column: E::Column,
        number: impl Fn(&E::Model) -> i64,
    ) -> Result<Page<E::Model>, Error> {
        let token = PageToken::of(self.name, self.filter)?;
        let mut query = self.query;
        if let Some(last) = token.decode::<i64>(&self.page.token)? {
            query = query.filter(column.gt(last));
        }
        let ordered = query.order_by_asc(column);
        let rows = ordered.limit(self.page.limit()).all(db).await?;
        self.page.finish(rows, &token, number)
    }

    /// The page in order of `order_index`, then of id.
    pub(super) async fn in_display_order(
        self,
        db: &impl ConnectionTrait,
        (order_column, id_column): (E::Column, E::Column),
        key: impl Fn(&E::Model) -> (i32, i64),
    ) -> Result<Page<E::Model>, Error> {
        let token = PageToken::of(self.name, self.filter)?;
        let mut query = self.query;
        if let Some((order_index, id)) = token.decode::<(i32, i64)>(&self.page.token)? {
            let columns = Expr::tuple([Expr::col(order_column), Expr::col(id_column)]);
            query = query.filter(columns.gt(Expr::tuple([Expr::val(order_index), Expr::val(id)])));
        }
        let ordered = query.order_by_asc(order_column).order_by_asc(id_column);
        let rows = ordered.limit(self.page.limit()).all(db).await?;
        self.page.finish(rows, &token, key)
    }
}

impl PageRequest {
    /// How many rows to ask for: one more tells whether a page follows.
    fn limit(&self) -> u64 {
        self.size + 1
    }

    /// Makes a page of the rows found, with a token of the last row's sort key if more follow.
    fn finish<T, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        token: &PageToken,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>, Error> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = match rows.last() {
            Some(last) if more => token.encode(&key(last))?,
            _ => String::new(),
        };
        Ok(Page {
            items: rows,
            next_page_token,
        })
    }
}
