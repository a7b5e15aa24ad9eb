//! Fan-out of job changes: wakes those who watch a job or its request and workers that wait for one, on this replica and
//! the others.
//!
//! A wake-up says only that something changed; what, is read from the database. So they may be merged, repeated or, when
//! a connection breaks, replaced by "look at everything". They are sent after commit, never inside a transaction.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use crate::store::{Store, Trouble, report, wake_up, wake_up::WakeUp};

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
    watched: Mutex<HashMap<Subject, Vec<Arc<Notify>>>>,
    work: Notify,
    pause: Notify,
    outbox: Mutex<WakeUp>,
    outbox_filled: Notify,
}

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The job of this id.
    Job(i64),
    /// All jobs of the request of this id, those to come too.
    Request(i64),
    /// All jobs of the user of this id, those to come too, but for their progress.
    User(i64),
    /// The provider's task of the job of this id, of which its service has told something.
    Task(i64),
}

/// Hears of changes of its subjects for as long as it lives.
#[derive(Debug)]
pub struct Watcher {
    subjects: HashSet<Subject>,
    bell: Arc<Notify>,
    events: Events,
}

impl Events {
    /// Tells everyone what has changed.
    pub fn publish(&self, wake_up: WakeUp) {
        if wake_up == WakeUp::default() {
            return;
        }
        self.wake(&wake_up);
        lock(&self.inner.outbox).merge(wake_up);
        self.inner.outbox_filled.notify_one();
    }

    /// Tells everyone that a running job came forward.
    pub fn publish_progress(&self, job_id: i64, request_id: i64) {
        self.publish(WakeUp {
            jobs: vec![job_id],
            requests: vec![request_id],
            ..WakeUp::default()
        });
    }

    /// Tells whoever waits for the task of a job that its service has told something.
    pub fn publish_task(&self, job_id: i64) {
        self.publish(WakeUp {
            tasks: vec![job_id],
            ..WakeUp::default()
        });
    }

    /// Hears of all changes of the subjects from now on.
    pub fn watch(&self, subjects: impl IntoIterator<Item = Subject>) -> Watcher {
        let mut watcher = Watcher {
            subjects: HashSet::new(),
            bell: Arc::default(),
            events: self.clone(),
        };
        for subject in subjects {
            watcher.listen_to(subject);
        }
        watcher
    }

    /// Tells the executor of this process that there may be work for it.
    pub fn wake_executor(&self) {
        self.inner.work.notify_one();
    }

    /// Waits until there may be work.
    pub async fn work(&self) {
        self.inner.work.notified().await;
    }

    /// Tells the executor of this process that a job waits for its time, which may be earlier than that of all others.
    pub fn wake_pause(&self) {
        self.inner.pause.notify_one();
    }

    /// Waits until a job waits for its time.
    pub async fn pause(&self) {
        self.inner.pause.notified().await;
    }

    /// Exchanges wake-ups with the other replicas until it is dropped.
    pub async fn relay(&self, store: &Store) {
        tokio::join!(self.send(store), self.listen(store));
    }

    async fn send(&self, store: &Store) {
        // The others find the changes by polling.
        let mut trouble = Trouble::new("could not wake the other replicas");
        loop {
            self.inner.outbox_filled.notified().await;
            sleep(GATHER).await;
            let wake_up = std::mem::take(&mut *lock(&self.inner.outbox));
            trouble.pass(wake_up::send(store, wake_up).await);
        }
    }

    async fn listen(&self, store: &Store) {
        let mut trouble = Trouble::new("cannot listen to the other replicas");
        loop {
            match trouble.pass(wake_up::Listener::connect(store).await) {
                Some(None) => return,
                Some(Some(listener)) => self.hear(listener).await,
                None => {}
            }
            sleep(RECONNECT).await;
        }
    }

    async fn hear(&self, mut listener: wake_up::Listener) {
        self.wake_all();
        loop {
            match listener.next().await {
                Ok(Some(wake_up)) => self.wake(&wake_up),
                Ok(None) => self.wake_all(),
                Err(error) => {
                    report(&error, "lost the connection to the other replicas");
                    return;
                }
            }
        }
    }

    fn wake(&self, wake_up: &WakeUp) {
        let jobs = wake_up.jobs.iter().map(|id| Subject::Job(*id));
        let requests = wake_up.requests.iter().map(|id| Subject::Request(*id));
        let users = wake_up.users.iter().map(|id| Subject::User(*id));
        let tasks = wake_up.tasks.iter().map(|id| Subject::Task(*id));
        let watched = lock(&self.inner.watched);
        for subject in jobs.chain(requests).chain(users).chain(tasks) {
            let bells = watched.get(&subject).into_iter().flatten();
            bells.for_each(|bell| bell.notify_one());
        }
        drop(watched);
        if wake_up.work {
            self.inner.work.notify_one();
        }
    }

    fn wake_all(&self) {
        for bell in lock(&self.inner.watched).values().flatten() {
            bell.notify_one();
        }
        self.inner.work.notify_one();
    }
}

impl Watcher {
    /// Waits for the next change since the last call.
    pub async fn changed(&self) {
        // Without anybody who waits it keeps one ring.
        self.bell.notified().await;
    }

    /// Hears of changes of another subject too.
    pub fn listen_to(&mut self, subject: Subject) {
        if self.subjects.insert(subject) {
            let mut watched = lock(&self.events.inner.watched);
            watched.entry(subject).or_default().push(self.bell.clone());
        }
    }

    /// Hears no more of one of its subjects.
    pub fn leave(&mut self, subject: Subject) {
        if self.subjects.remove(&subject) {
            self.forget(subject);
        }
    }

    fn forget(&self, subject: Subject) {
        let mut watched = lock(&self.events.inner.watched);
        if let Entry::Occupied(mut bells) = watched.entry(subject) {
            bells
                .get_mut()
                .retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if bells.get().is_empty() {
                bells.remove();
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for subject in &self.subjects {
            self.forget(*subject);
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
        let job = events.watch([Subject::Job(7)]);
        let request = events.watch([Subject::Request(3)]);
        events.publish_progress(7, 3);
        job.changed().await;
        request.changed().await;
    }

    #[tokio::test]
    async fn other_jobs_and_requests_do_not_wake_a_watcher() {
        let events = Events::default();
        let (job, request, user) = (
            events.watch([Subject::Job(7)]),
            events.watch([Subject::Request(7)]),
            events.watch([Subject::User(7)]),
        );
        events.publish(WakeUp {
            jobs: vec![8],
            requests: vec![3],
            users: vec![1],
            work: true,
            ..WakeUp::default()
        });
        for watcher in [job, request, user] {
            assert!(watcher.changed().now_or_never().is_none());
        }
        events.work().await;
    }

    #[tokio::test]
    async fn a_watcher_of_several_hears_of_each_until_it_leaves_it() {
        let events = Events::default();
        let mut watcher = events.watch([Subject::Request(3), Subject::Request(4)]);
        watcher.listen_to(Subject::Job(7));
        for (job, request) in [(8, 3), (8, 4), (7, 5)] {
            events.publish_progress(job, request);
            watcher.changed().await;
        }
        watcher.leave(Subject::Job(7));
        events.publish_progress(7, 5);
        assert!(watcher.changed().now_or_never().is_none());
    }

    #[test]
    fn nothing_is_left_of_watchers_that_are_gone() {
        let events = Events::default();
        let first = events.watch([Subject::Job(7), Subject::Request(3)]);
        let second = events.watch([Subject::Job(7)]);
        drop(first);
        assert_eq!(lock(&events.inner.watched).len(), 1);
        drop(second);
        assert!(lock(&events.inner.watched).is_empty());
    }
}
