//! What the watches of a job and of a request share: reading what is new, telling it, and waiting.

use std::{collections::VecDeque, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    domain::{Caller, Error},
    entity::{job, media},
    events::Watcher,
};

use super::App;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum News {
    /// A job as it was right after a transition; with its media, if it was completed.
    Transition {
        /// As it was then.
        job: job::Model,
        /// Those that are live by now; none for all other statuses.
        media: Vec<media::Model>,
    },
    /// A job came forward within its status.
    Progress(job::Model),
    /// Nothing happened for a while.
    Heartbeat,
}

/// What one look has found.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) news: Vec<News>,
    /// Whether this was all, for ever.
    pub(super) ended: bool,
}

/// What can be watched to its end: a job, or all jobs of a request.
pub(super) trait Watched: Send + 'static {
    /// News, with how what is watched stands and where to resume.
    type Update: Send;

    /// Reads what is new, or a part of it if it is much.
    fn read(
        &mut self,
        app: &App,
        caller: Caller,
    ) -> impl Future<Output = Result<Reading, Error>> + Send;

    /// Reads how it stands, after the news that it goes with.
    fn refresh(
        &mut self,
        app: &App,
        caller: Caller,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn update(&mut self, news: News) -> Result<Self::Update, Error>;
}

/// Follows what is watched to its end; wake-ups tell when to read.
pub(super) struct Watch<W> {
    app: App,
    caller: Caller,
    watched: W,
    ready: VecDeque<News>,
    ended: bool,
    watcher: Watcher,
    heartbeat_at: Instant,
}

impl<W: Watched> Watch<W> {
    pub(super) fn new(app: &App, caller: Caller, watcher: Watcher, watched: W) -> Self {
        Self {
            app: app.clone(),
            caller,
            watched,
            ready: VecDeque::new(),
            ended: false,
            watcher,
            heartbeat_at: Instant::now() + app.settings.watch_heartbeat,
        }
    }

    /// Reads on only when the next update is taken, so that a slow reader costs no memory.
    pub(super) fn updates(self) -> BoxStream<'static, Result<W::Update, Error>> {
        let updates = stream::try_unfold(self, |mut watch| async {
            let update = watch.next().await?;
            Ok(update.map(|update| (update, watch)))
        });
        updates.boxed()
    }

    async fn next(&mut self) -> Result<Option<W::Update>, Error> {
        loop {
            if self.ready.is_empty() && !self.ended {
                self.read().await?;
            }
            if let Some(news) = self.ready.pop_front() {
                self.heartbeat_at = Instant::now() + self.app.settings.watch_heartbeat;
                return self.watched.update(news).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// Reads what is new; a heartbeat, if nothing is and one is due.
    async fn read(&mut self) -> Result<(), Error> {
        let Reading { news, ended } = self.watched.read(&self.app, self.caller).await?;
        self.ended = ended;
        self.ready.extend(news);
        if self.ready.is_empty() && !ended && Instant::now() >= self.heartbeat_at {
            self.ready.push_back(News::Heartbeat);
        }
        if !self.ready.is_empty() {
            self.watched.refresh(&self.app, self.caller).await?;
        }
        Ok(())
    }

    /// Waits for a wake-up, or until it is time to look anyway.
    async fn wait(&mut self) -> Result<(), Error> {
        let poll = self.app.settings.watch_poll.max(Duration::from_millis(10));
        let poll_at = Instant::now() + poll;
        tokio::select! {
            // What has happened by the end is still told.
            biased;
            () = self.watcher.changed() => Ok(()),
            () = self.app.stopping.cancelled() => Err(Error::ShuttingDown),
            () = sleep_until(poll_at.min(self.heartbeat_at)) => Ok(()),
        }
    }
}
