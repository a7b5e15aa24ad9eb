//! What is written for many callers in one transaction, by as many statements as for one, and each is answered by himself.
//!
//! What the rules refuse is refused by itself, before anything of it is written. If a statement fails all the same, nothing of
//! the batch is written, and each of it is written alone: so a bad one fails alone.

mod lane;

use std::{slice, sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::{
    domain::{Error, with_causes},
    store::{self, Transaction},
};

use super::{
    App,
    job::ChangedJobs,
    queue::{Completion, Ending, Submissions},
    request::Intake,
};

pub(super) use lane::Gather;

/// Each lock is waited for no longer than that in a transaction for several: only one of them may have to wait.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// What waits to be written in this process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    /// Of different users: while the database stores what is in one, what is in another is read and answered.
    pub(super) intakes: [Lane<Intake>; 2],
    pub(super) completions: Lane<Completion>,
    pub(super) endings: Lane<Ending>,
    pub(super) submissions: Submissions,
}

/// Those of one kind.
pub(super) type Lane<G> = Gather<Arc<G>, Verdict<<G as Gathered>::Done>>;

/// What becomes of one of a batch.
pub(super) enum Verdict<T> {
    Done(T),
    Refused(Error),
    /// Only a transaction of its own can tell.
    Alone,
}

/// A change of jobs that may be made together with others of its kind.
pub(super) trait Gathered: Send + Sync + Sized + 'static {
    /// What its caller is told.
    type Done: Send + 'static;

    /// What operators call it.
    const NAME: &'static str;

    /// Where it waits.
    fn lane<'a>(&self, app: &'a App) -> &'a Lane<Self>;

    /// How many jobs it changes.
    fn jobs(&self) -> usize;

    /// Makes all of these changes; a verdict for each.
    fn write<'a>(
        app: &'a App,
        tx: &'a Transaction,
        batch: &'a [Arc<Self>],
        changed: &'a mut ChangedJobs,
    ) -> BoxFuture<'a, Result<Vec<Verdict<Self::Done>>, Error>>;
}

impl App {
    /// Makes a change together with what others ask for meanwhile.
    ///
    /// # Errors
    /// What it fails with, or the database. After a commit that was not answered, it may be made.
    pub(super) async fn write_gathered<G: Gathered>(&self, change: G) -> Result<G::Done, Error> {
        let change = Arc::new(change);
        let work = || {
            let app = self.clone();
            move |batch| {
                let app = app.clone();
                async move { app.write_batch::<G>(batch).await }
            }
        };
        let lane = change.lane(self);
        match lane
            .submit(change.clone(), change.jobs().max(1), work)
            .await
        {
            Some(Verdict::Done(done)) => Ok(done),
            Some(Verdict::Refused(error)) => Err(error),
            Some(Verdict::Alone) => self.write_alone(&change).await,
            None => Err(Error::internal(
                "what was to be written together was broken off",
            )),
        }
    }

    async fn write_batch<G: Gathered>(&self, batch: Vec<Arc<G>>) -> Vec<Verdict<G::Done>> {
        self.metrics.gathered(G::NAME, batch.len());
        if let [change] = batch.as_slice() {
            return vec![match self.write_alone(change).await {
                Ok(done) => Verdict::Done(done),
                Err(error) => Verdict::Refused(error),
            }];
        }
        let written = self.attempt_on_jobs(async |tx, changed| {
            store::hurry(tx, LONGEST_WAIT).await?;
            G::write(self, tx, &batch, changed).await
        });
        match written.await {
            Ok(Ok(verdicts)) => verdicts,
            Ok(Err(error)) => {
                let (error, changes) = (with_causes(&error), batch.len());
                tracing::debug!(error, changes, "what came together is written one by one");
                batch.iter().map(|_| Verdict::Alone).collect()
            }
            // They may be written, so that none may be written again.
            Err(error) => {
                let refused = batch.iter().map(|_| Verdict::Refused(error.for_another()));
                refused.collect()
            }
        }
    }

    /// The same in a transaction of its own.
    pub(super) async fn write_alone<G: Gathered>(&self, change: &Arc<G>) -> Result<G::Done, Error> {
        self.change_jobs(async |tx, changed| {
            let verdicts = G::write(self, tx, slice::from_ref(change), changed);
            match verdicts.await?.pop() {
                Some(Verdict::Done(done)) => Ok(done),
                Some(Verdict::Refused(error)) => Err(error),
                Some(Verdict::Alone) | None => Err(Error::internal("a change came to nothing")),
            }
        })
        .await
    }
}
