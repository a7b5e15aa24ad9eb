//! Sound as samples.

mod encode;

pub use encode::encode;

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
