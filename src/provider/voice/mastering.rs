//! What is done to a recording of speech before it is handed over: its peaks are limited, and the silence at its end is cut.

use std::{fs, time::Duration};

use bytes::Bytes;
use codec::{Bounds, Format, Stop, sound};
use tokio::task::spawn_blocking;

use crate::{
    memory,
    provider::{Content, Output},
};

/// The highest true peak, in dBTP: what encoders add must not clip.
const CEILING: f64 = -1.0;
/// Seconds of silence that stay at the end.
const REST: f64 = 0.05;
/// A file of two channels is in memory as it is, as samples, and as it is written again.
const COPIES: u64 = 3;
/// No speech is longer.
const LONGEST: Duration = Duration::from_hours(2);

/// The output with all recordings mastered. What is no WAV, or is damaged, stays as it is: whoever reads it tells.
pub(super) async fn mastered(mut output: Output) -> Output {
    for file in &mut output.files {
        let Ok(size) = size(&file.content) else {
            continue;
        };
        let _taken = memory::take(size * COPIES).await;
        let content = file.content.clone();
        let made = spawn_blocking(move || master(&bytes(&content)?)).await;
        if let Ok(Some(bytes)) = made {
            file.content = Content::Memory(bytes);
        }
    }
    output
}

fn size(content: &Content) -> std::io::Result<u64> {
    match content {
        Content::Memory(bytes) => Ok(bytes.len() as u64),
        Content::File(file) => Ok(fs::metadata(file)?.len()),
    }
}

fn bytes(content: &Content) -> Option<Bytes> {
    match content {
        Content::Memory(bytes) => Some(bytes.clone()),
        Content::File(file) => fs::read(file).ok().map(Bytes::from),
    }
}

fn master(wav: &[u8]) -> Option<Bytes> {
    let mut sound = sound::read(wav, Format::Wav, wav.len() / 2, &bounds()).ok()?;
    sound.trim_end(REST);
    sound.limit(CEILING).ok()?;
    sound::encode(&sound, Format::Wav).ok()
}

fn bounds() -> Bounds {
    Bounds {
        max_pixels: 0,
        max_frames: 0,
        max_length: LONGEST,
        stop: Stop::default(),
    }
}

#[cfg(test)]
mod tests {
    use codec::sound::Sound;

    use super::*;

    #[test]
    fn speech_keeps_below_the_ceiling_and_ends_with_its_last_word() {
        let loud = (0..22_050).map(|at| if at % 50 < 25 { i16::MAX } else { i16::MIN });
        let spoken = Sound {
            sample_rate: 22_050,
            channels: 1,
            samples: loud.chain(std::iter::repeat_n(0, 8_000)).collect(),
        };
        let wav = sound::encode(&spoken, Format::Wav).expect("a WAV");
        let made = master(&wav).expect("mastered");
        let heard = sound::read(&made, Format::Wav, 0, &bounds()).expect("a WAV");
        assert!(heard.loudness().expect("measured").true_peak <= CEILING);
        let seconds = heard.samples.len() as f64 / 22_050.0;
        assert!((1.0..1.1).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_is_no_recording_is_left_alone() {
        assert_eq!(master(b"RIFFxxxx"), None);
    }
}
