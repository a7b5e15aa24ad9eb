//! WAV files: RIFF, RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088), and the real length of their samples.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::formats::FormatOptions;
use symphonia::default::formats::WavReader;
use symphonia::default::get_codecs;

use crate::CodecError;
use crate::ending::is_harmless;

use super::decode::MAX_CHANNELS;
use super::link::Link;
use super::{SoundFacts, by_symphonia};

/// Sizes from here on stand for "not known yet" when the file does not hold as much: writers to a pipe leave 0xFFFFFFFF
/// (FFmpeg) or about 2 GiB (SoX, eSpeak NG) behind, since they cannot go back.
const STREAMED: u32 = 0x7FFF_F000;
/// What a size of 32 bits says where one of 64 bits stands elsewhere.
const ELSEWHERE: u32 = u32::MAX;
/// The tag that stands at the start of an identifier of 16 bytes behind the other fields.
const EXTENSIBLE: u16 = 0xFFFE;
const EXTENSION: usize = 24;
/// Kind and size of a chunk.
const HEADER: usize = 8;

/// Tags of codecs, by the names that FFmpeg has for them (RFC 2361; libavformat's riff.c).
const NAMES: [(u16, &str); 28] = [
    (0x0002, "adpcm_ms"),
    (0x000A, "wmavoice"),
    (0x0010, "adpcm_ima_oki"),
    (0x0011, "adpcm_ima_wav"),
    (0x0017, "adpcm_ima_oki"),
    (0x0020, "adpcm_yamaha"),
    (0x0022, "truespeech"),
    (0x0031, "gsm_ms"),
    (0x0032, "gsm_ms"),
    (0x0042, "g723_1"),
    (0x0045, "adpcm_g726"),
    (0x0050, "mp2"),
    (0x0055, "mp3"),
    (0x0061, "adpcm_ima_dk4"),
    (0x0062, "adpcm_ima_dk3"),
    (0x0064, "adpcm_g726"),
    (0x0069, "adpcm_ima_wav"),
    (0x00FF, "aac"),
    (0x0160, "wmav1"),
    (0x0161, "wmav2"),
    (0x0162, "wmapro"),
    (0x0163, "wmalossless"),
    (0x0270, "atrac3"),
    (0x2000, "ac3"),
    (0x2001, "dts"),
    (0x704F, "opus"),
    (0xA109, "speex"),
    (0xF1AC, "flac"),
];

/// The sound of a file.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(super) fn open(content: &[u8]) -> Result<Link<'_>, CodecError> {
    let wave = Wave::parse(content)?;
    let Some(tag) = wave.unread()? else {
        let stream = by_symphonia::stream(wave.head()?, wave.samples);
        let reader = WavReader::try_new(stream, FormatOptions::default());
        return by_symphonia::open(reader, codec_name);
    };
    let facts = SoundFacts {
        codec: name_of(tag),
        channels: wave.number(2)?,
        sample_rate: wave.long(4)?,
    };
    Ok(Link::unknown(facts, wave.frames()?))
}

fn codec_name(parameters: &AudioCodecParameters) -> String {
    let decoder = get_codecs().get_audio_decoder(parameters.codec);
    decoder
        .map_or("unknown", |it| it.codec.info.short_name)
        .to_owned()
}

fn name_of(tag: u16) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == tag);
    known.map_or_else(|| format!("0x{tag:04x}"), |(_, name)| (*name).to_owned())
}

/// The chunks that matter.
struct Wave<'a> {
    /// How the samples are encoded.
    format: &'a [u8],
    /// How many samples there are, as said where they are compressed.
    fact: Option<u32>,
    samples: &'a [u8],
}

impl<'a> Wave<'a> {
    fn parse(content: &'a [u8]) -> Result<Self, CodecError> {
        let (mut format, mut fact, mut long) = (None, None, None);
        let mut at = 12_usize;
        while let Some(kind) = content.get(at..at.saturating_add(4)) {
            let declared = size_at(content, at + 4)?;
            let body = content.get(at + 8..).unwrap_or_default();
            if kind == b"data" && content.len() >= at + 8 {
                let format = format.ok_or_else(|| CodecError::corrupt("there is no chunk fmt"))?;
                let samples = samples(body, declared, long)?;
                return Ok(Self {
                    format,
                    fact,
                    samples,
                });
            }
            let size = declared as usize;
            let body = body.get(..size).unwrap_or_default();
            match kind {
                b"fmt " => format = Some(body),
                b"fact" => fact = size_at(body, 0).ok(),
                // The size of the samples stands behind that of the file.
                b"ds64" => {
                    long = body
                        .get(8..)
                        .and_then(|it| it.first_chunk())
                        .map(|it| u64::from_le_bytes(*it));
                }
                _ => {}
            }
            at = at
                .saturating_add(8)
                .saturating_add(size)
                .saturating_add(size & 1);
        }
        Err(CodecError::corrupt("there is no chunk of samples"))
    }

    /// The tag of a codec whose samples Symphonia's reader does not take.
    fn unread(&self) -> Result<Option<u16>, CodecError> {
        // The reader multiplies the number of channels before it looks at it.
        if !(1..=MAX_CHANNELS).contains(&self.number(2)?) {
            return Err(CodecError::corrupt("a sound of too many channels, or none"));
        }
        let tag = match self.number(0)? {
            EXTENSIBLE => self.number(EXTENSION)?,
            tag => tag,
        };
        // PCM, floating point, A-law, mu-law.
        Ok((!matches!(tag, 1 | 3 | 6 | 7)).then_some(tag))
    }

    /// Samples of each channel, by what the file says: nothing here counts them.
    fn frames(&self) -> Result<u64, CodecError> {
        let (rate, a_second) = (self.long(4)?, self.long(8)?);
        let by_size = self.samples.len() as u64 * u64::from(rate);
        let by_size = by_size.checked_div(a_second.into());
        let said = self.fact.filter(|frames| *frames > 0).map(u64::from);
        said.or(by_size)
            .ok_or_else(|| CodecError::corrupt("nothing tells how long it is"))
    }

    fn number(&self, at: usize) -> Result<u16, CodecError> {
        let bytes = self.format.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = bytes.ok_or_else(|| CodecError::corrupt("the chunk fmt is cut off"))?;
        Ok(u16::from_le_bytes(*bytes))
    }

    fn long(&self, at: usize) -> Result<u32, CodecError> {
        size_at(self.format, at)
    }

    /// A head with nothing in it but how the samples are encoded, and sizes that are right.
    fn head(&self) -> Result<Vec<u8>, CodecError> {
        let size = |size: usize| {
            let size = u32::try_from(size);
            let size = size.map_err(|_| CodecError::corrupt("more samples than can be read"))?;
            Ok(size.to_le_bytes())
        };
        let padded = self.format.len().next_multiple_of(2);
        let mut head = b"RIFF".to_vec();
        head.extend(size(4 + 8 + padded + 8 + self.samples.len())?);
        head.extend(b"WAVEfmt ");
        head.extend(size(self.format.len())?);
        head.extend(self.format);
        head.resize(head.len().next_multiple_of(2), 0);
        head.extend(b"data");
        head.extend(size(self.samples.len())?);
        Ok(head)
    }
}

/// The samples' bytes in what follows the head of their chunk.
///
/// A declared size of 0 or of a streaming writer is replaced by what is there. Any other size that does not end with a
/// chunk or with the file is a lie, and the file is damaged. Samples without end marker are taken as they are: only whole
/// ones count.
fn samples(rest: &[u8], declared: u32, long: Option<u64>) -> Result<&[u8], CodecError> {
    let size = match long {
        Some(size) if declared == ELSEWHERE && size != u64::MAX => size,
        _ => declared.into(),
    };
    let found = usize::try_from(size).ok().and_then(|size| rest.get(..size));
    match found {
        Some([]) if behind_chunks(rest).len() >= HEADER => Ok(rest),
        Some(samples) if ends_well(padded(&rest[samples.len()..], samples.len())) => Ok(samples),
        Some(samples) => {
            let found = samples.len();
            Err(CodecError::corrupt(format!(
                "{found} bytes of samples are declared, but the file goes on"
            )))
        }
        None if declared >= STREAMED && (long.is_none() || size == u64::from(declared)) => Ok(rest),
        None => {
            let found = rest.len();
            Err(CodecError::corrupt(format!(
                "{size} bytes of samples are declared, {found} are there"
            )))
        }
    }
}

fn size_at(content: &[u8], at: usize) -> Result<u32, CodecError> {
    content
        .get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or_else(|| CodecError::corrupt("a chunk is cut off"))
}

/// What follows a chunk of `length` bytes: chunks start at even places, but not all writers care.
fn padded(rest: &[u8], length: usize) -> &[u8] {
    match rest {
        [0, rest @ ..] if length % 2 == 1 => rest,
        rest => rest,
    }
}

/// What follows behind the whole chunks.
fn behind_chunks(mut rest: &[u8]) -> &[u8] {
    while let Some((head, body)) = rest.split_first_chunk::<HEADER>() {
        let [a, b, c, d, size @ ..] = *head;
        let named = [a, b, c, d]
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let size = u32::from_le_bytes(size) as usize;
        match body.get(size..) {
            Some(next) if named => rest = padded(next, size),
            _ => break,
        }
    }
    rest
}

fn ends_well(rest: &[u8]) -> bool {
    is_harmless(behind_chunks(rest))
}
