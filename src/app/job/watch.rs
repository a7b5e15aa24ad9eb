//! The watch of one job, which resumes after a revision, see docs/domain.md#attempts.

use crate::{
    app::{
        App, NewsStream,
        watch::{Following, Look, Reader, Watch, Watched, Whole},
    },
    domain::{Caller, Error, Resource, WatchCursor},
    events::Subject,
    store,
};

struct WatchedJob(i64);

impl App {
    /// Watches a job from the transition after `after_revision` on, to the terminal one.
    pub async fn watch_job(
        &self,
        caller: Caller,
        job_id: i64,
        after_revision: i64,
    ) -> Result<NewsStream, Error> {
        // Before the first read, so that no change falls between the two.
        let watcher = self.events.watch([Subject::Job(job_id)]);
        let job = store::job::find(self.store.reader(), caller, job_id).await?;
        if after_revision > job.revision {
            return Err(Error::RevisionAhead {
                job_id,
                revision: job.revision,
                after_revision,
            });
        }
        let mut told = WatchCursor::default();
        told.advance(job_id, after_revision);
        let following = Following::new(watcher, told);
        Ok(Watch::new(self, caller, WatchedJob(job_id), following).news())
    }
}

impl Watched for WatchedJob {
    async fn look(&mut self, reader: Reader<'_>, following: &mut Following) -> Result<Look, Error> {
        let standings = reader.standings(&[self.0]).await?;
        let [job] = standings.as_slice() else {
            return Err(Error::not_found(Resource::Job, self.0));
        };
        following.note(reader, &standings).await;
        let ended = !following.is_due() && job.status.is_terminal();
        let deleted = ended && job.deleted_at.is_some();
        Ok(Look {
            deleted: deleted.then_some(job.request_id).into_iter().collect(),
            ended,
        })
    }

    fn whole(&self) -> Whole {
        Whole::Job(self.0)
    }

    fn cursor(&self, _: &Following) -> Result<String, Error> {
        Ok(String::new())
    }
}
