//! How long to try, and how long to wait in between.

use std::{error::Error, iter::successors, time::Duration};

use tokio::time::Instant;
use tonic::Status;

use super::refusal::retry_delay;

/// A wait that is to last as long as this in all is logged, once.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// How failed calls are repeated and broken streams resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long a call may take with all its repetitions, and how long a stream may stay broken; 60 s by default. A shorter
    /// timeout of the call itself wins. Calls that are sent once are not bounded by it.
    pub deadline: Duration,
    /// The longest wait before the first repetition when the server names none; it doubles with each. 100 ms by default.
    pub first_pause: Duration,
    /// What the wait grows to at most; 5 s by default.
    pub longest_pause: Duration,
    /// A stream that brings nothing for so long counts as broken; 40 s by default. A watch that is well says something at
    /// least every 15 s.
    pub longest_silence: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            longest_silence: Duration::from_secs(40),
        }
    }
}

/// The waits of one call or of one break of a stream.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    began: Instant,
    told: bool,
    ceiling: Duration,
    pub(super) give_up: Instant,
}

impl Backoff {
    /// Starts the clock: nothing is tried again after `patience` or the policy's deadline, whichever is shorter.
    pub(super) fn start(policy: RetryPolicy, patience: Option<Duration>) -> Self {
        let patience = patience.map_or(policy.deadline, |own| own.min(policy.deadline));
        Self {
            policy,
            began: Instant::now(),
            told: false,
            ceiling: policy.first_pause,
            give_up: Instant::now() + patience,
        }
    }

    /// Waits before the next try after `failure`. False, at once, when that would be too late.
    pub(super) async fn wait(&mut self, failure: &Status) -> bool {
        let pause = self.next_pause(failure, rand::random_range(0.5..=1.0));
        if Instant::now() + pause >= self.give_up {
            return false;
        }
        if !self.told && self.began.elapsed() + pause >= TOLD_AFTER {
            self.told = true;
            tracing::warn!(cause = reason(failure), "waiting for the server");
        }
        tokio::time::sleep(pause).await;
        true
    }

    /// What the server asks for, and never less; without that a part of the ceiling by `chance`, 0.5 to 1, so that many
    /// clients do not come back at the same moment.
    fn next_pause(&mut self, failure: &Status, chance: f64) -> Duration {
        let own = self.ceiling.mul_f64(chance);
        self.ceiling = (self.ceiling * 2).min(self.policy.longest_pause);
        match retry_delay(failure) {
            Some(asked) => asked.saturating_add(own.min(asked / 10)),
            None => own,
        }
    }
}

/// What has failed, with the root of it.
fn reason(failure: &Status) -> String {
    let message = failure.message();
    match successors(failure.source(), |cause| (*cause).source()).last() {
        Some(root) => format!("{message}: {root}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn unavailable(asked: Option<Duration>) -> Status {
        let mut details = ErrorDetails::new();
        if asked.is_some() {
            details.set_retry_info(asked);
        }
        Status::with_error_details(Code::Unavailable, "gone", details)
    }

    #[test]
    fn the_waits_double_up_to_the_longest() {
        let mut backoff = Backoff::start(RetryPolicy::default(), None);
        let waits: Vec<_> = (0..8)
            .map(|_| backoff.next_pause(&unavailable(None), 1.0).as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        let least = backoff.next_pause(&unavailable(None), 0.5);
        assert_eq!(least.as_millis(), 2500);
    }

    #[test]
    fn the_servers_wait_is_kept_and_hardly_stretched() {
        let mut backoff = Backoff::start(RetryPolicy::default(), None);
        let asked = Duration::from_secs(1);
        for _ in 0..8 {
            let pause = backoff.next_pause(&unavailable(Some(asked)), 1.0);
            assert!((asked..=asked * 11 / 10).contains(&pause), "{pause:?}");
        }
    }

    #[tokio::test]
    async fn a_wait_beyond_the_deadline_is_not_begun() {
        let policy = RetryPolicy::default();
        let mut backoff = Backoff::start(policy, None);
        assert!(backoff.wait(&unavailable(Some(Duration::ZERO))).await);
        assert!(!backoff.wait(&unavailable(Some(policy.deadline))).await);

        let mut hasty = Backoff::start(policy, Some(Duration::from_millis(1)));
        assert!(
            !hasty
                .wait(&unavailable(Some(Duration::from_millis(1))))
                .await
        );
    }
}
