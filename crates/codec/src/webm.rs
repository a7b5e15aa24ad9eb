//! WebM files (RFC 9559): their tracks and blocks. They may be written to a pipe, with segment and clusters of unknown size, as
//! recorders of browsers do.

mod ebml;
mod times;

use crate::CodecError;
use crate::ending::check_rest;

use ebml::{Element, Elements, children, length};
pub(crate) use times::Times;

/// Nanoseconds of a unit of time where the file does not say.
const USUAL_SCALE: u64 = 1_000_000;
/// The bits of a block's flags that say how its frames are packed together.
const LACING: u8 = 0x06;

/// What the file's first elements say.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) tracks: Vec<Track>,
    /// Nanoseconds of a unit of time.
    pub(crate) scale: u64,
    /// How long it lasts by its own word, in such units; 0 where it does not say.
    pub(crate) declared: f64,
}

/// What a track is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    pub(crate) number: u64,
    pub(crate) kind: TrackKind,
    /// As Matroska has it, such as `V_VP8`.
    pub(crate) codec: String,
    /// What the codec's decoder needs.
    pub(crate) private: Vec<u8>,
    /// Nanoseconds of a frame; 0 where it does not say.
    pub(crate) frame: u64,
    /// Stored, and shown; 0 where it does not say.
    pub(crate) size: (u64, u64),
    pub(crate) shown: (u64, u64),
    pub(crate) sample_rate: f64,
    pub(crate) channels: u64,
    /// Whether its frames are compressed or encrypted once more.
    pub(crate) is_wrapped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Video,
    Audio,
    #[default]
    Other,
}

/// A block of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) track: u64,
    /// When it begins, in the file's units.
    pub(crate) time: i64,
    /// How long it lasts, in the file's units, if it says so.
    pub(crate) duration: Option<u64>,
    /// Nanoseconds at its end that are not heard.
    pub(crate) discarded: i64,
    /// Its frame; `None` if there are several in it.
    pub(crate) frame: Option<&'a [u8]>,
}

/// The blocks of a file.
#[derive(Clone)]
pub(crate) struct Blocks<'a> {
    elements: Elements<'a>,
    content: &'a [u8],
    cluster: i64,
}

/// Whether the file says that it is WebM (RFC 8794, section 11.2.4): zeros may fill up the name.
pub(crate) fn is_webm(content: &[u8]) -> bool {
    const DOC_TYPE: u32 = 0x4282;
    let mut elements = Elements::of(content);
    let Ok(Some(head)) = elements.next() else {
        return false;
    };
    let mut names = children(head.body).filter(|element| element.id == DOC_TYPE);
    names.next().is_some_and(|name| name.text() == "webm")
}

/// Whether there is sound in it and no picture, as far as its beginning tells.
pub(crate) fn is_sound(content: &[u8]) -> bool {
    let mut elements = Elements::of(content);
    while let Ok(Some(element)) = elements.next() {
        if element.id == TRACKS {
            let has = |kind| tracks(element.body).any(|track| track.kind == kind);
            return has(TrackKind::Audio) && !has(TrackKind::Video);
        }
    }
    false
}

const INFO: u32 = 0x1549_A966;
const TRACKS: u32 = 0x1654_AE6B;
const TIME: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;

/// Reads the head of a file.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(crate) fn head(content: &[u8]) -> Result<Head, CodecError> {
    let mut head = Head {
        tracks: Vec::new(),
        scale: USUAL_SCALE,
        declared: 0.0,
    };
    let mut elements = Elements::of(content);
    while let Some(element) = elements.next()? {
        match element.id {
            INFO => info(element.body, &mut head),
            TRACKS if head.tracks.is_empty() => head.tracks = tracks(element.body).collect(),
            SIMPLE_BLOCK | BLOCK_GROUP => break,
            _ => {}
        }
    }
    Ok(head)
}

fn info(body: &[u8], head: &mut Head) {
    for element in children(body) {
        match element.id {
            0x002A_D7B1 => head.scale = element.number().max(1),
            0x4489 => head.declared = element.float(),
            _ => {}
        }
    }
}

fn tracks(body: &[u8]) -> impl Iterator<Item = Track> {
    let entries = children(body).filter(|element| element.id == 0xAE);
    entries.map(|entry| {
        let mut track = Track {
            channels: 1,
            sample_rate: 8_000.0,
            ..Track::default()
        };
        children(entry.body).for_each(|element| track.add(&element));
        track
    })
}

impl Track {
    fn add(&mut self, element: &Element<'_>) {
        match element.id {
            0xD7 => self.number = element.number(),
            0x83 => {
                self.kind = match element.number() {
                    1 => TrackKind::Video,
                    2 => TrackKind::Audio,
                    _ => TrackKind::Other,
                }
            }
            0x86 => self.codec = element.text().to_owned(),
            0x63A2 => self.private = element.body.to_vec(),
            0x0023_E383 => self.frame = element.number(),
            0x6D80 => self.is_wrapped = true,
            0xE0 | 0xE1 => children(element.body).for_each(|element| self.add_detail(&element)),
            _ => {}
        }
    }

    fn add_detail(&mut self, element: &Element<'_>) {
        match element.id {
            0xB0 => self.size.0 = element.number(),
            0xBA => self.size.1 = element.number(),
            0x54B0 => self.shown.0 = element.number(),
            0x54BA => self.shown.1 = element.number(),
            0xB5 => self.sample_rate = element.float(),
            0x9F => self.channels = element.number(),
            _ => {}
        }
    }
}

impl<'a> Blocks<'a> {
    pub(crate) fn of(content: &'a [u8]) -> Self {
        Self {
            elements: Elements::of(content),
            content,
            cluster: 0,
        }
    }

    /// The next block of any track. At the end of the file, what is behind that is looked at.
    pub(crate) fn next(&mut self) -> Result<Option<Block<'a>>, CodecError> {
        while let Some(element) = self.elements.next()? {
            match element.id {
                TIME => self.cluster = i64::try_from(element.number()).unwrap_or(i64::MAX),
                SIMPLE_BLOCK => return self.block(element.body).map(Some),
                BLOCK_GROUP => {
                    if let Some(block) = self.group(element.body)? {
                        return Ok(Some(block));
                    }
                }
                _ => {}
            }
        }
        check_rest(self.content.get(self.elements.at()..))?;
        Ok(None)
    }

    fn group(&self, body: &'a [u8]) -> Result<Option<Block<'a>>, CodecError> {
        let find = |id| children(body).find(|element| element.id == id);
        let Some(block) = find(0xA1) else {
            return Ok(None);
        };
        let mut block = self.block(block.body)?;
        block.duration = find(0x9B).map(|element| element.number());
        block.discarded = find(0x75A2).map_or(0, |element| {
            // With a sign, in as many bytes as it takes.
            let unused = 64 - 8 * element.body.len().min(8) as u32;
            (element.number() as i64).checked_shl(unused).unwrap_or(0) >> unused.min(63)
        });
        Ok(Some(block))
    }

    fn block(&self, body: &'a [u8]) -> Result<Block<'a>, CodecError> {
        let cut_off = || CodecError::corrupt("a block is cut off");
        let (track, at) = length(body).ok_or_else(cut_off)?;
        let [high, low, flags, frame @ ..] = body.get(at..).unwrap_or_default() else {
            return Err(cut_off());
        };
        let time = i64::from(i16::from_be_bytes([*high, *low]));
        Ok(Block {
            track: track.unwrap_or(usize::MAX) as u64,
            time: self.cluster.saturating_add(time),
            duration: None,
            discarded: 0,
            frame: (flags & LACING == 0).then_some(frame),
        })
    }
}
