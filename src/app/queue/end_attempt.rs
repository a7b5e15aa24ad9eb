//! An attempt has made nothing: the job fails, is tried again, or is handed back, see docs/domain.md#attempts.

use std::{collections::BTreeMap, slice, sync::Arc};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    app::{
        App,
        gather::{Gathered, Lane, Verdict},
        job::ChangedJobs,
    },
    domain::{Error, job::AttemptEnd},
    entity::job,
    store::{
        Transaction,
        queue::{self, Lease},
    },
};

use super::endings::Endings;

/// An attempt that has made nothing.
pub(in crate::app) struct Ending {
    lease: Lease,
    end: AttemptEnd,
}

impl Gathered for Ending {
    type Done = Option<Box<job::Model>>;

    const NAME: &'static str = "endings";

    fn lane<'a>(&self, app: &'a App) -> &'a Lane<Self> {
        &app.gathering.endings
    }

    fn jobs(&self) -> usize {
        1
    }

    fn write<'a>(
        app: &'a App,
        tx: &'a Transaction,
        batch: &'a [Arc<Self>],
        changed: &'a mut ChangedJobs,
    ) -> BoxFuture<'a, Result<Vec<Verdict<Self::Done>>, Error>> {
        app.end_all(tx, batch, changed).boxed()
    }
}

impl App {
    /// Ends an attempt without outputs. `None` if the lease is lost; nothing has changed then.
    pub async fn end_attempt(
        &self,
        lease: &Lease,
        end: &AttemptEnd,
    ) -> Result<Option<job::Model>, Error> {
        let (lease, end) = (lease.clone(), end.clone());
        let ended = self.write_gathered(Ending { lease, end });
        Ok(ended.await?.map(|job| *job))
    }

    async fn end_all(
        &self,
        tx: &Transaction,
        batch: &[Arc<Ending>],
        changed: &mut ChangedJobs,
    ) -> Result<Vec<Verdict<Option<Box<job::Model>>>>, Error> {
        let endings = Endings::of(batch, |ending| &ending.lease);
        let given = endings.of_jobs.values();
        let given: Vec<_> = given.map(|it| (&it.lease, &it.end)).collect();
        let mut ended = BTreeMap::new();
        for job in queue::end(tx, &given, self.clock.queue()).await? {
            let ending = endings.of_jobs.get(&job.id);
            let cause = ending.and_then(|it| it.end.cause());
            changed.moved(slice::from_ref(&job), cause)?;
            ended.insert(job.id, Box::new(job));
        }
        Ok(endings.verdicts(ended))
    }
}
