//! Work that keeps a core busy and takes memory, within limits.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use codec::Stop;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::facts::InspectError;
use crate::memory;

/// Decoding keeps a core busy, so more threads than cores gain nothing. A decode that has been
/// given up holds its permit until it ends: however many get stuck, the other threads of the
/// blocking pool stay free.
static DECODERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // One that converts for minutes leaves another for those who only look.
    Arc::new(Semaphore::new(cores.max(2)))
});

/// Runs `work` on a thread for blocking work, of which there are as many as cores, when so many bytes of memory are free.
/// When time is up, or nobody waits any more, its flag is set; work that does not ask the flag runs on alone and keeps its
/// core.
///
/// # Errors
///
/// Those of `work`; [`InspectError::Busy`] if no thread became free within `limit`, [`InspectError::TimedOut`] if the work
/// took longer, [`InspectError::Corrupt`] if it panicked.
pub async fn run_bounded<T: Send + 'static>(
    limit: Duration,
    bytes: u64,
    work: impl FnOnce(Stop) -> Result<T, InspectError> + Send + 'static,
) -> Result<T, InspectError> {
    // What holds it may be a conversion of minutes, so that is waited for as long as the caller waits.
    let taken = memory::take(bytes).await;
    let work = move |stop| {
        // Until the work has ended, also when nobody waits for it any more.
        let _taken = taken;
        work(stop)
    };
    run(Arc::clone(&DECODERS), limit, work).await
}

async fn run<T: Send + 'static>(
    permits: Arc<Semaphore>,
    limit: Duration,
    work: impl FnOnce(Stop) -> Result<T, InspectError> + Send + 'static,
) -> Result<T, InspectError> {
    let permit = timeout(limit, permits.acquire_owned())
        .await
        .map_err(|_| InspectError::Busy)?;
    let stop = StopOnDrop(Stop::default());
    let flag = stop.0.clone();
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(flag)
    });
    match timeout(limit, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(InspectError::Corrupt(format!(
            "the decoder failed: {panic}"
        ))),
        Err(_) => Err(InspectError::TimedOut),
    }
}

/// Ends the work when its future is dropped, so also when a job is cancelled.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const AMPLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn work_that_gets_stuck_is_given_up_and_keeps_its_permit_until_it_ends() {
        let permits = Arc::new(Semaphore::new(1));
        let (unblock, blocked) = mpsc::channel::<()>();
        let stuck = move |_| blocked.recv().map_err(|_| InspectError::Empty);
        let limit = Duration::from_millis(1);
        assert_eq!(
            run(Arc::clone(&permits), limit, stuck).await,
            Err(InspectError::TimedOut)
        );
        assert_eq!(
            run(Arc::clone(&permits), limit, |_| Ok(())).await,
            Err(InspectError::Busy)
        );
        drop(unblock);
        assert_eq!(run(permits, AMPLE, |_| Ok(())).await, Ok(()));
    }

    #[tokio::test]
    async fn work_that_asks_its_flag_ends_when_time_is_up_or_nobody_waits() {
        let permits = Arc::new(Semaphore::new(1));
        let polite = |stop: Stop| -> Result<(), InspectError> {
            loop {
                stop.check()?;
                std::thread::yield_now();
            }
        };
        let limit = Duration::from_millis(1);
        assert_eq!(
            run(Arc::clone(&permits), limit, polite).await,
            Err(InspectError::TimedOut)
        );
        let waiting = tokio::spawn(run(Arc::clone(&permits), AMPLE, polite));
        tokio::task::yield_now().await;
        waiting.abort();
        assert_eq!(run(permits, AMPLE, |_| Ok(())).await, Ok(()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_takes_all_memory_runs_alone_however_many_cores_there_are() {
        let running = Arc::new(AtomicUsize::new(0));
        let work = |_| {
            let running = Arc::clone(&running);
            tokio::spawn(run_bounded(AMPLE, u64::MAX, move |_| {
                let others = running.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(others)
            }))
        };
        for others in futures::future::join_all((0..20).map(work)).await {
            assert_eq!(others.unwrap(), Ok(0));
        }
    }

    #[tokio::test]
    async fn a_decoder_that_panics_condemns_only_its_file() {
        let permits = Arc::new(Semaphore::new(1));
        let panics = |_| -> Result<(), _> { panic!("a decoder's mistake") };
        let error = run(Arc::clone(&permits), AMPLE, panics).await.unwrap_err();
        assert!(matches!(error, InspectError::Corrupt(_)), "{error}");
        assert_eq!(run(permits, AMPLE, |_| Ok(())).await, Ok(()));
    }
}
