//! The file formats that are stored and served.

use std::fmt;
use std::str::FromStr;

use crate::entity::MediaType;

/// A file format that Atelier produces, accepts and serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG in a JFIF or Exif file.
    Jpeg,
    /// WebP, lossy or lossless.
    Webp,
}

impl Format {
    /// Every format, in the order of preference when nobody asks for one.
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    /// The format whose signature stands at the start of `content`.
    pub fn sniff(content: &[u8]) -> Option<Self> {
        match image::guess_format(content).ok()? {
            image::ImageFormat::Png => Some(Self::Png),
            image::ImageFormat::Jpeg => Some(Self::Jpeg),
            image::ImageFormat::WebP => Some(Self::Webp),
            _ => None,
        }
    }

    /// The format that files with this extension (without the dot) have.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == extension)
    }

    /// The kind of media that files of this format hold.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::Png | Self::Jpeg | Self::Webp => MediaType::Image,
        }
    }

    /// The name that clients use, for example `jpeg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// The usual file extension, without the dot, for example `jpg`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// The media type for HTTP, as registered with IANA, for example `image/jpeg`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    pub(super) fn as_image_format(self) -> image::ImageFormat {
        match self {
            Self::Png => image::ImageFormat::Png,
            Self::Jpeg => image::ImageFormat::Jpeg,
            Self::Webp => image::ImageFormat::WebP,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that belongs to no known format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known format")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads a format's name or extension in any case, so `jpg` and `JPEG` are one.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let lower = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| format.name() == lower || format.extension() == lower)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn jpg_and_jpeg_are_one_format() {
        assert_eq!("jpg".parse::<Format>().unwrap(), Format::Jpeg);
        assert_eq!("JPEG".parse::<Format>().unwrap(), Format::Jpeg);
    }

    #[test]
    fn every_format_is_found_by_its_name_and_its_extension() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
    }

    #[test]
    fn an_unknown_name_is_repeated_in_the_error() {
        let error = "exe".parse::<Format>().unwrap_err();
        assert!(error.to_string().contains("exe"));
    }
}
