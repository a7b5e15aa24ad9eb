//! The watch of one job, which resumes after a revision, see docs/domain.md#attempts.

use futures::stream::BoxStream;

use crate::{
    app::{
        App,
        watch::{News, Reading, Watch, Watched},
    },
    domain::{Caller, Error},
    entity::job,
    events::Subject,
    store,
};

use super::JobFollower;

/// What a watcher of a job is told.
#[derive(Clone, Debug)]
pub struct JobUpdate {
    /// What has happened.
    pub news: News,
    /// As it is now.
    pub job: job::Model,
    /// Revision to resume after.
    pub revision: i64,
}

struct WatchedJob {
    follower: JobFollower,
    /// As it was when it was last read.
    job: job::Model,
    /// Revision of the last transition told, which lags behind what has been read.
    told: i64,
}

impl App {
    /// Watches a job from the transition after `after_revision` on, to the terminal one.
    pub async fn watch_job(
        &self,
        caller: Caller,
        job_id: i64,
        after_revision: i64,
    ) -> Result<BoxStream<'static, Result<JobUpdate, Error>>, Error> {
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
        let watched = WatchedJob {
            follower: JobFollower::after(job_id, after_revision),
            job,
            told: after_revision,
        };
        Ok(Watch::new(self, caller, watcher, watched).updates())
    }
}

impl Watched for WatchedJob {
    type Update = JobUpdate;

    async fn read(&mut self, app: &App, caller: Caller) -> Result<Reading, Error> {
        let (news, job) = self.follower.read(app, caller).await?;
        let ended = job.status.is_terminal() && self.follower.has_read(job.revision);
        self.job = job;
        Ok(Reading { news, ended })
    }

    /// It was read with the news.
    async fn refresh(&mut self, _: &App, _: Caller) -> Result<(), Error> {
        Ok(())
    }

    fn update(&mut self, news: News) -> Result<JobUpdate, Error> {
        if let News::Transition { job, .. } = &news {
            self.told = job.revision;
        }
        Ok(JobUpdate {
            news,
            job: self.job.clone(),
            revision: self.told,
        })
    }
}
