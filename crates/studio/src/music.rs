//! Composes and plays a musical bed: from a prompt's mood, a style and a seed to samples.
//!
//! The words of the prompt give a mood (`vocabulary`, `mood`), which with the style and the dice becomes a form, chords
//! and notes (`score`, `theory`); instruments turn notes into samples (`synth`), which are mixed in blocks (`mix`).
//! Same brief, same samples on every machine: nothing here calls the platform's mathematics library, whose last bits
//! differ, and the order of all additions is fixed.

mod mix;
mod mood;
mod score;
mod style;
mod synth;
#[cfg(test)]
mod tests;
mod theory;
mod vocabulary;

use codec::sound::Sound;
use serde_json::{Map, Value};

pub use style::check_style;

/// Samples per second and channel of all music.
pub const SAMPLE_RATE: u32 = 44_100;
/// The longest piece, in seconds.
pub const MAX_SECONDS: u32 = 600;

/// What to compose.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// Words that may name a mood, in Vietnamese or English.
    pub prompt: String,
    /// Chooses what the prompt and the style leave open.
    pub seed: u64,
    /// Length in whole seconds, 1 to [`MAX_SECONDS`]. The piece is exactly that long.
    pub seconds: u32,
    /// The template's style; see [`check_style`].
    pub style: Map<String, Value>,
}

/// The integrated loudness of every piece, in LUFS: what streams and phones play music at.
const LOUDNESS: f64 = -16.0;
/// The highest true peak, in dBTP.
const CEILING: f64 = -1.0;

/// A piece as samples, and what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Stereo at [`SAMPLE_RATE`].
    pub sound: Sound,
    /// Name of the mood, as in a style.
    pub mood: &'static str,
    /// Beats per minute.
    pub tempo: u32,
    /// As in "F# minor".
    pub key: String,
    /// Name of the ensemble, as in a style.
    pub ensemble: &'static str,
}

/// Why there is no music.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MusicError {
    /// The caller asked to stop.
    #[error("the music was stopped")]
    Stopped,
    /// The brief cannot be composed.
    #[error("{field}: {message}")]
    Invalid {
        /// The wrong field, as in `style.tempo`.
        field: String,
        /// What is expected.
        message: String,
    },
}

/// Composes and plays a brief. `report` is called with the share that is done, 0.0 to 1.0, at least once for each second
/// of music, and stops the work by returning false.
///
/// # Errors
/// [`MusicError::Stopped`] when `report` returned false, [`MusicError::Invalid`] when the length is out of range or a
/// style key has a wrong value.
pub fn play(brief: &Brief, report: &mut dyn FnMut(f32) -> bool) -> Result<Piece, MusicError> {
    let seconds = brief.seconds;
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(MusicError::Invalid {
            field: "duration_seconds".to_owned(),
            message: format!("expected 1 to {MAX_SECONDS} seconds of music, not {seconds}"),
        });
    }
    let style = style::Style::parse(&brief.style)?;
    let score = score::compose(&brief.prompt, &style, brief.seed, seconds);
    let mut sound = mix::render(&score, report)?;
    // Ours has a rate and channels that can be measured.
    let _ = sound.normalise(LOUDNESS, CEILING);
    Ok(Piece {
        sound,
        mood: score.mood.name(),
        tempo: score.tempo,
        key: score.key.name(),
        ensemble: score.ensemble.name(),
    })
}
