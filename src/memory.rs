//! How much memory is taken at once, in all, for reading and converting files whose bytes come from elsewhere.
//!
//! What one file may take follows from the limits of its size and its pixels. This bounds how many of them are in hand.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// What there is where nobody has said anything else, as [`allow`] does.
const AMPLE: u64 = 2 << 30;

/// What decoders of this process have taken.
static DECODING: Budget = Budget::of(AMPLE);

/// Says how many bytes there are for decoders of this process.
pub fn allow(bytes: u64) {
    DECODING.most.store(bytes, Ordering::Relaxed);
}

/// Waits until so many bytes are free, in the order of asking. Who asks for more than there is gets all of it, alone.
pub async fn take(bytes: u64) -> Taken {
    DECODING.take(bytes).await
}

/// Memory that is taken until this is dropped.
#[derive(Debug)]
pub struct Taken {
    of: &'static Budget,
    bytes: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        *taken = taken.saturating_sub(self.bytes);
        drop(taken);
        self.of.freed.notify_one();
    }
}

#[derive(Debug)]
struct Budget {
    most: AtomicU64,
    taken: Mutex<u64>,
    /// Held by who waits first, so that many small ones do not starve a large one.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
}

impl Budget {
    const fn of(most: u64) -> Self {
        Self {
            most: AtomicU64::new(most),
            taken: Mutex::new(0),
            turn: tokio::sync::Mutex::const_new(()),
            freed: Notify::const_new(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&'static self, bytes: u64) -> Taken {
        let _turn = self.turn.lock().await;
        loop {
            if let Some(taken) = self.try_take(bytes) {
                return taken;
            }
            self.freed.notified().await;
        }
    }

    fn try_take(&'static self, bytes: u64) -> Option<Taken> {
        let mut taken = self.taken();
        let fits = taken.saturating_add(bytes) <= self.most.load(Ordering::Relaxed);
        (fits || *taken == 0).then(|| {
            *taken = taken.saturating_add(bytes);
            Taken { of: self, bytes }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    const A_MOMENT: Duration = Duration::from_millis(20);

    fn budget(most: u64) -> &'static Budget {
        Box::leak(Box::new(Budget::of(most)))
    }

    #[tokio::test]
    async fn as_many_are_in_hand_as_fit_and_others_wait_until_one_is_done() {
        let budget = budget(100);
        let (one, _other) = (budget.take(60).await, budget.take(40).await);
        assert!(timeout(A_MOMENT, budget.take(1)).await.is_err());
        let waiting = tokio::spawn(budget.take(60));
        yield_now().await;
        drop(one);
        assert_eq!(waiting.await.unwrap().bytes, 60);
    }

    #[tokio::test]
    async fn one_that_never_fits_is_alone_and_is_not_overtaken() {
        let budget = budget(100);
        let small = budget.take(10).await;
        let large = tokio::spawn(budget.take(1_000));
        yield_now().await;
        let next = tokio::spawn(budget.take(10));
        yield_now().await;
        assert!(!large.is_finished() && !next.is_finished());
        drop(small);
        let large = large.await.unwrap();
        yield_now().await;
        assert!(!next.is_finished());
        drop(large);
        next.await.unwrap();
        assert_eq!(*budget.taken(), 0);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_has_taken_nothing() {
        let budget = budget(100);
        let all = budget.take(100).await;
        assert!(timeout(A_MOMENT, budget.take(50)).await.is_err());
        drop(all);
        assert_eq!(*budget.taken(), 0);
        budget.take(100).await;
    }
}
