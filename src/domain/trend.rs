//! How popular a template is right now: a sum of its uses and views in which each counts half as much after every 48 hours,
//! and the window in which a template is trending whatever its popularity.

use chrono::{DateTime, TimeDelta, Utc};

const HALF_LIFE: TimeDelta = TimeDelta::hours(48);
const USE_WEIGHT: f64 = 5.0;
const VIEW_WEIGHT: f64 = 1.0;
/// A weight below this is as good as none, so that a template which nobody uses any more is looked at no more.
const FORGOTTEN: f64 = 0.01;

/// Whether `now` lies in the window from `start` to before `end`. A side that is not set is open; without either there is no
/// window.
pub fn in_window(
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    (start.is_some() || end.is_some())
        && start.is_none_or(|start| start <= now)
        && end.is_none_or(|end| now < end)
}

/// Uses and views that were counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Accepted requests.
    pub uses: i32,
    /// At most one for each user and day.
    pub views: i32,
    /// When they were counted.
    pub at: DateTime<Utc>,
}

impl Tally {
    fn weight(self) -> f64 {
        f64::from(self.uses) * USE_WEIGHT + f64::from(self.views) * VIEW_WEIGHT
    }
}

/// The decaying sum as it was at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendWeight {
    /// The sum, 0 or more.
    pub value: f64,
    /// The moment at which it was that.
    pub at: DateTime<Utc>,
}

impl TrendWeight {
    /// The sum at `now`, with what was counted since. A moment that lies ahead, by the clock of another replica, is taken
    /// for `now`.
    pub fn fold(self, tallies: &[Tally], now: DateTime<Utc>) -> Self {
        let now = now.max(self.at);
        let counted: f64 = tallies
            .iter()
            .map(|tally| tally.weight() * decay(tally.at, now))
            .sum();
        let value = self.value * decay(self.at, now) + counted;
        Self {
            value: if value < FORGOTTEN { 0.0 } else { value },
            at: now,
        }
    }

    /// The sum rounded to the nearest whole number; `i32::MAX` if it is beyond.
    pub fn score(self) -> i32 {
        // A cast from a float saturates.
        self.value.round() as i32
    }
}

/// What is left at `to` of a weight of 1 at `from`.
fn decay(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    let elapsed = (to - from).max(TimeDelta::zero());
    (-elapsed.as_seconds_f64() / HALF_LIFE.as_seconds_f64()).exp2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const NOTHING: TrendWeight = TrendWeight {
        value: 0.0,
        at: START,
    };

    fn hour(hours: i64) -> DateTime<Utc> {
        START + TimeDelta::hours(hours)
    }

    fn tally(uses: i32, views: i32, at: DateTime<Utc>) -> Tally {
        Tally { uses, views, at }
    }

    #[test]
    fn a_use_weighs_five_a_view_one_and_both_half_after_two_days() {
        let fresh = NOTHING.fold(&[tally(3, 1, START), tally(0, 4, START)], START);
        assert_eq!(fresh.score(), 20);
        assert_eq!(fresh.fold(&[], hour(48)).score(), 10);
        assert_eq!(fresh.fold(&[], hour(96)).score(), 5);
        let late = NOTHING.fold(&[tally(4, 0, START)], hour(48));
        assert_eq!(late.score(), 10);
    }

    #[test]
    fn a_score_saturates_and_a_weight_is_forgotten() {
        let viral = NOTHING.fold(&[tally(i32::MAX, i32::MAX, START)], START);
        assert_eq!(viral.score(), i32::MAX);
        let seen_once = NOTHING.fold(&[tally(0, 1, START)], START);
        assert!(seen_once.fold(&[], hour(24 * 13)).value > 0.0);
        assert_eq!(seen_once.fold(&[], hour(24 * 14)).value, 0.0);
    }

    #[test]
    fn what_another_replica_counted_ahead_of_this_clock_counts_as_now() {
        let ahead = NOTHING.fold(&[tally(1, 0, hour(5))], hour(1));
        assert_eq!((ahead.value, ahead.at), (5.0, hour(1)));
        assert_eq!(ahead.fold(&[], START), ahead);
    }

    #[test]
    fn a_window_holds_its_start_not_its_end_and_may_be_open() {
        let (before, within, after) = (hour(0), hour(2), hour(4));
        let (start, end) = (Some(hour(1)), Some(hour(4)));
        for (start, end, expected) in [
            (None, None, [false, false, false]),
            (start, None, [false, true, true]),
            (None, end, [true, true, false]),
            (start, end, [false, true, false]),
            (Some(hour(2)), Some(hour(2)), [false, false, false]),
        ] {
            let found = [before, within, after].map(|now| in_window(start, end, now));
            assert_eq!(found, expected, "{start:?} to {end:?}");
        }
        assert!(in_window(start, end, hour(1)));
    }

    fn tallies() -> impl Strategy<Value = Vec<Tally>> {
        let one = (0..200, 0..500, 0..10_000_i64).prop_map(|(uses, views, minute)| {
            tally(uses, views, START + TimeDelta::minutes(minute))
        });
        prop::collection::vec(one, 0..40)
    }

    /// When everything has been counted.
    const END: TimeDelta = TimeDelta::minutes(10_000);

    proptest! {
        #[test]
        fn any_split_and_order_gives_the_same_score(
            (tallies, shuffled) in tallies().prop_flat_map(|tallies| (Just(tallies.clone()), Just(tallies).prop_shuffle())),
            sizes in prop::collection::vec(1_usize..8, 40),
        ) {
            let end = START + END;
            let at_once = NOTHING.fold(&tallies, end);
            let mut in_parts = NOTHING;
            let mut rest = shuffled.as_slice();
            for size in sizes {
                let (part, others) = rest.split_at(size.min(rest.len()));
                // Each part is folded when its last tally is there, or later.
                let now = part.iter().map(|tally| tally.at).max().unwrap_or(START).max(in_parts.at);
                in_parts = in_parts.fold(part, now);
                rest = others;
            }
            let in_parts = in_parts.fold(&[], end);
            prop_assert!((at_once.value - in_parts.value).abs() <= 0.02 + at_once.value * 1e-9);
            prop_assert!((at_once.score() - in_parts.score()).abs() <= 1);
        }

        #[test]
        fn a_score_never_rises_by_itself(tallies in tallies(), hours in prop::collection::vec(0..200_i64, 1..20)) {
            let mut weight = NOTHING.fold(&tallies, START + END);
            for hours in hours {
                let later = weight.fold(&[], weight.at + TimeDelta::hours(hours));
                prop_assert!(later.value <= weight.value && later.score() <= weight.score());
                weight = later;
            }
        }
    }
}
