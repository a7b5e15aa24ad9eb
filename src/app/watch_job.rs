use std::collections::VecDeque;

use crate::{
    domain::{Caller, Error},
    entity::job,
    events::Subject,
    store,
};

use super::{
    App,
    follow_job::{JobFollower, JobNews, Pace},
};

/// What a watcher of a job is told.
#[derive(Clone, Debug)]
pub enum JobUpdate {
    News(JobNews),
    /// Nothing happened for a while.
    Heartbeat(job::Model),
}

/// Follows one job to its end; wake-ups tell when to read.
pub struct JobWatch {
    app: App,
    caller: Caller,
    follower: JobFollower,
    ready: VecDeque<JobUpdate>,
    pace: Pace,
    ended: bool,
}

impl App {
    /// Watches a job from the transition after `after_revision` on.
    pub async fn watch_job(
        &self,
        caller: Caller,
        job_id: i64,
        after_revision: i64,
    ) -> Result<JobWatch, Error> {
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch(Subject::Job(job_id));
        let job = store::job::find(self.store.reader(), caller, job_id).await?;
        if after_revision > job.revision {
            return Err(Error::RevisionAhead {
                job_id,
                revision: job.revision,
                after_revision,
            });
        }
        Ok(JobWatch {
            app: self.clone(),
            caller,
            follower: JobFollower::after(job_id, after_revision),
            ready: VecDeque::new(),
            pace: Pace::new(self, watcher),
            ended: false,
        })
    }
}

impl JobWatch {
    /// The next update; `None` after the terminal transition.
    pub async fn next(&mut self) -> Result<Option<JobUpdate>, Error> {
        loop {
            if self.ready.is_empty() && !self.ended {
                self.read().await?;
            }
            if let Some(update) = self.ready.pop_front() {
                self.pace.told(&self.app);
                return Ok(Some(update));
            }
            if self.ended {
                return Ok(None);
            }
            self.pace.wait(&self.app).await?;
        }
    }

    /// Reads what is new; a heartbeat, if nothing is and one is due.
    async fn read(&mut self) -> Result<(), Error> {
        let (news, job) = self.follower.read(&self.app, self.caller).await?;
        self.ready.extend(news.into_iter().map(JobUpdate::News));
        self.ended = job.status.is_terminal() && self.follower.has_read(job.revision);
        if self.ready.is_empty() && !self.ended && self.pace.heartbeat_is_due() {
            self.ready.push_back(JobUpdate::Heartbeat(job));
        }
        Ok(())
    }
}
