//! What watches read, all of a process together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    app::{App, Outlooks, WaitingReasons},
    domain::{
        Caller, Error, Resource,
        job::{Capability, Place},
    },
    entity::{job, job_event},
    store::{self, Pool, horizon, job::Standing, media::Shown, queue::Situation, request::Counted},
};

use super::{
    gathering::{Answer, Gathering},
    lines::{Lines, Patience},
    rhythm::Rhythm,
};

/// Most jobs whose events or media are read at once, so that those who begin with much behind them cost little memory.
const AT_ONCE: usize = 256;

/// Most transitions of a job that a watch reads at once, since each holds the whole job until it is taken; one that is further
/// behind reads again.
const EVENTS: i64 = 16;

/// When each request was deleted.
type Deletions = Vec<(i64, DateTime<Utc>)>;

/// What the watches of this process read. Clones share it.
#[derive(Clone, Default)]
pub struct Reads(Arc<Inner>);

impl std::fmt::Debug for Reads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reads").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Inner {
    rhythm: Rhythm,
    standings: Gathering<i64, Standing>,
    of_requests: Gathering<i64, Vec<Standing>>,
    of_users: Gathering<(i64, i64), Vec<Standing>>,
    events: Gathering<(i64, i64), Vec<job_event::Model>>,
    jobs: Gathering<i64, Arc<job::Model>>,
    whole_jobs: Gathering<i64, Arc<job::Model>>,
    media: Gathering<i64, Vec<Shown>>,
    requests: Gathering<i64, Arc<Counted>>,
    situation: Gathering<(), Arc<Situation>>,
    deletions: Gathering<(i64, DateTime<Utc>), Deletions>,
    oldest_transaction: Gathering<(), i64>,
    new_transaction: Gathering<(), i64>,
    lines: Lines,
}

impl App {
    /// Finds out where these jobs stand in line, each in its own, as far as that is not known.
    pub(in crate::app) async fn look_for_places(
        &self,
        jobs: impl IntoIterator<Item = (Capability, i64)>,
        patience: Patience,
    ) {
        let lines = self.reads.lines();
        lines.look_for(self, jobs, patience).await;
    }

    /// Those by the clock that leases go by, should it be set by hand.
    fn timed(&self, mut standings: Vec<Standing>) -> Vec<Standing> {
        if let Some(now) = self.clock.queue() {
            standings.iter_mut().for_each(|job| job.now = now);
        }
        standings
    }
}

impl Reads {
    /// When to look if nothing is heard before.
    pub(super) fn next_look(&self, period: Duration) -> Instant {
        self.0.rhythm.next(Instant::now(), period)
    }

    /// Where a job stands in this line, by what is known.
    pub(in crate::app) fn place(&self, line: &Capability, id: i64) -> Option<Place> {
        self.lines().place(line, id)
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.0.lines
    }
}

/// One watch that reads, with the others.
#[derive(Clone, Copy)]
pub(in crate::app) struct Reader<'a> {
    pub(in crate::app) app: &'a App,
    pub(in crate::app) caller: Caller,
    /// Whether it has heard of something, so that it is not to wait for the others.
    pub(in crate::app) urgent: bool,
}

impl Reader<'_> {
    async fn ask<K, V, R>(
        &self,
        gathering: &Gathering<K, V>,
        keys: impl IntoIterator<Item = K>,
        read: impl Fn(App, BTreeSet<K>) -> R + Send + 'static,
    ) -> Result<Answer<K, V>, Error>
    where
        K: Ord + Send + Sync + 'static,
        V: Send + Sync + 'static,
        R: Future<Output = Result<BTreeMap<K, V>, Error>> + Send + 'static,
    {
        let app = self.app.clone();
        let read = move |keys| read(app.clone(), keys);
        gathering.ask(keys, self.urgent, read).await
    }

    fn reads(&self) -> &Inner {
        &self.app.reads.0
    }

    /// The database, for what no other watch reads.
    pub(in crate::app) fn db(&self) -> &Pool {
        self.app.store.reader()
    }

    /// How those of these jobs stand that there are, in order of id.
    pub(in crate::app) async fn standings(&self, ids: &[i64]) -> Result<Vec<Standing>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let read = async |app: App, ids| {
            let standings = store::job::standings(app.store.reader(), ids).await?;
            let standings = app.timed(standings);
            Ok(standings.into_iter().map(|job| (job.id, job)).collect())
        };
        let found = self
            .ask(&self.reads().standings, ids.iter().copied(), read)
            .await?;
        let mut standings: Vec<_> = ids.iter().filter_map(|id| found.get(id)).cloned().collect();
        standings.sort_unstable_by_key(|job| job.id);
        Ok(standings)
    }

    /// How all jobs of these requests stand, in order of id.
    pub(in crate::app) async fn standings_of_requests(
        &self,
        ids: &BTreeSet<i64>,
    ) -> Result<Vec<Standing>, Error> {
        let read = async |app: App, ids| {
            let jobs = store::job::standings_of_requests(app.store.reader(), ids).await?;
            let jobs = app.timed(jobs);
            Ok(grouped(jobs.into_iter().map(|job| (job.request_id, job))))
        };
        let found = self
            .ask(&self.reads().of_requests, ids.iter().copied(), read)
            .await?;
        let jobs = ids.iter().filter_map(|id| found.get(id)).flatten();
        let mut standings: Vec<_> = jobs.cloned().collect();
        standings.sort_unstable_by_key(|job| job.id);
        Ok(standings)
    }

    /// How the first `most` jobs of a user after `id` stand, in order of id; `most` is the same for all users.
    pub(in crate::app) async fn standings_after(
        &self,
        user_id: i64,
        id: i64,
        most: usize,
    ) -> Result<Vec<Standing>, Error> {
        let read = move |app: App, after| async move {
            let found = store::job::standings_after(app.store.reader(), &after, most).await?;
            let found = found.into_iter();
            Ok(found
                .map(|(asked, jobs)| (asked, app.timed(jobs)))
                .collect())
        };
        let asked = (user_id, id);
        let found = self.ask(&self.reads().of_users, [asked], read).await?;
        Ok(found.get(&asked).cloned().unwrap_or_default())
    }

    /// The next transitions of each of these jobs after the revision beside it.
    pub(super) async fn events(
        &self,
        read: &BTreeMap<i64, i64>,
    ) -> Result<BTreeMap<i64, Vec<job_event::Model>>, Error> {
        let asked = read.iter().map(|(id, revision)| (*id, *revision));
        let read = async |app: App, after: BTreeSet<_>| {
            let mut found = BTreeMap::new();
            for some in in_parts(after) {
                found.extend(store::job_event::after(app.store.reader(), &some, EVENTS).await?);
            }
            Ok(found)
        };
        let found = self.ask(&self.reads().events, asked.clone(), read).await?;
        let of_job = |asked: (i64, i64)| Some((asked.0, found.get(&asked)?.clone()));
        Ok(asked.filter_map(of_job).collect())
    }

    /// Those of the jobs that the caller may see, without their inputs.
    pub(super) async fn jobs(&self, ids: &[i64]) -> Result<BTreeMap<i64, Arc<job::Model>>, Error> {
        let read = async |app: App, ids| {
            let all = Caller::TrustedService;
            let jobs = store::job::find_all(app.store.reader(), all, ids).await?;
            Ok(by_id(jobs))
        };
        let found = self
            .ask(&self.reads().jobs, ids.iter().copied(), read)
            .await?;
        let jobs = ids.iter().filter_map(|id| found.get(id));
        let seen = jobs.filter(|job| self.sees(job.user_id));
        Ok(seen.map(|job| (job.id, job.clone())).collect())
    }

    /// A job with its input.
    pub(super) async fn whole_job(&self, id: i64) -> Result<Arc<job::Model>, Error> {
        let read = async |app: App, ids| {
            let jobs = store::job::find_all_whole(app.store.reader(), ids).await?;
            Ok(by_id(jobs))
        };
        let found = self.ask(&self.reads().whole_jobs, [id], read).await?;
        let job = found.get(&id).filter(|job| self.sees(job.user_id));
        job.cloned()
            .ok_or_else(|| Error::not_found(Resource::Job, id))
    }

    /// The live media of each of these jobs.
    pub(super) async fn media(&self, job_ids: &[i64]) -> Result<BTreeMap<i64, Vec<Shown>>, Error> {
        if job_ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = async |app: App, ids: BTreeSet<_>| {
            let mut found = BTreeMap::new();
            for some in in_parts(ids) {
                found.extend(store::media::of_jobs(app.store.reader(), some).await?);
            }
            Ok(found)
        };
        let found = self
            .ask(&self.reads().media, job_ids.iter().copied(), read)
            .await?;
        let of_job = |id: &i64| Some((*id, found.get(id)?.clone()));
        Ok(job_ids.iter().filter_map(of_job).collect())
    }

    /// Those of the requests that the caller may see, as they are now.
    pub(super) async fn requests(
        &self,
        ids: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Arc<Counted>>, Error> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = async |app: App, ids| {
            let all = Caller::TrustedService;
            let found = store::request::counted(app.store.reader(), all, ids).await?;
            Ok(found
                .into_iter()
                .map(|(id, it)| (id, Arc::new(it)))
                .collect())
        };
        let found = self
            .ask(&self.reads().requests, ids.iter().copied(), read)
            .await?;
        let seen = |id: &i64| {
            let found = found.get(id);
            found.filter(|counted| self.sees(counted.request.user_id))
        };
        Ok(ids
            .iter()
            .filter_map(|id| Some((*id, seen(id)?.clone())))
            .collect())
    }

    /// How the jobs stand beside their rows, without what is known of those that run.
    pub(super) async fn outlooks(&self, jobs: &[&job::Model]) -> Result<Outlooks, Error> {
        let reasons = self.waiting_reasons(jobs).await?;
        let outlooks = self.app.outlooks_by(reasons, jobs, Patience::GoesOn);
        Ok(outlooks.await)
    }

    /// Why those of the jobs wait that nobody can run.
    async fn waiting_reasons(&self, jobs: &[&job::Model]) -> Result<WaitingReasons, Error> {
        if !jobs.iter().any(|job| WaitingReasons::may_tell(job)) {
            return Ok(WaitingReasons::default());
        }
        let read = async |app: App, _| {
            let situation = Arc::new(app.situation().await?);
            Ok(BTreeMap::from([((), situation)]))
        };
        let found = self.ask(&self.reads().situation, [()], read).await?;
        let situation = found.get(&()).cloned().unwrap_or_default();
        Ok(WaitingReasons::of_situation(self.app, situation))
    }

    /// The first `most` requests of a user that were deleted then or later; `most` is the same for all users.
    pub(in crate::app) async fn deletions(
        &self,
        user_id: i64,
        from: DateTime<Utc>,
        most: usize,
    ) -> Result<Deletions, Error> {
        let read = move |app: App, from| async move {
            store::request::deleted_from(app.store.reader(), &from, most).await
        };
        let asked = (user_id, from);
        let found = self.ask(&self.reads().deletions, [asked], read).await?;
        Ok(found.get(&asked).cloned().unwrap_or_default())
    }

    /// The oldest transaction that goes on.
    pub(in crate::app) async fn oldest_transaction(&self) -> Result<i64, Error> {
        let read = async |app: App, _| {
            let oldest = horizon::oldest(app.store.reader()).await?;
            Ok(BTreeMap::from([((), oldest)]))
        };
        let found = self
            .ask(&self.reads().oldest_transaction, [()], read)
            .await?;
        Ok(found.get(&()).copied().unwrap_or_default())
    }

    /// A transaction that begins now.
    pub(in crate::app) async fn new_transaction(&self) -> Result<i64, Error> {
        let read = async |app: App, _| {
            let new = horizon::begin(app.store.reader()).await?;
            Ok(BTreeMap::from([((), new)]))
        };
        let found = self.ask(&self.reads().new_transaction, [()], read).await?;
        found
            .get(&())
            .copied()
            .ok_or_else(|| Error::internal("no transaction was told"))
    }

    /// Brings up to date where jobs stand that wait in these lines, if that is known at all. Who is in a hurry finds what comes
    /// of it at the next look.
    pub(super) async fn refresh_lines(&self, lines: BTreeSet<Capability>) {
        if lines.is_empty() {
            return;
        }
        let (app, urgent) = (self.app.clone(), self.urgent);
        let refresh = async move { app.reads.lines().refresh(&app, lines, urgent).await };
        match urgent {
            true => drop(tokio::spawn(refresh)),
            false => refresh.await,
        }
    }

    /// Where a job stands in its line, where that is worth a message to somebody who was told `before`.
    pub(super) fn place_news(
        &self,
        line: &Capability,
        id: i64,
        before: Option<Place>,
    ) -> Option<Place> {
        self.reads().lines.news(line, id, before)
    }

    fn sees(&self, user_id: i64) -> bool {
        self.caller.scope().is_none_or(|id| id == user_id)
    }
}

fn by_id(jobs: Vec<job::Model>) -> BTreeMap<i64, Arc<job::Model>> {
    jobs.into_iter()
        .map(|job| (job.id, Arc::new(job)))
        .collect()
}

fn grouped<V>(all: impl Iterator<Item = (i64, V)>) -> BTreeMap<i64, Vec<V>> {
    let mut groups: BTreeMap<i64, Vec<V>> = BTreeMap::new();
    for (key, value) in all {
        groups.entry(key).or_default().push(value);
    }
    groups
}

fn in_parts<K: Ord + Clone>(keys: BTreeSet<K>) -> Vec<BTreeSet<K>> {
    let keys: Vec<K> = keys.into_iter().collect();
    let parts = keys.chunks(AT_ONCE);
    parts.map(|some| some.iter().cloned().collect()).collect()
}
