//! The melody: a motif of two bars for the theme and another for the lift, repeated and answered, so that it can be
//! remembered; strong beats take notes of the chord.

use super::super::mood::Density;
use super::super::theory::{Chord, OCTAVE, nearest};
use super::Intent;
use super::plan::{PHRASE, Plan, Section};
use super::sheet::{Part, Sheet, Strike};
use crate::dice::Dice;

/// Lowest and highest note: G4 to C6.
const RANGE: (i32, i32) = (67, 84);
/// Where a theme begins, and how many notes of the scale higher a lift does.
const CENTRE: i32 = 72;
const LIFT: usize = 2;

/// Onsets and lengths of a bar's notes, in steps.
type Cell = &'static [(usize, usize)];

const SPARSE: [Cell; 5] = [
    &[(0, 8), (8, 8)],
    &[(0, 12), (12, 4)],
    &[(0, 6), (6, 10)],
    &[(4, 4), (8, 8)],
    &[(0, 4), (4, 12)],
];
const MEDIUM: [Cell; 5] = [
    &[(0, 4), (4, 4), (8, 8)],
    &[(0, 6), (6, 2), (8, 6), (14, 2)],
    &[(2, 2), (4, 4), (8, 4), (12, 4)],
    &[(0, 3), (3, 5), (8, 3), (11, 5)],
    &[(0, 4), (6, 2), (8, 8)],
];
const BUSY: [Cell; 6] = [
    &[(0, 2), (2, 2), (4, 4), (8, 2), (10, 2), (12, 4)],
    &[(0, 3), (3, 3), (6, 2), (8, 4), (12, 2), (14, 2)],
    &[(0, 4), (4, 2), (6, 2), (8, 4), (12, 4)],
    &[(0, 2), (2, 2), (4, 2), (6, 4), (10, 2), (12, 4)],
    &[(2, 2), (4, 2), (6, 2), (8, 6), (14, 2)],
    &[(0, 6), (6, 2), (8, 2), (10, 2), (12, 4)],
];
/// How a phrase ends.
const REST: Cell = &[(0, 4), (4, 10)];
const BUSY_REST: Cell = &[(0, 2), (2, 2), (4, 8)];

/// A rhythm of two bars and how many notes of the scale it goes up or down from note to note.
struct Motif {
    cells: [Cell; 2],
    moves: [[i32; 6]; 2],
    rest: Cell,
}

impl Motif {
    fn new(density: Density, dice: &mut Dice) -> Self {
        let cells = match density {
            Density::Sparse => [dice.pick(SPARSE), dice.pick(SPARSE)],
            Density::Medium => [dice.pick(MEDIUM), dice.pick(MEDIUM)],
            Density::Busy => [dice.pick(BUSY), dice.pick(BUSY)],
        };
        let busy = density == Density::Busy;
        let mut bar = || std::array::from_fn(|_| dice.pick([-2, -1, -1, 0, 1, 1, 1, 2]));
        Self {
            cells,
            moves: [bar(), bar()],
            rest: if busy { BUSY_REST } else { REST },
        }
    }

    /// Rhythm and moves of a phrase's bar: the motif, its second half, the first half again, and the end.
    fn bar(&self, place: usize) -> (Cell, &[i32; 6]) {
        match place % PHRASE {
            0 | 2 => (self.cells[0], &self.moves[0]),
            1 => (self.cells[1], &self.moves[1]),
            _ => (self.rest, &self.moves[1]),
        }
    }
}

pub(super) fn write(plan: &Plan, intent: &Intent, sheet: &mut Sheet, dice: &mut Dice) {
    let ladder = ladder(intent);
    let density = intent.character.density;
    let theme = Motif::new(density, &mut dice.fork("theme"));
    let lift = Motif::new(density, &mut dice.fork("lift"));
    let start = rung(&ladder, &plan.home, CENTRE);
    let mut at = start;
    for (index, bar) in plan.bars.iter().enumerate() {
        let (motif, first) = match bar.section {
            Section::Intro | Section::Break => continue,
            Section::Lift => (&lift, start + LIFT),
            Section::Theme | Section::Close => (&theme, start),
        };
        if bar.energy < 0.45 {
            continue;
        }
        if bar.place % PHRASE == 0 {
            at = first;
        }
        let (cell, moves) = motif.bar(if index + 1 == plan.bars.len() {
            3
        } else {
            bar.place
        });
        for (count, (step, steps)) in cell.iter().enumerate() {
            at = walk(at, moves[count % moves.len()], ladder.len());
            let is_last = count + 1 == cell.len();
            if step % 8 == 0 || is_last {
                at = rung(&ladder, &bar.chord, ladder[at]);
            }
            let pitch = bar.chord.bend(ladder[at]);
            let accent = if *step == 0 { 1.0 } else { 0.86 };
            let velocity = accent * (0.55 + 0.35 * bar.energy);
            let length = *steps as f64 * 0.92;
            sheet.step(
                Part::Lead,
                Strike::Pitch(pitch),
                (index, *step),
                length,
                velocity,
            );
        }
    }
    let tonic = nearest(plan.home.root(), ladder[at]);
    let tonic = if tonic < RANGE.0 {
        tonic + OCTAVE
    } else {
        tonic
    };
    sheet.beat(
        Part::Lead,
        Strike::Pitch(tonic),
        plan.home_beat(),
        plan.home_beats * 0.8,
        0.75,
    );
}

/// The notes that the melody may use, upwards.
fn ladder(intent: &Intent) -> Vec<i32> {
    let key = intent.key;
    let five: Vec<i32> = key.pentatonic().map(|degree| key.degree(degree)).to_vec();
    (RANGE.0..=RANGE.1)
        .filter(|pitch| {
            if intent.character.pentatonic {
                five.contains(&pitch.rem_euclid(OCTAVE))
            } else {
                key.holds(*pitch)
            }
        })
        .collect()
}

/// The index of the chord's note nearest to a pitch, the lower one of two; of any note, if the ladder has none of it.
fn rung(ladder: &[i32], chord: &Chord, pitch: i32) -> usize {
    let of_chord = |note: i32| chord.has(chord.bend(note));
    let away = |note: i32| (note - pitch).abs() + if of_chord(note) { 0 } else { 100 };
    (0..ladder.len())
        .min_by_key(|index| away(ladder[*index]))
        .unwrap_or(0)
}

/// A step on the ladder, turned back at its ends.
fn walk(at: usize, by: i32, count: usize) -> usize {
    let last = count as i32 - 1;
    let to = at as i32 + by;
    let turned = if to < 0 || to > last {
        at as i32 - by
    } else {
        to
    };
    turned.clamp(0, last) as usize
}
