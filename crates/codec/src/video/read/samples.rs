//! Where the samples of a track lie and when they are shown, by its tables (ISO/IEC 14496-12, sections 8.6 and 8.7).

use mp4_atom::{Co64, Ctts, Stco, Stsc, Stss, Stsz, StszSamples, Stts};

use crate::{Bounds, CodecError};

use super::boxes::{find, parse, require};

/// A decoder cannot take more in one piece, and no frame has as much.
const MAX_SAMPLE_BYTES: u32 = 1 << 28;

/// A sample of a track: the encoded form of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) size: u32,
    /// When it is shown, in units of the track's timescale; negative before the start of the track.
    pub(super) time: i64,
    /// How long it is shown, likewise.
    pub(super) length: u32,
    /// Whether it can be decoded without those before it.
    pub(super) key: bool,
}

/// The samples that the tables of a movie without fragments list.
pub(super) fn listed(stbl: &[u8], bounds: &Bounds) -> Result<Vec<Sample>, CodecError> {
    let sizes = match find(stbl, b"stsz")? {
        Some(body) => parse::<Stsz>(body)?.samples,
        None => return Err(CodecError::corrupt("the box stsz is missing")),
    };
    let count = match &sizes {
        StszSamples::Identical { count, .. } => u64::from(*count),
        StszSamples::Different { sizes } => sizes.len() as u64,
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    bounds.check_frames(count)?;
    let size = |index: usize| match &sizes {
        StszSamples::Identical { size, .. } => *size,
        StszSamples::Different { sizes } => sizes.get(index).copied().unwrap_or(0),
    };
    let mut samples = placed(stbl, count as usize, size)?;
    set_times(stbl, &mut samples)?;
    if let Some(body) = find(stbl, b"stss")? {
        for sample in &mut samples {
            sample.key = false;
        }
        for number in parse::<Stss>(body)?.entries {
            let index = (number as usize).wrapping_sub(1);
            if let Some(sample) = samples.get_mut(index) {
                sample.key = true;
            }
        }
    }
    Ok(samples)
}

/// Gives each sample its place: samples lie in chunks, one after another.
fn placed(
    stbl: &[u8],
    count: usize,
    size: impl Fn(usize) -> u32,
) -> Result<Vec<Sample>, CodecError> {
    let offsets = chunk_offsets(stbl)?;
    let runs = parse::<Stsc>(require(stbl, b"stsc")?)?.entries;
    let mut samples = Vec::with_capacity(count);
    let mut runs = runs.iter().peekable();
    let mut per_chunk = 0;
    for (chunk, mut offset) in (1_u32..).zip(offsets) {
        while let Some(run) = runs.next_if(|run| run.first_chunk <= chunk) {
            per_chunk = run.samples_per_chunk;
        }
        for _ in 0..per_chunk {
            let index = samples.len();
            if index == count {
                return Ok(samples);
            }
            let size = size(index);
            samples.push(Sample {
                offset,
                size,
                time: 0,
                length: 0,
                key: true,
            });
            offset = offset.saturating_add(size.into());
        }
    }
    match samples.len() == count {
        true => Ok(samples),
        false => Err(CodecError::corrupt(format!(
            "{count} samples are listed, {} have a place",
            samples.len()
        ))),
    }
}

fn chunk_offsets(stbl: &[u8]) -> Result<Vec<u64>, CodecError> {
    if let Some(body) = find(stbl, b"co64")? {
        return Ok(parse::<Co64>(body)?.entries);
    }
    let entries = parse::<Stco>(require(stbl, b"stco")?)?.entries;
    Ok(entries.into_iter().map(u64::from).collect())
}

fn set_times(stbl: &[u8], samples: &mut [Sample]) -> Result<(), CodecError> {
    let mut lengths = parse::<Stts>(require(stbl, b"stts")?)?
        .entries
        .into_iter()
        .flat_map(|run| std::iter::repeat_n(run.sample_delta, run.sample_count as usize));
    let shifts = find(stbl, b"ctts")?.map(parse::<Ctts>).transpose()?;
    let mut shifts = shifts
        .into_iter()
        .flat_map(|shifts| shifts.entries)
        .flat_map(|run| std::iter::repeat_n(run.sample_offset, run.sample_count as usize));
    let mut decoded_at = 0_i64;
    for sample in samples {
        let length = lengths.next();
        sample.length = length.ok_or_else(|| CodecError::corrupt("samples without a time"))?;
        sample.time = decoded_at.saturating_add(shifts.next().unwrap_or(0));
        decoded_at = decoded_at.saturating_add(sample.length.into());
    }
    Ok(())
}

/// Holds every sample against the file: none may lie beyond its end, and together they are no larger than it.
pub(super) fn check_places(samples: &[Sample], file: usize) -> Result<(), CodecError> {
    let mut total = 0_u64;
    for sample in samples {
        total = total.saturating_add(sample.size.into());
        let end = sample.offset.saturating_add(sample.size.into());
        if end > file as u64 || total > file as u64 || sample.size > MAX_SAMPLE_BYTES {
            return Err(CodecError::corrupt(
                "a frame lies beyond the end of the file",
            ));
        }
    }
    Ok(())
}

/// Whether the chunks of another track start within the file.
pub(super) fn check_chunks(stbl: &[u8], file: usize) -> Result<(), CodecError> {
    if find(stbl, b"co64")?.is_none() && find(stbl, b"stco")?.is_none() {
        return Ok(());
    }
    match chunk_offsets(stbl)?.into_iter().max() {
        Some(offset) if offset >= file as u64 => {
            Err(CodecError::corrupt("sound lies beyond the end of the file"))
        }
        _ => Ok(()),
    }
}
