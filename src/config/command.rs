//! The commands that make media: tables `[exec.NAME]` of the configuration file, and the one that is always there.

mod kind;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::kind::{Kind, Literal, list, quote};
use super::problem::{Problem, Source};
use super::quantity::ByteSize;
use crate::domain::MediaType;
use crate::domain::command::{self, Argument, Command, ProgressBy, PromptBy};
use crate::domain::spelling::nearest;
use kind::MediaTypes;

/// The section that holds the tables.
pub(super) const SECTION: &str = "exec";

pub(super) const BUILTIN: &str = "builtin";
pub(super) const SCRIPTED: &str = "scripted";
/// Names that other providers have.
const TAKEN: [&str; 2] = [BUILTIN, SCRIPTED];
/// Longest name, that of `properties.provider`.
const MAX_NAME_CHARS: usize = 64;

/// The keys of a table, each with its default and its meaning.
pub const KEYS: [(&str, &str, &str); 11] = [
    (
        "command",
        "required",
        "The program: a path, or a name that is looked up in `PATH` at each use.",
    ),
    (
        "args",
        "`[]`",
        "Templates of its arguments. A text gives exactly one argument; a list of texts gives one for each, or none of \
         them if one is empty.",
    ),
    (
        "prompt",
        "`\"stdin\"`",
        "How it gets the prompt: on standard input (`stdin`), as a file whose path is `prompt_file` (`file`), or only \
         through its arguments (`none`).",
    ),
    (
        "makes",
        "required",
        "What it makes, a list of `image`, `video` and `audio`.",
    ),
    ("timeout", "`\"5m\"`", "How long a run may take."),
    (
        "memory",
        "`\"2GiB\"`",
        "Resident memory of all processes of a run together (Linux).",
    ),
    (
        "output_bytes",
        "`\"256MiB\"`",
        "Bytes in the folder of a run: what it makes and its temporary files together.",
    ),
    (
        "progress",
        "`\"lines\"`",
        "How it tells its progress on standard output: `lines`, `ffmpeg` or `none`.",
    ),
    (
        "pass_environment",
        "`[]`",
        "Names of variables of the server's environment that it gets as well.",
    ),
    (
        "repeatable",
        "`true`",
        "Whether a run that was cut off (by the server's end, or by a signal from outside) or whose files could not be \
         stored is repeated. `false` for a command that costs money: such a job fails with `PROVIDER_OUTCOME_UNKNOWN`.",
    ),
    (
        "install",
        "not set",
        "What to do where the program is missing, as a sentence.",
    ),
];

const TIMEOUT: (Duration, Duration) = (
    Duration::from_millis(100),
    Duration::from_secs(24 * 60 * 60),
);
const MEMORY: (u64, u64) = (8 << 20, 1 << 50);
const OUTPUT_BYTES: (u64, u64) = (1 << 10, 1 << 40);

/// One table as it was written.
#[derive(Clone)]
pub(super) struct GivenCommand {
    pub name: String,
    pub source: Source,
    pub values: Vec<(String, Source, Literal)>,
}

/// The tables below `[exec]`; what is no table is a problem.
pub(super) fn gather(
    section: &DeTable<'_>,
    source_at: &dyn Fn(usize) -> Source,
) -> (Vec<GivenCommand>, Vec<Problem>) {
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in section {
        let source = source_at(name.span().start);
        let name = name.get_ref().to_string();
        match value.get_ref() {
            DeValue::Table(values) => {
                let values = values.iter().map(|(key, value)| {
                    let literal = Literal::from(value.get_ref());
                    (
                        key.get_ref().to_string(),
                        source_at(key.span().start),
                        literal,
                    )
                });
                given.push(GivenCommand {
                    name,
                    source,
                    values: values.collect(),
                });
            }
            _ => problems.push(Problem::Value {
                key: format!("{SECTION}.{name}").into(),
                source,
                expected: format!("a table [{SECTION}.NAME], NAME being that of the provider"),
                found: None,
            }),
        }
    }
    (given, problems)
}

/// The commands by their names: those given and those that are always there.
pub(super) fn read(
    given: Vec<GivenCommand>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Command> {
    let mut commands = BTreeMap::from([("voice".to_owned(), voice())]);
    for table in given {
        let name = table.name.clone();
        commands.insert(name, TableReader::new(table, problems).read());
    }
    commands
}

/// Speaks the prompt with eSpeak NG, in the voice that the template's style names.
fn voice() -> Command {
    let text = |text: &str| Argument::One(text.to_owned());
    let option = |option: &str, value: &str| Argument::Optional(vec![option.into(), value.into()]);
    Command {
        program: "espeak-ng".to_owned(),
        arguments: vec![
            text("-v"),
            text("{{ style.voice or 'en' }}"),
            option("-s", "{{ variables.speed or style.speed }}"),
            option("-p", "{{ variables.pitch or style.pitch }}"),
            text("-b"),
            text("1"),
            text("-w"),
            text("{{ output }}/voice.wav"),
            text("--stdin"),
        ],
        prompt: PromptBy::Stdin,
        makes: vec![MediaType::Audio],
        timeout: Duration::from_secs(60),
        memory: 512 << 20,
        output_bytes: 256 << 20,
        progress: ProgressBy::None,
        pass_environment: Vec::new(),
        repeatable: true,
        install: Some(
            "install eSpeak NG, the package espeak-ng of apt, dnf, apk and brew".to_owned(),
        ),
    }
}

/// Types the values of one table and keeps what is wrong.
struct TableReader<'a> {
    name: String,
    source: Source,
    values: BTreeMap<String, (Source, Literal)>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> TableReader<'a> {
    fn new(given: GivenCommand, problems: &'a mut Vec<Problem>) -> Self {
        let values = given.values.into_iter();
        Self {
            name: given.name,
            source: given.source,
            values: values
                .map(|(key, source, literal)| (key, (source, literal)))
                .collect(),
            problems,
        }
    }

    fn read(mut self) -> Command {
        self.check_name();
        let program = self.required::<String>("command", "the program to run");
        let makes = self.required::<MediaTypes>("makes", MediaTypes::EXPECTED);
        let command = Command {
            program: program.unwrap_or_default(),
            arguments: self.arguments(),
            prompt: self.take::<PromptBy>("prompt").unwrap_or(PromptBy::Stdin),
            makes: makes.unwrap_or_default(),
            timeout: self.within::<Duration>("timeout", Duration::from_secs(300), TIMEOUT),
            memory: self.within::<ByteSize>("memory", 2 << 30, MEMORY),
            output_bytes: self.within::<ByteSize>("output_bytes", 256 << 20, OUTPUT_BYTES),
            progress: self
                .take::<ProgressBy>("progress")
                .unwrap_or(ProgressBy::Lines),
            pass_environment: self
                .take::<Vec<String>>("pass_environment")
                .unwrap_or_default(),
            repeatable: self.take::<bool>("repeatable").unwrap_or(true),
            install: self.take::<String>("install"),
        };
        for (key, (source, _)) in std::mem::take(&mut self.values) {
            let known = KEYS.iter().map(|(known, ..)| self.key(known));
            self.problems.push(Problem::Unknown {
                nearest: nearest(&self.key(&key), known),
                name: self.key(&key),
                source,
            });
        }
        command
    }

    fn key(&self, key: &str) -> String {
        format!("{SECTION}.{}.{key}", self.name)
    }

    fn check_name(&mut self) {
        let name = &self.name;
        let valid = (1..=MAX_NAME_CHARS).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            });
        if valid && !TAKEN.contains(&name.as_str()) {
            return;
        }
        self.problems.push(Problem::Value {
            key: format!("{SECTION}.{name}").into(),
            source: self.source.clone(),
            expected: format!(
                "a name of 1 to {MAX_NAME_CHARS} characters of a-z, 0-9, \"_\" and \"-\", and neither of {}",
                TAKEN.join(", ")
            ),
            found: None,
        });
    }

    fn reject(&mut self, key: String, source: Source, expected: String, found: Option<String>) {
        self.problems.push(Problem::Value {
            key: key.into(),
            source,
            expected,
            found,
        });
    }

    fn take<K: Kind>(&mut self, key: &str) -> Option<K::Value> {
        let (source, literal) = self.values.remove(key)?;
        match K::read(&literal) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.reject(self.key(key), source, expected, Some(literal.describe()));
                None
            }
        }
    }

    fn required<K: Kind>(&mut self, key: &str, expected: &str) -> Option<K::Value> {
        if !self.values.contains_key(key) {
            let source = self.source.clone();
            self.reject(self.key(key), source, expected.to_owned(), None);
        }
        self.take::<K>(key)
    }

    fn within<K: Kind<Value: PartialOrd>>(
        &mut self,
        key: &str,
        default: K::Value,
        (low, high): (K::Value, K::Value),
    ) -> K::Value {
        let Some((source, literal)) = self.values.get(key).cloned() else {
            return default;
        };
        match self.take::<K>(key) {
            Some(value) if low <= value && value <= high => value,
            Some(_) => {
                let bound = |value| K::write(value).unwrap_or_default();
                let expected = format!("a value from {} to {}", bound(&low), bound(&high));
                self.reject(self.key(key), source, expected, Some(literal.describe()));
                default
            }
            None => default,
        }
    }

    fn arguments(&mut self) -> Vec<Argument> {
        let Some((source, literal)) = self.values.remove("args") else {
            return Vec::new();
        };
        let expected =
            "a list whose items are texts, or lists of texts that may be left out together";
        let Literal::List(items) = literal else {
            self.reject(
                self.key("args"),
                source,
                expected.to_owned(),
                Some(literal.describe()),
            );
            return Vec::new();
        };
        let mut arguments = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let key = self.key(&format!("args[{index}]"));
            match argument(item) {
                None => self.reject(
                    key,
                    source.clone(),
                    expected.to_owned(),
                    Some(item.describe()),
                ),
                Some(argument) => {
                    for template in templates(&argument) {
                        if let Err(error) = command::check(template) {
                            let expected = format!("a template; {} {error}", quote(template));
                            self.reject(key.clone(), source.clone(), expected, None);
                        }
                    }
                    arguments.push(argument);
                }
            }
        }
        arguments
    }
}

fn argument(literal: &Literal) -> Option<Argument> {
    let text = |literal: &Literal| match literal {
        Literal::Text(text) => Some(text.clone()),
        _ => None,
    };
    match literal {
        Literal::Text(text) => Some(Argument::One(text.clone())),
        Literal::List(items) if !items.is_empty() => {
            let items: Option<Vec<_>> = items.iter().map(text).collect();
            items.map(Argument::Optional)
        }
        _ => None,
    }
}

fn templates(argument: &Argument) -> &[String] {
    match argument {
        Argument::One(template) => std::slice::from_ref(template),
        Argument::Optional(templates) => templates,
    }
}

/// The table of a command as TOML, every key that is set; with where it was written, unless it is always there.
pub(super) fn write(name: &str, command: &Command, source: Option<&Source>) -> String {
    let arguments = command.arguments.iter().map(|argument| match argument {
        Argument::One(template) => quote(template),
        Argument::Optional(templates) => list(templates.iter().map(|template| quote(template))),
    });
    let values = [
        ("command", String::write(&command.program)),
        ("args", Some(list(arguments))),
        ("prompt", PromptBy::write(&command.prompt)),
        ("makes", MediaTypes::write(&command.makes)),
        ("timeout", Duration::write(&command.timeout)),
        ("memory", ByteSize::write(&command.memory)),
        ("output_bytes", ByteSize::write(&command.output_bytes)),
        ("progress", ProgressBy::write(&command.progress)),
        (
            "pass_environment",
            Vec::<String>::write(&command.pass_environment),
        ),
        ("repeatable", bool::write(&command.repeatable)),
        ("install", Option::<String>::write(&command.install)),
    ];
    let mut table = match source {
        None => format!("[{SECTION}.{name}]\n"),
        Some(source) => format!("[{SECTION}.{name}] # {source}\n"),
    };
    for (key, value) in values {
        let _ = match value {
            Some(value) => writeln!(table, "{key} = {value}"),
            None => writeln!(table, "# {key} is not set"),
        };
    }
    table
}

#[cfg(test)]
mod tests;
