//! What a client may have told with requests, and how much of it is read at once.

use std::collections::BTreeMap;

use crate::{
    app::{App, Include, Included},
    domain::{Caller, Checks, Error, Flaw, JobCounts, Page, View},
    entity::request,
    store::{self, PageRequest, request::Counted},
};

use crate::rpc::{job, media, page::SLICE, proto};

use super::message::message;

pub(super) fn include_from(values: &[i32], checks: &mut Checks) -> Include {
    let mut include = Include::default();
    for (index, value) in values.iter().enumerate() {
        match proto::RequestInclude::try_from(*value) {
            Ok(proto::RequestInclude::Jobs) => include.jobs = true,
            Ok(proto::RequestInclude::Media) => include.media = true,
            Ok(proto::RequestInclude::Cover) => include.cover = true,
            Ok(proto::RequestInclude::Unspecified) | Err(_) => checks.add(
                format!("include[{index}]"),
                Flaw::NotOneOf
                    .says(format!(
                        "must be JOBS, MEDIA or COVER of RequestInclude, got {value}"
                    ))
                    .found(value),
            ),
        }
    }
    include
}

/// The requests with how their jobs stand.
pub(in crate::rpc) async fn messages(
    app: &App,
    requests: Vec<request::Model>,
    view: View,
) -> Result<Vec<proto::Request>, Error> {
    let counts = store::request::job_counts(app.store.reader(), &requests).await?;
    let requests = requests.into_iter();
    let messages = requests.map(|request| message(app, counted(request, &counts), view));
    Ok(messages.collect())
}

/// A page of requests with what belongs to them. It ends early where they have many jobs.
pub(super) async fn page(
    app: &App,
    (caller, view): (Caller, View),
    filter: &store::request::Filter,
    include: Include,
    asked: PageRequest,
) -> Result<Page<proto::Request>, Error> {
    let db = app.store.reader();
    let mut page = store::request::list(db, caller, filter, &asked).await?;
    let counts = store::request::job_counts(db, &page.items).await?;
    let rows = rows_at_once(include, &page.items, &counts);
    if rows < page.items.len() {
        // Once more, so that the token is that of the last row.
        let size = rows as u64;
        page = store::request::list(db, caller, filter, &PageRequest { size, ..asked }).await?;
    }
    let requests = page.items.into_iter();
    let requests = requests.map(|request| counted(request, &counts)).collect();
    Ok(Page {
        items: messages_with(app, view, requests, include).await?,
        next_page_token: page.next_page_token,
    })
}

/// The requests with what belongs to them.
pub(super) async fn messages_with(
    app: &App,
    view: View,
    requests: Vec<Counted>,
    include: Include,
) -> Result<Vec<proto::Request>, Error> {
    let ids: Vec<i64> = requests.iter().map(|counted| counted.request.id).collect();
    let mut included = app.include(include, &ids).await?;
    let jobs = included.values().flat_map(|included| &included.jobs);
    let outlooks = app.outlooks(jobs).await?;
    let mut messages = Vec::with_capacity(requests.len());
    for counted in requests {
        let Included { jobs, media, cover } =
            included.remove(&counted.request.id).unwrap_or_default();
        let jobs = jobs.into_iter();
        let cover = media::messages(app, Vec::from_iter(cover), view)
            .await?
            .pop();
        messages.push(proto::Request {
            jobs: jobs
                .map(|it| job::told_message(it, &outlooks, view))
                .collect(),
            media: media::messages(app, media, view).await?,
            cover,
            ..message(app, counted, view)
        });
    }
    Ok(messages)
}

/// How many of the requests have few enough jobs together for these, and all that these have made, to be read at once.
fn rows_at_once(
    include: Include,
    requests: &[request::Model],
    counts: &BTreeMap<i64, JobCounts>,
) -> usize {
    if !include.jobs && !include.media {
        return requests.len();
    }
    let ends = requests.iter().scan(0, |end, request| {
        *end += counts
            .get(&request.id)
            .map_or(0, |counts| counts.total() as usize);
        Some(*end)
    });
    ends.take_while(|end| *end <= SLICE).count().max(1)
}

fn counted(request: request::Model, counts: &BTreeMap<i64, JobCounts>) -> Counted {
    let counts = counts.get(&request.id).copied().unwrap_or_default();
    Counted { request, counts }
}
