//! When links end: on a grid, so that a page that is loaded again names its files as before, and the browser has them.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The lifetime of links, and the grid that their ends are rounded up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    lifetime: Duration,
    /// Seconds from one end to the next.
    step: i64,
    longest: Duration,
}

impl Expiry {
    /// A grid of half the lifetime, or as fine as it takes for no link to live longer than `longest`.
    pub(super) fn new(lifetime: Duration, longest: Duration) -> Self {
        let room = longest.saturating_sub(lifetime).min(lifetime / 2);
        Self {
            lifetime,
            step: room.as_secs().max(1).cast_signed(),
            longest,
        }
    }

    /// When a link made now ends: a lifetime from now or, by less than a step, later.
    pub(super) fn of_link_made(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let earliest = now + self.lifetime;
        let seconds = earliest.timestamp() + i64::from(earliest.timestamp_subsec_nanos() > 0);
        let end = seconds + (-seconds).rem_euclid(self.step);
        DateTime::from_timestamp(end, 0).unwrap_or(earliest)
    }

    /// For how many seconds a link works that begins at the last end of the grid, or at most a second after it is made where
    /// `longest` is a lifetime.
    pub(super) fn seconds(&self) -> i64 {
        let lifetime = self.lifetime.as_secs() + u64::from(self.lifetime.subsec_nanos() > 0);
        let seconds = lifetime.saturating_add_signed(self.step);
        seconds.min(self.longest.as_secs()).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::media::s3::MAX_LINK_LIFETIME;

    const WEEK: u64 = 7 * 24 * 60 * 60;

    fn at(microseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(microseconds).unwrap()
    }

    /// How long a link works that is made now.
    fn left(expiry: Expiry, now: DateTime<Utc>) -> Duration {
        (expiry.of_link_made(now) - now).to_std().unwrap()
    }

    prop_compose! {
        /// What can be configured.
        fn any_lifetime()(milliseconds in 60_000..=WEEK * 1_000) -> Duration {
            Duration::from_millis(milliseconds)
        }
    }

    prop_compose! {
        fn any_time()(microseconds in 0..4_000_000_000_000_000_i64) -> DateTime<Utc> {
            at(microseconds)
        }
    }

    proptest! {
        #[test]
        fn a_link_lives_for_one_to_one_and_a_half_lifetimes(lifetime in any_lifetime(), now in any_time()) {
            let left = left(Expiry::new(lifetime, Duration::MAX), now);
            prop_assert!(lifetime <= left && left <= lifetime * 3 / 2, "{left:?}");
        }

        #[test]
        fn links_made_within_a_step_end_at_once(
            lifetime in any_lifetime(), now in any_time(), share in 0.0..=1.0,
        ) {
            let expiry = Expiry::new(lifetime, Duration::MAX);
            let end = expiry.of_link_made(now);
            let last = end - lifetime;
            let between = now + (last - now).to_std().unwrap().mul_f64(share);
            prop_assert_eq!(expiry.of_link_made(between.min(last)), end);
            let next = expiry.of_link_made(last + TimeDelta::microseconds(1));
            prop_assert_eq!((next - end).num_seconds(), (lifetime / 2).as_secs().cast_signed());
        }

        #[test]
        fn no_link_lives_longer_than_it_may(lifetime in any_lifetime(), now in any_time()) {
            let expiry = Expiry::new(lifetime, MAX_LINK_LIFETIME);
            let left = left(expiry, now);
            prop_assert!(lifetime <= left && left <= lifetime * 3 / 2, "{left:?}");
            let whole = expiry.seconds();
            prop_assert!(whole <= WEEK.cast_signed());
            let begin = expiry.of_link_made(now) - TimeDelta::seconds(whole);
            prop_assert!(begin <= now || begin - now <= TimeDelta::seconds(1), "it begins at {begin}");
        }
    }

    #[test]
    fn a_link_that_may_live_no_longer_than_its_lifetime_changes_every_second() {
        let expiry = Expiry::new(MAX_LINK_LIFETIME, MAX_LINK_LIFETIME);
        assert_eq!(
            expiry.of_link_made(at(500_000)),
            at(1_000_000) + MAX_LINK_LIFETIME
        );
        assert_eq!(
            expiry.of_link_made(at(1_000_001)),
            at(2_000_000) + MAX_LINK_LIFETIME
        );
    }

    #[test]
    fn a_link_of_an_hour_ends_at_a_full_or_half_hour() {
        let expiry = Expiry::new(Duration::from_secs(3_600), Duration::MAX);
        let minutes = |minutes: i64| at(minutes * 60_000_000);
        for (made, ends) in [(0, 60), (1, 90), (29, 90), (30, 90), (31, 120)] {
            assert_eq!(
                expiry.of_link_made(minutes(made)),
                minutes(ends),
                "made at {made}"
            );
        }
    }
}
