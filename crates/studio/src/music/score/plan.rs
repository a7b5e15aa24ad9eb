//! The form of a piece: how many bars of which sections at which tempo, each with its chord.

use super::super::mood::Shape;
use super::super::theory::{Chord, Progression};
use super::Intent;
use super::sheet::BEATS_PER_BAR;
use crate::dice::Dice;

/// Seconds that the last chord is held at least, and that a short piece may do with.
const TAIL: (f64, f64) = (0.6, 2.4);
/// The share of a short piece that its last chord is.
const TAIL_SHARE: f64 = 0.2;
/// What a number of bars that is no multiple of four costs, in seconds that the last chord is too long.
const ODD_BARS: [f64; 4] = [0.0, 0.6, 0.3, 0.6];
/// Bars of a phrase, after which a progression begins anew.
pub(super) const PHRASE: usize = 4;

/// A part of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Intro,
    Theme,
    /// Everyone plays.
    Lift,
    /// Most are silent.
    Break,
    /// The last bars before the end.
    Close,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) section: Section,
    /// Its number within the section, from 0.
    pub(super) place: usize,
    /// Bars of the section.
    pub(super) length: usize,
    /// 0 to 1.
    pub(super) energy: f32,
    pub(super) chord: Chord,
}

impl Bar {
    pub(super) fn is_last_of_section(&self) -> bool {
        self.place + 1 == self.length
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// Beats per minute.
    pub(super) tempo: u32,
    pub(super) bars: Vec<Bar>,
    /// The chord that ends the piece.
    pub(super) home: Chord,
    /// Beats that it is held.
    pub(super) home_beats: f64,
}

impl Plan {
    pub(super) fn new(intent: &Intent, tempo: Option<u32>, seconds: u32, dice: &mut Dice) -> Self {
        let seconds = f64::from(seconds);
        let (tempo, count) = match tempo {
            Some(tempo) => (tempo, bars_within(seconds, tempo)),
            None => fit(intent.character.tempo, seconds, dice),
        };
        let sections = sections(count);
        let mut bars = Vec::with_capacity(count);
        let progressions = progressions(intent, dice);
        for (section, length) in sections {
            for place in 0..length {
                let degree = degree(intent, &progressions, section, place, count - bars.len());
                let leads_home = degree == 5 && (bars.len() + 1 == count || place % PHRASE == 3);
                bars.push(Bar {
                    section,
                    place,
                    length,
                    energy: energy(intent.character.shape, section, bars.len(), count),
                    chord: Chord::new(intent.key, degree, intent.character.sevenths, leads_home),
                });
            }
        }
        Self {
            tempo,
            home: Chord::new(intent.key, 1, false, false),
            home_beats: seconds * f64::from(tempo) / 60.0 - (count * BEATS_PER_BAR) as f64,
            bars,
        }
    }

    /// The beat on which the last chord begins.
    pub(super) fn home_beat(&self) -> f64 {
        (self.bars.len() * BEATS_PER_BAR) as f64
    }
}

fn least_tail(seconds: f64) -> f64 {
    (seconds * TAIL_SHARE).clamp(TAIL.0, TAIL.1)
}

fn bar_seconds(tempo: u32) -> f64 {
    (60 * BEATS_PER_BAR) as f64 / f64::from(tempo)
}

/// Whole bars that leave room for the last chord.
fn bars_within(seconds: f64, tempo: u32) -> usize {
    ((seconds - least_tail(seconds)) / bar_seconds(tempo))
        .max(0.0)
        .floor() as usize
}

/// A tempo at which whole phrases fill the time and the last chord is neither cut nor endless: one of the best, so that
/// the dice have a choice.
fn fit((least, most): (u32, u32), seconds: f64, dice: &mut Dice) -> (u32, usize) {
    let cost = |tempo: u32| {
        let bars = bars_within(seconds, tempo);
        let held = seconds - bars as f64 * bar_seconds(tempo);
        let odd = if bars >= PHRASE {
            ODD_BARS[bars % PHRASE]
        } else {
            0.0
        };
        held - least_tail(seconds) + odd
    };
    let mut tempos: Vec<u32> = (least..=most).collect();
    tempos.sort_by(|a, b| cost(*a).total_cmp(&cost(*b)));
    let best = cost(tempos[0]);
    let good = tempos
        .iter()
        .filter(|tempo| cost(**tempo) < best + 0.4)
        .count();
    let tempo = tempos[dice.index(good)];
    (tempo, bars_within(seconds, tempo))
}

/// The sections of a piece with so many bars.
fn sections(count: usize) -> Vec<(Section, usize)> {
    if count < PHRASE {
        return vec![(Section::Theme, count)];
    }
    let (intro, close) = match count {
        ..8 => (1, 0),
        8..16 => (2, 2),
        _ => (4, 2),
    };
    let mut sections = vec![(Section::Intro, intro)];
    sections.extend(middle(count - intro - close));
    sections.extend((close > 0).then_some((Section::Close, close)));
    sections
}

/// Themes and lifts in turn, a break now and then, a lift at last.
fn middle(count: usize) -> Vec<(Section, usize)> {
    if count < PHRASE {
        return vec![(Section::Theme, count)];
    }
    if count <= 12 {
        let theme = count.div_ceil(2).min(8);
        return vec![(Section::Theme, theme), (Section::Lift, count - theme)];
    }
    let turns = [(Section::Theme, 8), (Section::Lift, 8), (Section::Break, 4)];
    let (mut left, mut sections) = (count, Vec::new());
    for (section, length) in turns.into_iter().cycle() {
        let length = if left < length + PHRASE { left } else { length };
        sections.push((section, length));
        left -= length;
        if left == 0 {
            break;
        }
    }
    if let Some(last) = sections.last_mut() {
        last.0 = Section::Lift;
    }
    sections
}

/// One for the theme and another for the lift.
fn progressions(intent: &Intent, dice: &mut Dice) -> [Progression; 2] {
    let choices = intent.key.mode.progressions();
    let theme = dice.index(choices.len());
    let lift = (theme + 1 + dice.index(choices.len() - 1)) % choices.len();
    [choices[theme], choices[lift]]
}

/// The chord of a bar, of which `left` are still to come with itself.
fn degree(
    intent: &Intent,
    [theme, lift]: &[Progression; 2],
    section: Section,
    place: usize,
    left: usize,
) -> i32 {
    let cadence = intent.key.mode.cadence();
    match (left, section) {
        (1, _) => cadence[1],
        (2, Section::Close) => cadence[0],
        (_, Section::Lift | Section::Break) => lift[place % PHRASE],
        _ => theme[place % PHRASE],
    }
}

fn energy(shape: Shape, section: Section, index: usize, count: usize) -> f32 {
    match (shape, section) {
        (_, _) if count < PHRASE => 0.7,
        (Shape::Rise, _) => 0.3 + 0.7 * index as f32 / (count - 1) as f32,
        (Shape::Level, Section::Intro | Section::Break) => 0.4,
        (Shape::Level, _) => 0.55,
        (Shape::Song, Section::Intro) => 0.4,
        (Shape::Song, Section::Theme) => 0.65,
        (Shape::Song, Section::Lift) => 0.95,
        (Shape::Song, Section::Break) => 0.42,
        (Shape::Song, Section::Close) => 0.75,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_fill_every_number_of_bars() {
        for count in 0..400 {
            let sections = sections(count);
            let total: usize = sections.iter().map(|(_, length)| length).sum();
            assert_eq!(total, count);
            let dull = sections.iter().any(|(section, length)| {
                *length > 12 || (*section == Section::Break && *length > PHRASE)
            });
            assert!(!dull, "{count}: {sections:?}");
        }
    }

    #[test]
    fn the_last_chord_has_its_time_at_every_length_and_tempo() {
        for seconds in [1, 2, 3, 4, 5, 7, 10, 15, 30, 47, 60, 120, 600] {
            let seconds = f64::from(seconds);
            for tempo in 40..=200 {
                let held = seconds - bars_within(seconds, tempo) as f64 * bar_seconds(tempo);
                assert!(
                    held >= least_tail(seconds) - 1e-9,
                    "{seconds} s at {tempo}: {held}"
                );
                assert!(held <= least_tail(seconds) + bar_seconds(tempo) + 1e-9);
            }
            let (tempo, bars) = fit((104, 124), seconds, &mut Dice::new(1));
            assert!((104..=124).contains(&tempo));
            assert_eq!(bars, bars_within(seconds, tempo));
        }
    }
}
