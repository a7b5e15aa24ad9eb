//! Notes in beats, and how they become notes in time.

use crate::dice::Dice;

pub(in super::super) const BEATS_PER_BAR: usize = 4;
/// Steps of the grid that rhythms are written on: sixteenths.
pub(in super::super) const STEPS_PER_BAR: usize = 16;
/// How far a player's notes stray from the grid, in seconds.
const STRAY: f32 = 0.006;
/// How much their loudness differs.
const TOUCH: f32 = 0.1;

/// Who plays a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part {
    Bass,
    Pad,
    Arpeggio,
    Lead,
    Drums,
}

impl Part {
    pub(in super::super) const ALL: [Self; 5] = [
        Self::Bass,
        Self::Pad,
        Self::Arpeggio,
        Self::Lead,
        Self::Drums,
    ];
}

/// A drum or another noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Drum {
    Kick,
    Snare,
    Rim,
    Clap,
    ClosedHat,
    OpenHat,
    Shaker,
    Crash,
    /// A big low drum.
    Taiko,
    /// A middle drum with a long head.
    Tom,
    /// Small cymbals struck together.
    Cymbals,
    WoodBlock,
    Gong,
}

/// What sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Strike {
    /// A MIDI note number.
    Pitch(i32),
    Drum(Drum),
}

/// A note in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Note {
    pub(in super::super) part: Part,
    pub(in super::super) strike: Strike,
    /// Seconds from the beginning of the piece.
    pub(in super::super) start: f64,
    /// Seconds until it is let go.
    pub(in super::super) length: f64,
    /// Loudness and brightness, over 0 to 1.
    pub(in super::super) velocity: f32,
}

/// The notes so far; their times count beats until the sheet is played.
pub(super) struct Sheet {
    tempo: u32,
    swing: f64,
    notes: Vec<Note>,
}

impl Sheet {
    pub(super) fn new(tempo: u32, swing: f64) -> Self {
        Self {
            tempo,
            swing,
            notes: Vec::new(),
        }
    }

    /// Writes a note at a step of a bar, for so many steps.
    pub(super) fn step(
        &mut self,
        part: Part,
        strike: Strike,
        (bar, step): (usize, usize),
        steps: f64,
        velocity: f32,
    ) {
        let late = if step % 2 == 1 { self.swing } else { 0.0 };
        let beat = (bar * BEATS_PER_BAR) as f64 + (step as f64 + late) / 4.0;
        self.beat(part, strike, beat, steps / 4.0, velocity);
    }

    /// Writes a note at a beat of the piece, for so many beats.
    pub(super) fn beat(
        &mut self,
        part: Part,
        strike: Strike,
        beat: f64,
        beats: f64,
        velocity: f32,
    ) {
        self.notes.push(Note {
            part,
            strike,
            start: beat,
            length: beats,
            velocity,
        });
    }

    /// The notes as hands play them, in order, none outside the piece.
    pub(super) fn into_notes(self, seconds: f64, dice: &mut Dice) -> Vec<Note> {
        let beat = 60.0 / f64::from(self.tempo);
        let played = |note: Note| {
            let tight = if note.part == Part::Drums { 0.5 } else { 1.0 };
            let stray = f64::from(dice.range(-STRAY, STRAY) * tight);
            let start = (note.start * beat + stray).max(0.0);
            Note {
                start,
                length: (note.length * beat).min(seconds - start),
                velocity: (note.velocity * dice.range(1.0 - TOUCH, 1.0 + TOUCH)).clamp(0.02, 1.0),
                ..note
            }
        };
        let mut notes: Vec<Note> = self.notes.into_iter().map(played).collect();
        notes.retain(|note| note.start < seconds && note.length > 0.0);
        notes.sort_by(|a, b| a.start.total_cmp(&b.start));
        notes
    }
}
