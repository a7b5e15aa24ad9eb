//! The sound in WebM files without pictures.

use std::borrow::Cow;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;

use crate::webm::{Blocks, Times, Track, TrackKind, head};
use crate::{Bounds, CodecError};

use super::link::{Coding, Link, Packet, Packets};
use super::{SoundFacts, opus};

/// Names of codecs that FFmpeg has others for (Matroska codec mappings).
const NAMES: [(&str, &str); 12] = [
    ("A_OPUS", "opus"),
    ("A_VORBIS", "vorbis"),
    ("A_AAC", "aac"),
    ("A_MPEG/L3", "mp3"),
    ("A_MPEG/L2", "mp2"),
    ("A_FLAC", "flac"),
    ("A_AC3", "ac3"),
    ("A_EAC3", "eac3"),
    ("A_DTS", "dts"),
    ("A_ALAC", "alac"),
    ("A_PCM/INT/LIT", "pcm_s16le"),
    ("A_PCM/FLOAT/IEEE", "pcm_f32le"),
];

/// What a track of sound is.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(crate) fn facts(track: &Track) -> Result<SoundFacts, CodecError> {
    if track.codec == "A_OPUS" {
        return Ok(opus::Head::read(&track.private)?.facts());
    }
    let known = NAMES
        .iter()
        .find(|(known, _)| track.codec.starts_with(known));
    let facts = SoundFacts {
        codec: known
            .map_or(track.codec.as_str(), |(_, name)| name)
            .to_owned(),
        channels: u16::try_from(track.channels).unwrap_or(u16::MAX),
        sample_rate: track.sample_rate as u32,
    };
    super::decode::check(&facts)?;
    Ok(facts)
}

/// The sound of a file.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(super) fn open<'a>(content: &'a [u8], bounds: &Bounds) -> Result<Link<'a>, CodecError> {
    let head = head(content)?;
    let mut tracks = head.tracks.iter();
    let track = tracks.find(|track| track.kind == TrackKind::Audio);
    let track = track.ok_or_else(|| CodecError::corrupt("there is no sound in it"))?;
    let facts = facts(track)?;
    let mut decoded = 0_u64;
    let [times] = Times::of(content, &head, [Some(track)], bounds, |block, _| {
        decoded = decoded.saturating_add(block.frame.map_or(0, opus::frames));
        Ok(())
    })?;
    let rate = f64::from(facts.sample_rate);
    let samples = |seconds: f64| (seconds.max(0.0) * rate).round() as u64;
    let packets = Frames {
        blocks: Blocks::of(content),
        track: track.number,
    };
    let coding = match track.codec.as_str() {
        _ if track.is_wrapped || times.is_laced => Coding::Unknown,
        "A_OPUS" => Coding::Opus(opus::Head::read(&track.private)?),
        "A_VORBIS" => {
            let mut parameters = AudioCodecParameters::new();
            let private = track.private.clone().into();
            parameters
                .for_codec(CODEC_ID_VORBIS)
                .with_extra_data(private);
            Coding::Known(parameters)
        }
        _ => Coding::Unknown,
    };
    Ok(match coding {
        Coding::Unknown => Link::unknown(facts, samples(times.length().as_secs_f64())),
        Coding::Opus(head) => {
            let heard = decoded.saturating_sub(head.delay);
            Link {
                declared: Some(heard.saturating_sub(samples(times.discarded as f64 / 1e9))),
                skipped: head.delay,
                is_padded: true,
                ..Link::new(facts, Coding::Opus(head), packets)
            }
        }
        coding => Link::new(facts, coding, packets),
    })
}

struct Frames<'a> {
    blocks: Blocks<'a>,
    track: u64,
}

impl Packets for Frames<'_> {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CodecError> {
        loop {
            let block = self.blocks.next()?;
            let Some(block) = block else {
                return Ok(None);
            };
            if let (true, Some(frame)) = (block.track == self.track, block.frame) {
                return Ok(Some(Packet {
                    data: Cow::Borrowed(frame),
                    frames: opus::frames(frame),
                }));
            }
        }
    }
}
