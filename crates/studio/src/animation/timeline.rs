//! When each part of a picture comes in.

use super::direction::Pace;
use crate::drawing::Part;

/// Seconds from one entrance to the next, at a steady pace and where there is time for it.
const STEP: f32 = 0.24;
/// Length of an entrance, in steps.
const LENGTH: f32 = 2.6;
/// All is in its place by this share of the whole.
const ENTERED: f32 = 0.5;
/// At the end nothing moves that was going somewhere: the share of the whole, and at most so many seconds.
const HOLD: (f32, f32) = (0.2, 1.5);

/// The times of an animation, in seconds from its begin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// When each part begins to come in; none for what is there from the first.
    begins: Vec<Option<f32>>,
    length: f32,
    /// When the hold at the end begins.
    hold: f32,
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
            hold: seconds - (seconds * HOLD.0).min(HOLD.1),
        }
    }

    /// How far a part's entrance is at a time, 0 to 1; none before it begins.
    pub(super) fn entered(&self, part: usize, time: f32) -> Option<f32> {
        match self.begins.get(part).copied().flatten() {
            None => Some(1.0),
            Some(begin) if time < begin => None,
            Some(begin) => Some(((time - begin) / self.length).min(1.0)),
        }
    }

    /// How much of the time before the hold has gone by, 0 to 1.
    pub(super) fn gone(&self, time: f32) -> f32 {
        (time / self.hold.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0)
    }

    /// How lively what swings may be, 0 to 1: it comes to rest before the hold.
    pub(super) fn liveliness(&self, time: f32) -> f32 {
        ((self.hold - time) / self.length).clamp(0.0, 1.0)
    }
}

/// When parts come in, counted in steps: ground and ornaments, then the words as they are read, and the seal when the
/// headline stands.
fn beats(parts: &[Part]) -> Vec<Option<f32>> {
    let mut words = 0.6;
    let mut headline: f32 = 0.0;
    let mut beats: Vec<Option<f32>> = Vec::with_capacity(parts.len());
    for part in parts {
        beats.push(match part {
            Part::Still | Part::Backdrop | Part::Motif | Part::Rays(..) | Part::Piece => None,
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
    fn all_is_in_place_by_the_half_and_at_rest_before_the_end() {
        for pace in [Pace::Calm, Pace::Steady, Pace::Brisk] {
            for seconds in [0.5, 1.0, 3.0, 6.0, 30.0, 120.0] {
                let timeline = Timeline::new(&PARTS, pace, seconds);
                for (index, part) in PARTS.iter().enumerate() {
                    let done = timeline.entered(index, seconds * 0.501);
                    assert_eq!(done, Some(1.0), "{part:?} of {seconds} s");
                }
                let hold = timeline.hold;
                assert!(hold < seconds && hold >= seconds - 1.5);
                assert_eq!(timeline.gone(hold), 1.0);
                assert_eq!(timeline.liveliness(hold), 0.0);
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
        assert_eq!(timeline.entered(3, begin - 0.01), None);
        assert_eq!(timeline.entered(3, begin), Some(0.0));
        assert_eq!(
            timeline.entered(3, begin + timeline.length * 2.0),
            Some(1.0)
        );
    }
}
