//! What has happened to a job since somebody last looked.

use crate::{
    app::watch::{Kind, News},
    domain::{Error, JobStatus},
    entity::{job, job_event},
    store,
};

/// What is told of an attempt that runs: how far it is, what it does, what there is to see.
type Progress = (f64, Option<String>, Option<String>);

/// Follows one job: every transition in order and once each, progress in between.
///
/// It reads from the event table: so nothing is lost, whichever replica runs the job, and a slow reader costs no memory.
#[derive(Debug)]
pub(super) struct JobFollower {
    /// Revision of the last transition read.
    revision: i64,
    progress: Progress,
    /// Whether it had ended, with all read, when it was last looked at.
    pub(super) ended: bool,
}

impl JobFollower {
    /// Follows the job from the transition after `revision` on.
    pub(super) fn after(revision: i64) -> Self {
        Self {
            revision,
            progress: Progress::default(),
            ended: false,
        }
    }

    /// Of the last transition read.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Whether all transitions up to the revision have been read.
    pub(super) fn has_read(&self, revision: i64) -> bool {
        self.revision >= revision
    }

    /// Whether there may be something to read of a job that stands so.
    pub(super) fn is_behind(&self, standing: &store::job::Standing) -> bool {
        let came_forward = || {
            standing.status == JobStatus::Processing
                && (
                    standing.progress,
                    &standing.progress_message,
                    &standing.progress_preview,
                ) != (self.progress.0, &self.progress.1, &self.progress.2)
        };
        !self.has_read(standing.revision) || came_forward()
    }

    /// What is new of a job that is so now: its next transitions, and its progress after the last of all.
    pub(super) fn read(
        &mut self,
        job: &job::Model,
        events: Vec<job_event::Model>,
        media: &[store::media::Shown],
    ) -> Result<Vec<News>, Error> {
        let mut news = Vec::with_capacity(events.len() + 1);
        for event in events {
            news.push(self.transition(job, event, media)?);
        }
        if self.has_read(job.revision) {
            news.extend(self.progress(job));
        }
        Ok(news)
    }

    fn transition(
        &mut self,
        job: &job::Model,
        event: job_event::Model,
        media: &[store::media::Shown],
    ) -> Result<News, Error> {
        self.revision = event.revision;
        self.progress = Progress::default();
        let media = match event.status {
            JobStatus::Completed => media.to_vec(),
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
        Ok(News {
            media,
            ..News::of_job(Kind::Transition, job)
        })
    }

    fn progress(&mut self, job: &job::Model) -> Option<News> {
        let progress = (
            job.progress,
            job.progress_message.clone(),
            job.progress_preview.clone(),
        );
        if job.status != JobStatus::Processing || progress == self.progress {
            return None;
        }
        self.progress = progress;
        Some(News::of_job(Kind::Progress, job.clone()))
    }
}

/// The job as it was right after an earlier transition, as far as the events tell.
fn as_of(job: &job::Model, event: job_event::Model) -> Result<job::Model, Error> {
    let detail = store::job_event::detail(event.detail)?;
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
        // Whether workers have it now says nothing of then.
        provider: None,
        ..job.clone()
    })
}
