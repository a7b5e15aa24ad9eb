//! The sound of a clip: music that is composed as long as it is, put into the MP4 as AAC by the FFmpeg of this machine.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

use bytes::Bytes;
use codec::{Format, sound};
use studio::music::{self, Brief};
use tempfile::TempDir;

use crate::{
    domain::{JobInput, JsonMap},
    provider::ProviderError,
};

/// What a style says about the sound of a clip: a style of music.
const KEY: &str = "sound";

/// The style of a clip's music; none if it is to be silent.
pub(in super::super) fn style_of(style: &JsonMap) -> Option<&JsonMap> {
    style.get(KEY)?.as_object()
}

/// The wrong keys of a clip's sound, each with what is expected.
pub(in super::super) fn check(style: &JsonMap) -> Result<(), Vec<(String, String)>> {
    let wrong = match style.get(KEY) {
        None | Some(serde_json::Value::Null) => return Ok(()),
        Some(serde_json::Value::Object(sound)) => music::check_style(sound).err(),
        Some(_) => return Err(vec![(KEY.to_owned(), "a table".to_owned())]),
    };
    let wrong = wrong.unwrap_or_default().into_iter();
    let wrong: Vec<_> = wrong
        .map(|(key, expected)| (format!("{KEY}.{key}"), expected))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The clip with its music, and what is told of that. Where there is no FFmpeg, and in formats without sound, it stays silent.
pub(super) fn scored(
    clip: Bytes,
    format: Format,
    input: &JobInput,
    seconds: f32,
    report: &mut dyn FnMut(f32) -> bool,
) -> Result<(Bytes, JsonMap), ProviderError> {
    let told = |key: &str, value: &str| JsonMap::from_iter([(key.to_owned(), value.into())]);
    let Some(style) = style_of(&input.style) else {
        return Ok((clip, JsonMap::new()));
    };
    if format != Format::Mp4 {
        let why = told("sound_omitted", "The format has no sound.");
        return Ok((clip, why));
    }
    let piece = music::play(
        &Brief {
            prompt: input.prompt.clone(),
            seed: u64::from(input.seed),
            seconds: seconds.ceil() as u32,
            style: style.clone(),
        },
        report,
    )?;
    let music = sound::encode(&piece.sound, Format::Wav)?;
    match muxed(&clip, &music) {
        Ok(Some(both)) => Ok((both, told("sound", piece.mood))),
        Ok(None) => {
            let why = "FFmpeg is not installed, which puts sound into clips.";
            Ok((clip, told("sound_omitted", why)))
        }
        Err(error) => Err(ProviderError::Failed(error.to_string())),
    }
}

/// Clip and music in one file, the pictures as they are; none where there is no FFmpeg.
fn muxed(clip: &[u8], music: &[u8]) -> std::io::Result<Option<Bytes>> {
    let folder = TempDir::new()?;
    let at = |name: &str| folder.path().join(name);
    fs::write(at("clip.mp4"), clip)?;
    fs::write(at("music.wav"), music)?;
    let done = ffmpeg(folder.path()).output();
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(done) if done.status.success() => Ok(Some(fs::read(at("both.mp4"))?.into())),
        Ok(done) => {
            let told = String::from_utf8_lossy(&done.stderr);
            Err(std::io::Error::other(format!("ffmpeg: {}", told.trim())))
        }
    }
}

/// Reads two files of ours and writes a third; nothing in it depends on time or version.
fn ffmpeg(folder: &Path) -> Command {
    let mut command = Command::new("ffmpeg");
    let arguments = "-nostdin -loglevel error -i clip.mp4 -i music.wav -map 0:v -map 1:a -c:v copy -c:a aac -b:a 160k \
        -shortest -map_metadata -1 -fflags +bitexact -flags:a +bitexact -movflags +faststart both.mp4";
    command
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}
