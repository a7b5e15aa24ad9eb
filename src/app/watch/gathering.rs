//! One read for all who ask for the same kind of thing: whoever asks while a read is under way is in the next one. So how often
//! the database is asked does not depend on how many watch.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

use crate::domain::Error;

/// How long a read that is not urgent waits for others who look at the same time. What happens to a job meanwhile is told that much
/// later; those who come later still are in the next read.
const WINDOW: Duration = Duration::from_millis(5);

/// What was read, for all who have asked: also what others have asked for.
pub(super) type Answer<K, V> = Arc<BTreeMap<K, V>>;
type Reply<K, V> = oneshot::Sender<Result<Answer<K, V>, Error>>;
/// What is read at once, and who asks for it.
type Batch<K, V> = (BTreeSet<K>, Vec<Reply<K, V>>);

/// Reads of one kind. Clones share them.
#[derive(Debug)]
pub(super) struct Gathering<K, V>(Arc<Inner<K, V>>);

#[derive(Debug)]
struct Inner<K, V> {
    asked: Mutex<Asked<K, V>>,
    /// Rings when somebody does not want to wait for the others.
    hurry: Notify,
}

#[derive(Debug)]
struct Asked<K, V> {
    keys: BTreeSet<K>,
    replies: Vec<Reply<K, V>>,
    /// Whether whatever is asked for is read soon.
    is_read: bool,
    /// Whether somebody does not want to wait for the others.
    is_urgent: bool,
}

impl<K, V> Clone for Gathering<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for Gathering<K, V> {
    fn default() -> Self {
        let asked = Asked {
            keys: BTreeSet::new(),
            replies: Vec::new(),
            is_read: false,
            is_urgent: false,
        };
        Self(Arc::new(Inner {
            asked: Mutex::new(asked),
            hurry: Notify::new(),
        }))
    }
}

impl<K: Ord + Send + 'static, V: Send + Sync + 'static> Gathering<K, V> {
    /// What `read` finds of these from now on, together with what others ask for. All reads of a kind are alike. Who is not
    /// `urgent` waits a moment for those others.
    pub(super) async fn ask<R>(
        &self,
        keys: impl IntoIterator<Item = K>,
        urgent: bool,
        read: impl Fn(BTreeSet<K>) -> R + Send + 'static,
    ) -> Result<Answer<K, V>, Error>
    where
        K: Sync,
        R: Future<Output = Result<BTreeMap<K, V>, Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut asked = self.asked();
            asked.keys.extend(keys);
            asked.replies.push(reply);
            asked.is_urgent |= urgent;
            !mem::replace(&mut asked.is_read, true)
        };
        if begins {
            // Apart from whoever asks, who may go away meanwhile.
            tokio::spawn(self.clone().read_all(read));
        } else if urgent {
            self.0.hurry.notify_waiters();
        }
        answer.await.map_err(Error::internal)?
    }

    async fn read_all<R>(self, read: impl Fn(BTreeSet<K>) -> R + Send)
    where
        R: Future<Output = Result<BTreeMap<K, V>, Error>> + Send,
    {
        let _reading = Reading(&self);
        self.wait_for_others().await;
        while let Some((keys, replies)) = self.take() {
            let outcome = read(keys).await.map(Arc::new);
            for reply in replies {
                // Who has gone away needs no answer.
                let _ = reply.send(outcome.as_ref().map(Arc::clone).map_err(Error::for_another));
            }
        }
    }

    async fn wait_for_others(&self) {
        let mut hurry = pin!(self.0.hurry.notified());
        hurry.as_mut().enable();
        if !self.asked().is_urgent {
            tokio::select! {
                () = sleep(WINDOW) => {}
                () = hurry => {}
            }
        }
    }

    /// What is asked for by now; nothing is read any more if nothing is.
    fn take(&self) -> Option<Batch<K, V>> {
        let mut asked = self.asked();
        asked.is_read = !asked.replies.is_empty();
        asked.is_urgent = false;
        asked
            .is_read
            .then(|| (mem::take(&mut asked.keys), mem::take(&mut asked.replies)))
    }
}

impl<K, V> Gathering<K, V> {
    /// A panic cannot leave it half changed, so a poisoned lock is as good as any.
    fn asked(&self) -> MutexGuard<'_, Asked<K, V>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets others read on after a panic; those who wait for an answer get none.
struct Reading<'a, K, V>(&'a Gathering<K, V>);

impl<K, V> Drop for Reading<'_, K, V> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut asked = self.0.asked();
            asked.is_read = false;
            asked.replies.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn doubled(keys: BTreeSet<i64>) -> BTreeMap<i64, i64> {
        keys.into_iter().map(|key| (key, 2 * key)).collect()
    }

    #[tokio::test]
    async fn those_who_look_at_the_same_time_are_answered_by_one_read() {
        let (gathering, reads) = (Gathering::default(), Arc::new(AtomicUsize::new(0)));
        let asking = (0..300).map(|key| {
            let (gathering, reads) = (&gathering, reads.clone());
            async move {
                let read = move |keys| {
                    reads.fetch_add(1, Ordering::Relaxed);
                    async move { Ok(doubled(keys)) }
                };
                gathering.ask([key], false, read).await.unwrap()[&key]
            }
        });
        let answers = join_all(asking).await;
        assert!(answers.into_iter().eq((0..300).map(|key| 2 * key)));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn who_asks_while_a_read_is_under_way_gets_what_a_later_one_finds() {
        let gathering = Gathering::<i64, usize>::default();
        let (reads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (reads, gate) = (reads.clone(), gate.clone());
            gathering.ask([1], true, move |keys| {
                let found = reads.fetch_add(1, Ordering::Relaxed) + 1;
                let gate = gate.clone();
                async move {
                    gate.notified().await;
                    Ok(keys.into_iter().map(|key| (key, found)).collect())
                }
            })
        };
        let open = async {
            while reads.load(Ordering::Relaxed) < 1 {
                tokio::task::yield_now().await;
            }
            let late = async { tokio::join!(ask(), ask()) };
            let open = async {
                gate.notify_one();
                while reads.load(Ordering::Relaxed) < 2 {
                    tokio::task::yield_now().await;
                }
                gate.notify_one();
            };
            tokio::join!(late, open).0
        };
        let (first, late) = tokio::join!(ask(), open);
        assert_eq!(first.unwrap()[&1], 1);
        assert_eq!([late.0.unwrap()[&1], late.1.unwrap()[&1]], [2, 2]);
    }

    #[tokio::test]
    async fn a_fault_goes_to_all_who_have_asked_and_the_next_read_is_another() {
        let gathering = Gathering::<i64, i64>::default();
        let away = || {
            gathering.ask([1], false, |_| async {
                Err(Error::DatabaseUnavailable("away".into()))
            })
        };
        let (first, second) = tokio::join!(away(), away());
        for outcome in [first, second] {
            assert!(matches!(outcome, Err(Error::DatabaseUnavailable(_))));
        }
        let answer = gathering
            .ask([1], false, async |keys| Ok(doubled(keys)))
            .await;
        assert_eq!(answer.unwrap()[&1], 2);
    }

    #[tokio::test]
    async fn a_read_that_panics_fails_alone() {
        let gathering = Gathering::<i64, i64>::default();
        let panicking = gathering.ask([1], true, |_| async { panic!("a defect") });
        assert!(panicking.await.is_err());
        let answer = gathering
            .ask([1], true, async |keys| Ok(doubled(keys)))
            .await;
        assert_eq!(answer.unwrap()[&1], 2);
    }
}
