//! The watch of all jobs of requests, also of those that a retry adds. It resumes from a cursor, since each job counts its
//! own revisions.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    app::{
        App, NewsStream,
        watch::{Following, Look, News, Reader, Watch, Watched, Whole},
    },
    domain::{Caller, CursorOf, Error, Sealer, WatchCursor},
    events::Subject,
    store::{self, job::Standing},
};

struct WatchedRequests {
    ids: BTreeSet<i64>,
    cursor_of: CursorOf,
    sealer: Sealer,
}

impl App {
    /// Watches all jobs of a request from the transitions after the cursor on, until none of those that count can change any
    /// more.
    pub async fn watch_request(
        &self,
        caller: Caller,
        request_id: i64,
        cursor: WatchCursor,
    ) -> Result<NewsStream, Error> {
        let watched = WatchedRequests {
            ids: BTreeSet::from([request_id]),
            cursor_of: CursorOf::Request(request_id),
            sealer: self.sealer(caller),
        };
        self.watch(caller, watched, cursor).await
    }

    /// Watches all jobs of several requests, as each is watched, until none of those that count can change any more.
    pub async fn watch_requests(
        &self,
        caller: Caller,
        ids: BTreeSet<i64>,
        cursor: WatchCursor,
    ) -> Result<NewsStream, Error> {
        let watched = WatchedRequests {
            cursor_of: CursorOf::Requests(ids.clone()),
            ids,
            sealer: self.sealer(caller),
        };
        self.watch(caller, watched, cursor).await
    }

    async fn watch(
        &self,
        caller: Caller,
        watched: WatchedRequests,
        cursor: WatchCursor,
    ) -> Result<NewsStream, Error> {
        let (db, ids) = (self.store.reader(), &watched.ids);
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch(ids.iter().copied().map(Subject::Request));
        store::request::require_all(db, caller, ids).await?;
        let standings = store::job::standings_of_requests(db, ids.iter().copied()).await?;
        let following = Following::new(watcher, cursor);
        following.check_reached(&standings)?;
        let requests = store::request::counted(db, caller, ids.clone()).await?;
        let purged = requests.into_values();
        let purged = purged.filter(|counted| counted.request.purged_jobs > 0);
        let purged: Vec<News> = purged.map(|it| News::of_purged(Arc::new(it))).collect();
        let watch = Watch::new(self, caller, watched, following);
        Ok(watch.beginning_with(purged).news())
    }
}

impl Watched for WatchedRequests {
    async fn look(&mut self, reader: Reader<'_>, following: &mut Following) -> Result<Look, Error> {
        let jobs = reader.standings_of_requests(&self.ids).await?;
        let deleted = following.note(reader, &jobs).await;
        Ok(Look {
            deleted,
            ended: !following.is_due() && !jobs.iter().any(Standing::is_open),
        })
    }

    fn whole(&self) -> Whole {
        match &self.cursor_of {
            CursorOf::Request(id) => Whole::Request(*id),
            CursorOf::Requests(_) | CursorOf::User(_) => Whole::Many,
        }
    }

    fn cursor(&self, following: &Following) -> Result<String, Error> {
        following.told.encode(&self.cursor_of, &self.sealer)
    }
}
