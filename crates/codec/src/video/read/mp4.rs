//! MP4 files: one video track, perhaps a sound.

use std::ops::ControlFlow;
use std::time::Duration;

use image::imageops::FilterType;
use image::{RgbImage, imageops};
use mp4_atom::{Elst, Mdhd, Mvhd, Tkhd};

use crate::sound::SoundFacts;
use crate::{Bounds, CodecError};

use super::boxes::{boxes, find, parse, require};
use super::h264::Pictures as Decoder;
use super::sample_entry::{self, Pictures};
use super::samples::{self, Sample};
use super::{EachFrame, Facts, Frame, fragments, rate, seconds, sound_entry, undecodable};

/// Frames that are decoded on the way from a key frame to a still, at most.
const FRAMES_TO_STILL: usize = 90;

/// A file whose structure is sound: every frame lies in it.
pub(super) struct Movie<'a> {
    content: &'a [u8],
    pictures: Pictures,
    /// How often the pictures are turned by 90 degrees clockwise.
    turns: u8,
    timescale: u32,
    /// In the order in which they are decoded.
    samples: Vec<Sample>,
    /// What of the track is shown, in units of its timescale.
    start: i64,
    end: i64,
    sound: Option<(SoundFacts, Duration)>,
}

impl<'a> Movie<'a> {
    pub(super) fn parse(content: &'a [u8], bounds: &Bounds) -> Result<Self, CodecError> {
        // All boxes, not only up to the one that is looked for: any may be cut off.
        for found in boxes(content) {
            found?;
        }
        let moov = require(content, b"moov")?;
        let movie_scale = parse::<Mvhd>(require(moov, b"mvhd")?)?.timescale;
        let (mut video, mut sound) = (None, None);
        for found in boxes(moov) {
            let found = found?;
            if found.kind != *b"trak" {
                continue;
            }
            if video.is_none() && is_of(found.body, b"vide")? {
                video = Some(found.body);
            } else if sound.is_none() && is_of(found.body, b"soun")? {
                let mdia = require(found.body, b"mdia")?;
                let (facts, length) = sound_track(mdia, content.len())?;
                let heard = edited_length(found.body, movie_scale);
                sound = Some((facts, heard.map_or(length, |heard| heard.min(length))));
            }
        }
        let trak = video.ok_or_else(|| CodecError::corrupt("there is no video in it"))?;
        let head = parse::<Tkhd>(require(trak, b"tkhd")?)?;
        let mdia = require(trak, b"mdia")?;
        let timescale = timescale(mdia)?;
        let stbl = require(require(mdia, b"minf")?, b"stbl")?;
        let mut samples = samples::listed(stbl, bounds)?;
        fragments::add(content, moov, head.track_id, bounds, &mut samples)?;
        bounds.check_frames(samples.len() as u64)?;
        samples::check_places(&samples, content.len())?;
        let (start, end) = shown(trak, &samples, timescale, movie_scale);
        Ok(Self {
            content,
            pictures: sample_entry::pictures(require(stbl, b"stsd")?)?,
            turns: turns(&head),
            timescale,
            samples,
            start,
            end,
            sound,
        })
    }

    pub(super) fn facts(&self) -> Facts {
        let own = seconds(self.end.abs_diff(self.start), self.timescale);
        let sound = self.sound.as_ref().map(|(_, length)| *length);
        let frames = self
            .samples
            .iter()
            .filter(|sample| self.shows(sample))
            .count() as u64;
        Facts {
            size: self.size(),
            duration: own.max(sound.unwrap_or_default()),
            frames,
            frame_rate: rate(frames, own),
            codec: self.pictures.codec.clone(),
            sound: self.sound.as_ref().map(|(facts, _)| facts.clone()),
        }
    }

    pub(super) fn frames(&self, bounds: &Bounds, each: EachFrame<'_>) -> Result<(), CodecError> {
        self.decode(0, bounds, &mut |time, picture| {
            if !(self.start..self.end).contains(&time) {
                return Ok(ControlFlow::Continue(()));
            }
            let time = seconds(time.abs_diff(self.start), self.timescale);
            let picture = self.turned(picture);
            each(Frame { time, picture })
        })
    }

    pub(super) fn stills(
        &self,
        bounds: &Bounds,
        times: &[Duration],
        each: &mut dyn FnMut(RgbImage),
    ) -> Result<(), CodecError> {
        for time in times {
            let ticks = time.as_secs_f64() * f64::from(self.timescale);
            let wanted = self.start.saturating_add(ticks as i64);
            let (mut still, mut seen) = (None, 0);
            self.decode(self.key_before(wanted), bounds, &mut |time, picture| {
                seen += 1;
                if time > wanted && still.is_some() {
                    return Ok(ControlFlow::Break(()));
                }
                still = Some(picture);
                let enough = seen >= FRAMES_TO_STILL;
                Ok(if enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            if let Some(picture) = still {
                each(self.turned(picture));
            }
        }
        Ok(())
    }

    /// The index of the last key frame that is shown at this time or before, or of the first one.
    fn key_before(&self, time: i64) -> usize {
        let keys = || {
            self.samples
                .iter()
                .enumerate()
                .filter(|(_, sample)| sample.key)
        };
        keys()
            .rfind(|(_, sample)| sample.time <= time)
            .or_else(|| keys().next())
            .map_or(0, |(index, _)| index)
    }

    fn decode(
        &self,
        from: usize,
        bounds: &Bounds,
        each: &mut dyn FnMut(i64, RgbImage) -> Result<ControlFlow<()>, CodecError>,
    ) -> Result<(), CodecError> {
        let Some(avc) = &self.pictures.avc else {
            return Err(undecodable(&self.pictures.codec));
        };
        let mut decoder = Decoder::new(avc, bounds)?;
        for sample in self.samples.get(from..).unwrap_or_default() {
            bounds.stop.check()?;
            // Held against the file's size when it was opened.
            let start = sample.offset as usize;
            let data = self.content.get(start..start + sample.size as usize);
            if let Some((time, picture)) = decoder.push(data.unwrap_or_default(), sample.time)?
                && each(time, picture)?.is_break()
            {
                return Ok(());
            }
        }
        decoder.finish(each)
    }

    fn shows(&self, sample: &Sample) -> bool {
        (self.start..self.end).contains(&sample.time)
    }

    fn size(&self) -> (u32, u32) {
        let (width, height) = self.upright_size();
        if self.turns % 2 == 1 {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Before it is turned.
    fn upright_size(&self) -> (u32, u32) {
        let size = match self.pictures.crop {
            Some(crop) => (crop.width, crop.height),
            None => self.pictures.size,
        };
        let (width, height) = self.pictures.pixel;
        sample_entry::stretched(size, (width.into(), height.into()))
    }

    /// The picture as it is shown.
    fn turned(&self, picture: RgbImage) -> RgbImage {
        let picture = match self.pictures.crop {
            Some(crop) => {
                imageops::crop_imm(&picture, crop.left, crop.top, crop.width, crop.height)
                    .to_image()
            }
            None => picture,
        };
        let (width, height) = self.upright_size();
        let is_stretched = match self.pictures.crop {
            Some(crop) => (crop.width, crop.height) != (width, height),
            None => self.pictures.size != (width, height),
        };
        let picture = match is_stretched {
            true => imageops::resize(&picture, width, height, FilterType::Triangle),
            false => picture,
        };
        match self.turns {
            1 => imageops::rotate90(&picture),
            2 => imageops::rotate180(&picture),
            3 => imageops::rotate270(&picture),
            _ => picture,
        }
    }
}

/// Whether a track is of this kind.
pub(super) fn is_of(trak: &[u8], kind: &[u8; 4]) -> Result<bool, CodecError> {
    let handler = require(require(trak, b"mdia")?, b"hdlr")?;
    Ok(handler.get(8..12) == Some(kind.as_slice()))
}

pub(super) fn timescale(mdia: &[u8]) -> Result<u32, CodecError> {
    match parse::<Mdhd>(require(mdia, b"mdhd")?)?.timescale {
        0 => Err(CodecError::corrupt("a track without a timescale")),
        timescale => Ok(timescale),
    }
}

/// What the sound is, and how long by its header.
pub(super) fn sound_track(mdia: &[u8], file: usize) -> Result<(SoundFacts, Duration), CodecError> {
    let stbl = require(require(mdia, b"minf")?, b"stbl")?;
    samples::check_chunks(stbl, file)?;
    let facts = sound_entry::sound(require(stbl, b"stsd")?)?.facts;
    let head = parse::<Mdhd>(require(mdia, b"mdhd")?)?;
    // Unknown in fragmented files.
    let known = if head.duration >= u64::from(u32::MAX) {
        0
    } else {
        head.duration
    };
    Ok((facts, seconds(known, timescale(mdia)?)))
}

/// How long a track with edits is presented, which leave out what an encoder puts before the sound.
fn edited_length(trak: &[u8], movie_scale: u32) -> Option<Duration> {
    find(trak, b"edts").ok().flatten()?;
    let head = parse::<Tkhd>(find(trak, b"tkhd").ok().flatten()?).ok()?;
    let is_known = (1..u64::from(u32::MAX)).contains(&head.duration);
    is_known.then(|| seconds(head.duration, movie_scale))
}

/// How often the track's matrix turns the pictures by 90 degrees clockwise; 0 for any other transformation.
fn turns(head: &Tkhd) -> u8 {
    let signs = [head.matrix.a, head.matrix.b, head.matrix.c, head.matrix.d].map(i32::signum);
    match signs {
        [0, 1, -1, 0] => 1,
        [-1, 0, 0, -1] => 2,
        [0, -1, 1, 0] => 3,
        _ => 0,
    }
}

/// From when to when the samples are shown: from the first to the end of the last, or what a single edit leaves of it.
pub(super) fn shown(
    trak: &[u8],
    samples: &[Sample],
    timescale: u32,
    movie_scale: u32,
) -> (i64, i64) {
    let end = |sample: &Sample| sample.time.saturating_add(sample.length.into());
    let first = samples.iter().map(|sample| sample.time).min().unwrap_or(0);
    let last = samples.iter().map(end).max().unwrap_or(0);
    let edits = find(trak, b"edts").ok().flatten();
    let edits = edits.and_then(|edts| find(edts, b"elst").ok().flatten());
    let edits = edits.and_then(|body| parse::<Elst>(body).ok());
    let mut shown = edits
        .into_iter()
        .flat_map(|edits| edits.entries)
        .filter_map(|edit| Some((i64::try_from(edit.media_time?).ok()?, edit.segment_duration)));
    let (Some((start, length)), None) = (shown.next(), shown.next()) else {
        return (first, last);
    };
    if start >= last {
        return (first, last);
    }
    // The edit's length is in coarser units, so it only counts if it is shorter by more than one of them.
    let scale = u128::from(movie_scale.max(1));
    let cut = (u128::from(length) + 1) * u128::from(timescale) / scale;
    let whole = u128::from(last.abs_diff(start));
    match length > 0 && cut < whole {
        true => {
            let exact = u128::from(length) * u128::from(timescale) / scale;
            (
                start,
                start.saturating_add(i64::try_from(exact).unwrap_or(i64::MAX)),
            )
        }
        false => (start, last),
    }
}
