//! How the values of a provider's table are written.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::kind::{Kind, Literal, list, quote, words};
use crate::domain::MediaType;
use crate::domain::command::{self, Argument, ProgressBy, PromptBy};
use crate::domain::profile::Profile;

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
        let key = match literal {
            Literal::Text(text) => match text.split_once(':') {
                Some(("file", path)) => std::fs::read_to_string(path).ok(),
                Some(("env", name)) => std::env::var(name).ok(),
                _ => Some(text.clone()),
            },
            _ => None,
        };
        let key = key.map(|key| key.trim().to_owned());
        let key = key.filter(|key| !key.is_empty()).ok_or(
            r#"a key, "file:PATH" of a file that can be read, or "env:NAME" of a variable that is set"#,
        )?;
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
        let read =
            |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
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
        let field = |(input, field): (&String, &Literal)| match field {
            Literal::Text(text) if INPUTS.contains(&input.as_str()) && !text.is_empty() => {
                Some((input.clone(), text.clone()))
            }
            _ => None,
        };
        let fields: Option<_> = match literal {
            Literal::Table(fields) => fields.iter().map(field).collect(),
            _ => None,
        };
        fields.ok_or_else(|| {
            format!(
                "a table of texts by the names {}, such as {{ seed = \"seed\" }}",
                INPUTS.join(", ")
            )
        })
    }

    fn write(value: &Self::Value) -> Option<String> {
        let fields = value
            .iter()
            .map(|(input, field)| format!("{input} = {}", quote(field)));
        let fields: Vec<_> = fields.collect();
        Some(match fields.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", fields.join(", ")),
        })
    }
}

words!(MediaType { Image = "image", Video = "video", Audio = "audio" });
words!(PromptBy { Stdin = "stdin", File = "file", None = "none" });
words!(ProgressBy { Lines = "lines", Ffmpeg = "ffmpeg", None = "none" });
