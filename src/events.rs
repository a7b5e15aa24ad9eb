//! Fan-out of job changes: wakes those who watch a job or its request and workers that wait for one, on this replica and
//! the others.
//!
//! A wake-up says only that something changed; what, is read from the database. So they may be merged, repeated or, when
//! a connection breaks, replaced by "look at everything". They are sent after commit, never inside a transaction.

mod crew;
mod hearing;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use crate::{
    domain::{Error, job::Capability},
    store::{Store, Trouble, wake_up, wake_up::WakeUp},
};

use crew::Crew;

/// How long what comes after a wake-up is gathered for the next: NOTIFY takes a lock that all commits of a PostgreSQL server
/// share.
const GATHER: Duration = Duration::from_millis(10);

/// The wake-ups of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Names this process among those that tell each other.
    origin: u64,
    watched: Mutex<HashMap<Subject, Vec<Arc<Notify>>>>,
    work: Notify,
    pause: Notify,
    drain: Notify,
    crew: Mutex<Crew>,
    outbox: Mutex<WakeUp>,
    outbox_filled: Notify,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            // 0 is whoever has none.
            origin: RandomState::new().hash_one(0_u8).max(1),
            watched: Mutex::default(),
            work: Notify::new(),
            pause: Notify::new(),
            drain: Notify::new(),
            crew: Mutex::default(),
            outbox: Mutex::default(),
            outbox_filled: Notify::new(),
        }
    }
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
    /// Tells everyone what has changed, and of work as many workers as it takes.
    pub fn publish(&self, wake_up: WakeUp) {
        if wake_up.is_empty() {
            return;
        }
        self.ring(&wake_up);
        let told = lock(&self.inner.crew).tell(self.inner.origin, &wake_up);
        if told.own {
            self.wake_executor();
        }
        let mut others = WakeUp {
            jobs: wake_up.jobs,
            requests: wake_up.requests,
            users: wake_up.users,
            tasks: wake_up.tasks,
            drains: wake_up.drains,
            ..WakeUp::default()
        };
        others.merge(told.others);
        self.send_soon(others);
    }

    fn send_soon(&self, wake_up: WakeUp) {
        if !wake_up.is_empty() {
            lock(&self.inner.outbox).merge(wake_up);
            self.inner.outbox_filled.notify_one();
        }
    }

    /// The worker of this process could begin so many jobs of what it is `able` to run. What it is not ready for it gives to
    /// another provider, if a job names one.
    pub fn offer(&self, able: Vec<Capability>, unready: Vec<Capability>, free: u32) {
        if lock(&self.inner.crew).offer(able, unready, free) {
            self.inner.outbox_filled.notify_one();
        }
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

    /// Waits until operators drain a worker, or do no more.
    pub async fn drain(&self) {
        self.inner.drain.notified().await;
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
            trouble.pass(self.send_gathered(store).await);
            sleep(GATHER).await;
        }
    }

    /// Sends what is left to the other replicas, for a process without a [`Self::relay`] that ends.
    ///
    /// # Errors
    /// Those of the database. The others find the changes by polling.
    pub async fn send_rest(&self, store: &Store) -> Result<(), Error> {
        let is_told = lock(&self.inner.outbox).is_empty();
        match is_told {
            true => Ok(()),
            false => self.send_gathered(store).await,
        }
    }

    async fn send_gathered(&self, store: &Store) -> Result<(), Error> {
        let mut wake_up = std::mem::take(&mut *lock(&self.inner.outbox));
        wake_up.origin = self.inner.origin;
        wake_up.offer = lock(&self.inner.crew).own_offer();
        wake_up::send(store, wake_up).await
    }

    /// What another process has told.
    fn hear(&self, wake_up: WakeUp) {
        let origin = self.inner.origin;
        if wake_up.origin == origin {
            return;
        }
        self.ring(&wake_up);
        let told = {
            let mut crew = lock(&self.inner.crew);
            if let Some(offer) = wake_up.offer.clone() {
                crew.hear(wake_up.origin, offer);
            }
            crew.answer(origin, &wake_up)
        };
        if told.own {
            self.wake_executor();
        }
        self.send_soon(told.others);
    }

    /// Wakes those who watch what has changed.
    fn ring(&self, wake_up: &WakeUp) {
        if wake_up.drains {
            self.inner.drain.notify_one();
        }
        let jobs = wake_up.jobs.iter().map(|id| Subject::Job(*id));
        let requests = wake_up.requests.iter().map(|id| Subject::Request(*id));
        let users = wake_up.users.iter().map(|id| Subject::User(*id));
        let tasks = wake_up.tasks.iter().map(|id| Subject::Task(*id));
        let watched = lock(&self.inner.watched);
        for subject in jobs.chain(requests).chain(users).chain(tasks) {
            let bells = watched.get(&subject).into_iter().flatten();
            bells.for_each(|bell| bell.notify_one());
        }
    }

    fn wake_all(&self) {
        for bell in lock(&self.inner.watched).values().flatten() {
            bell.notify_one();
        }
        self.inner.work.notify_one();
        self.inner.drain.notify_one();
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
    use crate::{domain::MediaType, store::wake_up::Offer};

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

    #[tokio::test]
    async fn a_process_does_not_hear_itself_and_hears_the_others() {
        let events = Events::default();
        let watcher = events.watch([Subject::Job(7)]);
        let told_by = |origin| WakeUp {
            origin,
            jobs: vec![7],
            work: true,
            ..WakeUp::default()
        };
        events.hear(told_by(events.inner.origin));
        assert!(watcher.changed().now_or_never().is_none());
        assert!(events.work().now_or_never().is_none());
        // An older process has no origin.
        for origin in [0, events.inner.origin ^ 1] {
            events.hear(told_by(origin));
            watcher.changed().await;
            events.work().await;
        }
    }

    #[tokio::test]
    async fn a_full_worker_is_not_woken_and_the_outbox_has_whom_it_passes_work_on_to() {
        let (events, builtin) = (Events::default(), || Capability {
            provider: "builtin".to_owned(),
            category: MediaType::Image,
        });
        events.offer(vec![builtin()], Vec::new(), 0);
        let mut idle = WakeUp {
            origin: 5,
            offer: Some(Offer {
                able: Some(vec![builtin()]),
                free: 4,
            }),
            ..WakeUp::default()
        };
        events.hear(idle.clone());
        idle.origin = 6;
        idle.offer = None;
        idle.add_due(builtin(), 1);
        idle.to = vec![events.inner.origin];
        events.hear(idle);
        assert!(events.work().now_or_never().is_none());
        assert_eq!(lock(&events.inner.outbox).to, [5]);
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
