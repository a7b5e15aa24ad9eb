//! How the values of a provider's table are written.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::kind::{Kind, Literal, choices, list, quote, words};
use crate::domain::command::{self, Argument, ProgressBy, PromptBy};
use crate::domain::profile::Profile;
use crate::domain::{MediaType, read_text};

use super::KINDS;

/// One of the kinds of providers.
pub(super) struct KindName;

impl Kind for KindName {
    type Value = &'static str;
    const NAME: &'static str = "choice";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let mut kinds = KINDS.iter().map(|(kind, _)| *kind);
        let named = match literal {
            Literal::Text(word) => kinds.find(|kind| kind == word),
            _ => None,
        };
        named.ok_or_else(|| {
            let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| quote(kind)).collect();
            format!("one of {}", kinds.join(", "))
        })
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(quote(value))
    }
}

/// Templates of a command's arguments.
pub(super) struct Arguments;

impl Kind for Arguments {
    type Value = Vec<Argument>;
    const NAME: &'static str = "list";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let expected =
            "a list whose items are texts, or lists of texts that may be left out together";
        let Literal::List(items) = literal else {
            return Err(expected.to_owned());
        };
        let arguments: Option<Vec<_>> = items.iter().map(argument).collect();
        let arguments = arguments.ok_or(expected)?;
        let templates = arguments.iter().flat_map(Argument::templates);
        for template in templates {
            command::check(template)
                .map_err(|error| format!("templates; {} {error}", quote(template)))?;
        }
        Ok(arguments)
    }

    fn write(value: &Self::Value) -> Option<String> {
        let arguments = value.iter().map(|argument| match argument {
            Argument::One(template) => quote(template),
            Argument::Optional(templates) => list(templates.iter().map(|template| quote(template))),
        });
        Some(list(arguments))
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

/// A list of media types that is not empty.
pub(super) struct MediaTypes;

impl Kind for MediaTypes {
    type Value = Vec<MediaType>;
    const NAME: &'static str = "list";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        match Vec::<MediaType>::read(literal) {
            Ok(types) if !types.is_empty() => Ok(types),
            _ => Err(r#"a list of "image", "video" and "audio""#.to_owned()),
        }
    }

    fn write(value: &Self::Value) -> Option<String> {
        Vec::<MediaType>::write(value)
    }
}
/// A key, or where it is.
pub(super) struct Credential;

impl Kind for Credential {
    type Value = SecretString;
    const NAME: &'static str = "secret";
    const SECRET: bool = true;

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        const KEY: &str = r#"a key, "file:PATH" of a file that can be read, or "env:NAME" of a variable that is set"#;
        let Literal::Text(text) = literal else {
            return Err(KEY.to_owned());
        };
        let (key, expected) = match text.split_once(':') {
            Some(("file", path)) => (
                std::fs::read_to_string(path).ok(),
                format!("{KEY}; the file {path} is empty or cannot be read"),
            ),
            Some(("env", name)) => (
                std::env::var(name).ok(),
                format!("{KEY}; the variable {name} is empty or not set"),
            ),
            _ => (Some(text.clone()), KEY.to_owned()),
        };
        let key = key.map(|key| key.trim().to_owned());
        let key = key.filter(|key| !key.is_empty()).ok_or(expected)?;
        Ok(key.into())
    }

    fn write(value: &Self::Value) -> Option<String> {
        SecretString::write(value)
    }
}

/// A profile that ships, or where one is.
pub(super) struct ProfileName;

impl Kind for ProfileName {
    type Value = Profile;
    const NAME: &'static str = "text";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let Literal::Text(source) = literal else {
            return Err("the name of a profile, or file:PATH".to_owned());
        };
        let read = |path: &str| {
            let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
            read_text(&bytes).map_err(|error| format!("{path}: {error}"))
        };
        Profile::load(source, read).map_err(|wrong| format!("a profile without mistakes; {wrong}"))
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(quote(&value.source))
    }
}

/// What a service calls inputs, by their names here.
pub(super) struct Fields;

/// The inputs that can be named.
const INPUTS: [&str; 5] = [
    "aspect_ratio",
    "cfg_scale",
    "format",
    "negative_prompt",
    "seed",
];

impl Kind for Fields {
    type Value = BTreeMap<String, String>;
    const NAME: &'static str = "table";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        texts(literal, |input| INPUTS.contains(&input)).ok_or_else(|| {
            let inputs = INPUTS.join(", ");
            format!("a table of texts by the names {inputs}, such as {{ seed = \"seed\" }}")
        })
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(table(value))
    }
}

/// Who speaks a language, by its code.
pub(super) struct Languages;

impl Kind for Languages {
    type Value = BTreeMap<String, String>;
    const NAME: &'static str = "table";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let of_code = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        texts(literal, |language| language.bytes().all(of_code)).ok_or_else(|| {
            r#"a table of names of providers by codes of languages, such as { vi = "piper" }"#
                .to_owned()
        })
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(table(value))
    }
}

/// A table of texts that are not empty, all by names that are right.
fn texts(literal: &Literal, is_right: impl Fn(&str) -> bool) -> Option<BTreeMap<String, String>> {
    let Literal::Table(entries) = literal else {
        return None;
    };
    let entries = entries.iter().map(|(name, value)| match value {
        Literal::Text(text) if is_right(name) && !text.is_empty() => {
            Some((name.clone(), text.clone()))
        }
        _ => None,
    });
    entries.collect()
}

fn table(entries: &BTreeMap<String, String>) -> String {
    let entries = entries.iter();
    let entries: Vec<_> = entries
        .map(|(name, value)| format!("{name} = {}", quote(value)))
        .collect();
    match entries.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", entries.join(", ")),
    }
}

words!(MediaType { Image = "image", Video = "video", Audio = "audio" });
words!(PromptBy { Stdin = "stdin", File = "file", None = "none" });
words!(ProgressBy { Lines = "lines", Ffmpeg = "ffmpeg", None = "none" });
choices! {
    /// What a ComfyUI server speaks.
    Dialect {
        /// As ComfyUI itself does.
        Native = "native",
        /// The Comfy API v2.
        V2 = "v2",
    }
}

/// Where the nodes of a workflow take inputs, by the names of these.
pub(super) struct Bindings;

impl Kind for Bindings {
    type Value = BTreeMap<String, Vec<String>>;
    const NAME: &'static str = "table";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let text = |literal: &Literal| match literal {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        };
        let places = |literal: &Literal| match literal {
            Literal::List(places) => places.iter().map(text).collect(),
            place => text(place).map(|place| vec![place]),
        };
        let bindings: Option<_> = match literal {
            Literal::Table(table) => table
                .iter()
                .map(|(input, literal)| Some((input.clone(), places(literal)?)))
                .collect(),
            _ => None,
        };
        bindings.ok_or_else(|| {
            "a table of places by the names of inputs, such as { prompt = \"6.inputs.text\" }"
                .to_owned()
        })
    }

    fn write(value: &Self::Value) -> Option<String> {
        let bindings = value.iter().map(|(input, places)| {
            let places = list(places.iter().map(|place| quote(place)));
            format!("{} = {places}", quote(input))
        });
        let bindings: Vec<_> = bindings.collect();
        Some(match bindings.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", bindings.join(", ")),
        })
    }
}
