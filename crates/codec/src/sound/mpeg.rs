//! MP3 files: a row of frames, each with its own header (ISO/IEC 11172-3, section 2.4; 13818-3), and what encoders tell in the
//! first one. Services of speech glue whole files together, so several sounds may follow one another.

use std::borrow::Cow;

use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;

use crate::CodecError;
use crate::ending::{goes_on, harmless_from};
use crate::signature::id3_length;

use super::SoundFacts;
use super::link::{Coding, Link, Packet, Packets};

/// Samples that the decoder adds at the start beyond what the encoder says.
const DECODER_DELAY: u64 = 529;
/// Frames that an encoder's word may be off by: some leave the last ones out.
const FRAMES_OFF: usize = 2;
/// How far the next frame is looked for where there is none: players pass such places by.
const LONGEST_GAP: usize = 1 << 16;
/// The tag at the end of each file, which may stand in the middle of glued ones.
const ID3V1: usize = 128;

/// Thousands of bits a second of layer III, by the index in the header: of MPEG-1, and of MPEG-2 and 2.5.
const BIT_RATES: [[u16; 15]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// One of the sounds in a file: its frames, and what the encoder said of them.
pub(super) struct Part<'a> {
    content: &'a [u8],
    frames: Vec<u32>,
    header: Header,
    info: Option<Info>,
}

impl Part<'_> {
    /// Whether it ends before a frame with this header.
    fn ends(&self, next: &Header) -> bool {
        let promised = self.info.and_then(|info| info.frames);
        let is_full = promised.is_some_and(|frames| self.frames.len() >= frames as usize);
        is_full || !self.header.is_like(next)
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    is_first_version: bool,
    sample_rate: u32,
    channels: u16,
    /// Bytes of the whole frame.
    length: usize,
}

impl Header {
    fn read(content: &[u8]) -> Option<Self> {
        let [0xFF, second, third, fourth, ..] = *content else {
            return None;
        };
        // Sync, and layer III.
        if second & 0xE6 != 0xE2 {
            return None;
        }
        let (is_first_version, slower) = match second >> 3 & 3 {
            3 => (true, 1),
            2 => (false, 2),
            0 => (false, 4),
            _ => return None,
        };
        let rates = &BIT_RATES[usize::from(!is_first_version)];
        let bits = *rates
            .get(usize::from(third >> 4))
            .filter(|rate| **rate > 0)?;
        let sample_rate = SAMPLE_RATES.get(usize::from(third >> 2 & 3))? / slower;
        let slots = if is_first_version { 144_000 } else { 72_000 };
        let padding = usize::from(third >> 1 & 1);
        Some(Self {
            is_first_version,
            sample_rate,
            channels: if fourth >> 6 == 3 { 1 } else { 2 },
            length: (slots * u32::from(bits) / sample_rate) as usize + padding,
        })
    }

    fn samples(&self) -> u64 {
        if self.is_first_version { 1152 } else { 576 }
    }

    /// Bytes between the header and what the encoder tells.
    fn side(&self) -> usize {
        match (self.is_first_version, self.channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            (false, _) => 9,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let length = 0;
        Self { length, ..*self } == Self { length, ..*other }
    }
}

/// What an encoder tells in a frame without sound, in the form of Xing and LAME, or of Fraunhofer (VBRI).
#[derive(Clone, Copy, Debug)]
struct Info {
    frames: Option<u32>,
    /// Samples at the start and at the end that are none of the sound.
    added: (u64, u64),
}

impl Info {
    fn read(frame: &[u8], header: &Header) -> Option<Self> {
        let number = |at: usize| {
            frame
                .get(at..)?
                .first_chunk()
                .map(|it| u32::from_be_bytes(*it))
        };
        const VBRI: usize = 36;
        if frame.get(VBRI..)?.starts_with(b"VBRI") {
            let (frames, added) = (number(VBRI + 14).filter(|it| *it > 0), (0, 0));
            return Some(Self { frames, added });
        }
        let tag = 4 + header.side();
        if !matches!(frame.get(tag..tag + 4)?, b"Xing" | b"Info") {
            return None;
        }
        let flags = number(tag + 4)?;
        let frames = (flags & 1 != 0).then(|| number(tag + 8)).flatten();
        let frames = frames.filter(|frames| *frames > 0);
        // Numbers of frames and bytes, a table, and the quality, as far as they are there.
        let fields = [(1, 4), (2, 4), (4, 100), (8, 4)];
        let lengths = fields.iter().filter(|(flag, _)| flags & flag != 0);
        let lame = tag + 8 + lengths.map(|(_, length)| length).sum::<usize>();
        let encoder = frame.get(lame..lame + 4);
        let added = match encoder {
            Some(b"LAME" | b"Lavf" | b"Lavc") => number(lame + 21).map_or((0, 0), |bits| {
                let (before, behind) = (u64::from(bits >> 20), u64::from(bits >> 8 & 0xFFF));
                (before + DECODER_DELAY, behind.saturating_sub(DECODER_DELAY))
            }),
            _ => (0, 0),
        };
        Some(Self { frames, added })
    }
}

/// A frame's place.
struct Found {
    begin: usize,
    header: Header,
    /// Whether a tag stands before it.
    is_apart: bool,
}

/// The sounds of a file. Each ends where the next one's encoder speaks, or behind as many frames as its own has promised.
///
/// # Errors
///
/// [`CodecError::Corrupt`] for no frame at all, and for what goes on behind the last one.
pub(super) fn parts(content: &[u8]) -> Result<Vec<Part<'_>>, CodecError> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut at, end) = (id3_length(content), harmless_from(content));
    while let Some(found) = next_frame(content, (at, end), parts.last().map(|it| it.header))? {
        let Found { begin, header, .. } = found;
        at = begin + header.length;
        let info = Info::read(&content[begin..at], &header);
        if info.is_some() || found.is_apart || parts.last().is_none_or(|it| it.ends(&header)) {
            parts.push(Part {
                content,
                frames: Vec::new(),
                header,
                info,
            });
        }
        if let (Some(part), None) = (parts.last_mut(), info) {
            let begin = u32::try_from(begin);
            part.frames
                .push(begin.map_err(|_| CodecError::corrupt("an MP3 of over 4 GiB"))?);
        }
    }
    // What an encoder has not counted, and an encoder's word of nothing.
    let mut is_counted = false;
    parts.retain(|part| {
        let is_rest = is_counted && part.info.is_none() && part.frames.len() <= FRAMES_OFF;
        is_counted = part.info.is_some();
        !is_rest && !part.frames.is_empty()
    });
    match parts.is_empty() {
        true => Err(CodecError::corrupt("there is not one frame in it")),
        false => Ok(parts),
    }
}

/// The next frame from there on, `None` at the end of the file, behind which there is only what is harmless.
fn next_frame(
    content: &[u8],
    (mut at, end): (usize, usize),
    like: Option<Header>,
) -> Result<Option<Found>, CodecError> {
    let mut is_apart = false;
    loop {
        let rest = content.get(at..).unwrap_or_default();
        let header = Header::read(rest);
        let found = header.filter(|header| {
            header.length <= rest.len() && (like.is_some() || is_confirmed(rest, header))
        });
        if let Some(header) = found {
            let begin = at;
            return Ok(Some(Found {
                begin,
                header,
                is_apart,
            }));
        }
        // A file may break off in its last frame, as recordings of streams do.
        if at >= end || like.is_some() && header.is_some() {
            return Ok(None);
        }
        at += match id3_length(rest) {
            0 if rest.starts_with(b"TAG") && rest.len() > ID3V1 => ID3V1,
            0 => {
                let mut gap = 1..LONGEST_GAP.min(rest.len());
                let next = gap.find(|skipped| {
                    let rest = &rest[*skipped..];
                    Header::read(rest).is_some_and(|header| {
                        like.is_none_or(|like| like.is_like(&header)) && is_confirmed(rest, &header)
                    })
                });
                let Some(next) = next else {
                    return Err(goes_on());
                };
                at += next;
                continue;
            }
            tag => tag,
        };
        is_apart = like.is_some();
    }
}

/// Whether another frame of the kind follows, or nothing.
fn is_confirmed(content: &[u8], header: &Header) -> bool {
    match content.get(header.length..) {
        Some([]) => true,
        Some(next) => Header::read(next).is_some_and(|next| next.is_like(header)),
        None => false,
    }
}

/// The link of a part.
pub(super) fn open(part: Part<'_>) -> Result<Link<'_>, CodecError> {
    let Header {
        sample_rate,
        channels,
        ..
    } = part.header;
    let facts = SoundFacts {
        codec: "mp3".to_owned(),
        channels,
        sample_rate,
    };
    let layout = match channels {
        1 => CHANNEL_LAYOUT_MONO,
        _ => CHANNEL_LAYOUT_STEREO,
    };
    let mut parameters = AudioCodecParameters::new();
    parameters
        .for_codec(CODEC_ID_MP3)
        .with_sample_rate(sample_rate)
        .with_channels(layout);
    let samples = part.header.samples();
    let declared = part.info.map(|info| {
        let frames = info.frames.map_or(part.frames.len() as u64, u64::from);
        let (before, behind) = info.added;
        (frames * samples).saturating_sub(before + behind)
    });
    Ok(Link {
        declared,
        tolerated: FRAMES_OFF as u64 * 1152,
        skipped: part.info.map_or(0, |info| info.added.0),
        is_padded: declared.is_some(),
        is_cut: true,
        ..Link::new(facts, Coding::Known(parameters), Frames { part, next: 0 })
    })
}

struct Frames<'a> {
    part: Part<'a>,
    next: usize,
}

impl Packets for Frames<'_> {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError> {
        let Part {
            content, frames, ..
        } = &self.part;
        let frame = frames.get(self.next).and_then(|begin| {
            let rest = content.get(*begin as usize..)?;
            rest.get(..Header::read(rest)?.length)
        });
        self.next += 1;
        Ok(frame.map(|frame| Packet {
            data: Cow::Borrowed(frame),
            frames: self.part.header.samples(),
        }))
    }
}
