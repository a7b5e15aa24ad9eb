//! The sound of MP4 files without pictures: M4A.

use std::borrow::Cow;

use mp4_atom::{Mvhd, Tkhd};

use crate::sound::{Coding, Link, Packet, Packets};
use crate::{Bounds, CodecError};

use super::boxes::{boxes, parse, require};
use super::fragments;
use super::mp4::{is_of, shown, sound_track, timescale};
use super::samples::{self, Sample};
use super::sound_entry::{self, SoundEntry};

/// What is known of a packet takes memory: so many may be of any size, further ones have so many bytes in the mean.
const FEW_PACKETS: u64 = 1 << 18;
const LEAST_PACKET: u64 = 32;

/// The first sound of a file.
///
/// # Errors
///
/// [`CodecError::Corrupt`] also for a file that breaks off.
pub(crate) fn sound<'a>(content: &'a [u8], bounds: &Bounds) -> Result<Link<'a>, CodecError> {
    bounds.stop.check()?;
    let (moov, trak) = track(content)?;
    let mdia = require(trak, b"mdia")?;
    let stbl = require(require(mdia, b"minf")?, b"stbl")?;
    let SoundEntry { facts, coding } = sound_entry::sound(require(stbl, b"stsd")?)?;
    let clock = Clock {
        rate: facts.sample_rate,
        timescale: timescale(mdia)?,
    };
    if matches!(coding, Coding::Unknown) {
        let (facts, length) = sound_track(mdia, content.len())?;
        let frames = length.as_secs_f64() * f64::from(clock.rate);
        return Ok(Link::unknown(facts, frames.round() as u64));
    }
    let samples = packets(content, (moov, trak, stbl), bounds)?;
    let movie_scale = parse::<Mvhd>(require(moov, b"mvhd")?)?.timescale;
    let (start, end) = shown(trak, &samples, clock.timescale, movie_scale);
    let first = samples.iter().map(|sample| sample.time).min().unwrap_or(0);
    let delay = match &coding {
        // The edit list has it, or nothing.
        Coding::Opus(head) if start == first => head.delay,
        _ => clock.frames(start.saturating_sub(first)),
    };
    let heard = clock.frames(end.saturating_sub(first));
    let samples = samples.into_iter();
    Ok(Link {
        declared: Some(heard.saturating_sub(delay)),
        tolerated: clock.rounded(),
        skipped: delay,
        is_padded: true,
        ..Link::new(
            facts,
            coding,
            Frames {
                content,
                samples,
                clock,
            },
        )
    })
}

/// The box that tells of all tracks, and the first track of sound.
fn track(content: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    // All boxes, not only up to the one that is looked for: any may be cut off.
    for found in boxes(content) {
        found?;
    }
    let moov = require(content, b"moov")?;
    for found in boxes(moov) {
        let found = found?;
        if found.kind == *b"trak" && is_of(found.body, b"soun")? {
            return Ok((moov, found.body));
        }
    }
    Err(CodecError::corrupt("there is no sound in it"))
}

/// Where the packets of a track lie, in fragments too.
fn packets(
    content: &[u8],
    (moov, trak, stbl): (&[u8], &[u8], &[u8]),
    bounds: &Bounds,
) -> Result<Vec<Sample>, CodecError> {
    let many = Bounds {
        max_frames: FEW_PACKETS + content.len() as u64 / LEAST_PACKET,
        ..bounds.clone()
    };
    let too_many = |error| match error {
        CodecError::TooManyFrames { .. } => CodecError::corrupt("its packets have next to nothing"),
        error => error,
    };
    let mut samples = samples::listed(stbl, &many).map_err(too_many)?;
    let id = parse::<Tkhd>(require(trak, b"tkhd")?)?.track_id;
    fragments::add(content, moov, id, &many, &mut samples).map_err(too_many)?;
    samples::check_places(&samples, content.len())?;
    Ok(samples)
}

/// The units in which a track's times are told, of which there are so many a second, and its samples.
#[derive(Clone, Copy)]
struct Clock {
    rate: u32,
    timescale: u32,
}

impl Clock {
    /// Samples of each channel in so many units.
    fn frames(self, units: i64) -> u64 {
        let units = u128::from(units.max(0).unsigned_abs());
        let scale = u128::from(self.timescale);
        let frames = (units * u128::from(self.rate) + scale / 2) / scale;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// By how many samples a time may be off that is no whole number of units.
    fn rounded(self) -> u64 {
        match self.rate == self.timescale {
            true => 0,
            false => u64::from(self.rate / self.timescale) + 1,
        }
    }
}

struct Frames<'a> {
    content: &'a [u8],
    samples: std::vec::IntoIter<Sample>,
    clock: Clock,
}

impl Packets for Frames<'_> {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError> {
        let Some(sample) = self.samples.next() else {
            return Ok(None);
        };
        // Held against the file's size when it was opened.
        let start = sample.offset as usize;
        let data = self.content.get(start..start + sample.size as usize);
        Ok(Some(Packet {
            data: Cow::Borrowed(data.unwrap_or_default()),
            frames: self.clock.frames(sample.length.into()),
        }))
    }
}
