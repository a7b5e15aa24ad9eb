//! How the values of a command are written.

use crate::config::kind::{Kind, Literal, list, quote};
use crate::domain::command::{ProgressBy, PromptBy};
use crate::entity::MediaType;

/// A list of media types that is not empty.
pub(super) struct MediaTypes;

impl MediaTypes {
    const ALL: [MediaType; 3] = [MediaType::Image, MediaType::Video, MediaType::Audio];
    pub(super) const EXPECTED: &'static str = r#"a list of "image", "video" and "audio""#;
}

impl Kind for MediaTypes {
    type Value = Vec<MediaType>;
    const NAME: &'static str = "list";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        let named = |item: &Literal| {
            let mut all = Self::ALL.into_iter();
            all.find(|media_type| *item == Literal::Text(media_type.as_str().to_owned()))
        };
        let types: Option<Vec<_>> = match literal {
            Literal::List(items) if !items.is_empty() => items.iter().map(named).collect(),
            _ => None,
        };
        types.ok_or_else(|| Self::EXPECTED.to_owned())
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(list(
            value.iter().map(|media_type| quote(media_type.as_str())),
        ))
    }
}

/// The words for the variants of an enum of the domain.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Kind for $name {
            type Value = Self;
            const NAME: &'static str = "choice";

            fn read(literal: &Literal) -> Result<Self, String> {
                match literal {
                    $(Literal::Text(word) if word == $word => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", [$($word),+].map(quote).join(", "))),
                }
            }

            fn write(value: &Self) -> Option<String> {
                Some(quote(match value {
                    $(Self::$variant => $word,)+
                }))
            }
        }
    };
}

words!(PromptBy { Stdin = "stdin", File = "file", None = "none" });
words!(ProgressBy { Lines = "lines", Ffmpeg = "ffmpeg", None = "none" });
