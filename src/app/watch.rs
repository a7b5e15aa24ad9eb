//! What all watches share: reading what is new, telling it, and waiting.

mod follower;
mod following;
mod gathering;
mod lines;
mod reads;
mod rhythm;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    domain::{Caller, Error},
    entity::job,
    store::{self, request::Counted},
};

use super::{App, Outlook};

pub(super) use following::Following;
pub use lines::Patience;
pub(super) use reads::Reader;
pub use reads::Reads;

/// Shortest time between two looks at what nothing is heard of.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// Pauses before something is read again that the database did not tell: each is twice the one before, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Most jobs or requests that are read at once, so that a slow reader costs little memory.
const BATCH: usize = 16;

/// A watch, as the one who opened it hears it.
pub type NewsStream = BoxStream<'static, Result<News, Error>>;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub struct News {
    /// What it is.
    pub kind: Kind,
    /// The job that it is about: as it was right after the transition, or as it is now. Without its input, unless it alone is
    /// watched.
    pub job: Option<job::Model>,
    /// What is told of the job beside its row.
    pub outlook: Outlook,
    /// With a transition to completed, the job's media that are live by now.
    pub media: Vec<store::media::Shown>,
    /// The request that it is about, as it is now; `None` where a job alone is watched.
    pub request: Option<Arc<Counted>>,
    /// Of the last transition told of the job.
    pub revision: i64,
    /// Where to resume; empty where a job alone is watched.
    pub cursor: String,
    /// Of the request that it is about.
    request_id: Option<i64>,
}

/// What kind of news there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A job made a transition.
    Transition,
    /// A job came forward within its status, or in line, or its worker has gone silent or is heard again.
    Progress,
    /// The job, if it alone is watched, or the request is deleted.
    Deleted,
    /// From now on nothing is missed.
    Opened,
    /// Jobs of the request have been purged, and nothing is told of them.
    Purged,
    /// Nothing happened for a while.
    Heartbeat,
}

impl News {
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            job: None,
            outlook: Outlook::default(),
            media: Vec::new(),
            request: None,
            revision: 0,
            cursor: String::new(),
            request_id: None,
        }
    }

    fn of_job(kind: Kind, job: job::Model) -> Self {
        Self {
            request_id: Some(job.request_id),
            job: Some(job),
            ..Self::of(kind)
        }
    }

    /// Jobs of a request, which stands so, have been purged.
    pub(super) fn of_purged(request: Arc<Counted>) -> Self {
        Self {
            request_id: Some(request.request.id),
            request: Some(request),
            ..Self::of(Kind::Purged)
        }
    }

    fn of_request(kind: Kind, request_id: Option<i64>) -> Self {
        Self {
            request_id,
            ..Self::of(kind)
        }
    }
}

/// What one look has found besides jobs to read.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Requests that are deleted, of which nothing else is left to tell now.
    pub(super) deleted: Vec<i64>,
    /// Whether that and the jobs to read are all, for ever.
    pub(super) ended: bool,
}

/// What can be watched.
pub(super) trait Watched: Send + Sync + 'static {
    /// Looks how the jobs stand that are followed now. All that the last look has found is told by then. After a failure it is
    /// looked again, and nothing is lost.
    fn look(
        &mut self,
        reader: Reader<'_>,
        following: &mut Following,
    ) -> impl Future<Output = Result<Look, Error>> + Send;

    /// What is watched, where it is one thing: so that a heartbeat shows it.
    fn whole(&self) -> Whole;

    /// Where to resume.
    fn cursor(&self, following: &Following) -> Result<String, Error>;
}

/// What a heartbeat shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// A job, and nothing of its request is told.
    Job(i64),
    /// A request.
    Request(i64),
    /// Too much to show.
    Many,
}

/// Follows what is watched to its end; wake-ups tell when to look.
pub(super) struct Watch<W> {
    app: App,
    caller: Caller,
    watched: W,
    following: Following,
    /// News that lack what goes with them.
    found: Vec<News>,
    ready: VecDeque<News>,
    /// Requests whose deletion is to be told.
    deleted: VecDeque<i64>,
    ended: bool,
    heartbeat_at: Instant,
    /// Whether something was heard since the last look.
    urgent: bool,
    /// Since when the database tells nothing.
    silent_since: Option<Instant>,
}

impl<W: Watched> Watch<W> {
    pub(super) fn new(app: &App, caller: Caller, watched: W, following: Following) -> Self {
        Self {
            app: app.clone(),
            caller,
            watched,
            following,
            found: Vec::new(),
            ready: VecDeque::new(),
            deleted: VecDeque::new(),
            ended: false,
            heartbeat_at: Instant::now() + app.settings.watch_heartbeat,
            urgent: true,
            silent_since: None,
        }
    }

    /// Tells this before all else.
    pub(super) fn beginning_with(mut self, news: impl IntoIterator<Item = News>) -> Self {
        self.ready.extend(news);
        self
    }

    /// Reads on only when the next news are taken, so that a slow reader costs no memory.
    pub(super) fn news(self) -> NewsStream {
        let news = stream::try_unfold(self, |mut watch| async {
            let news = watch.next().await?;
            Ok(news.map(|news| (news, watch)))
        });
        news.boxed()
    }

    async fn next(&mut self) -> Result<Option<News>, Error> {
        loop {
            if self.ready.is_empty() && !self.is_over() {
                self.read_patiently().await?;
            }
            if let Some(news) = self.ready.pop_front() {
                self.heartbeat_at = Instant::now() + self.app.settings.watch_heartbeat;
                return self.tell(news).map(Some);
            }
            if self.is_over() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    fn is_over(&self) -> bool {
        self.ended && self.deleted.is_empty() && self.found.is_empty()
    }

    /// Reads again what the database did not tell, for as long as it may be silent: as long as a watch may be.
    async fn read_patiently(&mut self) -> Result<(), Error> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            // Apart: what is read with is much, and a watch mostly waits.
            let fault = match Box::pin(self.read()).await {
                Err(fault) if fault.is_of_database() => fault,
                outcome => {
                    self.silent_since = None;
                    return outcome;
                }
            };
            let since = *self.silent_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.app.settings.watch_heartbeat {
                return Err(fault);
            }
            tokio::select! {
                () = self.app.stopping.cancelled() => return Err(Error::ShuttingDown),
                () = sleep(pause) => pause = LONGEST_PAUSE.min(2 * pause),
            }
        }
    }

    /// Reads what is new, a part of it if it is much; a heartbeat, if nothing is and one is due.
    async fn read(&mut self) -> Result<(), Error> {
        let app = self.app.clone();
        let reader = Reader {
            app: &app,
            caller: self.caller,
            urgent: self.urgent,
        };
        if self.found.is_empty() {
            self.found = self.find(reader).await?;
        }
        complete(reader, self.watched.whole(), &mut self.found).await?;
        self.ready.extend(mem::take(&mut self.found));
        // What has come may be followed by more.
        self.urgent = !self.ready.is_empty();
        Ok(())
    }

    async fn find(&mut self, reader: Reader<'_>) -> Result<Vec<News>, Error> {
        let whole = self.watched.whole();
        if !self.following.is_due() && self.deleted.is_empty() {
            let look = self.watched.look(reader, &mut self.following).await?;
            self.deleted.extend(look.deleted);
            self.ended = look.ended;
        }
        let mut news = self.following.read(reader, whole).await?;
        if news.is_empty() {
            let some = self.deleted.len().min(BATCH);
            for request_id in self.deleted.iter().take(some) {
                let request_id = Some(*request_id);
                news.push(whole_news(reader, whole, Kind::Deleted, request_id).await?);
            }
            self.deleted.drain(..some);
        }
        if news.is_empty() && !self.ended && self.beats_now() {
            news.push(whole_news(reader, whole, Kind::Heartbeat, None).await?);
        }
        Ok(news)
    }

    /// Whether a heartbeat is due, or will be before the next look.
    fn beats_now(&self) -> bool {
        Instant::now() + self.period() > self.heartbeat_at
    }

    /// Moves the place to resume from behind the news, which are told next.
    fn tell(&mut self, mut news: News) -> Result<News, Error> {
        if let Some(job) = &news.job {
            if news.kind == Kind::Transition {
                self.following.told.advance(job.id, job.revision);
            }
            news.revision = self.following.told.revision(job.id);
            self.following.tell(job, news.kind, &mut news.outlook);
        }
        news.cursor = self.watched.cursor(&self.following)?;
        Ok(news)
    }

    /// Waits for a wake-up, or until it is time to look anyway.
    async fn wait(&mut self) -> Result<(), Error> {
        // It is empty, and the next news may be long in coming: what those before took is given back.
        self.ready = VecDeque::new();
        let look_at = self.app.reads.next_look(self.period());
        tokio::select! {
            // What has happened by the end is still told.
            biased;
            () = self.following.watcher.changed() => self.urgent = true,
            () = self.app.stopping.cancelled() => return Err(Error::ShuttingDown),
            () = sleep_until(look_at) => self.urgent = false,
        }
        Ok(())
    }

    /// How often all look who hear of nothing: often enough for their heartbeats.
    fn period(&self) -> Duration {
        let settings = &self.app.settings;
        let period = settings.watch_poll.min(settings.watch_heartbeat / 2);
        period.max(SHORTEST_PERIOD)
    }
}

/// News that are of no job, with the one that is watched, if it is one.
async fn whole_news(
    reader: Reader<'_>,
    whole: Whole,
    kind: Kind,
    request_id: Option<i64>,
) -> Result<News, Error> {
    match whole {
        Whole::Job(id) => {
            let job = reader.whole_job(id).await?;
            Ok(News::of_job(kind, Arc::unwrap_or_clone(job)))
        }
        Whole::Request(id) => Ok(News::of_request(kind, Some(id))),
        Whole::Many => Ok(News::of_request(kind, request_id)),
    }
}

/// Adds to the news what goes with them as it is now: the requests, and what is told of jobs beside their rows.
async fn complete(reader: Reader<'_>, whole: Whole, news: &mut [News]) -> Result<(), Error> {
    let jobs = news.iter().filter_map(|news| news.job.as_ref());
    let outlooks = reader.outlooks(&jobs.collect::<Vec<_>>()).await?;
    let mut requests = BTreeMap::new();
    if !matches!(whole, Whole::Job(_)) {
        let ids: BTreeSet<i64> = news.iter().filter_map(|news| news.request_id).collect();
        requests = reader.requests(&ids).await?;
    }
    for news in news {
        if let Some(job) = &news.job {
            news.outlook = outlooks.of(job);
        }
        news.request = news.request_id.and_then(|id| requests.get(&id).cloned());
    }
    Ok(())
}
