//! What has happened to a job since somebody last looked.

use std::mem;

use crate::{
    app::{
        Outlook,
        watch::{Kind, News},
    },
    domain::{Error, JobStatus, job::Place},
    entity::{job, job_event},
    store,
};

use super::reads::Reader;

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
    /// Where it stands in line, as was told last.
    place: Option<Place>,
    /// Whether its worker is late to say that it still runs it.
    is_stalled: bool,
    /// Whether the two are to be told anew.
    is_news: bool,
    /// Whether it had ended, with all read, when it was last looked at.
    pub(super) ended: bool,
}

impl JobFollower {
    /// Follows the job from the transition after `revision` on.
    pub(super) fn after(revision: i64) -> Self {
        Self {
            revision,
            progress: Progress::default(),
            place: None,
            is_stalled: false,
            is_news: false,
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

    /// Takes note of a job that stands so, and of where it stands in line by what is known.
    pub(super) fn note(&mut self, reader: Reader<'_>, standing: &store::job::Standing) {
        if !self.has_read(standing.revision) {
            return;
        }
        let is_stalled = standing.is_stalled(reader.app.settings.stalled_below);
        let line = standing.queue();
        let place = line.and_then(|line| reader.place_news(&line, standing.id, self.place));
        self.is_news |= is_stalled != self.is_stalled || place.is_some();
        self.is_stalled = is_stalled;
        self.place = place.or(self.place);
    }

    /// Adds to what is told of the job what is known of its worker, and takes note of the rest.
    pub(super) fn tell(&mut self, job: &job::Model, kind: Kind, outlook: &mut Outlook) {
        outlook.is_stalled = self.is_stalled && job.is_running() && kind != Kind::Transition;
        self.place = outlook.place.or(self.place);
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
        !self.has_read(standing.revision) || self.is_news || came_forward()
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
        (self.progress, self.place) = (Progress::default(), None);
        (self.is_stalled, self.is_news) = (false, false);
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
        let came_forward = job.is_running() && progress != self.progress;
        if !mem::take(&mut self.is_news) && !came_forward {
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
