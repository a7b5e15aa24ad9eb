//! The time that the blocks of a track take.

use std::time::Duration;

use crate::{Bounds, CodecError};

use super::{Block, Blocks, Head};

/// How much of the declared length may be missing: less than a file loses that breaks off.
const MISSING: Duration = Duration::from_secs(1);

/// What the blocks of a track tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) count: u64,
    /// Nanoseconds at the end that are not heard.
    pub(crate) discarded: i64,
    /// Whether several frames are packed together anywhere.
    pub(crate) is_laced: bool,
    /// In the file's units: the start of the first block and of the last, and the end of the one that ends last.
    first: Option<i64>,
    last: i64,
    end: i64,
    /// Nanoseconds of a unit.
    scale: u64,
}

impl Times {
    /// Goes through the blocks of these tracks, whose numbers and lengths of frames are given; `each` sees every block of them.
    ///
    /// # Errors
    ///
    /// [`CodecError::Corrupt`] also for a file that is shorter than it says; those of `each`.
    pub(crate) fn of<const N: usize>(
        content: &[u8],
        head: &Head,
        tracks: [Option<&super::Track>; N],
        bounds: &Bounds,
        mut each: impl FnMut(&Block<'_>, u64) -> Result<(), CodecError>,
    ) -> Result<[Self; N], CodecError> {
        let scale = head.scale;
        let mut times = std::array::from_fn(|_| Self {
            scale,
            ..Self::default()
        });
        let mut blocks = Blocks::of(content);
        while let Some(block) = blocks.next()? {
            bounds.stop.check()?;
            for (track, times) in tracks.iter().zip(&mut times) {
                if let Some(track) = track.filter(|track| track.number == block.track) {
                    times.add(&block, track.frame / scale);
                    each(&block, times.count)?;
                }
            }
        }
        let longest = times.iter().map(Self::length).max().unwrap_or_default();
        let declared = head.declared * scale as f64 / 1e9;
        match declared > longest.saturating_add(MISSING).as_secs_f64() {
            true => Err(CodecError::corrupt("the end of the file is missing")),
            false => Ok(times),
        }
    }

    fn add(&mut self, block: &Block<'_>, usual: u64) {
        let duration = i64::try_from(block.duration.unwrap_or(usual)).unwrap_or(i64::MAX);
        self.first = Some(self.first.map_or(block.time, |first| first.min(block.time)));
        self.last = self.last.max(block.time);
        self.end = self.end.max(block.time.saturating_add(duration));
        self.discarded = block.discarded;
        self.is_laced |= block.frame.is_none();
        self.count += 1;
    }

    /// From the first block to the end of the last. Where the file does not say how long that one lasts, it gets the average of
    /// those before.
    pub(crate) fn length(&self) -> Duration {
        let Some(first) = self.first else {
            return Duration::ZERO;
        };
        let span = |end: i64| {
            let units = end.saturating_sub(first).max(0).unsigned_abs();
            Duration::from_nanos(units.saturating_mul(self.scale))
        };
        let steps = u32::try_from(self.count.saturating_sub(1)).unwrap_or(u32::MAX);
        match self.end > self.last || steps == 0 {
            true => span(self.end),
            false => span(self.last).saturating_add(span(self.last) / steps),
        }
    }
}
