//! A file without what it tells beside what it shows: no recipe, no Exif, no XMP, no comments, tags or times. What is drawn and
//! heard stays byte for byte, and of a photo which way is up.
//!
//! A file is only cut, and never decoded: the cuts are few and small, so that whoever keeps them can send the bare file from
//! the whole one.

mod flac;
mod gif;
mod jpeg;
mod mp3;
mod mp4;
mod png;
mod riff;
#[cfg(test)]
mod tests;

use std::ops::Range;

use image::metadata::Orientation;

use crate::{Format, provenance::riff::Form};

/// Most cuts of one file: who has more was made to have them.
const MAX_CUTS: usize = 256;

/// A part of a file that is left out, and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The part.
    pub range: Range<usize>,
    /// What comes instead, first these bytes,
    pub with: Vec<u8>,
    /// then so many that are 0.
    pub zeros: usize,
}

/// Why a file cannot be bared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBared {
    /// Nothing here knows where such a file keeps what.
    #[error("nothing here can take metadata out of {0} files")]
    NoWay(Format),
    /// The file is damaged, or made in a way that is not understood.
    #[error("{0}")]
    Unfit(&'static str),
}

/// What is to be cut out of the file, in order and without overlaps; nothing where it is bare.
///
/// Time and memory grow with the file's size only.
///
/// # Errors
/// [`NotBared`].
pub fn cuts(content: &[u8], format: Format) -> Result<Vec<Cut>, NotBared> {
    let cuts = match format {
        Format::Png => png::cuts(content),
        Format::Jpg => jpeg::cuts(content),
        Format::Webp => riff::cuts(content, Form::Webp),
        Format::Wav => riff::cuts(content, Form::Wav),
        Format::Mp4 | Format::M4a => mp4::cuts(content),
        Format::Gif => gif::cuts(content),
        Format::Flac => flac::cuts(content),
        Format::Mp3 => Some(mp3::cuts(content)),
        Format::Webm | Format::Weba | Format::Ogg => return Err(NotBared::NoWay(format)),
    };
    let cuts = cuts.ok_or(NotBared::Unfit("its parts cannot be followed to the end"))?;
    let cuts = joined(cuts);
    match cuts.len() > MAX_CUTS {
        true => Err(NotBared::Unfit("it has too many parts to take out")),
        false => Ok(cuts),
    }
}

/// The file with its cuts made; `None` if they are not in order or lie beyond its end.
pub fn apply(content: &[u8], cuts: &[Cut]) -> Option<Vec<u8>> {
    let mut bare = Vec::with_capacity(content.len());
    let mut done = 0;
    for cut in cuts {
        bare.extend_from_slice(content.get(done..cut.range.start)?);
        bare.extend_from_slice(&cut.with);
        bare.resize(bare.len().checked_add(cut.zeros)?, 0);
        done = cut.range.end;
    }
    bare.extend_from_slice(content.get(done..)?);
    Some(bare)
}

impl Cut {
    fn out(range: Range<usize>) -> Self {
        Self::replace(range, Vec::new())
    }

    fn replace(range: Range<usize>, with: Vec<u8>) -> Self {
        Self {
            range,
            with,
            zeros: 0,
        }
    }

    /// Nothing but zeros in the place of the part.
    fn blank(range: Range<usize>) -> Self {
        Self {
            zeros: range.len(),
            ..Self::out(range)
        }
    }

    fn only_removes(&self) -> bool {
        self.with.is_empty() && self.zeros == 0
    }
}

/// The cuts without those of nothing, and neighbours as one.
fn joined(cuts: Vec<Cut>) -> Vec<Cut> {
    let mut joined: Vec<Cut> = Vec::new();
    for cut in cuts {
        match joined.last_mut() {
            Some(last) if last.range.end == cut.range.start && cut.only_removes() => {
                last.range.end = cut.range.end;
            }
            _ if cut.range.is_empty() && cut.only_removes() => {}
            _ => joined.push(cut),
        }
    }
    joined
}

/// What follows the end of the file proper.
fn rest(content: &[u8], end: usize) -> Cut {
    Cut::out(end..content.len())
}

/// Exif that tells of nothing but which way is up; `None` where that goes without saying.
fn upright(exif: &[u8]) -> Option<Vec<u8>> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let orientation = Orientation::from_exif_chunk(exif)?.to_exif();
    let mut bare = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bare.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    (orientation > 1).then_some(bare)
}
