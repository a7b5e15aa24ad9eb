//! When watches look for themselves.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

/// When all look that have heard of nothing: at the same moments, so that one read is for all of them, and at others than the
/// other processes.
#[derive(Debug)]
pub(super) struct Rhythm {
    began: Instant,
    /// Of a period.
    shift: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        let random = RandomState::new().hash_one(0_u8);
        Self {
            began: Instant::now(),
            shift: f64::from((random >> 32) as u32) / f64::from(u32::MAX),
        }
    }
}

impl Rhythm {
    /// The next moment after `now` in a rhythm of this period.
    pub(super) fn next(&self, now: Instant, period: Duration) -> Instant {
        let shift = period.mul_f64(self.shift);
        let passed = (now + shift).duration_since(self.began).as_nanos();
        let period = period.as_nanos().max(1);
        let left = period - passed % period;
        now + Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_look_at_the_same_moments_and_never_later_than_a_period() {
        let rhythm = Rhythm::default();
        let period = Duration::from_secs(2);
        let first = rhythm.next(rhythm.began, period);
        assert!(first > rhythm.began && first <= rhythm.began + period);
        for milliseconds in [0, 1, 500, 1_999] {
            let now = first + Duration::from_millis(milliseconds);
            assert_eq!(rhythm.next(now, period), first + period, "{milliseconds}");
        }
    }
}
