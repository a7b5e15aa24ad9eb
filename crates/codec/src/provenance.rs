//! How a file was made, kept in the file itself: embedding a recipe, and reading it back.
//!
//! PNG, JPEG, WebP, MP4, M4A, GIF and WAV have it as a property of their XMP packet (Adobe's XMP specification: part 1 for the packet,
//! part 3 for its place in each format), FLAC as a Vorbis comment. Pixels, samples and all other metadata stay as they are,
//! byte for byte: a file is only cut where something is put in, and never decoded.

mod edit;
pub(crate) mod flac;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod mp4;
pub(crate) mod png;
pub(crate) mod riff;
mod xmp;

#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Format, sniff};

use edit::apply;
use riff::Form;

/// Why a file stays without its recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEmbedded {
    /// Nothing here can write into this format.
    #[error("{0} files have no place for it")]
    NoPlace(Format),
    /// The format bounds the part that it would stand in.
    #[error("the metadata would have {size} bytes, more than the {max} that fit")]
    TooLong {
        /// Bytes.
        size: usize,
        /// Bytes.
        max: usize,
    },
    /// The file is damaged, or made in a way that leaves no safe place.
    #[error("{0}")]
    Unfit(&'static str),
}

/// The file with `recipe`, a JSON text, in place of the recipe that it may have had.
///
/// Time and memory grow with the file's size only.
///
/// # Errors
/// [`NotEmbedded`]; the file is to be used as it is then.
pub fn embed(content: &[u8], format: Format, recipe: &str) -> Result<Bytes, NotEmbedded> {
    let change = |packet: Option<&[u8]>| xmp::with_recipe(packet, recipe);
    let edits = match format {
        Format::Png => png::edits(content, change),
        Format::Jpg => jpeg::edits(content, change),
        Format::Webp => riff::edits(content, Form::Webp, change),
        Format::Wav => riff::edits(content, Form::Wav, change),
        Format::Mp4 | Format::M4a => mp4::edits(content, change),
        Format::Gif => gif::edits(content, change),
        Format::Flac => flac::edits(content, recipe),
        Format::Webm | Format::Weba | Format::Mp3 | Format::Ogg => {
            Err(NotEmbedded::NoPlace(format))
        }
    }?;
    apply(content, &edits).ok_or(NotEmbedded::Unfit("its parts overlap"))
}

/// The recipe that stands in the file, whatever its name says it is; `None` if there is none.
pub fn read(content: &[u8]) -> Option<Map<String, Value>> {
    let packet = match sniff(content)? {
        Format::Png => png::packet(content),
        Format::Jpg => jpeg::packet(content),
        Format::Webp => riff::packet(content, Form::Webp),
        Format::Wav => riff::packet(content, Form::Wav),
        Format::Mp4 | Format::M4a => mp4::packet(content),
        Format::Gif => gif::packet(content),
        Format::Flac => return serde_json::from_str(flac::recipe(content)?).ok(),
        Format::Webm | Format::Weba | Format::Mp3 | Format::Ogg => None,
    }?;
    serde_json::from_str(&xmp::recipe(packet)?).ok()
}
