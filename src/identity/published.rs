//! Keys that somebody publishes and changes, and that are got over a network which fails at times.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So soon after it failed nobody asks again.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// How often keys are got.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So long after they were got they are not got again, whoever brings a key that is not among them.
    pub pause: Duration,
    /// How long a key holds that is not published any more. Those that cannot be asked for hold on.
    pub keep: Duration,
}

/// The keys that are known. One caller at a time gets them anew, and those who come meanwhile take what he has got.
#[derive(Debug)]
pub struct Published<K> {
    state: Mutex<State<K>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State<K> {
    keys: Vec<Seen<K>>,
    tried: Option<Try>,
    got: Option<Instant>,
}

#[derive(Debug)]
struct Seen<K> {
    key: K,
    at: Instant,
}

#[derive(Clone, Debug)]
struct Try {
    ended: Instant,
    outcome: Result<(), String>,
}

impl<K> Default for Published<K> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                keys: Vec::new(),
                tried: None,
                got: None,
            }),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl<K: Clone + PartialEq> Published<K> {
    /// Those that hold now.
    pub fn known(&self) -> Vec<K> {
        let state = self.state();
        state.keys.iter().map(|seen| seen.key.clone()).collect()
    }

    /// One of those that hold now.
    pub fn find(&self, is_meant: impl Fn(&K) -> bool) -> Option<K> {
        let state = self.state();
        let mut keys = state.keys.iter().map(|seen| &seen.key);
        keys.find(|key| is_meant(key)).cloned()
    }

    /// How long ago they were got; `None` if they never were.
    pub fn age(&self) -> Option<Duration> {
        self.state().got.map(|got| got.elapsed())
    }

    /// Gets them anew, unless that was done or has failed just now.
    ///
    /// # Errors
    /// Why they cannot be had; those that were known are still.
    pub async fn renew<F>(&self, pace: Pace, get: impl FnOnce() -> F) -> Result<(), String>
    where
        F: Future<Output = Result<Vec<K>, String>>,
    {
        let asked = Instant::now();
        let _turn = self.turn.lock().await;
        let tried = self.state().tried.clone();
        if let Some(tried) = tried.filter(|tried| tried.answers(asked, pace.pause)) {
            return tried.outcome;
        }
        let got = get().await;
        let (ended, mut state) = (Instant::now(), self.state());
        let outcome = got.map(|keys| state.take(keys, ended, pace.keep));
        state.tried = Some(Try {
            ended,
            outcome: outcome.clone(),
        });
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: PartialEq> State<K> {
    fn take(&mut self, keys: Vec<K>, now: Instant, keep: Duration) {
        let holds =
            |seen: &Seen<K>| now.duration_since(seen.at) < keep && !keys.contains(&seen.key);
        self.keys.retain(holds);
        let keys = keys.into_iter().map(|key| Seen { key, at: now });
        self.keys.splice(0..0, keys);
        self.got = Some(now);
    }
}

impl Try {
    /// Whether it tells enough to somebody who has asked then.
    fn answers(&self, asked: Instant, pause: Duration) -> bool {
        let pause = match self.outcome {
            Ok(()) => pause,
            Err(_) => pause.min(FAILURE_PAUSE),
        };
        self.ended >= asked || self.ended.elapsed() < pause
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    fn pace(pause: Duration, keep: Duration) -> Pace {
        Pace { pause, keep }
    }

    #[tokio::test]
    async fn keys_are_got_once_for_all_who_want_them_and_again_after_the_pause() {
        let (published, calls) = (Published::default(), AtomicUsize::new(0));
        let renew = |pause| {
            published.renew(pace(pause, Duration::ZERO), async || {
                yield_now().await;
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(vec![1])
            })
        };
        for outcome in join_all((0..20).map(|_| renew(Duration::ZERO))).await {
            assert_eq!(outcome, Ok(()));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        renew(Duration::MAX).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        renew(Duration::ZERO).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(published.known(), [1]);
    }

    #[tokio::test]
    async fn keys_stay_while_they_cannot_be_got_and_as_long_as_they_are_kept_when_they_are_withdrawn()
     {
        let published = Published::default();
        let now = pace(Duration::ZERO, Duration::ZERO);
        published.renew(now, async || Ok(vec![1, 2])).await.unwrap();
        let failed = published.renew(now, async || Err("gone".to_owned())).await;
        assert_eq!(failed, Err("gone".to_owned()));
        assert_eq!(published.known(), [1, 2]);
        // Who comes at once learns the same, and nobody is asked.
        let soon = pace(Duration::MAX, Duration::ZERO);
        let again = published.renew(soon, async || Ok(vec![9])).await;
        assert_eq!(again, Err("gone".to_owned()));

        let kept = pace(Duration::ZERO, Duration::MAX);
        published.renew(kept, async || Ok(vec![3])).await.unwrap();
        assert_eq!(published.known(), [3, 1, 2]);
        published.renew(now, async || Ok(vec![2])).await.unwrap();
        assert_eq!(published.known(), [2]);
    }
}
