//! The sound of a clip: music that is composed as long as it is, or its words as the voice of this machine speaks them. The FFmpeg of
//! this machine puts it into the MP4 as AAC.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use codec::{Bounds, Format, Stop, sound};
use serde_json::Value;
use studio::music::{self, Brief};
use tempfile::TempDir;
use tokio::fs;

use crate::{
    config::ExecConfig,
    domain::{
        JsonMap, MediaType,
        command::{Argument, PromptBy},
    },
    provider::{
        Content, Output, ProgressSender, Provider, ProviderError, Submitted, Task,
        exec::{self, Exec},
    },
};

use super::super::{aside, report};

/// What a style says about the sound of a clip: a style of music, or a voice.
const KEY: &str = "sound";
/// The key of the voice, and what else one reads: see docs/providers/voice.md.
const VOICE: &str = "voice";
const OF_VOICE: [&str; 3] = [VOICE, "pitch", "speed"];
/// What the metadata of a clip say of its sound, and why it has none, or not all.
const OMITTED: &str = "sound_omitted";
/// Who is missed where there is no sound.
const FFMPEG: &str = "FFmpeg, which puts sound into clips,";
const SPEAKER: &str = "The voice, which speaks the words of clips,";
/// Share of the work that is done before FFmpeg's.
const SCORED: f32 = 0.98;
/// No speech is longer.
const LONGEST: Duration = Duration::from_hours(2);

/// The programs of this machine that clips get their sound by.
pub(in super::super) struct Soundtracks {
    /// How long FFmpeg may take for one.
    pub(in super::super) time: Duration,
    /// As that of [`Exec::new`].
    pub(in super::super) supervisor: Option<PathBuf>,
    /// Who speaks, for nothing.
    pub(in super::super) voice: Option<Arc<dyn Provider>>,
}

/// The style of a clip's sound; none if it is to be silent.
pub(in super::super) fn style_of(style: &JsonMap) -> Option<&JsonMap> {
    style.get(KEY)?.as_object()
}

/// The wrong keys of a clip's sound, each with what is expected.
pub(in super::super) fn check(style: &JsonMap) -> Result<(), Vec<(String, String)>> {
    let wrong = match style.get(KEY) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(sound)) if sound.contains_key(VOICE) => check_voice(sound),
        Some(Value::Object(sound)) => music::check_style(sound).err().unwrap_or_default(),
        Some(_) => return Err(vec![(KEY.to_owned(), "a table".to_owned())]),
    };
    let wrong = wrong.into_iter();
    let wrong: Vec<_> = wrong
        .map(|(key, expected)| (format!("{KEY}.{key}"), expected))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn check_voice(sound: &JsonMap) -> Vec<(String, String)> {
    let expected = |(key, value): (&String, &Value)| match key.as_str() {
        VOICE if value.as_str().is_some_and(|voice| !voice.is_empty()) => None,
        VOICE => Some("the name of a voice, such as \"vi\""),
        key if !OF_VOICE.contains(&key) => Some("left out: a clip has music or a voice"),
        _ if value.is_number() => None,
        _ => Some("a number"),
    };
    let wrong = sound
        .iter()
        .filter_map(|entry| Some((entry.0.clone(), expected(entry)?.to_owned())));
    wrong.collect()
}

impl Soundtracks {
    /// The clip with the sound that its style asks for, and what is told of that. What cannot be had leaves it silent.
    pub(in super::super) async fn add(
        &self,
        task: &Task,
        mut clip: Output,
        seconds: f32,
    ) -> Result<Output, ProviderError> {
        let (Some(style), Some(file)) = (style_of(&task.input.style), clip.files.first_mut())
        else {
            return Ok(clip);
        };
        let told = match task.input.format.as_deref().map(str::parse) {
            None | Some(Ok(Format::Mp4)) => {
                let made = self.scored(task, style, &mut file.content, seconds).await;
                made.or_else(Missing::told)?
            }
            _ => omitted("The format has no sound."),
        };
        clip.metadata.extend(told);
        Ok(clip)
    }

    async fn scored(
        &self,
        task: &Task,
        style: &JsonMap,
        clip: &mut Content,
        seconds: f32,
    ) -> Result<JsonMap, Missing> {
        let (sound, told) = match style.contains_key(VOICE) {
            true => self.spoken(task, style, seconds).await?,
            false => played(task, style, seconds).await?,
        };
        report(task, SCORED, "scoring", None);
        *clip = self
            .muxed(task, clip, &sound, seconds)
            .await
            .map_err(by(FFMPEG))?;
        Ok(told)
    }

    /// The words as the voice speaks them, and what is told of that.
    async fn spoken(
        &self,
        task: &Task,
        style: &JsonMap,
        seconds: f32,
    ) -> Result<(Content, JsonMap), Missing> {
        let Some(voice) = &self.voice else {
            let nobody = ProviderError::Failed("there is no provider that speaks".to_owned());
            return Err(by(SPEAKER)(nobody));
        };
        let spoken = voice.submit(&reading(task, style)).await;
        let Submitted::Done(output) = spoken.map_err(by(SPEAKER))? else {
            let late = ProviderError::Failed("it does not speak at once".to_owned());
            return Err(by(SPEAKER)(late));
        };
        let nothing = || ProviderError::Failed("it said nothing".to_owned());
        let file = output.files.into_iter().next();
        let sound = file.ok_or_else(nothing).map_err(by(SPEAKER))?.content;
        let mut told = said(VOICE);
        if length(&sound)
            .await
            .is_some_and(|length| length.as_secs_f32() > seconds)
        {
            told.extend(omitted("The clip ends before the voice does."));
        }
        Ok((sound, told))
    }

    /// Clip and sound in one file, the pictures as they are.
    async fn muxed(
        &self,
        task: &Task,
        clip: &Content,
        sound: &Content,
        seconds: f32,
    ) -> Result<Content, ProviderError> {
        let failed = |error: io::Error| ProviderError::Failed(error.to_string());
        let folder = TempDir::new().map_err(failed)?;
        for (name, content) in [("clip.mp4", clip), ("sound", sound)] {
            let to = folder.path().join(name);
            let put = match content {
                Content::Memory(bytes) => fs::write(to, bytes).await,
                Content::File(file) => fs::copy(file, to).await.map(drop),
            };
            put.map_err(failed)?;
        }
        let table = ExecConfig {
            timeout: self.time,
            readable: vec![folder.path().to_owned()],
            ..ffmpeg(&folder, seconds)
        };
        let program = Exec::new("ffmpeg".to_owned(), table, self.supervisor.clone());
        let Submitted::Done(output) = program.submit(task).await? else {
            return Err(ProviderError::Failed("not done at once".to_owned()));
        };
        let both = output.files.into_iter().next();
        let both = both.ok_or_else(|| ProviderError::Failed("nothing was made".to_owned()))?;
        Ok(both.content)
    }
}

/// Music as long as the clip, and what is told of it.
async fn played(
    task: &Task,
    style: &JsonMap,
    seconds: f32,
) -> Result<(Content, JsonMap), ProviderError> {
    let brief = Brief {
        prompt: task.input.prompt.clone(),
        seed: u64::from(task.input.seed),
        seconds: seconds.ceil() as u32,
        style: style.clone(),
    };
    let played = aside(task, move |task| {
        let piece = music::play(&brief, &mut |_| !task.cancelled.is_cancelled())?;
        let music = sound::encode(&piece.sound, Format::Wav)?;
        Ok((Content::Memory(music), said(piece.mood)))
    });
    played.await
}

/// What a voice is told to say: the words of the clip, with a rest where a part of them ends.
fn reading(task: &Task, style: &JsonMap) -> Task {
    let mut input = task.input.clone();
    let parts = input.prompt.split(['|', '\n']).map(str::trim);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    input.prompt = parts.join("\n\n");
    input.style = style.clone();
    (input.format, input.duration_seconds) = (None, None);
    Task {
        media_type: MediaType::Audio,
        input,
        pictures: Vec::new(),
        progress: ProgressSender::channel().0,
        ..task.clone()
    }
}

/// How long a sound lasts that can be read.
async fn length(sound: &Content) -> Option<Duration> {
    let bytes = match sound {
        Content::Memory(bytes) => bytes.clone(),
        Content::File(file) => fs::read(file).await.ok()?.into(),
    };
    let bounds = Bounds {
        max_pixels: 0,
        max_frames: 0,
        max_length: LONGEST,
        stop: Stop::default(),
    };
    let format = codec::sniff(&bytes)?;
    let track = sound::measure(&bytes, format, &bounds).ok()?;
    Some(track.duration())
}

/// Reads two files of ours and writes a third, in which the sound is as long as the pictures; nothing in it depends on time or
/// version.
fn ffmpeg(folder: &TempDir, seconds: f32) -> ExecConfig {
    let options = format!(
        "-map 0:v -map 1:a -c:v copy -c:a aac -b:a 160k -af apad -t {seconds} -map_metadata -1 -fflags +bitexact \
         -flags:a +bitexact -movflags +faststart"
    );
    let before = "-nostdin -loglevel error"
        .split_whitespace()
        .map(str::to_owned);
    let files = ["clip.mp4", "sound"].into_iter().flat_map(|name| {
        let file = folder.path().join(name);
        ["-i".to_owned(), file.to_string_lossy().into_owned()]
    });
    let after = options.split_whitespace().map(str::to_owned);
    let arguments = before.chain(files).chain(after);
    let arguments = arguments.chain(["{{ output }}/both.mp4".to_owned()]);
    ExecConfig {
        prompt: PromptBy::None,
        makes: vec![MediaType::Video],
        ..exec::shipped("ffmpeg", arguments.map(Argument::One).collect())
    }
}

/// Why there is no sound: who could not make it, and how.
struct Missing(&'static str, ProviderError);

fn by(who: &'static str) -> impl Fn(ProviderError) -> Missing {
    move |error| Missing(who, error)
}

impl From<ProviderError> for Missing {
    fn from(error: ProviderError) -> Self {
        Self("The music", error)
    }
}

impl Missing {
    /// What is told of the clip, unless the attempt is over, or would come to another end later. What the program said is for operators.
    fn told(self) -> Result<JsonMap, ProviderError> {
        let Self(who, error) = self;
        let how = match error {
            ProviderError::Stopped
            | ProviderError::Transient { .. }
            | ProviderError::InvalidInput(_) => return Err(error),
            ProviderError::NotReady(_) => "is not installed",
            ProviderError::TimedOut { .. } => "took too long",
            _ => "failed",
        };
        tracing::warn!(who, "a clip has no sound");
        tracing::debug!(%error, "why a clip has no sound");
        Ok(omitted(&format!("{who} {how}.")))
    }
}

fn said(sound: &str) -> JsonMap {
    JsonMap::from_iter([(KEY.to_owned(), sound.into())])
}

fn omitted(why: &str) -> JsonMap {
    JsonMap::from_iter([(OMITTED.to_owned(), why.into())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_clip_has_music_or_a_voice_and_each_wrong_key_is_named() {
        for (sound, wrong) in [
            (json!({}), vec![]),
            (json!({ "mood": "happy", "drums": "pop" }), vec![]),
            (json!({ "voice": "vi", "speed": 150, "pitch": 40 }), vec![]),
            (json!({ "mood": "angry" }), vec!["sound.mood"]),
            (json!({ "voice": "" }), vec!["sound.voice"]),
            (
                json!({ "voice": 7, "speed": "fast" }),
                vec!["sound.speed", "sound.voice"],
            ),
            (
                json!({ "voice": "vi", "mood": "happy" }),
                vec!["sound.mood"],
            ),
            (json!("music"), vec!["sound"]),
        ] {
            let style = JsonMap::from_iter([(KEY.to_owned(), sound.clone())]);
            let found = check(&style).err().unwrap_or_default();
            let found: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(found, wrong, "{sound}");
        }
    }
}
