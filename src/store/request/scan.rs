//! Requests by what no index finds. A page looks at a bounded number of rows, so it may be short and not the last.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DbBackend, FromQueryResult, QuerySelect,
    sea_query::{CaseStatement, Condition, Expr, ExprTrait, SimpleExpr},
};

use crate::{
    domain::{Caller, Error, Page, folded},
    entity::request::{Column, Entity, Model},
    store::{PageRequest, page::List},
};

use super::{
    find_all,
    list::{Filter, key_of},
};

/// Most rows that one page looks at.
const MOST: u64 = 500;

/// What is looked at.
#[derive(FromQueryResult)]
struct Glance {
    id: i64,
    updated_at: DateTime<Utc>,
    user_prompt: String,
    fits: i32,
}

/// The page of those among the next rows that fit.
pub(super) async fn page(
    db: &impl ConnectionTrait,
    caller: Caller,
    list: List<'_, Entity, Filter>,
) -> Result<Page<Model>, Error> {
    let (token, filter, page) = (list.token()?, list.filter, list.page);
    let glances = glances(db, list).await?;
    let mut next_page_token = glances.next_page_token;
    let wanted = folded(&filter.text);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let mut ids = Vec::new();
    let mut rows = glances.items.into_iter().peekable();
    while let Some(row) = rows.next() {
        if row.fits == 1 && folded(&row.user_prompt).contains(&wanted) {
            ids.push(row.id);
        }
        if ids.len() == size && rows.peek().is_some() {
            let key = key_of(filter.by_update, row.id, row.updated_at);
            next_page_token = token.encode(&key)?;
            break;
        }
    }
    let found = find_all(db, caller, ids.iter().copied()).await?;
    let mut found: BTreeMap<i64, Model> = found.into_iter().map(|row| (row.id, row)).collect();
    Ok(Page {
        items: ids.iter().filter_map(|id| found.remove(id)).collect(),
        next_page_token,
    })
}

async fn glances(
    db: &impl ConnectionTrait,
    list: List<'_, Entity, Filter>,
) -> Result<Page<Glance>, Error> {
    let filter = list.filter;
    let prompt = match filter.text.is_empty() {
        true => Expr::val(""),
        false => Expr::col((Entity, Column::UserPrompt)),
    };
    let fits = CaseStatement::new().case(conditions(filter, db.get_database_backend()), 1);
    let query = list.query.select_only();
    let query = query.columns([Column::Id, Column::UpdatedAt]);
    let glances = List {
        query: query
            .expr_as(prompt, "user_prompt")
            .expr_as(fits.finally(0), "fits"),
        page: &PageRequest {
            size: MOST,
            ..list.page.clone()
        },
        ..list
    };
    let key: fn(&Glance) -> Vec<i64> = match filter.by_update {
        true => |row| key_of(true, row.id, row.updated_at),
        false => |row| key_of(false, row.id, row.updated_at),
    };
    glances.sorted(db, filter.sorting(key)).await
}

fn conditions(filter: &Filter, backend: DbBackend) -> Condition {
    let metadata = filter.metadata.as_ref();
    let metadata = metadata.map(|(key, text)| has_metadata(key, text, backend));
    let failed = filter.has_failed_jobs.map(|failed| match failed {
        true => has_failed_jobs(),
        false => has_failed_jobs().not(),
    });
    Condition::all()
        .add(Expr::cust("1 = 1"))
        .add_option(metadata)
        .add_option(failed)
}

fn has_metadata(key: &str, text: &str, backend: DbBackend) -> SimpleExpr {
    let has = match backend {
        DbBackend::Postgres => "generation_requests.metadata -> $1 = to_jsonb(CAST($2 AS text))",
        _ => {
            "EXISTS (SELECT 1 FROM json_each(generation_requests.metadata) AS entry
             WHERE entry.key = ? AND entry.type = 'text' AND entry.value = ?)"
        }
    };
    Expr::cust_with_values(has, [key, text])
}

/// NOT and DISTINCT keep SQLite from its index of deletions, by which it would read all that is live.
fn has_failed_jobs() -> SimpleExpr {
    Expr::cust(
        "(generation_requests.purged_failed > 0 OR EXISTS (SELECT 1 FROM generation_jobs AS job
         WHERE job.request_id = generation_requests.id AND job.status = 'failed' AND job.superseded_by IS NULL
             AND NOT (job.deleted_at IS DISTINCT FROM generation_requests.deleted_at)))",
    )
}
