//! The middle of the sound: held chords and their arpeggio.

use super::super::mood::{Ensemble, Shape};
use super::super::theory::{Chord, OCTAVE, nearest};
use super::Intent;
use super::plan::{Bar, PHRASE, Plan, Section};
use super::sheet::{Part, STEPS_PER_BAR, Sheet, Strike};
use crate::dice::Dice;

/// Around which held chords lie: the A below middle C.
const PAD_CENTRE: i32 = 59;
/// The lowest note of an arpeggio.
const ARPEGGIO_LOW: i32 = 57;
/// Indices into the chord's notes from the lowest up, one for each note of the arpeggio.
const PATTERNS: [[usize; 8]; 5] = [
    [0, 1, 2, 3, 4, 3, 2, 1],
    [0, 2, 1, 2, 3, 2, 1, 2],
    [0, 2, 4, 2, 3, 2, 4, 2],
    [0, 1, 2, 4, 3, 2, 4, 1],
    [0, 3, 2, 4, 1, 3, 2, 3],
];
/// Seconds between the notes of the last chord as it is rolled, in beats.
const ROLL: f64 = 0.16;

pub(super) fn write(plan: &Plan, intent: &Intent, sheet: &mut Sheet, dice: &mut Dice) {
    let pattern = dice.pick(PATTERNS);
    let comps = intent.ensemble == Ensemble::Lounge;
    let mut voicing = Vec::new();
    for (index, bar) in plan.bars.iter().enumerate() {
        voicing = voice(&bar.chord, &voicing);
        pad(sheet, index, bar, &voicing, comps);
        arpeggio(sheet, index, bar, intent, &pattern);
    }
    end(plan, &voice(&plan.home, &voicing), sheet);
}

fn pad(sheet: &mut Sheet, index: usize, bar: &Bar, voicing: &[i32], comps: bool) {
    let velocity = 0.45 + 0.4 * bar.energy;
    // A struck chord dies away, so it is struck again, ahead of the third beat.
    let strokes: &[(usize, f64, f32)] = match (comps, bar.section) {
        (false, _) => &[(0, 16.4, 1.0)],
        (true, Section::Intro | Section::Break) => &[(0, 15.0, 1.0)],
        (true, _) => &[(0, 6.5, 1.0), (7, 7.0, 0.75)],
    };
    for (step, steps, accent) in strokes {
        for pitch in voicing {
            let at = (index, *step);
            sheet.step(
                Part::Pad,
                Strike::Pitch(*pitch),
                at,
                *steps,
                velocity * accent,
            );
        }
    }
}

fn arpeggio(sheet: &mut Sheet, index: usize, bar: &Bar, intent: &Intent, pattern: &[usize; 8]) {
    let waits = bar.section == Section::Intro && bar.length >= PHRASE && bar.place < 2;
    if waits {
        return;
    }
    let calm = matches!(bar.section, Section::Intro | Section::Break) || bar.energy < 0.5;
    let stride = if calm {
        intent.character.stride.max(2)
    } else {
        intent.character.stride
    };
    let notes = bar.chord.from(ARPEGGIO_LOW, 5);
    let rising = intent.character.shape == Shape::Rise;
    for (count, step) in (0..STEPS_PER_BAR).step_by(stride).enumerate() {
        let pitch = notes[pattern[count % pattern.len()]];
        let lift = if rising && bar.energy > 0.8 {
            OCTAVE
        } else {
            0
        };
        let accent = match step {
            0 => 1.0,
            8 => 0.88,
            _ if step % 4 == 0 => 0.78,
            _ => 0.66,
        };
        let velocity = accent * (0.5 + 0.4 * bar.energy);
        let steps = stride as f64 * 1.2;
        sheet.step(
            Part::Arpeggio,
            Strike::Pitch(pitch + lift),
            (index, step),
            steps,
            velocity,
        );
    }
}

/// The last chord: held by the pad, rolled upwards by the arpeggio.
fn end(plan: &Plan, voicing: &[i32], sheet: &mut Sheet) {
    let (beat, beats) = (plan.home_beat(), plan.home_beats);
    for pitch in voicing {
        sheet.beat(Part::Pad, Strike::Pitch(*pitch), beat, beats, 0.7);
    }
    for (index, pitch) in plan.home.from(ARPEGGIO_LOW, 5).into_iter().enumerate() {
        let late = index as f64 * ROLL;
        let velocity = 0.8 - 0.06 * index as f32;
        sheet.beat(
            Part::Arpeggio,
            Strike::Pitch(pitch),
            beat + late,
            (beats - late).max(0.25),
            velocity,
        );
    }
}

/// The chord's notes in the close position that moves least from the chord before.
fn voice(chord: &Chord, before: &[i32]) -> Vec<i32> {
    let count = chord.classes.len();
    let candidates = (0..count).flat_map(|inversion| {
        let lowest = nearest(chord.classes[inversion], PAD_CENTRE - 5);
        [lowest, lowest + OCTAVE].map(|low| chord.from(low, count))
    });
    let distance = |voicing: &Vec<i32>| {
        let centre: i32 = voicing.iter().sum::<i32>() / count as i32;
        let moved: i32 = voicing.iter().zip(before).map(|(a, b)| (a - b).abs()).sum();
        moved + (centre - PAD_CENTRE).abs()
    };
    candidates.min_by_key(distance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::super::theory::{Key, Mode};
    use super::*;

    #[test]
    fn chords_follow_each_other_by_small_steps() {
        for (_, mode) in Mode::NAMES {
            for tonic in 0..12 {
                let key = Key { tonic, mode: *mode };
                let mut before = voice(&Chord::new(key, 1, false, false), &[]);
                for degree in [4, 5, 1, 6, 2, 5, 3, 7, 1] {
                    let after = voice(&Chord::new(key, degree, false, false), &before);
                    assert_eq!(after.len(), 3);
                    let furthest = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).max();
                    assert!(furthest <= Some(7), "{before:?} to {after:?}");
                    assert!(after[0] >= 48 && after[2] <= 76, "{after:?}");
                    before = after;
                }
            }
        }
    }
}
