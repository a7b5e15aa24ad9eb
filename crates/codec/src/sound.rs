//! Sound as samples.

mod by_symphonia;
mod decode;
mod encode;
mod flac;
mod link;
mod loudness;
mod mpeg;
mod ogg;
mod opus;
mod raw;
mod riff;
#[cfg(test)]
mod tests;
mod webm;

use std::time::Duration;

pub(crate) use flac::{end_of_frames as end_of_flac_frames, facts as flac_facts};
pub(crate) use link::{Coding, Link, Packet, Packets};
pub(crate) use opus::Head as OpusHead;
pub(crate) use webm::facts as webm_facts;

pub use decode::{Block, decode, measure, read};
pub use encode::encode;
pub use loudness::Loudness;
pub use raw::raw;

/// A sound in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u16,
    /// Interleaved: one of each channel, again and again.
    pub samples: Vec<i16>,
}

/// How the sound of a file is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFacts {
    /// The codec as FFmpeg names it, such as "pcm_s16le" or "opus".
    pub codec: String,
    /// 1 to 8.
    pub channels: u16,
    /// Samples per second and channel.
    pub sample_rate: u32,
}

/// A whole sound, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// How it is encoded.
    pub facts: SoundFacts,
    /// Samples of each channel, without what the encoder added at the start and the end.
    pub frames: u64,
}

impl Track {
    /// The playing time.
    pub fn duration(&self) -> Duration {
        length(self.frames, self.facts.sample_rate)
    }
}

/// How long `count` units last of which there are `rate` in a second; rounded to nanoseconds.
pub(crate) fn length(count: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    let nanos = u128::from(count % rate) * 1_000_000_000 / u128::from(rate);
    // Less than a second's worth, so it fits.
    Duration::from_secs(count / rate) + Duration::from_nanos(nanos as u64)
}
