//! The bass: what the chords stand on.

use super::super::mood::BassLine;
use super::super::theory::{Chord, OCTAVE, nearest};
use super::Intent;
use super::plan::{Plan, Section};
use super::sheet::{Part, Sheet, Strike};
use crate::dice::Dice;

/// Around E2: roots lie within half an octave of it.
const CENTRE: i32 = 40;

pub(super) fn write(plan: &Plan, intent: &Intent, sheet: &mut Sheet, dice: &mut Dice) {
    let line = dice.pick(intent.character.bass);
    for (index, bar) in plan.bars.iter().enumerate() {
        // What is still to come makes the first bars sound like a beginning.
        if bar.section == Section::Intro && index + 1 < bar.length.max(2) {
            continue;
        }
        let quiet = matches!(bar.section, Section::Intro | Section::Break) || bar.energy < 0.5;
        let line = if quiet { BassLine::Held } else { line };
        for (step, steps, pitch, accent) in figure(line, &bar.chord) {
            let velocity = accent * (0.6 + 0.35 * bar.energy);
            sheet.step(
                Part::Bass,
                Strike::Pitch(pitch),
                (index, step),
                steps,
                velocity,
            );
        }
    }
    let root = nearest(plan.home.root(), CENTRE);
    sheet.beat(
        Part::Bass,
        Strike::Pitch(root),
        plan.home_beat(),
        plan.home_beats,
        0.85,
    );
}

/// Step, length in steps, pitch and accent of a bar's notes.
fn figure(line: BassLine, chord: &Chord) -> Vec<(usize, f64, i32, f32)> {
    let root = nearest(chord.root(), CENTRE);
    let fifth = nearest(chord.fifth(), root + 3);
    match line {
        BassLine::Held => vec![(0, 15.5, root, 0.9)],
        BassLine::Halves => vec![
            (0, 7.0, root, 0.95),
            (8, 5.5, fifth, 0.8),
            (14, 2.0, root, 0.6),
        ],
        BassLine::Eighths => (0..8)
            .map(|eighth| {
                (
                    eighth * 2,
                    1.7,
                    root,
                    if eighth % 4 == 0 { 0.95 } else { 0.7 },
                )
            })
            .collect(),
        BassLine::Octaves => (0..8)
            .map(|eighth| {
                let high = eighth % 2 == 1;
                let pitch = if high { root + OCTAVE } else { root };
                (eighth * 2, 1.5, pitch, if high { 0.7 } else { 0.95 })
            })
            .collect(),
        BassLine::Syncopated => vec![
            (0, 5.0, root, 0.95),
            (6, 3.5, root, 0.75),
            (10, 3.0, fifth, 0.8),
            (14, 1.8, root, 0.65),
        ],
    }
}
