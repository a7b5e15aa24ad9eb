//! Where a job stands in line, when it may begin by that, and when it has moved so far that a watcher hears of it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A move is told once it is one part of so many of the position that was told last.
const MOVE: u32 = 10;
/// The same of the estimate, as parts of the wait that is left, and the least of it.
const SHIFT: i32 = 2;
const LEAST_SHIFT: TimeDelta = TimeDelta::seconds(10);
/// Whatever is said to take longer is not known.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a pending job stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1, which is next.
    pub position: u32,
    /// When it may begin, by the database's clock; `None` if nothing is known of how fast its line moves.
    pub start: Option<DateTime<Utc>>,
}

impl Place {
    /// Whether that is worth a message to somebody who was told `before`, at this time by the same clock.
    pub fn is_news(self, before: Option<Self>, now: DateTime<Utc>) -> bool {
        let Some(before) = before else {
            return true;
        };
        let moved = self.position.abs_diff(before.position);
        let shifted = match (self.start, before.start) {
            (Some(start), Some(before)) => {
                let left = (before - now).max(TimeDelta::zero());
                (start - before).abs() > (left / SHIFT).max(LEAST_SHIFT)
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        moved > 0 && moved.saturating_mul(MOVE) >= before.position || shifted
    }
}

/// What tells how fast the jobs of one line begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How many run now.
    pub running: u32,
    /// How long the last ones have taken, on average; `None` if none has ended of late.
    pub took: Option<Duration>,
    /// How many have ended within `period`.
    pub ended: u32,
    /// Not zero.
    pub period: Duration,
}

impl Pace {
    /// How long a job at this position waits, if what runs takes as long as what has ended, and as many run on; `None` if that
    /// is not known.
    pub fn wait(&self, position: u32) -> Option<Duration> {
        let took = self.took?.as_secs_f64();
        let freed = match took > 0.0 {
            true => f64::from(self.running) / took,
            false => 0.0,
        };
        // Between two jobs of a worker nothing runs for a moment.
        let a_second = freed.max(f64::from(self.ended) / self.period.as_secs_f64());
        let wait = Duration::try_from_secs_f64(f64::from(position) / a_second);
        wait.ok().filter(|wait| *wait <= LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn place(position: u32, start: Option<i64>) -> Place {
        Place {
            position,
            start: start.map(time),
        }
    }

    #[test]
    fn every_step_is_told_at_the_head_and_tenths_far_away() {
        let told = |from, to| place(to, None).is_news(Some(place(from, None)), time(0));
        assert!(place(7, None).is_news(None, time(0)));
        assert!(told(2, 1) && told(10, 9) && told(9, 10));
        assert!(!told(7, 7) && !told(20, 19) && told(20, 18));
        assert!(!told(10_000, 9_001) && told(10_000, 9_000));
        let mut told_of = 0;
        let mut last = place(10_000, None);
        for position in (1..10_000).rev() {
            let now = place(position, None);
            if now.is_news(Some(last), time(0)) {
                (last, told_of) = (now, told_of + 1);
            }
        }
        assert_eq!(last.position, 1);
        assert!(told_of < 80, "{told_of}");
    }

    #[test]
    fn an_estimate_is_told_when_it_is_there_and_when_it_is_far_off() {
        let told = |from, to, now| place(5, to).is_news(Some(place(5, from)), time(now));
        assert!(told(None, Some(40), 0) && !told(Some(40), None, 0));
        assert!(!told(Some(40), Some(60), 0) && told(Some(40), Some(61), 0));
        assert!(!told(Some(40), Some(50), 40) && told(Some(40), Some(51), 40));
        assert!(!told(Some(100), Some(60), 0) && told(Some(100), Some(49), 0));
    }

    fn pace(running: u32, took: u64, ended: u32) -> Pace {
        Pace {
            running,
            took: Some(Duration::from_secs(took)),
            ended,
            period: Duration::from_secs(60),
        }
    }

    #[test]
    fn a_line_moves_as_fast_as_what_runs_is_done() {
        let seconds = |wait: Option<Duration>| wait.unwrap().as_secs();
        assert_eq!(seconds(pace(4, 20, 0).wait(1)), 5);
        assert_eq!(seconds(pace(4, 20, 0).wait(12)), 60);
        // Many small ones, of which few run whenever one looks.
        assert_eq!(seconds(pace(0, 1, 120).wait(10)), 5);
        assert_eq!(seconds(pace(1, 0, 60).wait(10)), 10);
    }

    #[test]
    fn where_nothing_runs_and_nothing_has_ended_nothing_is_known() {
        assert_eq!(pace(0, 20, 0).wait(1), None);
        let new = Pace {
            took: None,
            ..pace(3, 0, 0)
        };
        assert_eq!(new.wait(1), None);
        assert_eq!(pace(1, u64::MAX, 0).wait(1), None);
    }
}
