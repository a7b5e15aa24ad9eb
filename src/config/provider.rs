//! The providers: tables `[providers.NAME]`, each of a kind that says which keys it has, and those that are always there.
//!
//! Every key is declared once, as settings are: from this come the structs, their defaults, the reader and the reference.

mod kind;
mod limits;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::entry::{Entry, kind, optional};
use super::kind::Kind;
use super::problem::{Problem, Source};
use super::quantity::ByteSize;
use super::reader::Reader;
use crate::domain::MediaType;
use crate::domain::command::{Argument, ProgressBy, PromptBy};
use crate::domain::profile::{Auth, Profile, Signature};
use kind::{Arguments, Bindings, Credential, Fields, KindName, Languages, MediaTypes, ProfileName};

pub use kind::Dialect;
pub use limits::ProviderLimits;

/// The section that holds the tables.
pub(super) const SECTION: &str = "providers";

/// The provider that is this program itself. It has no table.
pub(super) const BUILTIN: &str = "builtin";

/// Longest name, that of `properties.provider`.
const MAX_NAME_CHARS: usize = 64;

macro_rules! providers {
    ($(
        $(#[doc = $doc:literal])+
        $Variant:ident($Config:ident) = $word:literal {
            $(
                $(#[doc = $key_doc:literal])+
                $key:ident: $ty:ty $(as $kind:ty)? $(= $default:tt $(in $low:tt ..= $high:tt)?)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone)]
            pub struct $Config {
                $($(#[doc = $key_doc])+ pub $key: $ty,)+
                /// How many jobs it gets.
                pub limits: ProviderLimits,
            }

            impl $Config {
                const ENTRIES: &[Entry] = &[$(Entry {
                    key: stringify!($key),
                    doc: concat!($($key_doc),+),
                    kind: <kind!($ty $(, $kind)?) as Kind>::NAME,
                    secret: <kind!($ty $(, $kind)?) as Kind>::SECRET,
                    default: optional!($(stringify!($default))?),
                    optional: <kind!($ty $(, $kind)?) as Kind>::OPTIONAL,
                    range: optional!($($((stringify!($low), stringify!($high)))?)?),
                },)+];

                /// `None` if something that must be there is not, which `reader` keeps.
                fn read(reader: &mut Reader, table: &str) -> Option<Self> {
                    let mut entries = Self::ENTRIES.iter();
                    $(let $key = providers!(
                        @read reader, table, entries.next()?, kind!($ty $(, $kind)?) $($(, $low, $high)?)?
                    );)+
                    let limits = ProviderLimits::read(reader, table);
                    Some(Self { $($key: $key?,)+ limits: limits? })
                }

                fn written(&self) -> Vec<(&'static Entry, Option<String>)> {
                    let values = [$(<kind!($ty $(, $kind)?) as Kind>::write(&self.$key),)+];
                    Self::ENTRIES.iter().zip(values).chain(self.limits.written()).collect()
                }
            }
        )+

        /// What makes media, by its kind.
        #[derive(Debug, Clone)]
        pub enum ProviderConfig {
            $($(#[doc = $doc])+ $Variant($Config),)+
        }

        /// The kinds with their keys.
        pub(super) const KINDS: &[(&str, &[Entry])] = &[$(($word, $Config::ENTRIES),)+];

        impl ProviderConfig {
            fn read(kind: &str, reader: &mut Reader, table: &str) -> Option<Self> {
                match kind {
                    $($word => $Config::read(reader, table).map(Self::$Variant),)+
                    _ => None,
                }
            }

            /// Its kind, as it is written.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$Variant(_) => $word,)+
                }
            }

            fn written_limits(&self) -> ProviderLimits {
                match self {
                    $(Self::$Variant(config) => config.limits,)+
                }
            }

            /// Every key with its value as TOML, secrets redacted, `None` when it is not set.
            pub(super) fn written(&self) -> Vec<(&'static Entry, Option<String>)> {
                match self {
                    $(Self::$Variant(config) => config.written(),)+
                }
            }
        }
    };
    (@read $reader:ident, $table:ident, $entry:expr, $kind:ty) => {
        $reader.read_of::<$kind>($table, $entry)
    };
    (@read $reader:ident, $table:ident, $entry:expr, $kind:ty, $low:tt, $high:tt) => {
        $reader.read_of_within::<$kind>($table, $entry)
    };
}

providers! {
    /// A command of this machine.
    Exec(ExecConfig) = "exec" {
        /// The program: a path, or a name that is looked up in `PATH` at each use.
        command: String;
        /// Templates of its arguments. A text gives exactly one argument; a list of texts gives one for each, or none of
        /// them if one is empty.
        args: Vec<Argument> as Arguments = [];
        /// How it gets the prompt: on standard input (`stdin`), as a file whose path is `prompt_file` (`file`), or only
        /// through its arguments (`none`).
        prompt: PromptBy = "stdin";
        /// What it makes, a list of `image`, `video` and `audio`.
        makes: Vec<MediaType> as MediaTypes;
        /// How long a run may take.
        timeout: Duration = "5m" in "100ms"..="24h";
        /// Resident memory of all processes of a run together (Linux).
        memory: u64 as ByteSize = "2GiB" in "8MiB"..="1048576GiB";
        /// Bytes in the folder of a run: what it makes and its temporary files together.
        output_bytes: u64 as ByteSize = "256MiB" in "1KiB"..="1024GiB";
        /// How many processes a run may have at once (Linux).
        processes: u32 = 256 in 1..=65536;
        /// Whether landlock confines it, with what it starts, to the system's programs, its installation, its folder and the
        /// keys below (Linux 5.13).
        sandbox: bool = true;
        /// Whether it may use TCP (Linux 6.7 refuses it).
        network: bool = false;
        /// Further files and folders that it may read and execute, such as those of models.
        readable: Vec<PathBuf> = [];
        /// Further files and folders that it may read, execute and write, devices among them.
        writable: Vec<PathBuf> = [];
        /// How it tells its progress on standard output: `lines`, `ffmpeg` or `none`.
        progress: ProgressBy = "lines";
        /// Names of variables of the server's environment that it gets as well.
        pass_environment: Vec<String> = [];
        /// Whether a run that was cut off (by the server's end, or by a signal from outside) or whose files could not be
        /// stored is repeated. `false` for a command that costs money: such a job fails with `PROVIDER_OUTCOME_UNKNOWN`.
        repeatable: bool = true;
        /// What to do where the program is missing, as a sentence for operators.
        install: Option<String>;
    }

    /// A service that speaks the protocol of OpenAI's images, videos and speech.
    OpenAi(OpenAiConfig) = "openai" {
        /// What its paths begin with, such as `https://api.openai.com/v1`.
        base_url: Url;
        /// The key of the account, or `file:PATH` or `env:NAME` of what holds it. It is sent to the origin of `base_url` only.
        api_key: Option<SecretString> as Option<Credential>;
        /// Name of the header that carries the key as it is; if not set, `Authorization` does, behind `Bearer`.
        api_key_header: Option<String>;
        /// What it makes, a list of `image`, `video` and `audio`.
        makes: Vec<MediaType> as MediaTypes;
        /// The model that draws, where a feature names none.
        image_model: Option<String>;
        /// The model that speaks, where a feature names none.
        speech_model: Option<String>;
        /// The model that makes videos, where a feature names none.
        video_model: Option<String>;
        /// How it makes videos: the profile `openai`, `openrouter` or `xai`, or any other.
        videos: Profile as ProfileName = "openai";
        /// The voice that speaks, where no template's style or setting names one.
        voice: Option<String>;
        /// The sizes of pictures that it takes, such as `1024x1536`; the nearest to that of the job is asked for. Any size if
        /// empty.
        sizes: Vec<String> = [];
        /// What stands between width and height.
        size_separator: String = "x";
        /// What `response_format` of pictures is, `b64_json` or `url`; it is not sent if not set.
        response_format: Option<String>;
        /// How many pictures of its progress are asked for as a stream.
        partial_images: u32 = 0 in 0..=3;
        /// What it calls further inputs, by their names here: `seed`, `negative_prompt`, `cfg_scale`, `format` and
        /// `aspect_ratio`. What is not named is not sent.
        fields: BTreeMap<String, String> as Fields = {};
        /// The path that draws.
        images_path: String = "images/generations";
        /// The path that works from the pictures of a request, such as `images/edits`; if not set, pictures are not sent.
        edits_path: Option<String>;
        /// The field of the form that carries each of these pictures.
        picture_field: String = "image[]";
        /// The path that speaks.
        speech_path: String = "audio/speech";
        /// How long a call may take.
        timeout: Duration = "5m" in "1s"..="1h";
        /// Whether a call is simply repeated whose answer got lost. `false` where it costs money: such a job fails with
        /// `PROVIDER_OUTCOME_UNKNOWN`.
        repeatable: bool = false;
    }

    /// A ComfyUI server, or a service that speaks the Comfy API v2.
    ComfyUi(ComfyUiConfig) = "comfyui" {
        /// What its paths begin with, such as `http://127.0.0.1:8188`.
        base_url: Url;
        /// What it speaks: `native`, as ComfyUI itself does, or `v2`, as Comfy Cloud and comfy-api-proxy do.
        dialect: Dialect = "native";
        /// The key, or `file:PATH` or `env:NAME` of what holds it. It is sent to the origin of `base_url` only.
        api_key: Option<SecretString> as Option<Credential>;
        /// Name of the header that carries the key as it is, such as `X-API-Key`; if not set, `Authorization` does, behind
        /// `Bearer`.
        api_key_header: Option<String>;
        /// What its workflows make, a list of `image`, `video` and `audio`.
        makes: Vec<MediaType> as MediaTypes;
        /// The folder of the workflows, files `*.json` in ComfyUI's API format, which are read at the start.
        workflows: Option<PathBuf>;
        /// The file in `workflows` that runs where neither a template's style nor a feature's settings name one.
        workflow: Option<String>;
        /// Where its nodes take the inputs of a job, by their names here, such as `{ prompt = "6.inputs.text" }`; a list of
        /// places where one is taken more than once.
        bindings: BTreeMap<String, Vec<String>> as Bindings = {};
        /// How often a job is asked for while nothing else tells of it.
        poll_interval: Duration = "1s" in "100ms"..="1m";
        /// How long a call may take; a job may take `executor.job_timeout`.
        timeout: Duration = "1m" in "1s"..="1h";
        /// Whether a job is simply submitted again that the server lost, as when it was restarted. `false` where that costs
        /// money: such a job fails with `PROVIDER_OUTCOME_UNKNOWN`.
        repeatable: bool = false;
    }

    /// A service that speaks the protocol of AUTOMATIC1111's web UI.
    SdApi(SdApiConfig) = "sdapi" {
        /// What its paths begin with, such as `http://127.0.0.1:7860`.
        base_url: Url;
        /// The name that it knows us by, where it asks for one (HTTP Basic).
        username: Option<String>;
        /// The password, or `file:PATH` or `env:NAME` of what holds it. It is sent to the origin of `base_url` only.
        password: Option<SecretString> as Option<Credential>;
        /// The checkpoint that draws, where a feature names no model; if not set, the one that the service has loaded.
        model: Option<String>;
        /// Whether it is asked for the LoRAs of a request, in the prompt as `<lora:NAME:WEIGHT>`.
        loras: bool = false;
        /// Width and height are rounded up to a multiple of this.
        size_step: u32 = 8 in 1..=64;
        /// How often it is asked how far it is.
        progress_interval: Duration = "1s" in "100ms"..="1m";
        /// How long a call may take, which is as long as the work.
        timeout: Duration = "10m" in "1s"..="1h";
        /// Whether a call is simply repeated whose answer got lost. `false` where it costs money: such a job fails with
        /// `PROVIDER_OUTCOME_UNKNOWN`.
        repeatable: bool = false;
    }

    /// A service that works on tasks, as a profile tells.
    Task(TaskConfig) = "task" {
        /// How it speaks: the name of a profile that ships, or `file:PATH` of one of your own.
        profile: Profile as ProfileName;
        /// What its paths begin with, where it is not the profile's.
        base_url: Option<Url>;
        /// The key of the account, or `file:PATH` or `env:NAME` of what holds it.
        api_key: Option<SecretString> as Option<Credential>;
        /// The secret that signs, where the profile signs; written as `api_key` is.
        api_secret: Option<SecretString> as Option<Credential>;
        /// What it makes, a list of `image`, `video` and `audio`; all that the profile does if empty.
        makes: Vec<MediaType> = [];
        /// The model that works, where a feature names none.
        model: Option<String>;
        /// Further URLs whose origins get the key where answers name them.
        allowed_origins: Vec<Url> = [];
        /// The pause between two polls, where it is not the profile's.
        poll_every: Option<Duration>;
        /// Whether the service is asked to call `server.public_url` when a task has come forward, so that it is polled less
        /// often.
        webhooks: bool = false;
        /// The secret that it signs these calls with, where it signs by one; written as `api_key` is.
        webhook_secret: Option<SecretString> as Option<Credential>;
        /// Where it publishes the keys that it signs them with, where it is not the profile's.
        webhook_keys: Option<Url>;
        /// How long a call may take, where it is not the profile's.
        timeout: Option<Duration>;
        /// Whether a submission is simply repeated whose answer got lost. `false` where it costs money: such a job fails with
        /// `PROVIDER_OUTCOME_UNKNOWN`.
        repeatable: bool = false;
    }

    /// The best program of this machine that speaks a language.
    Voice(VoiceConfig) = "voice" {
        /// The provider of the kind `exec` that speaks a language if its program is there, such as `{ vi = "piper" }`. Any other
        /// language, and these where it is not, are spoken by hibari (American English) or eSpeak NG.
        languages: BTreeMap<String, String> as Languages = {};
    }

    /// A provider for tests, which misbehaves as a request asks for in `input.extra.scripted`.
    Scripted(ScriptedConfig) = "scripted" {
        /// The folder that holds every file that a request may name.
        folder: PathBuf;
        /// Whether it takes the pictures that a request brings, the first of which it delivers.
        pictures: bool = false;
    }
}

/// The key that says which others there are.
const KIND: Entry = Entry {
    key: "kind",
    doc: "What it is; the other keys follow from it.",
    kind: KindName::NAME,
    secret: false,
    default: None,
    optional: false,
    range: None,
};

/// The providers by their names: those that have tables and those that are always there.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, ProviderConfig> {
    let voice = VoiceConfig {
        languages: BTreeMap::new(),
        limits: ProviderLimits::default(),
    };
    let mut providers = BTreeMap::from([("voice".to_owned(), ProviderConfig::Voice(voice))]);
    for name in reader.tables_of(SECTION) {
        check_name(reader, &name);
        let table = table(&name);
        let kind = reader.read_of::<KindName>(&table, &KIND);
        let provider = kind.and_then(|kind| ProviderConfig::read(kind, reader, &table));
        if let Some(ProviderConfig::Task(task)) = &provider {
            for (key, expected) in task.missing() {
                // A key that is wrong by itself is told by now.
                let known = if key == "api_secret" { "api_key" } else { key };
                if [key, known]
                    .iter()
                    .any(|key| reader.is_wrong(&path(&name, key)))
                {
                    continue;
                }
                reader.refuse(&table, path(&name, key), expected.to_owned());
            }
        }
        let known = KINDS.iter().find(|(word, _)| Some(*word) == kind);
        let known = known.map(|(_, entries)| [*entries, ProviderLimits::ENTRIES].concat());
        reader.finish_table(&table, known.as_deref());
        providers.extend(provider.map(|provider| (name, provider)));
    }
    check_languages(reader, &providers);
    providers
}

fn check_languages(reader: &mut Reader, providers: &BTreeMap<String, ProviderConfig>) {
    for (name, provider) in providers {
        let ProviderConfig::Voice(voice) = provider else {
            continue;
        };
        for (language, of) in &voice.languages {
            let speaks = match providers.get(of) {
                Some(ProviderConfig::Exec(exec)) => exec.makes.contains(&MediaType::Audio),
                _ => false,
            };
            if !speaks {
                let key = path(name, &format!("languages.{language}"));
                let expected = "the name of a provider of the kind exec that makes audio";
                reader.refuse(&table(name), key, expected.to_owned());
            }
        }
    }
}

impl TaskConfig {
    /// What it must have because its profile has it not.
    fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let base = &self.profile.base;
        let signs = base.auth.as_ref().is_some_and(Auth::signs);
        let no_url = self.base_url.is_none() && base.base_url.is_none();
        let no_secret = signs && (self.api_key.is_none() || self.api_secret.is_none());
        let beyond = self.makes.iter().any(|it| !base.makes.contains(it));
        let webhook = base.webhook.as_ref();
        let no_webhook = self.webhooks && webhook.is_none();
        let by_secret = webhook.is_some_and(|it| it.signed == Some(Signature::Standard));
        let secret = self.webhook_secret.as_ref();
        let key = secret.and_then(|secret| Signature::standard_key(secret.expose_secret()));
        let unverified = self.webhooks && by_secret && key.is_none();
        [
            (no_url, "base_url", "a URL, since the profile has none"),
            (
                no_secret,
                "api_secret",
                "set with api_key, since the profile signs",
            ),
            (beyond, "makes", "what the profile makes, or less"),
            (
                no_webhook,
                "webhooks",
                "false, since the service calls nobody",
            ),
            (
                unverified,
                "webhook_secret",
                "whsec_ and base64, as the service tells it, since it signs its calls",
            ),
        ]
        .into_iter()
        .filter_map(|(missing, key, expected)| missing.then_some((key, expected)))
        .collect()
    }
}

/// The full name of a key.
pub(super) fn path(name: &str, key: &str) -> String {
    format!("{SECTION}.{name}.{key}")
}

fn table(name: &str) -> String {
    format!("{SECTION}.{name}")
}

fn check_name(reader: &mut Reader, name: &str) {
    let valid = (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
        });
    if !valid || name == BUILTIN {
        let expected = format!(
            "a name of 1 to {MAX_NAME_CHARS} characters of a-z, 0-9, \"_\" and \"-\", and not {BUILTIN}"
        );
        reader.refuse(&table(name), table(name), expected);
    }
}

/// What is wrong with a provider that is no table.
pub(super) fn no_table(name: &str, source: Source) -> Problem {
    Problem::Value {
        key: format!("{SECTION}.{name}").into(),
        source,
        expected: format!(
            "a table [{SECTION}.NAME] with its kind, NAME being that of the provider"
        ),
        found: None,
    }
}

/// What a command is written as that stands where commands stood before they had a kind.
pub(super) fn in_place_of_command(name: &str) -> String {
    format!("a table [{SECTION}.{name}] with kind = \"exec\"")
}

impl ProviderConfig {
    /// How many jobs it gets. A service of the kind `sdapi` does one at a time, so that no other counts as submitted while it
    /// only waits for that.
    pub fn limits(&self) -> ProviderLimits {
        let limits = self.written_limits();
        match self {
            Self::SdApi(_) => ProviderLimits {
                concurrency: 1,
                ..limits
            },
            _ => limits,
        }
    }

    /// Where its work is done: the origin of its URL, or its command.
    pub fn place(&self) -> Option<String> {
        let of = |key| {
            let (_, value) = self
                .written()
                .into_iter()
                .find(|(entry, _)| entry.key == key)?;
            let value = value?;
            Some(value.trim_matches('"').to_owned())
        };
        let hosted = match self {
            Self::Task(task) => task.profile.base.base_url.clone(),
            _ => None,
        };
        let origin = of("base_url").and_then(|url| Url::parse(&url).ok());
        let origin = origin.or(hosted);
        let origin = origin.map(|url| url.origin().ascii_serialization());
        origin.or_else(|| of("command"))
    }
}

#[cfg(test)]
mod tests;
