//! Work that many ask for at once, and that costs little more for many than for one: what comes while a batch is under way is
//! the next batch. Who comes while none is begins at once, so a single caller waits for nobody; those who were in one batch
//! mostly come again together, and the next waits a moment for them.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

/// Most of one batch, in jobs: a transaction is to stay short, and a statement of some megabytes at most.
const MOST: usize = 64;
/// A batch that takes longer, say on a connection that hangs, does not keep the next from beginning.
const PATIENCE: Duration = Duration::from_millis(500);
/// Those who were in a batch together may come again together: the next one waits for so many for no longer than that.
const LINGER: Duration = Duration::from_millis(1);

/// What waits for the batch under way. Clones share it.
pub(in crate::app) struct Gather<T, A> {
    waiting: Arc<Mutex<Waiting<T, A>>>,
    /// Rings when something comes.
    came: Arc<Notify>,
}

struct Waiting<T, A> {
    queue: VecDeque<Entry<T, A>>,
    /// Whether somebody works, and takes what has come when he is through.
    is_led: bool,
}

struct Entry<T, A> {
    item: T,
    /// In jobs.
    weight: usize,
    caller: oneshot::Sender<A>,
}

impl<T: Send + 'static, A: Send + 'static> Gather<T, A> {
    /// Has an item of so many jobs worked on together with what others submit. `work` makes what does a batch, in the order of
    /// arrival, and gives an answer for each; it is asked for only by who finds nobody at work.
    ///
    /// A caller that goes away takes its item back, unless it is under way: that goes on to its end.
    ///
    /// `None` if the work has crashed.
    pub(in crate::app) async fn submit<W, F>(
        &self,
        item: T,
        weight: usize,
        work: impl FnOnce() -> W,
    ) -> Option<A>
    where
        W: Fn(Vec<T>) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let leads = {
            let mut waiting = self.lock();
            waiting.queue.push_back(Entry {
                item,
                weight,
                caller,
            });
            !std::mem::replace(&mut waiting.is_led, true)
        };
        self.came.notify_one();
        if leads {
            // Apart from this call, which may be cancelled, and from its span: it works for others too.
            tokio::spawn(self.clone().go_on(work()));
        }
        let mut place = Place {
            gather: self,
            answer,
        };
        (&mut place.answer).await.ok()
    }

    /// Boxed, since whoever works may start another.
    fn go_on<W, F>(self, work: W) -> BoxFuture<'static, ()>
    where
        W: Fn(Vec<T>) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        self.lead(work).boxed()
    }

    /// Works batch after batch until nobody waits, or one has taken so long that another works by now.
    async fn lead<W, F>(self, work: W)
    where
        W: Fn(Vec<T>) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let mut last = 0;
        while let Some((items, callers)) = self.next_batch(last).await {
            last = items.len();
            let mut batch = pin!(AssertUnwindSafe(work(items)).catch_unwind());
            let (answers, is_late) = match timeout(PATIENCE, &mut batch).await {
                Ok(answers) => (answers, false),
                Err(_) => {
                    tokio::spawn(self.clone().go_on(work.clone()));
                    (batch.await, true)
                }
            };
            match answers {
                Ok(answers) => {
                    for (caller, answer) in callers.into_iter().zip(answers) {
                        // A caller that is gone needs none.
                        let _ = caller.send(answer);
                    }
                }
                Err(_) => tracing::error!("a batch crashed"),
            }
            if is_late {
                return;
            }
        }
    }

    /// What has come meanwhile, as much as one batch may have; nobody leads any more if that is nothing. Whoever was alone in the
    /// `last` batch is waited for by nobody.
    async fn next_batch(&self, last: usize) -> Option<(Vec<T>, Vec<oneshot::Sender<A>>)> {
        let as_many = async {
            while self.lock().queue.len() < last {
                self.came.notified().await;
            }
        };
        if last > 1 {
            // Fewer will do.
            let _ = timeout(LINGER, as_many).await;
        }
        let mut waiting = self.lock();
        let (mut items, mut callers, mut weight) = (Vec::new(), Vec::new(), 0);
        while let Some(entry) = waiting.queue.pop_front() {
            weight += entry.weight;
            if weight > MOST && !items.is_empty() {
                waiting.queue.push_front(entry);
                break;
            }
            items.push(entry.item);
            callers.push(entry.caller);
        }
        waiting.is_led = !items.is_empty();
        waiting.is_led.then_some((items, callers))
    }
}

impl<T, A> Gather<T, A> {
    /// A panic cannot leave the queue half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting<T, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits.
struct Place<'a, T, A> {
    gather: &'a Gather<T, A>,
    answer: oneshot::Receiver<A>,
}

impl<T, A> Drop for Place<'_, T, A> {
    /// Without this, what was given up would pile up behind a batch that hangs.
    fn drop(&mut self) {
        if !self.answer.is_terminated() {
            self.answer.close();
            let mut waiting = self.gather.lock();
            waiting.queue.retain(|entry| !entry.caller.is_closed());
        }
    }
}

impl<T, A> Clone for Gather<T, A> {
    fn clone(&self) -> Self {
        Self {
            waiting: self.waiting.clone(),
            came: self.came.clone(),
        }
    }
}

impl<T, A> Default for Gather<T, A> {
    fn default() -> Self {
        let waiting = Waiting {
            queue: VecDeque::new(),
            is_led: false,
        };
        Self {
            waiting: Arc::new(Mutex::new(waiting)),
            came: Arc::default(),
        }
    }
}

impl<T, A> fmt::Debug for Gather<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.lock().queue.len();
        f.debug_struct("Gather").field("waiting", &waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::{future::join_all, poll};
    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    /// The work on it does.
    const CRASHES: usize = 1_000;

    /// Answers each number with how many were in its batch, once it is let go on.
    #[derive(Clone)]
    struct Bench {
        gather: Gather<usize, usize>,
        may_go_on: Arc<Semaphore>,
        begun: mpsc::UnboundedSender<Vec<usize>>,
    }

    impl Bench {
        fn new() -> (Self, mpsc::UnboundedReceiver<Vec<usize>>) {
            let (begun, batches) = mpsc::unbounded_channel();
            let bench = Self {
                gather: Gather::default(),
                may_go_on: Arc::new(Semaphore::new(0)),
                begun,
            };
            (bench, batches)
        }

        async fn submit(&self, item: usize, weight: usize) -> Option<usize> {
            let bench = self.clone();
            let work = move |batch: Vec<usize>| {
                let bench = bench.clone();
                async move {
                    bench.begun.send(batch.clone()).unwrap();
                    bench.may_go_on.acquire().await.unwrap().forget();
                    assert!(!batch.contains(&CRASHES), "it does");
                    vec![batch.len(); batch.len()]
                }
            };
            self.gather.submit(item, weight, || work).await
        }
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_under_way_is_the_next_one() {
        let (bench, mut batches) = Bench::new();
        let mut first = pin!(bench.submit(0, 1));
        assert!(poll!(&mut first).is_pending());
        assert_eq!(batches.recv().await.unwrap(), [0], "it waits for nobody");
        let mut others = pin!(join_all((1..=100).map(|item| bench.submit(item, 1))));
        assert!(poll!(&mut others).is_pending());
        bench.may_go_on.add_permits(3);
        assert_eq!(first.await, Some(1));
        let answers = others.await;
        assert_eq!(answers[..MOST], vec![Some(MOST); MOST]);
        assert_eq!(answers[MOST..], vec![Some(36); 36]);
        assert_eq!(batches.recv().await.unwrap(), (1..=64).collect::<Vec<_>>());
        assert_eq!(
            batches.recv().await.unwrap(),
            (65..=100).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn those_who_were_in_a_batch_together_are_waited_for_a_moment() {
        let (bench, _batches) = Bench::new();
        bench.gather.lock().is_led = true;
        let mut one = pin!(bench.submit(1, 1));
        assert!(poll!(&mut one).is_pending());
        let mut next = pin!(bench.gather.next_batch(2));
        assert!(poll!(&mut next).is_pending());
        let mut other = pin!(bench.submit(2, 1));
        assert!(poll!(&mut other).is_pending());
        let Poll::Ready(Some((items, _))) = poll!(&mut next) else {
            panic!("there are as many as before");
        };
        assert_eq!(items, [1, 2]);
        let mut last = pin!(bench.submit(3, 1));
        assert!(poll!(&mut last).is_pending());
        let (items, _) = bench.gather.next_batch(9).await.unwrap();
        assert_eq!(items, [3], "fewer will do");
    }

    #[tokio::test]
    async fn a_heavy_one_is_a_batch_of_its_own() {
        let (bench, mut batches) = Bench::new();
        bench.may_go_on.add_permits(4);
        let answers = join_all([
            bench.submit(1, 1),
            bench.submit(2, 1_000),
            bench.submit(3, 1),
        ]);
        answers.await;
        for batch in [[1], [2], [3]] {
            assert_eq!(batches.recv().await.unwrap(), batch);
        }
    }

    #[tokio::test]
    async fn who_goes_away_takes_what_has_not_begun_along() {
        let (bench, mut batches) = Bench::new();
        let mut first = Box::pin(bench.submit(1, 1));
        assert!(poll!(&mut first).is_pending());
        batches.recv().await.unwrap();
        let mut second = Box::pin(bench.submit(2, 1));
        assert!(poll!(&mut second).is_pending());
        let mut third = pin!(bench.submit(3, 1));
        assert!(poll!(&mut third).is_pending());
        drop((first, second));
        bench.may_go_on.add_permits(2);
        assert_eq!(third.await, Some(1), "the first goes on to its end");
        assert_eq!(batches.recv().await.unwrap(), [3]);
        assert!(bench.gather.lock().queue.is_empty());
    }

    #[tokio::test]
    async fn a_batch_that_hangs_does_not_keep_the_next_from_beginning() {
        let (bench, mut batches) = Bench::new();
        let mut hangs = pin!(bench.submit(1, 1));
        assert!(poll!(&mut hangs).is_pending());
        batches.recv().await.unwrap();
        let mut next = pin!(bench.submit(2, 1));
        assert!(poll!(&mut next).is_pending());
        assert_eq!(batches.recv().await.unwrap(), [2], "after its patience");
        bench.may_go_on.add_permits(2);
        assert_eq!((hangs.await, next.await), (Some(1), Some(1)));
    }

    #[tokio::test]
    async fn a_crash_is_told_to_all_of_the_batch_and_to_no_others() {
        let (bench, _batches) = Bench::new();
        bench.may_go_on.add_permits(3);
        let answers = join_all([bench.submit(CRASHES, MOST), bench.submit(1, MOST)]).await;
        assert_eq!(answers, [None, Some(1)]);
    }
}
