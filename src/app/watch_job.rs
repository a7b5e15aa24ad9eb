use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    domain::{Caller, Error, job::EventDetail},
    entity::{JobStatus, job, job_event, media},
    events::Watcher,
    store,
};

use super::App;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum JobUpdate {
    /// The job as it was right after a transition; with its media, if it was completed.
    Transition {
        job: job::Model,
        media: Vec<media::Model>,
    },
    /// The job came forward within its status.
    Progress(job::Model),
    /// Nothing happened for a while.
    Heartbeat(job::Model),
}

/// What is told of an attempt that runs: how far it is, what it does, what there is to see.
type Progress = (f64, Option<String>, Option<String>);

/// Follows one job: every transition in order and once each, progress in between.
///
/// It reads from the event table, and wake-ups tell it when: so nothing is lost, whichever replica runs the job, and a
/// slow reader costs no memory.
pub struct JobWatch {
    app: App,
    caller: Caller,
    job_id: i64,
    /// Revision of the last transition read.
    revision: i64,
    ready: VecDeque<JobUpdate>,
    progress: Progress,
    watcher: Watcher,
    heartbeat_at: Instant,
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
        let watcher = self.events.watch(job_id);
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
            job_id,
            revision: after_revision,
            ready: VecDeque::new(),
            progress: Progress::default(),
            watcher,
            heartbeat_at: Instant::now() + self.settings.watch_heartbeat,
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
                self.heartbeat_at = Instant::now() + self.app.settings.watch_heartbeat;
                return Ok(Some(update));
            }
            if self.ended {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let db = self.app.store.reader();
        let events = store::job_event::after(db, self.job_id, self.revision).await?;
        let job = store::job::find(db, self.caller, self.job_id).await?;
        for event in events {
            self.push_transition(&job, event).await?;
        }
        if self.revision == job.revision {
            self.ended = job.status.is_terminal();
            self.push_interim(job);
        }
        Ok(())
    }

    async fn push_transition(
        &mut self,
        job: &job::Model,
        event: job_event::Model,
    ) -> Result<(), Error> {
        self.revision = event.revision;
        self.progress = Progress::default();
        let media = match event.status {
            JobStatus::Completed => {
                store::media::of_job(self.app.store.reader(), self.job_id).await?
            }
            _ => Vec::new(),
        };
        let mut job = if event.revision == job.revision {
            job.clone()
        } else {
            as_of(job, event)?
        };
        if job.status == JobStatus::Processing {
            // What has come since is progress, and told as such.
            (job.progress, job.progress_message, job.progress_preview) = (0.0, None, None);
        }
        self.ready.push_back(JobUpdate::Transition { job, media });
        Ok(())
    }

    /// Progress if there is any, else a heartbeat if one is due.
    fn push_interim(&mut self, job: job::Model) {
        let progress = (
            job.progress,
            job.progress_message.clone(),
            job.progress_preview.clone(),
        );
        if job.status == JobStatus::Processing && progress != self.progress {
            self.progress = progress;
            self.ready.push_back(JobUpdate::Progress(job));
        } else if self.ready.is_empty() && !self.ended && Instant::now() >= self.heartbeat_at {
            self.ready.push_back(JobUpdate::Heartbeat(job));
        }
    }

    /// Waits for a wake-up, or until it is time to look anyway.
    async fn wait(&mut self) -> Result<(), Error> {
        let poll_at = Instant::now() + self.app.settings.watch_poll.max(Duration::from_millis(10));
        tokio::select! {
            () = self.app.stopping.cancelled() => Err(Error::ShuttingDown),
            () = self.watcher.changed() => Ok(()),
            () = sleep_until(poll_at.min(self.heartbeat_at)) => Ok(()),
        }
    }
}

/// The job as it was right after an earlier transition, as far as the events tell.
fn as_of(job: &job::Model, event: job_event::Model) -> Result<job::Model, Error> {
    let detail: EventDetail = event
        .detail
        .map_or_else(|| Ok(EventDetail::default()), serde_json::from_value)
        .map_err(Error::internal)?;
    Ok(job::Model {
        status: event.status,
        revision: event.revision,
        attempt: event.attempt,
        worker_id: detail.worker_id,
        started_at: detail.started_at,
        completed_at: None,
        run_after: detail.run_after.unwrap_or(event.created_at),
        updated_at: event.created_at,
        progress: 0.0,
        progress_message: None,
        progress_preview: None,
        output_metadata: None,
        error_code: detail.error_code,
        error_message: detail.error_message,
        error_detail: None,
        ..job.clone()
    })
}
