//! One page of any list. It begins after the sort key of the last row before, so that rows that come or go meanwhile
//! shift nothing.

use chrono::DateTime;
use sea_orm::{
    ConnectionTrait, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};
use serde::Serialize;

use crate::domain::{Error, Page, PageToken, Sealer};

/// Which page of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Rows, 1 to 1,000.
    pub size: u64,
    /// Empty for the first page.
    pub token: String,
    /// Opens it, and seals the next one.
    pub sealer: Sealer,
}

/// A list, its filter, and how its rows are told apart.
pub(super) struct List<'a, E: EntityTrait, F> {
    /// Names the list and its order in page tokens.
    pub(super) name: &'static str,
    pub(super) filter: &'a F,
    pub(super) query: Select<E>,
    pub(super) page: &'a PageRequest,
}

/// An order of rows that are read as `M`: by columns of whole numbers, the first being the most significant and the last
/// unique.
pub(super) struct Sorting<E: EntityTrait, M = <E as EntityTrait>::Model> {
    /// Of all columns alike, so that the rows after a key are those whose columns compare to it as a whole.
    pub(super) direction: Order,
    pub(super) columns: Vec<E::Column>,
    /// The values of the columns.
    pub(super) key: fn(&M) -> Vec<i64>,
    /// Whether the first column is a time, of which the key has the microseconds.
    pub(super) by_time: bool,
}

impl<E: EntityTrait, F: Serialize> List<'_, E, F> {
    /// The page in this order.
    pub(super) async fn sorted<M: FromQueryResult>(
        self,
        db: &impl ConnectionTrait,
        sorting: Sorting<E, M>,
    ) -> Result<Page<M>, Error> {
        let token = self.token()?;
        let rows = self.select(&sorting)?.into_model().all(db).await?;
        self.page.finish(rows, &token, sorting.key)
    }

    /// Makes and reads the list's tokens.
    pub(super) fn token(&self) -> Result<PageToken, Error> {
        PageToken::of(self.name, self.filter, &self.page.sealer)
    }

    /// What finds the rows of the page, and one more if there is one.
    pub(super) fn select<M>(&self, sorting: &Sorting<E, M>) -> Result<Select<E>, Error> {
        let token = self.token()?;
        let mut query = self.query.clone();
        if let Some(last) = token.decode::<Vec<i64>>(&self.page.token)? {
            query = query.filter(sorting.after(&last)?);
        }
        for column in &sorting.columns {
            query = query.order_by(*column, sorting.direction.clone());
        }
        Ok(query.limit(self.page.limit()))
    }
}

impl<E: EntityTrait, M> Sorting<E, M> {
    /// By a number that counts up, such as an id.
    pub(super) fn by(column: E::Column, direction: Order, key: fn(&M) -> Vec<i64>) -> Self {
        Self {
            direction,
            columns: vec![column],
            key,
            by_time: false,
        }
    }

    /// By an id, the highest first.
    pub(super) fn newest(id: E::Column, key: fn(&M) -> Vec<i64>) -> Self {
        Self::by(id, Order::Desc, key)
    }

    /// Whether a row comes after the one with this key.
    fn after(&self, key: &[i64]) -> Result<SimpleExpr, Error> {
        if key.len() != self.columns.len() {
            return Err(Error::InvalidPageToken);
        }
        let table = |column: &E::Column| Expr::col((E::default(), *column));
        let row = Expr::tuple(self.columns.iter().map(table));
        let mut values: Vec<SimpleExpr> = key.iter().map(|value| Expr::val(*value)).collect();
        if let (true, Some(micros)) = (self.by_time, key.first()) {
            let time = DateTime::from_timestamp_micros(*micros).ok_or(Error::InvalidPageToken)?;
            values[0] = Expr::val(time);
        }
        let key = Expr::tuple(values);
        Ok(match self.direction {
            Order::Desc => row.lt(key),
            _ => row.gt(key),
        })
    }
}

impl PageRequest {
    /// How many rows to ask for: one more tells whether a page follows.
    fn limit(&self) -> u64 {
        self.size + 1
    }

    /// Makes a page of the rows found, with a token of the last row's sort key if more follow.
    pub(super) fn finish<T, K: Serialize>(
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

/// What a filter names several of; none means all.
pub(super) fn some<T>(several: &[T]) -> Option<&[T]> {
    (!several.is_empty()).then_some(several)
}
