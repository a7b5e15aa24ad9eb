//! One sound of a file, as packets and what decodes them. Most files are one; of some, several follow one another.

use std::borrow::Cow;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::get_codecs;

use crate::CodecError;

use super::{SoundFacts, opus};

/// A sound and where its packets come from.
pub(crate) struct Link<'a> {
    pub(crate) facts: SoundFacts,
    pub(crate) coding: Coding,
    pub(crate) packets: Box<dyn Packets + 'a>,
    /// Samples of each channel that are heard, by the container.
    pub(crate) declared: Option<u64>,
    /// How many of those may be missing.
    pub(crate) tolerated: u64,
    /// Samples of each channel that are decoded first and not heard.
    pub(crate) skipped: u64,
    /// Whether more may be decoded at the end than is heard; else that is damage.
    pub(crate) is_padded: bool,
    /// Whether the first packets may not decode, since they refer to others before a cut.
    pub(crate) is_cut: bool,
}

/// What decodes the packets.
pub(crate) enum Coding {
    /// Symphonia, if it knows the codec.
    Known(AudioCodecParameters),
    /// A decoder of Opus.
    Opus(opus::Head),
    /// Nothing here.
    Unknown,
}

impl Coding {
    pub(super) fn decoder(&self, codec: &str) -> Result<Decoder, CodecError> {
        let unsupported =
            || CodecError::Unsupported(format!("nothing here decodes the codec {codec}"));
        match self {
            Self::Unknown => Err(unsupported()),
            Self::Opus(head) => Ok(Decoder::Opus(opus::Decoder::new(head)?)),
            Self::Known(parameters) => {
                let options = AudioDecoderOptions::default().verify(true);
                let decoder = get_codecs().make_audio_decoder(parameters, &options);
                decoder
                    .map(Decoder::Symphonia)
                    .map_err(|error| match error {
                        Error::Unsupported(_) => unsupported(),
                        error => damaged(error),
                    })
            }
        }
    }
}

/// The packets of a sound, in order.
pub(crate) trait Packets {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError>;
}

/// What is decoded at once.
pub(crate) struct Packet<'a> {
    pub(crate) data: Cow<'a, [u8]>,
    /// Samples of each channel that it gives, where that can be told without decoding; else 0.
    pub(crate) frames: u64,
}

/// Of a sound that nothing here reads.
pub(crate) struct NoPackets;

impl Packets for NoPackets {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError> {
        Ok(None)
    }
}

impl<'a> Link<'a> {
    pub(crate) fn new(facts: SoundFacts, coding: Coding, packets: impl Packets + 'a) -> Self {
        Self {
            facts,
            coding,
            packets: Box::new(packets),
            declared: None,
            tolerated: 0,
            skipped: 0,
            is_padded: false,
            is_cut: false,
        }
    }

    /// A sound of which only the facts are known.
    pub(crate) fn unknown(facts: SoundFacts, frames: u64) -> Self {
        Self {
            declared: Some(frames),
            ..Self::new(facts, Coding::Unknown, NoPackets)
        }
    }

    pub(super) fn decoder(&self) -> Result<Decoder, CodecError> {
        self.coding.decoder(&self.facts.codec)
    }

    /// Samples of each channel that are heard, by the packets alone.
    pub(super) fn measure(
        &mut self,
        mut each: impl FnMut(u64) -> Result<(), CodecError>,
    ) -> Result<u64, CodecError> {
        let mut found = 0_u64;
        while let Some(packet) = self.packets.next()? {
            found = found.saturating_add(packet.frames);
            each(found)?;
        }
        if matches!(self.coding, Coding::Unknown) {
            found = self.declared.unwrap_or(0);
        }
        self.heard(found)
    }

    /// Compares what was found with what the container says.
    pub(super) fn heard(&self, found: u64) -> Result<u64, CodecError> {
        let unskipped = match self.coding {
            Coding::Unknown => found,
            _ => found.saturating_sub(self.skipped),
        };
        let heard = match self.declared {
            Some(declared) if self.is_padded => unskipped.min(declared),
            _ => unskipped,
        };
        match self.declared {
            Some(declared) if heard + self.tolerated < declared || heard > declared => {
                Err(CodecError::corrupt(format!(
                    "{declared} samples are declared, {heard} are there"
                )))
            }
            _ => Ok(heard),
        }
    }
}

/// A decoder of packets that follow one another.
pub(super) enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(opus::Decoder),
}

impl Decoder {
    /// The samples of a packet in the place of those in `samples`, which must be of the kind that is expected.
    pub(super) fn decode(
        &mut self,
        data: &[u8],
        expected: &SoundFacts,
        samples: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        samples.clear();
        let decoder = match self {
            Self::Opus(decoder) => return decoder.decode(data, samples),
            Self::Symphonia(decoder) => decoder,
        };
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, data);
        let decoded = decoder.decode_ref(&packet).map_err(damaged)?;
        let spec = decoded.spec();
        // One without a sample may not know its kind yet.
        if decoded.frames() > 0
            && (spec.rate() != expected.sample_rate
                || spec.channels().count() != usize::from(expected.channels))
        {
            return Err(CodecError::corrupt("the sound changes its kind midway"));
        }
        decoded.copy_to_vec_interleaved::<i16>(samples);
        Ok(())
    }

    /// Compares the samples with their checksum, if there is one.
    pub(super) fn finish(&mut self) -> Result<(), CodecError> {
        let verified = match self {
            Self::Symphonia(decoder) => decoder.finalize().verify_ok,
            Self::Opus(_) => None,
        };
        match verified {
            Some(false) => Err(CodecError::corrupt(
                "the samples do not match their checksum",
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn damaged(error: Error) -> CodecError {
    match error {
        Error::Unsupported(what) => CodecError::Unsupported(what.to_owned()),
        error => CodecError::Corrupt(error.to_string()),
    }
}
