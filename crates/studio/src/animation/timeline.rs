//! When each part of a picture comes in.

use std::f32::consts::PI;

use super::direction::Pace;
use crate::drawing::Part;

/// Seconds from one entrance to the next, at a steady pace and where there is time for it.
const STEP: f32 = 0.24;
/// Length of an entrance, in steps.
const LENGTH: f32 = 2.6;
/// All is in its place by this share of the whole.
const ENTERED: f32 = 0.5;
/// Seconds from one swell of the words to the next, and its length; of short clips, shares of the whole.
const PULSE: (f32, f32) = (2.2, 0.4);
const SWELL: (f32, f32) = (0.7, 0.14);
/// Steps by which a swell is later from one part to the next.
const RIPPLE: f32 = 0.4;

/// The times of an animation, in seconds from its begin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// When each part begins to come in; none for what is there from the first.
    begins: Vec<Option<f32>>,
    length: f32,
    step: f32,
    seconds: f32,
    /// When the last part has come in.
    entered: f32,
}

impl Timeline {
    /// Times for parts in the order in which they are painted.
    pub(super) fn new(parts: &[Part], pace: Pace, seconds: f32) -> Self {
        let beats = beats(parts);
        let last = beats.iter().flatten().fold(0.0, |a: f32, b| a.max(*b));
        let step = STEP
            * match pace {
                Pace::Calm => 1.5,
                Pace::Steady => 1.0,
                Pace::Brisk => 0.7,
            };
        let step = step.min(seconds * ENTERED / (last + LENGTH));
        Self {
            begins: beats
                .iter()
                .map(|beat| beat.map(|beat| beat * step))
                .collect(),
            length: step * LENGTH,
            step,
            seconds,
            entered: (last + LENGTH) * step,
        }
    }

    /// How far a part's entrance is at a time, 0 to 1.
    pub(super) fn entered(&self, part: usize, time: f32) -> f32 {
        match self.begins.get(part).copied().flatten() {
            None => 1.0,
            Some(begin) => ((time - begin) / self.length).clamp(0.0, 1.0),
        }
    }

    /// How much of the whole has gone by, 0 to 1.
    pub(super) fn gone(&self, time: f32) -> f32 {
        (time / self.seconds.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0)
    }

    /// How lively what swings may be, 0 to 1: it comes to rest at the end.
    pub(super) fn liveliness(&self, time: f32) -> f32 {
        ((self.seconds - time) / self.length).clamp(0.0, 1.0)
    }

    /// How much a part swells, 0 to 1: a little now and then, one part after the other, and all of them together at the end.
    pub(super) fn swell(&self, part: usize, time: f32) -> f32 {
        let length = SWELL.0.min(self.seconds * SWELL.1);
        let wave = |since: f32| match (0.0..length).contains(&since) {
            true => (PI * since / length).sin().powi(2),
            false => 0.0,
        };
        let last = self.seconds - length;
        if time >= last {
            return wave(time - last);
        }
        let period = PULSE.0.min(self.seconds * PULSE.1);
        let late = self.begins.get(part).copied().flatten().unwrap_or(0.0) * RIPPLE;
        let since = time - self.entered - late;
        // One that would run into the last is left out.
        let begin = time - since.rem_euclid(period);
        match since >= 0.0 && begin + length <= last {
            true => 0.5 * wave(since.rem_euclid(period)),
            false => 0.0,
        }
    }

    /// What a countdown shows at a time: so many seconds, the last of which ends when the clip begins its end; none after it.
    pub(super) fn count(&self, time: f32) -> Option<u8> {
        let left = self.seconds - ENDING.min(self.seconds / 2.0) - time;
        let most = counted(self.seconds);
        (left > 0.0 && most > 0).then(|| (left.ceil() as u8).min(most))
    }

    /// How much of the second that a countdown shows has gone by, 0 to 1; the first number stands from the begin.
    pub(super) fn ticked(&self, time: f32) -> f32 {
        let left = self.seconds - ENDING.min(self.seconds / 2.0) - time;
        match left > f32::from(counted(self.seconds)) {
            true => 1.0,
            false => left.ceil() - left,
        }
    }
}

/// Seconds after a countdown, for what it leads to.
const ENDING: f32 = 1.4;
/// The highest number of a countdown.
const MOST_COUNTED: u8 = 9;

/// The number that the countdown of so long a clip begins with.
pub(super) fn counted(seconds: f32) -> u8 {
    (seconds - ENDING.min(seconds / 2.0))
        .floor()
        .clamp(0.0, f32::from(MOST_COUNTED)) as u8
}

/// When parts come in, counted in steps: ground and ornaments, then the words as they are read, and the seal when the
/// headline stands.
fn beats(parts: &[Part]) -> Vec<Option<f32>> {
    let mut words = 0.6;
    let mut headline: f32 = 0.0;
    let mut beats: Vec<Option<f32>> = Vec::with_capacity(parts.len());
    for part in parts {
        beats.push(match part {
            Part::Still
            | Part::Backdrop
            | Part::Motif
            | Part::Rays(..)
            | Part::Piece
            | Part::Count(_) => None,
            Part::Panel(_) | Part::Card | Part::Corner(..) => Some(0.0),
            Part::QuotationMark | Part::Medallion => Some(0.8),
            Part::Rule => Some(words + 0.6),
            Part::Kicker
            | Part::Headline
            | Part::Subline
            | Part::Details
            | Part::Author
            | Part::Footer => {
                words += 1.0;
                if *part == Part::Headline {
                    headline = words;
                }
                Some(words)
            }
            Part::Seal => None,
        });
    }
    for (beat, part) in beats.iter_mut().zip(parts) {
        if *part == Part::Seal {
            *beat = Some(headline + 1.4);
        }
    }
    beats
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 8] = [
        Part::Motif,
        Part::Panel((0, 1)),
        Part::Seal,
        Part::Headline,
        Part::Headline,
        Part::Rule,
        Part::Details,
        Part::Footer,
    ];

    #[test]
    fn words_come_in_as_they_are_read_and_the_seal_after_the_headline() {
        let timeline = Timeline::new(&PARTS, Pace::Steady, 8.0);
        let begin = |part: usize| timeline.begins[part].unwrap_or(-1.0);
        assert!(begin(0) < 0.0, "the decoration is there from the first");
        assert!(begin(1) < begin(3) && begin(3) < begin(4) && begin(4) < begin(2));
        assert!(begin(5) < begin(6) && begin(6) < begin(7));
    }

    #[test]
    fn all_is_in_place_by_the_half_and_at_rest_at_the_end() {
        for pace in [Pace::Calm, Pace::Steady, Pace::Brisk] {
            for seconds in [0.5, 1.0, 3.0, 6.0, 30.0, 120.0] {
                let timeline = Timeline::new(&PARTS, pace, seconds);
                for (index, part) in PARTS.iter().enumerate() {
                    let done = timeline.entered(index, seconds * 0.501);
                    assert_eq!(done, 1.0, "{part:?} of {seconds} s");
                    assert!(timeline.swell(index, seconds) < 0.01);
                    assert!(timeline.swell(index, 0.0) == 0.0);
                }
                assert_eq!(timeline.gone(seconds), 1.0);
                assert_eq!(timeline.liveliness(seconds), 0.0);
            }
        }
    }

    #[test]
    fn a_brisk_pace_is_faster_than_a_calm_one() {
        let ends = |pace| {
            let timeline = Timeline::new(&PARTS, pace, 20.0);
            timeline.begins[7].unwrap_or(0.0) + timeline.length
        };
        assert!(ends(Pace::Brisk) < ends(Pace::Steady));
        assert!(ends(Pace::Steady) < ends(Pace::Calm));
    }

    #[test]
    fn an_entrance_runs_from_0_to_1() {
        let timeline = Timeline::new(&PARTS, Pace::Steady, 8.0);
        let begin = timeline.begins[3].unwrap_or(0.0);
        assert_eq!(timeline.entered(3, begin - 0.01), 0.0);
        assert_eq!(timeline.entered(3, begin), 0.0);
        assert_eq!(timeline.entered(3, begin + timeline.length * 2.0), 1.0);
    }

    #[test]
    fn the_words_swell_now_and_then_and_most_at_the_end() {
        let timeline = Timeline::new(&PARTS, Pace::Steady, 8.0);
        let most = |from: f32, to: f32| {
            let steps = (0..100).map(|step| from + (to - from) * step as f32 / 100.0);
            steps
                .map(|time| timeline.swell(3, time))
                .fold(0.0, f32::max)
        };
        assert!(most(3.0, 6.0) > 0.4 && most(3.0, 6.0) < 0.6);
        assert!(most(7.0, 8.0) > 0.95);
    }

    #[test]
    fn a_countdown_counts_each_second_down_to_one() {
        let timeline = Timeline::new(&PARTS, Pace::Brisk, 6.0);
        let counts = (0..60).map(|step| timeline.count(step as f32 / 10.0));
        let mut seen: Vec<Option<u8>> = counts.collect();
        seen.dedup();
        assert_eq!(seen, [Some(4), Some(3), Some(2), Some(1), None]);
        assert_eq!(counted(1.0), 0);
        assert_eq!(counted(60.0), 9);
    }
}
