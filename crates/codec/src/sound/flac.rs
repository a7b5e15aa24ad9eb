//! FLAC files. Of what stands before the samples, only what is needed to decode them is read: whatever is odd about a cue sheet, a
//! picture or a tag, the sound is whole.

use symphonia::core::formats::FormatOptions;
use symphonia::default::formats::FlacReader;

use crate::CodecError;
use crate::ending::{harmless_from, is_harmless};
use crate::provenance::flac::blocks;
use crate::signature::id3_length;

use super::link::Link;
use super::{SoundFacts, by_symphonia};

const STREAM_INFO: u8 = 0;
/// Head and size of the block that tells how the samples are encoded, as the last of all.
const ONLY_BLOCK: [u8; 4] = [0x80, 0, 0, 34];
/// How far before the end the last frame is looked for.
const LARGEST_FRAME: usize = 1 << 20;
/// Places that look like a frame's start, of which one is looked at whether it is.
const MAX_TRIES: usize = 16;

/// The sound of a file.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(super) fn open(content: &[u8]) -> Result<Link<'_>, CodecError> {
    let content = content.get(id3_length(content)..).unwrap_or_default();
    let damaged = || CodecError::corrupt("the blocks before the samples are cut off");
    let first = blocks(content).next();
    let info = first.filter(|block| block.kind == STREAM_INFO && block.data.len() == 34);
    let info = info.ok_or_else(damaged)?;
    let last = blocks(content).last().filter(|block| block.is_last);
    let begin = last.ok_or_else(damaged)?.end();
    let frames = &content[begin..end_of_frames(content, begin)];
    let head = [b"fLaC".as_slice(), &ONLY_BLOCK, info.data].concat();
    let stream = by_symphonia::stream(head, frames);
    let reader = FlacReader::try_new(stream, FormatOptions::default());
    by_symphonia::open(reader, |_| "flac".to_owned())
}

/// What the block of 34 bytes says that tells how the samples are encoded (RFC 9639, section 8.2).
pub(crate) fn facts(info: &[u8]) -> SoundFacts {
    let bits = info.get(10..).and_then(|rest| rest.first_chunk());
    let bits = bits.map_or(0, |bits| u32::from_be_bytes(*bits));
    SoundFacts {
        codec: "flac".to_owned(),
        channels: (bits >> 9 & 7) as u16 + 1,
        sample_rate: bits >> 12,
    }
}

/// Where the frames that begin there end: behind the last there may be what is harmless. A frame does not tell its length, but
/// its checksum fits only where it ends.
pub(crate) fn end_of_frames(content: &[u8], begin: usize) -> usize {
    let harmless = harmless_from(content).max(begin);
    if harmless == content.len() {
        return harmless;
    }
    let from = harmless.saturating_sub(LARGEST_FRAME).max(begin);
    let starts = (from..harmless)
        .rev()
        .filter(|at| is_frame(&content[*at..]));
    let mut ends = starts.take(MAX_TRIES).filter_map(|start| {
        let mut sum = crc16(0, &content[start..harmless]);
        let mut end = harmless;
        while sum != 0 {
            sum = crc16(sum, content.get(end..=end)?);
            end += 1;
        }
        is_harmless(&content[end..]).then_some(end)
    });
    ends.next().unwrap_or(content.len())
}

/// Whether a frame begins here, by its sync code and the checksum of its header (RFC 9639, section 9.1).
fn is_frame(content: &[u8]) -> bool {
    let [0xFF, 0xF8 | 0xF9, sizes, kind, number, ..] = content else {
        return false;
    };
    // The number of the frame or sample takes as many bytes as its first byte has leading ones.
    let number = (number.leading_ones() as usize).max(1);
    let block = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match sizes & 0x0F {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let length = 4 + number + block + rate;
    let header = content.get(..length).zip(content.get(length));
    kind & 1 == 0 && header.is_some_and(|(header, sum)| crc8(header) == *sum)
}

/// Polynomial x^8 + x^2 + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    let shift = |crc: u8, _| (crc << 1) ^ if crc & 0x80 == 0 { 0 } else { 0x07 };
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, shift))
}

/// Polynomial x^16 + x^15 + x^2 + 1, going on from a sum.
fn crc16(sum: u16, bytes: &[u8]) -> u16 {
    let shift = |crc: u16, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x8005 };
    let add = |crc: u16, byte: &u8| (0..8).fold(crc ^ u16::from(*byte) << 8, shift);
    bytes.iter().fold(sum, add)
}
