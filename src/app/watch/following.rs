//! The jobs of a watch: which of them have something new, and reading it, several at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    app::Outlook,
    domain::{Error, JobStatus, WatchCursor},
    entity::{job, job_event},
    events::{Subject, Watcher},
    store::job::Standing,
};

use super::{BATCH, Kind, News, Whole, follower::JobFollower, reads::Reader};

/// Follows jobs, however many, in the order in which they come forward.
pub(in crate::app) struct Following {
    /// What has been told, which lags behind what has been read.
    pub(in crate::app) told: WatchCursor,
    /// Hears when it is time to look.
    pub(in crate::app) watcher: Watcher,
    /// In boxes: a map has room for eleven at once, and most watches follow one.
    jobs: BTreeMap<i64, Box<JobFollower>>,
    /// Jobs with something to read.
    due: VecDeque<i64>,
    /// Requests whose deletion has been told.
    deleted: BTreeSet<i64>,
}

impl Following {
    pub(in crate::app) fn new(watcher: Watcher, told: WatchCursor) -> Self {
        Self {
            told,
            watcher,
            jobs: BTreeMap::new(),
            due: VecDeque::new(),
            deleted: BTreeSet::new(),
        }
    }

    /// Fails if the cursor knows of a transition that a job, which stands so, has not made.
    pub(in crate::app) fn check_reached(&self, standings: &[Standing]) -> Result<(), Error> {
        let ahead = |job: &&Standing| self.told.revision(job.id) > job.revision;
        match standings.iter().find(ahead) {
            None => Ok(()),
            Some(job) => Err(Error::RevisionAhead {
                job_id: job.id,
                revision: job.revision,
                after_revision: self.told.revision(job.id),
            }),
        }
    }

    /// Whether there is something to read.
    pub(in crate::app) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Each job that is followed, by id, and whether it has ended and been told to its end.
    pub(in crate::app) fn jobs(&self) -> impl Iterator<Item = (i64, bool)> {
        self.jobs.iter().map(|(id, job)| (*id, job.ended))
    }

    /// How many of the jobs that the cursor names may have more to tell.
    pub(in crate::app) fn open(&self) -> usize {
        let ended = |id| self.jobs.get(&id).is_some_and(|job| job.ended);
        self.told.jobs().filter(|id| !ended(*id)).count()
    }

    /// Forgets all jobs but those. Asks with whether they have ended.
    pub(in crate::app) fn retain(&mut self, mut keep: impl FnMut(i64, bool) -> bool) {
        let Self {
            jobs,
            told,
            watcher,
            ..
        } = self;
        told.retain(|id| {
            let kept = keep(id, jobs.get(&id).is_some_and(|job| job.ended));
            if !kept {
                jobs.remove(&id);
                watcher.leave(Subject::Job(id));
            }
            kept
        });
    }

    /// Follows these jobs from what has been told of them on, and notes which have something to read. Returns the deleted
    /// requests of which nothing is left to read, each once until it is live again.
    pub(in crate::app) async fn note(
        &mut self,
        reader: Reader<'_>,
        standings: &[Standing],
    ) -> Vec<i64> {
        let lines = standings.iter().filter_map(Standing::queue);
        reader.refresh_lines(lines.collect()).await;
        let mut requests = BTreeMap::new();
        for job in standings {
            let told = self.told.revision(job.id);
            let follower = self.jobs.entry(job.id);
            let follower = follower.or_insert_with(|| Box::new(JobFollower::after(told)));
            follower.note(reader, job);
            let behind = follower.is_behind(job);
            follower.ended = job.status.is_terminal() && !behind;
            if behind {
                self.due.push_back(job.id);
            }
            let deleted = job.request_deleted_at.is_some() && !behind;
            *requests.entry(job.request_id).or_insert(true) &= deleted;
        }
        requests.retain(|request_id, deleted| match deleted {
            true => self.deleted.insert(*request_id),
            false => {
                self.deleted.remove(request_id);
                false
            }
        });
        requests.into_keys().collect()
    }

    /// Adds to what is told of a job what is known of its worker, and takes note of the rest.
    pub(super) fn tell(&mut self, job: &job::Model, kind: Kind, outlook: &mut Outlook) {
        if let Some(follower) = self.jobs.get_mut(&job.id) {
            follower.tell(job, kind, outlook);
        }
    }

    /// Reads the next jobs that have something new, until one has, or none is left. What cannot be read is due on.
    pub(super) async fn read(
        &mut self,
        reader: Reader<'_>,
        whole: Whole,
    ) -> Result<Vec<News>, Error> {
        let mut news = Vec::new();
        while news.is_empty() && self.is_due() {
            let jobs: Vec<i64> = self.due.iter().copied().take(BATCH).collect();
            news = self.read_jobs(reader, whole, &jobs).await?;
        }
        Ok(news)
    }

    async fn read_jobs(
        &mut self,
        reader: Reader<'_>,
        whole: Whole,
        ids: &[i64],
    ) -> Result<Vec<News>, Error> {
        let read = |id: &i64| Some((*id, self.jobs.get(id)?.revision()));
        let read: BTreeMap<i64, i64> = ids.iter().filter_map(read).collect();
        // Before the jobs, which are so never older than the last of them.
        let mut events = reader.events(&read).await?;
        let mut jobs = match whole {
            Whole::Job(id) => BTreeMap::from([(id, reader.whole_job(id).await?)]),
            Whole::Request(_) | Whole::Many => reader.jobs(ids).await?,
        };
        let completed = events.iter().filter(|(_, events)| completes(events));
        let completed: Vec<i64> = completed.map(|(job_id, _)| *job_id).collect();
        let mut media = reader.media(&completed).await?;
        self.due.drain(..ids.len());
        let mut news = Vec::new();
        for id in ids {
            let (Some(follower), Some(job)) = (self.jobs.get_mut(id), jobs.remove(id)) else {
                continue;
            };
            let events = events.remove(id).unwrap_or_default();
            let media = media.remove(id).unwrap_or_default();
            news.extend(follower.read(&job, events, &media)?);
            if !follower.has_read(job.revision) {
                self.due.push_back(*id);
            }
        }
        Ok(news)
    }
}

fn completes(events: &[job_event::Model]) -> bool {
    events
        .iter()
        .any(|event| event.status == JobStatus::Completed)
}
