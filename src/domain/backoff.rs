//! When a failed attempt is tried again: attempt^4 seconds, 10 % up or down, a provider's retry-after wins (see
//! docs/domain.md#attempts).

use std::time::Duration;

/// A provider may ask for a long pause, but not for one that amounts to losing the job.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Pause after the failed attempt number `attempt` (from 1). `jitter` is a random number from -1 to 1.
pub fn pause(attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    if let Some(asked) = retry_after {
        return asked.min(MAX_PAUSE);
    }
    let seconds = f64::from(attempt.clamp(1, 16)).powi(4);
    Duration::from_secs_f64(seconds * (1.0 + 0.1 * jitter.clamp(-1.0, 1.0))).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_fourth_power_of_the_attempt() {
        let seconds: Vec<u64> = (1..=4)
            .map(|attempt| pause(attempt, None, 0.0).as_secs())
            .collect();
        assert_eq!(seconds, [1, 16, 81, 256]);
    }

    #[test]
    fn jitter_moves_the_pause_by_a_tenth_at_most() {
        assert_eq!(pause(10, None, 1.0), Duration::from_secs(11_000));
        assert_eq!(pause(10, None, -7.0), Duration::from_secs(9_000));
    }

    #[test]
    fn the_retry_after_of_a_provider_wins_within_a_day() {
        assert_eq!(
            pause(3, Some(Duration::from_secs(7)), 1.0),
            Duration::from_secs(7)
        );
        assert_eq!(pause(3, Some(Duration::MAX), 1.0), MAX_PAUSE);
    }
}
