//! The watch of all jobs of a request, also of those that a retry adds. It resumes from a cursor, since each job counts
//! its own revisions.

use std::collections::{BTreeMap, VecDeque};

use futures::stream::BoxStream;

use crate::{
    app::{
        App,
        job::JobFollower,
        watch::{News, Reading, Watch, Watched},
    },
    domain::{Caller, Error, WatchCursor},
    events::Subject,
    store::{self, job::Standing, request::Counted},
};

/// What a watcher of a request is told.
#[derive(Clone, Debug)]
pub struct RequestUpdate {
    /// What has happened to one of its jobs, or that nothing has.
    pub news: News,
    /// As it is now.
    pub request: Counted,
    /// Where to resume.
    pub cursor: String,
}

struct WatchedRequest {
    /// As it was when it was last read.
    request: Counted,
    followers: BTreeMap<i64, JobFollower>,
    /// Jobs with something to read. One is read at a time, so that a slow reader costs little memory.
    due: VecDeque<i64>,
    /// What has been told, which lags behind what has been read.
    told: WatchCursor,
}

impl App {
    /// Watches all jobs of a request from the transitions after the cursor on, until none of those that count can change any
    /// more.
    pub async fn watch_request(
        &self,
        caller: Caller,
        request_id: i64,
        cursor: WatchCursor,
    ) -> Result<BoxStream<'static, Result<RequestUpdate, Error>>, Error> {
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch(Subject::Request(request_id));
        let db = self.store.reader();
        let request = store::request::find(db, caller, request_id).await?;
        for job in store::job::standings(db, request_id).await? {
            check_reached(&job, cursor.revision(job.id))?;
        }
        let watched = WatchedRequest {
            request: store::request::count(db, request).await?,
            followers: BTreeMap::new(),
            due: VecDeque::new(),
            told: cursor,
        };
        Ok(Watch::new(self, caller, watcher, watched).updates())
    }
}

fn check_reached(job: &Standing, told: i64) -> Result<(), Error> {
    if told <= job.revision {
        return Ok(());
    }
    Err(Error::RevisionAhead {
        job_id: job.id,
        revision: job.revision,
        after_revision: told,
    })
}

impl Watched for WatchedRequest {
    type Update = RequestUpdate;

    /// Reads the next job that has something new.
    async fn read(&mut self, app: &App, caller: Caller) -> Result<Reading, Error> {
        if self.due.is_empty() && self.look(app).await? {
            return Ok(Reading {
                news: Vec::new(),
                ended: true,
            });
        }
        while let Some(job_id) = self.due.pop_front() {
            let news = self.read_job(app, caller, job_id).await?;
            if !news.is_empty() {
                return Ok(Reading { news, ended: false });
            }
        }
        Ok(Reading::default())
    }

    async fn refresh(&mut self, app: &App, caller: Caller) -> Result<(), Error> {
        let db = app.store.reader();
        let request = store::request::find(db, caller, self.request.request.id).await?;
        self.request = store::request::count(db, request).await?;
        Ok(())
    }

    fn update(&mut self, news: News) -> Result<RequestUpdate, Error> {
        if let News::Transition { job, .. } = &news {
            self.told.advance(job.id, job.revision);
        }
        Ok(RequestUpdate {
            news,
            request: self.request.clone(),
            cursor: self.told.encode(self.request.request.id)?,
        })
    }
}

impl WatchedRequest {
    /// Finds out which jobs there are and which have something to read; and whether the last word is spoken.
    async fn look(&mut self, app: &App) -> Result<bool, Error> {
        let request_id = self.request.request.id;
        let jobs = store::job::standings(app.store.reader(), request_id).await?;
        for job in &jobs {
            let told = self.told.revision(job.id);
            let follower = self.followers.entry(job.id);
            let follower = follower.or_insert_with(|| JobFollower::after(job.id, told));
            if follower.is_behind(job) {
                self.due.push_back(job.id);
            }
        }
        Ok(self.due.is_empty() && !jobs.iter().any(Standing::is_open))
    }

    async fn read_job(
        &mut self,
        app: &App,
        caller: Caller,
        job_id: i64,
    ) -> Result<Vec<News>, Error> {
        let Some(follower) = self.followers.get_mut(&job_id) else {
            return Ok(Vec::new());
        };
        let (news, job) = follower.read(app, caller).await?;
        if !follower.has_read(job.revision) {
            self.due.push_back(job_id);
        }
        Ok(news)
    }
}
