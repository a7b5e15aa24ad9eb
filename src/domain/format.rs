use std::{fmt, str::FromStr};

use crate::entity::MediaType;

/// A file format that Atelier knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Png,
    Jpg,
    Webp,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpg, Self::Webp];

    /// The formats of a media type, the preferred one first.
    pub fn of(media_type: MediaType) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |format| format.media_type() == media_type)
    }

    pub fn media_type(self) -> MediaType {
        match self {
            Self::Png | Self::Jpg | Self::Webp => MediaType::Image,
        }
    }

    /// The name in messages, and the file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// Media type of RFC 6838, for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = ();

    /// `jpeg` is another name of `jpg`; case does not matter.
    fn from_str(name: &str) -> Result<Self, ()> {
        let name = name.to_ascii_lowercase();
        let name = if name == "jpeg" { "jpg" } else { &name };
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or(())
    }
}
