//! Composition: from a mood, a style and a seed to notes.

mod bass;
mod chords;
mod drums;
mod melody;
mod plan;
mod sheet;
#[cfg(test)]
mod tests;

use super::mood::{Beat, Character, Ensemble, Mood};
use super::style::Style;
use super::theory::{Key, Mode};
use super::vocabulary::mood_of;
use crate::dice::Dice;
use plan::Plan;
use sheet::Sheet;

pub(super) use sheet::{Drum, Note, Part, Strike};

/// A composed piece.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) mood: Mood,
    pub(super) ensemble: Ensemble,
    pub(super) key: Key,
    /// Beats per minute.
    pub(super) tempo: u32,
    pub(super) seconds: u32,
    /// When the last chord begins, in seconds; it is held until the end.
    pub(super) home: f64,
    /// In the order of their beginnings.
    pub(super) notes: Vec<Note>,
}

/// What the style, the prompt and the dice have decided before a note is written.
struct Intent {
    character: Character,
    ensemble: Ensemble,
    beat: Beat,
    key: Key,
}

/// Composes a piece that lasts `seconds`. Each part has dice of its own, so that the same seed keeps its harmony when the
/// drums change.
pub(super) fn compose(prompt: &str, style: &Style, seed: u64, seconds: u32) -> Score {
    let dice = Dice::new(seed);
    let mood = style
        .mood
        .or_else(|| mood_of(prompt))
        .unwrap_or_else(|| Mood::any(&mut dice.fork("mood")));
    let intent = intend(mood, style, &dice);
    let plan = Plan::new(&intent, style.tempo, seconds, &mut dice.fork("plan"));
    let mut sheet = Sheet::new(plan.tempo, intent.character.swing);
    bass::write(&plan, &intent, &mut sheet, &mut dice.fork("bass"));
    chords::write(&plan, &intent, &mut sheet, &mut dice.fork("chords"));
    melody::write(&plan, &intent, &mut sheet, &mut dice.fork("melody"));
    drums::write(&plan, intent.beat, &mut sheet, &mut dice.fork("drums"));
    Score {
        mood,
        ensemble: intent.ensemble,
        key: intent.key,
        tempo: plan.tempo,
        seconds,
        home: plan.home_beat() * 60.0 / f64::from(plan.tempo),
        notes: sheet.into_notes(f64::from(seconds), &mut dice.fork("hands")),
    }
}

fn intend(mood: Mood, style: &Style, dice: &Dice) -> Intent {
    let character = mood.character();
    let mut picks = dice.fork("key");
    let (tonic, mode): (i32, Mode) = (picks.index(12) as i32, picks.pick(character.modes));
    let (tonic, mode) = match style.key {
        None => (tonic, mode),
        Some((tonic, own)) => (tonic, own.unwrap_or(mode)),
    };
    let mut players = dice.fork("players");
    let (ensemble, beat) = (
        players.pick(character.ensembles),
        players.pick(character.beats),
    );
    Intent {
        character,
        ensemble: style.ensemble.unwrap_or(ensemble),
        beat: style.beat.unwrap_or(beat),
        key: Key { tonic, mode },
    }
}
