//! Speaks with the best program of this machine that knows the language: see docs/providers/voice.md.

mod mastering;

use std::path::PathBuf;

use async_trait::async_trait;

use super::{
    Preset, Provider, ProviderError, Submitted, Task, Unfit, Unready,
    exec::{self, Exec},
};
use crate::{
    config::{ExecConfig, VoiceConfig},
    domain::{JobInput, JsonMap, MediaType, command::Argument},
};

/// The voice where neither template nor feature names one.
const DEFAULT: &str = "en";

/// The programs of this machine that speak.
pub struct Voice {
    name: String,
    /// Best first, by the language that it speaks.
    preferred: Vec<(String, Exec)>,
    /// Speaks all.
    espeak: Exec,
}

impl Voice {
    /// The voice as the provider of this name. `command` gives the tables of commands that its languages name; `supervisor` is
    /// that of [`Exec::new`].
    pub fn new<'a>(
        name: String,
        config: VoiceConfig,
        command: impl Fn(&str) -> Option<&'a ExecConfig>,
        supervisor: Option<PathBuf>,
    ) -> Self {
        let exec = |config| Exec::new(name.clone(), config, supervisor.clone());
        let own = config.languages.into_iter();
        let own = own.filter_map(|(language, of)| Some((language, exec(command(&of)?.clone()))));
        let shipped = [("en-us".to_owned(), exec(hibari()))];
        Self {
            preferred: own.chain(shipped).collect(),
            espeak: exec(espeak()),
            name,
        }
    }

    fn speaker(&self, input: &JobInput) -> &Exec {
        let style = input.style.get("voice").or(input.settings.get("voice"));
        let voice = style.and_then(|voice| voice.as_str()).unwrap_or(DEFAULT);
        let mut preferred = self.preferred.iter();
        preferred
            .find(|(language, exec)| suits(voice, language) && exec.ready().is_ok())
            .map_or(&self.espeak, |(_, exec)| exec)
    }

    fn all(&self) -> impl Iterator<Item = &Exec> {
        let preferred = self.preferred.iter().map(|(_, exec)| exec);
        preferred.chain([&self.espeak])
    }
}

/// Whether one who speaks a language, such as `vi` or `en-us`, is one for a voice: the same, or one of them leaves open what the
/// other says.
fn suits(voice: &str, language: &str) -> bool {
    let (voice, language) = (voice.to_ascii_lowercase(), language.to_ascii_lowercase());
    let mut pairs = voice.split('-').zip(language.split('-'));
    pairs.all(|(one, other)| one == other)
}

#[async_trait]
impl Provider for Voice {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        media_type == MediaType::Audio
    }

    fn may_resubmit(&self) -> bool {
        self.all().all(Exec::may_resubmit)
    }

    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        self.all().any(|exec| exec.reads(preset, input))
    }

    fn check(&self, preset: Preset<'_>, _: &JsonMap) -> Vec<Unfit> {
        preset.unread_of_feature(&["voice"])
    }

    fn ready(&self) -> Result<(), Unready> {
        match self.all().any(|exec| exec.ready().is_ok()) {
            true => Ok(()),
            false => self.espeak.ready(),
        }
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        match self.speaker(&task.input).submit(task).await? {
            Submitted::Done(output) => Ok(Submitted::Done(mastering::mastered(output).await)),
            accepted => Ok(accepted),
        }
    }
}

/// Speaks the prompt with eSpeak NG, in the voice that the template's style names.
fn espeak() -> ExecConfig {
    let args = [
        one("-v"),
        one("{{ style.voice or 'en' }}"),
        option("-s", "{{ variables.speed or style.speed }}"),
        option("-p", "{{ variables.pitch or style.pitch }}"),
        one("-b"),
        one("1"),
        one("-w"),
        one("{{ output }}/voice.wav"),
        one("--stdin"),
    ];
    let install = "install eSpeak NG, the package espeak-ng of apt, dnf, apk and brew";
    ExecConfig {
        install: Some(install.to_owned()),
        ..exec::shipped("espeak-ng", args.into())
    }
}

/// Speaks American English by a neural network.
fn hibari() -> ExecConfig {
    // Its pace is to be that of eSpeak NG, which speaks 175 words a minute.
    let speed = "{% set speed = variables.speed or style.speed %}{{ speed / 175 if speed }}";
    let output = "{{ output }}/voice.wav";
    let args = [one("-"), one("-o"), one(output), option("--speed", speed)];
    exec::shipped("hibari", args.into())
}

fn one(text: &str) -> Argument {
    Argument::One(text.to_owned())
}

fn option(option: &str, value: &str) -> Argument {
    Argument::Optional(vec![option.to_owned(), value.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command;

    #[test]
    fn a_speaker_suits_a_voice_that_says_no_more_than_it_does_and_nothing_else() {
        for (voice, language, expected) in [
            ("vi", "vi", true),
            ("vi-vn-x-south", "vi", true),
            ("EN", "en-us", true),
            ("en-US", "en-us", true),
            ("en-gb", "en-us", false),
            ("vie", "vi", false),
            ("fr", "en-us", false),
        ] {
            assert_eq!(suits(voice, language), expected, "{voice} and {language}");
        }
    }

    #[test]
    fn every_template_of_the_shipped_voices_is_fit_for_use() {
        for config in [espeak(), hibari()] {
            for template in config.args.iter().flat_map(Argument::templates) {
                assert_eq!(command::check(template), Ok(()));
            }
        }
    }
}
