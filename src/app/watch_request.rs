use std::collections::{BTreeMap, VecDeque};

use crate::{
    domain::{Caller, Error, WatchCursor},
    events::Subject,
    store::{self, job::Standing, request::Counted},
};

use super::{
    App,
    follow_job::{JobFollower, JobNews, Pace},
};

/// What a watcher of a request is told.
#[derive(Clone, Debug)]
pub struct RequestUpdate {
    /// `None`: nothing happened for a while.
    pub news: Option<JobNews>,
    /// As it is now.
    pub request: Counted,
    /// Where to resume after this update.
    pub cursor: String,
}

/// Follows all jobs of a request until none of those that count can change any more; wake-ups tell when to read.
pub struct RequestWatch {
    app: App,
    caller: Caller,
    request_id: i64,
    followers: BTreeMap<i64, JobFollower>,
    /// Jobs with something to read. One is read at a time, so that a slow reader costs little memory.
    due: VecDeque<i64>,
    ready: VecDeque<Option<JobNews>>,
    /// What has been told, which lags behind what has been read.
    told: WatchCursor,
    /// Read after what is ready, so that it is not older.
    request: Option<Counted>,
    pace: Pace,
    ended: bool,
}

impl App {
    /// Watches all jobs of a request from the transitions after the cursor on.
    pub async fn watch_request(
        &self,
        caller: Caller,
        request_id: i64,
        cursor: WatchCursor,
    ) -> Result<RequestWatch, Error> {
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch(Subject::Request(request_id));
        let db = self.store.reader();
        store::request::find(db, caller, request_id).await?;
        for job in store::job::standings(db, request_id).await? {
            check_reached(&job, cursor.revision(job.id))?;
        }
        Ok(RequestWatch {
            app: self.clone(),
            caller,
            request_id,
            followers: BTreeMap::new(),
            due: VecDeque::new(),
            ready: VecDeque::new(),
            told: cursor,
            request: None,
            pace: Pace::new(self, watcher),
            ended: false,
        })
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

impl RequestWatch {
    /// The next update; `None` after the last transition of the jobs that count.
    pub async fn next(&mut self) -> Result<Option<RequestUpdate>, Error> {
        loop {
            if self.ready.is_empty() && !self.ended {
                self.read().await?;
            }
            if let Some(news) = self.ready.pop_front() {
                self.pace.told(&self.app);
                return self.update(news).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            self.pace.wait(&self.app).await?;
        }
    }

    fn update(&mut self, news: Option<JobNews>) -> Result<RequestUpdate, Error> {
        if let Some(JobNews::Transition { job, .. }) = &news {
            self.told.advance(job.id, job.revision);
        }
        let request = self
            .request
            .clone()
            .ok_or_else(|| Error::internal("there is news of a request that was not read"))?;
        Ok(RequestUpdate {
            news,
            request,
            cursor: self.told.encode(self.request_id)?,
        })
    }

    /// Reads what is new of the next job that has something; a heartbeat, if none has and one is due.
    async fn read(&mut self) -> Result<(), Error> {
        if self.due.is_empty() {
            self.look().await?;
        }
        while self.ready.is_empty()
            && let Some(job_id) = self.due.pop_front()
        {
            self.read_job(job_id).await?;
        }
        if !self.ready.is_empty() {
            let db = self.app.store.reader();
            let request = store::request::find(db, self.caller, self.request_id).await?;
            self.request = Some(store::request::count(db, request).await?);
        }
        Ok(())
    }

    /// Finds out which jobs there are, which have something to read, and whether the last word is spoken.
    async fn look(&mut self) -> Result<(), Error> {
        let jobs = store::job::standings(self.app.store.reader(), self.request_id).await?;
        for job in &jobs {
            let told = self.told.revision(job.id);
            let follower = self.followers.entry(job.id);
            let follower = follower.or_insert_with(|| JobFollower::after(job.id, told));
            if follower.is_behind(job) {
                self.due.push_back(job.id);
            }
        }
        self.ended = self.due.is_empty() && !jobs.iter().any(Standing::is_open);
        if self.due.is_empty() && !self.ended && self.pace.heartbeat_is_due() {
            self.ready.push_back(None);
        }
        Ok(())
    }

    async fn read_job(&mut self, job_id: i64) -> Result<(), Error> {
        let Some(follower) = self.followers.get_mut(&job_id) else {
            return Ok(());
        };
        let (news, job) = follower.read(&self.app, self.caller).await?;
        if !follower.has_read(job.revision) {
            self.due.push_back(job_id);
        }
        self.ready.extend(news.into_iter().map(Some));
        Ok(())
    }
}
