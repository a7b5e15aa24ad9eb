//! Fan-out of job changes: wakes those who watch a job and workers that wait for one, on this replica and the others.
//!
//! A wake-up says only that something changed; what, is read from the database. So they may be merged, repeated or, when
//! a connection breaks, replaced by "look at everything". They are sent after commit, never inside a transaction.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::domain::with_causes;
use crate::store::{Store, wake_up, wake_up::WakeUp};

/// How long wake-ups for other replicas are gathered: NOTIFY takes a lock that all commits of a PostgreSQL server share.
const GATHER: Duration = Duration::from_millis(10);
/// Pause before a broken connection to the database is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// The wake-ups of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watched: Mutex<HashMap<i64, watch::Sender<()>>>,
    work: Notify,
    outbox: Mutex<WakeUp>,
    outbox_filled: Notify,
}

/// Hears of changes of one job for as long as it lives.
#[derive(Debug)]
pub struct Watcher {
    job_id: i64,
    receiver: watch::Receiver<()>,
    events: Events,
}

impl Events {
    /// Tells everyone that these jobs have changed and, with `work`, that a worker may find something to do.
    pub fn publish(&self, jobs: &[i64], work: bool) {
        self.wake(jobs, work);
        let mut outbox = lock(&self.inner.outbox);
        outbox.jobs.extend_from_slice(jobs);
        outbox.work |= work;
        self.inner.outbox_filled.notify_one();
    }

    /// Hears of all changes of a job from now on.
    pub fn watch(&self, job_id: i64) -> Watcher {
        let mut watched = lock(&self.inner.watched);
        let sender = watched
            .entry(job_id)
            .or_insert_with(|| watch::Sender::new(()));
        Watcher {
            job_id,
            receiver: sender.subscribe(),
            events: self.clone(),
        }
    }

    /// Waits until there may be work.
    pub async fn work(&self) {
        self.inner.work.notified().await;
    }

    /// Exchanges wake-ups with the other replicas until it is dropped.
    pub async fn relay(&self, store: &Store) {
        tokio::join!(self.send(store), self.listen(store));
    }

    async fn send(&self, store: &Store) {
        loop {
            self.inner.outbox_filled.notified().await;
            sleep(GATHER).await;
            let mut wake_up = std::mem::take(&mut *lock(&self.inner.outbox));
            wake_up.jobs.sort_unstable();
            wake_up.jobs.dedup();
            if let Err(error) = wake_up::send(store, &wake_up).await {
                // The others find the changes by polling.
                tracing::warn!(
                    error = with_causes(&error),
                    "could not wake the other replicas"
                );
            }
        }
    }

    async fn listen(&self, store: &Store) {
        loop {
            match wake_up::Listener::connect(store).await {
                Ok(None) => return,
                Ok(Some(listener)) => self.hear(listener).await,
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "cannot listen to the other replicas"
                    );
                }
            }
            sleep(RECONNECT).await;
        }
    }

    async fn hear(&self, mut listener: wake_up::Listener) {
        self.wake_all();
        loop {
            match listener.next().await {
                Ok(Some(wake_up)) => self.wake(&wake_up.jobs, wake_up.work),
                Ok(None) => self.wake_all(),
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "lost the connection to the other replicas"
                    );
                    return;
                }
            }
        }
    }

    fn wake(&self, jobs: &[i64], work: bool) {
        let watched = lock(&self.inner.watched);
        for sender in jobs.iter().filter_map(|id| watched.get(id)) {
            sender.send_replace(());
        }
        drop(watched);
        if work {
            self.inner.work.notify_one();
        }
    }

    fn wake_all(&self) {
        for sender in lock(&self.inner.watched).values() {
            sender.send_replace(());
        }
        self.inner.work.notify_one();
    }
}

impl Watcher {
    /// Waits for the next change since the last call.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // Cannot happen while `self` keeps the sender in the map; waiting is what a silent job does.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = lock(&self.events.inner.watched);
        // The receiver of this watcher still counts.
        if watched
            .get(&self.job_id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            watched.remove(&self.job_id);
        }
    }
}

/// A panic cannot leave these maps half changed, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed() {
        let events = Events::default();
        let mut watcher = events.watch(7);
        events.publish(&[7], false);
        watcher.changed().await;
    }

    #[tokio::test]
    async fn other_jobs_do_not_wake_a_watcher() {
        let events = Events::default();
        let mut watcher = events.watch(7);
        events.publish(&[8], true);
        assert!(watcher.changed().now_or_never().is_none());
        events.work().await;
    }

    #[test]
    fn nothing_is_left_of_watchers_that_are_gone() {
        let events = Events::default();
        let (first, second) = (events.watch(7), events.watch(7));
        drop(first);
        assert_eq!(lock(&events.inner.watched).len(), 1);
        drop(second);
        assert!(lock(&events.inner.watched).is_empty());
    }
}
