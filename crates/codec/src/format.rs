use std::{fmt, str::FromStr};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A still picture.
    Image,
    /// With or without sound.
    Video,
    /// Sound alone.
    Audio,
}

/// A file format that can be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Written with 8 bits a channel.
    Png,
    /// Written without transparency: white takes its place.
    Jpg,
    /// Without loss when written here.
    Webp,
    /// H.264 when written here.
    Mp4,
    /// Animated, so a video without sound.
    Gif,
    /// Only read.
    Webm,
    /// 16-bit PCM when written here.
    Wav,
    /// 16-bit when written here.
    Flac,
    /// Only read.
    Mp3,
    /// Vorbis, Opus, FLAC or Speex.
    Ogg,
    /// AAC or ALAC in the boxes of MP4, without pictures: M4A and M4B.
    M4a,
    /// Opus or Vorbis in WebM, without pictures.
    Weba,
}

impl Format {
    /// Every format; those of a kind in the order of preference.
    pub const ALL: [Self; 12] = [
        Self::Png,
        Self::Jpg,
        Self::Webp,
        Self::Mp4,
        Self::Gif,
        Self::Webm,
        Self::Wav,
        Self::Flac,
        Self::Mp3,
        Self::Ogg,
        Self::M4a,
        Self::Weba,
    ];

    /// The formats of a kind, the preferred one first.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |format| format.kind() == kind)
    }

    /// Those of them that can be written too, so that any other can be had in them.
    pub fn written(kind: Kind) -> impl Iterator<Item = Self> {
        Self::of(kind).filter(|format| format.is_written())
    }

    /// Whether it can be written here too.
    pub fn is_written(self) -> bool {
        !matches!(
            self,
            Self::Webm | Self::Mp3 | Self::Ogg | Self::M4a | Self::Weba
        )
    }

    /// What such a file holds.
    pub fn kind(self) -> Kind {
        match self {
            Self::Png | Self::Jpg | Self::Webp => Kind::Image,
            Self::Mp4 | Self::Gif | Self::Webm => Kind::Video,
            Self::Wav | Self::Flac | Self::Mp3 | Self::Ogg | Self::M4a | Self::Weba => Kind::Audio,
        }
    }

    /// The name in messages, and the file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpg => "jpg",
            Self::Webp => "webp",
            Self::Mp4 => "mp4",
            Self::Gif => "gif",
            Self::Webm => "webm",
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::M4a => "m4a",
            Self::Weba => "weba",
        }
    }

    /// The format that a media type stands for, by any of the names that are in use; parameters and case do not matter.
    pub fn of_content_type(name: &str) -> Option<Self> {
        let name = name.split(';').next().unwrap_or_default().trim();
        let name = name.to_ascii_lowercase();
        let mut aliases = ALIASES.iter();
        let known = Self::ALL
            .into_iter()
            .find(|format| format.content_type() == name);
        known.or_else(|| aliases.find_map(|(alias, format)| (*alias == name).then_some(*format)))
    }

    /// Media type of RFC 6838, for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Mp4 => "video/mp4",
            Self::Gif => "image/gif",
            Self::Webm => "video/webm",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::M4a => "audio/mp4",
            Self::Weba => "audio/webm",
        }
    }
}

/// What browsers, phones and older programs call media types besides [`Format::content_type`].
const ALIASES: [(&str, Format); 24] = [
    ("image/apng", Format::Png),
    ("image/x-png", Format::Png),
    ("image/jpg", Format::Jpg),
    ("image/pjpeg", Format::Jpg),
    ("image/x-webp", Format::Webp),
    ("video/x-m4v", Format::Mp4),
    ("video/m4v", Format::Mp4),
    ("application/mp4", Format::Mp4),
    ("audio/wave", Format::Wav),
    ("audio/x-wav", Format::Wav),
    ("audio/x-pn-wav", Format::Wav),
    ("audio/vnd.wave", Format::Wav),
    ("audio/x-flac", Format::Flac),
    ("audio/mp3", Format::Mp3),
    ("audio/mpeg3", Format::Mp3),
    ("audio/x-mp3", Format::Mp3),
    ("audio/x-mpeg", Format::Mp3),
    ("audio/x-mpeg-3", Format::Mp3),
    ("application/ogg", Format::Ogg),
    ("audio/opus", Format::Ogg),
    ("audio/x-ogg", Format::Ogg),
    ("audio/m4a", Format::M4a),
    ("audio/x-m4a", Format::M4a),
    ("audio/x-m4b", Format::M4a),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_every_name_of_its_media_type() {
        for format in Format::ALL {
            assert_eq!(Format::of_content_type(format.content_type()), Some(format));
        }
        for (alias, format) in ALIASES {
            assert!(
                Format::ALL.iter().all(|it| it.content_type() != alias),
                "{alias}"
            );
            assert_eq!(Format::of_content_type(&alias.to_uppercase()), Some(format));
        }
        let recorded = Format::of_content_type(" audio/webm;codecs=opus");
        assert_eq!(recorded, Some(Format::Weba));
        for unknown in ["", ";", "image/svg+xml", "text/html", "audio", "audio/x"] {
            assert_eq!(Format::of_content_type(unknown), None, "{unknown}");
        }
    }
}
