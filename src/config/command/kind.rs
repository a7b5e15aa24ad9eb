//! How the values of a command are written.

use crate::config::kind::{Kind, Literal, quote};
use crate::domain::MediaType;
use crate::domain::command::{ProgressBy, PromptBy};

/// A list of media types that is not empty.
pub(super) struct MediaTypes;

impl MediaTypes {
    pub(super) const EXPECTED: &'static str = r#"a list of "image", "video" and "audio""#;
}

impl Kind for MediaTypes {
    type Value = Vec<MediaType>;
    const NAME: &'static str = "list";

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        match Vec::<MediaType>::read(literal) {
            Ok(types) if !types.is_empty() => Ok(types),
            _ => Err(Self::EXPECTED.to_owned()),
        }
    }

    fn write(value: &Self::Value) -> Option<String> {
        Vec::<MediaType>::write(value)
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

words!(MediaType { Image = "image", Video = "video", Audio = "audio" });
words!(PromptBy { Stdin = "stdin", File = "file", None = "none" });
words!(ProgressBy { Lines = "lines", Ffmpeg = "ffmpeg", None = "none" });
