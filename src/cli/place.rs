//! Where a job stands in line, in words.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// "12th in line, in about 40 s"; nothing for a position of 0, which is not known.
pub(super) fn in_line(position: u64, wait: Option<Duration>) -> String {
    let place = match position {
        0 => return String::new(),
        1 => "next in line".to_owned(),
        _ => format!("{} in line", ordinal(position)),
    };
    match wait {
        None => place,
        Some(wait) => format!("{place}, in about {}", about(wait)),
    }
}

/// What is left until then; nothing if it has passed.
pub(super) fn left(until: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let left: TimeDelta = until - now;
    left.to_std().unwrap_or_default()
}

fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A guess needs no more than one unit.
fn about(wait: Duration) -> String {
    match wait.as_secs_f64() {
        seconds if seconds < 90.0 => format!("{:.0} s", seconds.max(1.0)),
        seconds if seconds < 90.0 * 60.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_people_say_it() {
        for (position, seconds, words) in [
            (0, Some(4), ""),
            (1, None, "next in line"),
            (1, Some(0), "next in line, in about 1 s"),
            (12, Some(40), "12th in line, in about 40 s"),
            (101, Some(90), "101st in line, in about 2 min"),
            (1_012, Some(5 * 3_600 + 7), "1012th in line, in about 5 h"),
            (22, None, "22nd in line"),
            (43, None, "43rd in line"),
        ] {
            assert_eq!(in_line(position, seconds.map(Duration::from_secs)), words);
        }
    }
}
