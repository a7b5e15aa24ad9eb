//! Music for a job.

use codec::{Format, sound};
use serde_json::Value;
use studio::music::{self, Brief, MusicError, Piece};

use crate::{
    domain::{JobInput, JsonMap},
    provider::{Output, ProviderError, Task},
};

use super::{filled_style, one_file, report};

/// Seconds of a piece when nothing asks for a length.
pub(super) const DEFAULT_SECONDS: u32 = 15;
/// Share of the work that is playing; the rest is encoding the file.
const PLAYED: f32 = 0.9;
/// Keys of the style that a template may offer in its form, as variables of the same name.
pub(super) const FILLED_BY_VARIABLES: [&str; 5] = ["drums", "ensemble", "key", "mood", "tempo"];

/// Composes the job's music and writes it in the job's format.
pub(super) fn make(task: &Task) -> Result<Output, ProviderError> {
    let format = written_format(&task.input)?;
    let piece = music::play(&brief(&task.input), &mut |share| {
        report(task, share * PLAYED, "playing", None)
    })?;
    if !report(task, PLAYED, "encoding", None) {
        return Err(ProviderError::Stopped);
    }
    let bytes = sound::encode(&piece.sound, format)
        .map_err(|error| ProviderError::Failed(error.to_string()))?;
    Ok(one_file(bytes, task.input.seed, describe(&piece)))
}

/// WAV unless the job names another format that sound is written in.
fn written_format(input: &JobInput) -> Result<Format, ProviderError> {
    match input.format.as_deref().map(str::parse) {
        None => Ok(Format::Wav),
        Some(Ok(format @ (Format::Wav | Format::Flac))) => Ok(format),
        Some(_) => Err(ProviderError::InvalidInput(format!(
            "format: expected wav or flac, not {}",
            input.format.as_deref().unwrap_or_default()
        ))),
    }
}

/// What to compose for a job.
fn brief(input: &JobInput) -> Brief {
    Brief {
        prompt: input.prompt.clone(),
        seed: u64::from(input.seed),
        seconds: input.duration_seconds.unwrap_or(DEFAULT_SECONDS),
        style: filled_style(&input.style, &input.variables, &FILLED_BY_VARIABLES),
    }
}

/// What was composed, for the job's output metadata.
fn describe(piece: &Piece) -> JsonMap {
    JsonMap::from_iter([
        ("model".to_owned(), Value::from("atelier-bed-1")),
        ("tempo_bpm".to_owned(), piece.tempo.into()),
        ("key".to_owned(), piece.key.as_str().into()),
        ("mood".to_owned(), piece.mood.into()),
        ("ensemble".to_owned(), piece.ensemble.into()),
    ])
}

impl From<MusicError> for ProviderError {
    fn from(error: MusicError) -> Self {
        match error {
            MusicError::Stopped => Self::Stopped,
            MusicError::Invalid { .. } => Self::InvalidInput(error.to_string()),
        }
    }
}
