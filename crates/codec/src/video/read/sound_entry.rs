//! How the sound of a track is encoded (ISO/IEC 14496-12, section 12.2): what the codec's own parameters say counts, since the
//! fields of the sample entry cannot say everything, and often say what is usual instead.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_FLAC};

use crate::CodecError;
use crate::sound::{Coding, OpusHead, SoundFacts, flac_facts};

use super::boxes::find;
use super::sample_entry::{code, first, number};

/// Bytes of an audio sample entry before its boxes, by the version that QuickTime has given it.
const HEADS: [usize; 3] = [28, 44, 64];

/// The first entry of a track.
pub(super) struct SoundEntry {
    pub(super) facts: SoundFacts,
    pub(super) coding: Coding,
}

/// Reads the first audio entry of a sample description box.
pub(super) fn sound(stsd: &[u8]) -> Result<SoundEntry, CodecError> {
    let entry = first(stsd)?;
    let version = usize::from(number(entry.body, 8)?);
    let head = HEADS.get(version).unwrap_or(&HEADS[0]);
    let inner = entry.body.get(*head..).unwrap_or_default();
    let config = |kind| find(inner, kind).ok().flatten();
    let stated = SoundFacts {
        codec: sound_codec(entry.kind),
        channels: number(entry.body, 16)?,
        // 16 bits before the point, 16 behind.
        sample_rate: u32::from(number(entry.body, 24)?),
    };
    let known = match &entry.kind {
        b"mp4a" => config(b"esds").and_then(|body| elementary(body, &stated)),
        b"alac" => config(b"alac").and_then(|body| alac(body, &stated)),
        b"fLaC" => config(b"dfLa").and_then(flac),
        b"Opus" => config(b"dOps").and_then(opus),
        b"ac-3" => config(b"dac3").and_then(|body| dolby(body, 0, &stated)),
        b"ec-3" => config(b"dec3").and_then(|body| dolby(body, 16, &stated)),
        _ => None,
    };
    let facts = stated;
    Ok(known.unwrap_or(SoundEntry {
        facts,
        coding: Coding::Unknown,
    }))
}

fn sound_codec(kind: [u8; 4]) -> String {
    let name = match &kind {
        b"mp4a" => "aac",
        b"Opus" => "opus",
        b"fLaC" => "flac",
        b".mp3" => "mp3",
        b"ac-3" => "ac3",
        b"ec-3" => "eac3",
        b"alac" => "alac",
        b"sowt" => "pcm_s16le",
        b"twos" => "pcm_s16be",
        _ => return code(kind),
    };
    name.to_owned()
}

/// MPEG's own sound: the descriptors within one another tell the kind (mp4ra.org, object types), and how it is encoded.
fn elementary(esds: &[u8], stated: &SoundFacts) -> Option<SoundEntry> {
    const STREAM: u8 = 3;
    const DECODER: u8 = 4;
    const PARAMETERS: u8 = 5;
    let stream = descriptor(esds.get(4..)?, STREAM)?;
    let flags = *stream.get(2)?;
    let mut at = 3;
    if flags & 0x80 != 0 {
        at += 2;
    }
    if flags & 0x40 != 0 {
        at += 1 + usize::from(*stream.get(at)?);
    }
    if flags & 0x20 != 0 {
        at += 2;
    }
    let decoder = descriptor(stream.get(at..)?, DECODER)?;
    if matches!(decoder.first()?, 0x69 | 0x6B) {
        let (codec, coding) = ("mp3".to_owned(), Coding::Unknown);
        let facts = SoundFacts {
            codec,
            ..stated.clone()
        };
        return Some(SoundEntry { facts, coding });
    }
    let parameters = descriptor(decoder.get(13..)?, PARAMETERS)?;
    let (channels, sample_rate) = aac(parameters)?;
    let facts = SoundFacts {
        channels: channels.unwrap_or(stated.channels),
        sample_rate,
        ..stated.clone()
    };
    Some(known(facts, CODEC_ID_AAC, parameters))
}

/// What stands in the first descriptor, if it is of this kind (ISO/IEC 14496-1, section 8.3.3).
fn descriptor(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let (first, mut rest) = bytes.split_first()?;
    let mut length = 0;
    for _ in 0..4 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length = length << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.get(..length.min(rest.len()))
        .filter(|_| *first == kind)
}

/// Channels and samples a second of AAC (ISO/IEC 14496-3, section 1.6): of what is heard, where bands and channels are made of
/// fewer. The channels are `None` where only the sound itself tells them.
fn aac(parameters: &[u8]) -> Option<(Option<u16>, u32)> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    const CHANNELS: [u16; 15] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8];
    const SPECTRAL_BANDS: u32 = 5;
    const PARAMETRIC_STEREO: u32 = 29;
    const SYNC: u32 = 0x2B7;
    let mut bits = Bits(parameters, 0);
    let kind = |bits: &mut Bits<'_>| match bits.take(5)? {
        31 => Some(32 + bits.take(6)?),
        kind => Some(kind),
    };
    let rate = |bits: &mut Bits<'_>| match bits.take(4)? {
        15 => bits.take(24),
        index => RATES.get(index as usize).copied(),
    };
    let first = kind(&mut bits)?;
    let mut sample_rate = rate(&mut bits)?;
    let mut channels = CHANNELS.get(bits.take(4)? as usize).copied()?;
    if matches!(first, SPECTRAL_BANDS | PARAMETRIC_STEREO) {
        sample_rate = rate(&mut bits)?;
    } else if first == 2 && bits.take(3) == Some(0) && bits.take(11) == Some(SYNC) {
        // The same behind the parameters, for decoders that do not know of it.
        let doubled = kind(&mut bits) == Some(SPECTRAL_BANDS) && bits.take(1) == Some(1);
        sample_rate = doubled
            .then(|| rate(&mut bits))
            .flatten()
            .unwrap_or(sample_rate);
    }
    if first == PARAMETRIC_STEREO && channels == 1 {
        channels = 2;
    }
    Some(((channels > 0).then_some(channels), sample_rate))
}

/// Bits from the first on, and how many have been taken.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let range = self.1..self.1 + count;
        self.1 += count;
        range.into_iter().try_fold(0, |taken, at| {
            let byte = self.0.get(at / 8)?;
            Some(taken << 1 | u32::from(byte >> (7 - at % 8) & 1))
        })
    }
}

fn alac(body: &[u8], stated: &SoundFacts) -> Option<SoundEntry> {
    // Version and flags come first.
    let cookie = body.get(4..)?;
    let rate = cookie.get(20..24)?.first_chunk()?;
    let facts = SoundFacts {
        channels: u16::from(*cookie.get(9)?),
        sample_rate: u32::from_be_bytes(*rate),
        ..stated.clone()
    };
    Some(known(facts, CODEC_ID_ALAC, cookie))
}

fn flac(body: &[u8]) -> Option<SoundEntry> {
    // Version and flags, and the head of the block.
    let info = body.get(8..42)?;
    Some(known(flac_facts(info), CODEC_ID_FLAC, info))
}

/// The same fields as at the start of an Ogg stream, the other way round (Opus in ISOBMFF, section 4.3.2).
fn opus(body: &[u8]) -> Option<SoundEntry> {
    let [_, channels, delay @ ..] = body.first_chunk::<4>()?;
    let [_, _, _, _, r3, r2, r1, r0, g1, g0, rest @ ..] = body else {
        return None;
    };
    let mut head = b"OpusHead\x01".to_vec();
    head.extend([*channels, delay[1], delay[0], *r0, *r1, *r2, *r3, *g0, *g1]);
    head.extend(rest);
    let head = OpusHead::read(&head).ok()?;
    Some(SoundEntry {
        facts: head.facts(),
        coding: Coding::Opus(head),
    })
}

/// AC-3 and E-AC-3 (ETSI TS 102 366, annex F): only the facts.
fn dolby(body: &[u8], skipped: usize, stated: &SoundFacts) -> Option<SoundEntry> {
    const RATES: [u32; 3] = [48_000, 44_100, 32_000];
    const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let mut bits = Bits(body, skipped);
    let rate = RATES.get(bits.take(2)? as usize);
    // Version and kind of the bit stream; in E-AC-3, two bits more between them.
    bits.take(if skipped == 0 { 8 } else { 10 })?;
    let channels = CHANNELS[bits.take(3)? as usize] + bits.take(1)? as u16;
    let facts = SoundFacts {
        channels,
        sample_rate: rate.copied().unwrap_or(stated.sample_rate),
        ..stated.clone()
    };
    Some(SoundEntry {
        facts,
        coding: Coding::Unknown,
    })
}

fn known(
    facts: SoundFacts,
    codec: symphonia::core::codecs::audio::AudioCodecId,
    extra: &[u8],
) -> SoundEntry {
    let mut parameters = AudioCodecParameters::new();
    parameters
        .for_codec(codec)
        .with_sample_rate(facts.sample_rate)
        .with_extra_data(extra.into());
    let coding = Coding::Known(parameters);
    SoundEntry { facts, coding }
}
