//! The samples of a movie in fragments, as for streaming (ISO/IEC 14496-12, section 8.8).

use mp4_atom::{Tfdt, Tfhd, Trex, Trun, TrunEntry};

use crate::{Bounds, CodecError};

use super::boxes::{boxes, find, parse, require};
use super::samples::Sample;

/// The flag of samples that need others (section 8.8.3.1).
const IS_NON_SYNC: u32 = 1 << 16;

/// Adds the samples of one track from all fragments of the file.
pub(super) fn add(
    content: &[u8],
    moov: &[u8],
    track: u32,
    bounds: &Bounds,
    samples: &mut Vec<Sample>,
) -> Result<(), CodecError> {
    let mut run = Run {
        defaults: defaults(moov, track)?,
        decoded_at: 0,
        bounds,
        samples,
    };
    for found in boxes(content) {
        let found = found?;
        if found.kind == *b"moof" {
            run.add_fragment(found.body, found.start as u64, track)?;
        }
    }
    Ok(())
}

/// What holds for the samples that say nothing else.
fn defaults(moov: &[u8], track: u32) -> Result<Trex, CodecError> {
    let Some(mvex) = find(moov, b"mvex")? else {
        return Ok(Trex::default());
    };
    for found in boxes(mvex) {
        let found = found?;
        if found.kind == *b"trex" {
            let trex = parse::<Trex>(found.body)?;
            if trex.track_id == track {
                return Ok(trex);
            }
        }
    }
    Ok(Trex::default())
}

struct Run<'a> {
    defaults: Trex,
    /// When the next sample is decoded, in units of the track's timescale.
    decoded_at: i64,
    bounds: &'a Bounds,
    samples: &'a mut Vec<Sample>,
}

impl Run<'_> {
    fn add_fragment(&mut self, moof: &[u8], start: u64, track: u32) -> Result<(), CodecError> {
        for found in boxes(moof) {
            let found = found?;
            if found.kind != *b"traf" {
                continue;
            }
            let head = parse::<Tfhd>(require(found.body, b"tfhd")?)?;
            if head.track_id == track {
                self.add_track(found.body, &head, start)?;
            }
        }
        Ok(())
    }

    fn add_track(&mut self, traf: &[u8], head: &Tfhd, moof: u64) -> Result<(), CodecError> {
        if let Some(body) = find(traf, b"tfdt")? {
            let start = parse::<Tfdt>(body)?.base_media_decode_time;
            self.decoded_at = i64::try_from(start).unwrap_or(i64::MAX);
        }
        let base = head.base_data_offset.unwrap_or(moof);
        let mut offset = base;
        for found in boxes(traf) {
            let found = found?;
            if found.kind != *b"trun" {
                continue;
            }
            let run = parse::<Trun>(found.body)?;
            if let Some(distance) = run.data_offset {
                offset = base.saturating_add_signed(distance.into());
            }
            // Checked before the samples are visited: without fields of their own any number takes no bytes.
            let frames = self.samples.len() as u64 + run.samples.len() as u64;
            self.bounds.check_frames(frames.max(1))?;
            for sample in &run.samples {
                offset = self.add_sample(sample, head, offset);
            }
        }
        Ok(())
    }

    /// The place behind the sample.
    fn add_sample(&mut self, entry: TrunEntry, head: &Tfhd, offset: u64) -> u64 {
        let or = |own: Option<u32>, of_track: Option<u32>, of_movie| {
            own.or(of_track).unwrap_or(of_movie)
        };
        let Trex {
            default_sample_duration,
            default_sample_size,
            default_sample_flags,
            ..
        } = self.defaults;
        let length = or(
            entry.duration,
            head.default_sample_duration,
            default_sample_duration,
        );
        let size = or(entry.size, head.default_sample_size, default_sample_size);
        let flags = or(entry.flags, head.default_sample_flags, default_sample_flags);
        self.samples.push(Sample {
            offset,
            size,
            time: self.decoded_at.saturating_add(entry.cts.unwrap_or(0)),
            length,
            key: flags & IS_NON_SYNC == 0,
        });
        self.decoded_at = self.decoded_at.saturating_add(length.into());
        offset.saturating_add(size.into())
    }
}
