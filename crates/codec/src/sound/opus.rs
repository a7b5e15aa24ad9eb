//! Opus (RFC 6716, RFC 7845): what its head says, and decoding.

use opus_decoder::{OpusDecoder, OpusError, OpusMultistreamDecoder};

use crate::CodecError;

use super::SoundFacts;

/// Positions and packets count samples of this rate, whatever went in.
const RATE: u32 = 48_000;
/// Samples of each channel in the longest packet.
const LONGEST: usize = OpusDecoder::MAX_FRAME_SIZE_48K;
/// Samples of a frame by the first five bits of its packet.
const FRAMES: [u16; 32] = [
    480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960, 120, 240,
    480, 960, 120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960,
];

/// What stands at the start of a stream (RFC 7845, section 5.1).
#[derive(Clone, Debug)]
pub(crate) struct Head {
    channels: u8,
    /// Samples that are decoded first and not heard.
    pub(crate) delay: u64,
    /// By how much the sound is made louder, in 1/256 dB.
    gain: i16,
    /// How many streams there are, how many of them have two channels, and which gives each channel.
    streams: (u8, u8, Vec<u8>),
}

impl Head {
    /// Reads the head as Ogg and WebM have it.
    pub(crate) fn read(head: &[u8]) -> Result<Self, CodecError> {
        let damaged = || CodecError::corrupt("the head of Opus makes no sense");
        let [
            b'O',
            b'p',
            b'u',
            b's',
            b'H',
            b'e',
            b'a',
            b'd',
            _,
            channels,
            fields @ ..,
        ] = head
        else {
            return Err(damaged());
        };
        let [
            delay_low,
            delay_high,
            _,
            _,
            _,
            _,
            gain_low,
            gain_high,
            family,
            mapping @ ..,
        ] = fields
        else {
            return Err(damaged());
        };
        let streams = match (family, channels, mapping) {
            (0, 1 | 2, _) => (1, channels - 1, (0..*channels).collect()),
            (0, ..) => return Err(damaged()),
            (_, _, [streams, coupled, mapping @ ..]) => {
                let mapping = mapping.get(..usize::from(*channels)).ok_or_else(damaged)?;
                (*streams, *coupled, mapping.to_vec())
            }
            _ => return Err(damaged()),
        };
        Ok(Self {
            channels: *channels,
            delay: u16::from_le_bytes([*delay_low, *delay_high]).into(),
            gain: i16::from_le_bytes([*gain_low, *gain_high]),
            streams,
        })
    }

    pub(crate) fn facts(&self) -> SoundFacts {
        SoundFacts {
            codec: "opus".to_owned(),
            channels: self.channels.into(),
            sample_rate: RATE,
        }
    }
}

/// How many samples of each channel a packet gives (RFC 6716, section 3.1).
pub(crate) fn frames(packet: &[u8]) -> u64 {
    let Some(first) = packet.first() else {
        return 0;
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| count & 0x3F),
    };
    u64::from(FRAMES[usize::from(first >> 3)]) * u64::from(count)
}

/// A decoder of packets that follow one another.
pub(crate) struct Decoder {
    kind: Kind,
    channels: usize,
    /// By how much each sample is multiplied.
    gain: f64,
}

enum Kind {
    One(Box<OpusDecoder>),
    Several(Box<OpusMultistreamDecoder>),
}

impl Decoder {
    pub(super) fn new(head: &Head) -> Result<Self, CodecError> {
        let channels = usize::from(head.channels);
        let (streams, coupled, mapping) = &head.streams;
        let kind = match (streams, channels) {
            (1, 1 | 2) if mapping.iter().copied().eq(0..head.channels) => {
                OpusDecoder::new(RATE, channels).map(|it| Kind::One(Box::new(it)))
            }
            _ => {
                let (streams, coupled) = (usize::from(*streams), usize::from(*coupled));
                OpusMultistreamDecoder::new(RATE, channels, streams, coupled, mapping)
                    .map(|it| Kind::Several(Box::new(it)))
            }
        };
        Ok(Self {
            kind: kind.map_err(damaged)?,
            channels,
            gain: 10_f64.powf(f64::from(head.gain) / (20.0 * 256.0)),
        })
    }

    pub(super) fn decode(
        &mut self,
        packet: &[u8],
        samples: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        samples.resize(LONGEST * self.channels, 0);
        let frames = match &mut self.kind {
            Kind::One(decoder) => decoder.decode(packet, samples, false),
            Kind::Several(decoder) => decoder.decode(packet, samples, false),
        };
        samples.truncate(frames.map_err(damaged)? * self.channels);
        if self.gain != 1.0 {
            for sample in samples {
                // It saturates.
                *sample = (f64::from(*sample) * self.gain).round() as i16;
            }
        }
        Ok(())
    }
}

fn damaged(error: OpusError) -> CodecError {
    CodecError::Corrupt(format!("Opus: {error}"))
}
