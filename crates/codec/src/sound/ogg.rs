//! Ogg files (RFC 3533): one stream of sound, or several one after another (chained), each perhaps cut out of a longer one.

mod page;

use std::borrow::Cow;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_VORBIS};

use crate::CodecError;
use crate::ending::{goes_on, harmless_from};

use super::link::{self, Coding, Link};
use super::{SoundFacts, opus};

use page::{Packets, Page, is_whole};

/// How the streams of pictures begin.
const PICTURES: [&[u8]; 5] = [
    b"\x80theora",
    b"BBCD\0",
    b"\x80daala",
    b"OVP80",
    b"\x01video",
];

/// One of the sounds in a file.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    content: &'a [u8],
    /// Whether none follows, so that it must have its end.
    is_last: bool,
}

/// The sounds of a file: each begins with the first pages of its streams.
///
/// # Errors
///
/// [`CodecError::Corrupt`] also for a file that breaks off within a page.
pub(super) fn parts(content: &[u8]) -> Result<Vec<Part<'_>>, CodecError> {
    let (mut begins, mut at, mut was_first) = (Vec::new(), 0, false);
    while let Some(page) = Page::read(content, at) {
        if !is_whole(&content[at..page.end]) {
            return Err(CodecError::corrupt("a page does not match its checksum"));
        }
        if page.is_first() && !was_first {
            begins.push(at);
        }
        was_first = page.is_first();
        at = page.end;
    }
    if at < harmless_from(content) {
        let is_page = content[at..].starts_with(b"OggS");
        return Err(match is_page {
            true => CodecError::corrupt("the file breaks off in a page"),
            false => goes_on(),
        });
    }
    let ends = begins.iter().skip(1).copied().chain([at]);
    let ranges = begins.iter().zip(ends);
    let parts = ranges.map(|(begin, end)| Part {
        content: &content[*begin..end],
        is_last: end == at,
    });
    Ok(parts.collect())
}

/// The sound of a part.
///
/// # Errors
///
/// [`CodecError::Refused`] where there are pictures in it.
pub(super) fn open(part: Part<'_>) -> Result<Link<'_>, CodecError> {
    let (serial, codec) = sound(part.content)?;
    let mut packets = Packets::of(part.content, serial);
    let stream = Stream::read(codec, &mut packets)?;
    let pages = Positions::of(part, serial)?;
    let begun = stream.first_page(&packets)?;
    let first = pages.first.unwrap_or(0);
    // Where a stream was cut, its positions do not begin at 0; where it was trimmed, the first page says less than it has. So
    // does the last page at its end.
    let start = first.saturating_sub(begun);
    let trimmed = match pages.last > Some(first) {
        true => begun.saturating_sub(first),
        false => 0,
    };
    let heard = pages.last.unwrap_or(0).saturating_sub(start);
    let heard = heard.saturating_sub(stream.delay);
    Ok(match stream.coding {
        Coding::Unknown => Link::unknown(stream.facts, heard),
        _ => {
            let samples = stream.samples;
            let packets = Frames { packets, samples };
            Link {
                declared: Some(heard),
                skipped: stream.delay + trimmed,
                is_padded: true,
                ..Link::new(stream.facts, stream.coding, packets)
            }
        }
    })
}

/// The codecs that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Vorbis,
    Opus,
    Flac,
    Speex,
}

/// The stream of sound, by the first packets of all.
fn sound(content: &[u8]) -> Result<(u32, Codec), CodecError> {
    let (mut at, mut found) = (0, None);
    while let Some(page) = Page::read(content, at).filter(Page::is_first) {
        at = page.end;
        if PICTURES.iter().any(|head| page.body.starts_with(head)) {
            return Err(CodecError::Refused(
                "there are pictures in it, such as Theora, and Ogg is taken as sound alone",
            ));
        }
        let codec = match page.body {
            [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => Codec::Vorbis,
            [0x7F, b'F', b'L', b'A', b'C', ..] => Codec::Flac,
            head if head.starts_with(b"OpusHead") => Codec::Opus,
            head if head.starts_with(b"Speex   ") => Codec::Speex,
            _ => continue,
        };
        found = found.or(Some((page.serial, codec)));
    }
    found.ok_or_else(|| CodecError::corrupt("there is no sound in it"))
}

/// What the pages of a stream say, held against one another.
struct Positions {
    /// At the end of the first page with sound on it, and of the last.
    first: Option<u64>,
    last: Option<u64>,
}

impl Positions {
    fn of(part: Part<'_>, serial: u32) -> Result<Self, CodecError> {
        let (mut at, mut has_end, mut sequence) = (0, false, None);
        let (mut first, mut last) = (None, None);
        while let Some(page) = Page::read(part.content, at) {
            at = page.end;
            if page.serial != serial {
                continue;
            }
            // Pages of headers are at 0. Behind them pages may have been cut out.
            let position = page.position.filter(|position| *position > 0);
            let is_gap = sequence.is_some_and(|it| page.sequence != u32::wrapping_add(it, 1));
            if is_gap && first.is_some() {
                return Err(CodecError::corrupt("a page is missing"));
            }
            sequence = Some(page.sequence);
            first = first.or(position);
            last = position.or(last);
            has_end = page.is_last();
        }
        match has_end || !part.is_last {
            true => Ok(Self { first, last }),
            false => Err(CodecError::corrupt("the end of the file is missing")),
        }
    }
}

/// What the head of a stream says.
struct Stream {
    facts: SoundFacts,
    coding: Coding,
    /// Samples that the decoder leaves out at the start.
    delay: u64,
    samples: Samples,
}

/// How many samples a packet has.
#[derive(Clone, Copy)]
enum Samples {
    /// Only decoding tells.
    Decoded,
    /// Its first bytes tell.
    Opus,
    /// All have as many.
    Each(u64),
}

impl Samples {
    fn of(self, packet: &[u8]) -> u64 {
        match self {
            Self::Decoded => 0,
            Self::Opus => opus::frames(packet),
            Self::Each(samples) => samples,
        }
    }
}

impl Stream {
    /// Reads the packets before the sound.
    fn read(codec: Codec, packets: &mut Packets<'_>) -> Result<Self, CodecError> {
        let mut packet = || -> Result<Cow<'_, [u8]>, CodecError> {
            let packet = packets.next()?.map(|packet| packet.data);
            packet.ok_or_else(|| CodecError::corrupt("the head of the sound is cut off"))
        };
        let head = packet()?;
        match codec {
            Codec::Vorbis => {
                packet()?;
                Self::vorbis(&head, &packet()?)
            }
            Codec::Opus => {
                packet()?;
                let head = opus::Head::read(&head)?;
                Ok(Self {
                    facts: head.facts(),
                    delay: head.delay,
                    coding: Coding::Opus(head),
                    samples: Samples::Opus,
                })
            }
            Codec::Flac => {
                let blocks = head.get(7..9).and_then(|it| it.first_chunk());
                for _ in 0..blocks.map_or(0, |it| u16::from_be_bytes(*it)) {
                    packet()?;
                }
                Self::flac(&head)
            }
            Codec::Speex => {
                packet()?;
                for _ in 0..number(&head, 68)? {
                    packet()?;
                }
                Self::speex(&head)
            }
        }
    }

    fn vorbis(head: &[u8], setup: &[u8]) -> Result<Self, CodecError> {
        let facts = SoundFacts {
            codec: "vorbis".to_owned(),
            channels: u16::from(*head.get(11).ok_or_else(cut_off)?),
            sample_rate: number(head, 12)?,
        };
        let mut parameters = AudioCodecParameters::new();
        let extra = [head, setup].concat().into();
        parameters.for_codec(CODEC_ID_VORBIS).with_extra_data(extra);
        Ok(Self::decoded(facts, parameters))
    }

    fn flac(head: &[u8]) -> Result<Self, CodecError> {
        // Behind the head of its block.
        let info = head.get(17..51).ok_or_else(cut_off)?;
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(CODEC_ID_FLAC)
            .with_extra_data(info.into());
        Ok(Self::decoded(super::flac::facts(info), parameters))
    }

    fn decoded(facts: SoundFacts, parameters: AudioCodecParameters) -> Self {
        Self {
            facts,
            coding: Coding::Known(parameters),
            delay: 0,
            samples: Samples::Decoded,
        }
    }

    fn speex(head: &[u8]) -> Result<Self, CodecError> {
        let channels = number(head, 48)?;
        Ok(Self {
            facts: SoundFacts {
                codec: "speex".to_owned(),
                channels: u16::try_from(channels).unwrap_or(u16::MAX),
                sample_rate: number(head, 36)?,
            },
            coding: Coding::Unknown,
            delay: 0,
            samples: Samples::Each(u64::from(number(head, 56)?) * u64::from(number(head, 64)?)),
        })
    }

    /// How many samples the first page with sound on it has, whatever it says.
    fn first_page(&self, packets: &Packets<'_>) -> Result<u64, CodecError> {
        let (mut packets, mut samples) = (packets.clone(), Vec::new());
        let mut decoder = match self.samples {
            Samples::Decoded => Some(self.coding.decoder(&self.facts.codec)?),
            _ => None,
        };
        let mut found = 0;
        while let Some(packet) = packets.next()? {
            found += match &mut decoder {
                // Some writers end a stream with one that has nothing in it.
                _ if packet.data.is_empty() => 0,
                Some(decoder) => {
                    decoder.decode(&packet.data, &self.facts, &mut samples)?;
                    (samples.len() / usize::from(self.facts.channels.max(1))) as u64
                }
                None => self.samples.of(&packet.data),
            };
            if packet.position.is_some() {
                break;
            }
        }
        Ok(found)
    }
}

fn number(head: &[u8], at: usize) -> Result<u32, CodecError> {
    let bytes = head.get(at..).and_then(|rest| rest.first_chunk());
    bytes
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or_else(cut_off)
}

fn cut_off() -> CodecError {
    CodecError::corrupt("the head of the sound is cut off")
}

struct Frames<'a> {
    packets: Packets<'a>,
    samples: Samples,
}

impl link::Packets for Frames<'_> {
    fn next(&mut self) -> Result<Option<link::Packet<'_>>, CodecError> {
        let mut packet = self.packets.next()?;
        while packet.as_ref().is_some_and(|it| it.data.is_empty()) {
            packet = self.packets.next()?;
        }
        Ok(packet.map(|packet| link::Packet {
            frames: self.samples.of(&packet.data),
            data: packet.data,
        }))
    }
}
