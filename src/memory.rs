//! How much memory is taken at once, in all, for reading and converting files whose bytes come from elsewhere.
//!
//! What one file may take follows from the limits of its size and its pixels. This bounds how many of them are in hand.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What there is where nobody has said anything else, as [`allow`] does.
const AMPLE: u64 = 2 << 30;
/// Bytes that are counted as one: a semaphore counts no further than 32 bits at once.
const UNIT: u64 = 1 << 10;

/// What decoders of this process may take.
static DECODING: LazyLock<RwLock<Budget>> = LazyLock::new(|| RwLock::new(Budget::of(AMPLE)));

/// Says how many bytes there are for decoders of this process.
pub fn allow(bytes: u64) {
    *DECODING.write().unwrap_or_else(PoisonError::into_inner) = Budget::of(bytes);
}

/// Waits until so many bytes are free, in the order of asking. Who asks for more than there is gets all of it, alone. They are
/// taken until what is returned is dropped.
pub async fn take(bytes: u64) -> OwnedSemaphorePermit {
    let budget = DECODING
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    budget.take(bytes).await
}

#[derive(Clone)]
struct Budget {
    /// In units.
    most: u32,
    free: Arc<Semaphore>,
}

impl Budget {
    fn of(bytes: u64) -> Self {
        let most = units(bytes);
        Self {
            most,
            free: Arc::new(Semaphore::new(most as usize)),
        }
    }

    async fn take(&self, bytes: u64) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.free);
        let taken = free.acquire_many_owned(units(bytes).min(self.most)).await;
        taken.expect("nobody closes it")
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    const A_MOMENT: Duration = Duration::from_millis(20);

    fn budget(most: u64) -> Budget {
        Budget::of(most * UNIT)
    }

    /// Takes so many units.
    async fn take(budget: &Budget, units: u64) -> OwnedSemaphorePermit {
        budget.take(units * UNIT).await
    }

    fn begin(budget: &Budget, units: u64) -> tokio::task::JoinHandle<OwnedSemaphorePermit> {
        let budget = budget.clone();
        tokio::spawn(async move { take(&budget, units).await })
    }

    #[tokio::test]
    async fn as_many_are_in_hand_as_fit_and_others_wait_until_one_is_done() {
        let budget = budget(100);
        let (one, _other) = (take(&budget, 60).await, take(&budget, 40).await);
        assert!(timeout(A_MOMENT, take(&budget, 1)).await.is_err());
        let waiting = begin(&budget, 60);
        yield_now().await;
        drop(one);
        assert_eq!(waiting.await.unwrap().num_permits(), 60);
    }

    #[tokio::test]
    async fn one_that_never_fits_is_alone_and_is_not_overtaken() {
        let budget = budget(100);
        let small = take(&budget, 10).await;
        let large = begin(&budget, 1_000);
        yield_now().await;
        let next = begin(&budget, 10);
        yield_now().await;
        assert!(!large.is_finished() && !next.is_finished());
        drop(small);
        let large = large.await.unwrap();
        yield_now().await;
        assert!(!next.is_finished());
        drop(large);
        drop(next.await.unwrap());
        assert_eq!(budget.free.available_permits(), 100);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_has_taken_nothing() {
        let budget = budget(100);
        let all = take(&budget, 100).await;
        assert!(timeout(A_MOMENT, take(&budget, 50)).await.is_err());
        drop(all);
        assert_eq!(budget.free.available_permits(), 100);
        drop(take(&budget, 100).await);
    }
}
