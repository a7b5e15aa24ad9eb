//! WebM: only the facts, since nothing here decodes its pictures.

use crate::webm::{Times, Track, TrackKind, head};
use crate::{Bounds, CodecError, sound};

use super::sample_entry::stretched;
use super::{Facts, rate};

pub(super) fn facts(content: &[u8], bounds: &Bounds) -> Result<Facts, CodecError> {
    let head = head(content)?;
    let first = |kind| head.tracks.iter().find(|track| track.kind == kind);
    let video = first(TrackKind::Video);
    let video = video.ok_or_else(|| CodecError::corrupt("there is no video in it"))?;
    let sound = first(TrackKind::Audio);
    let sound_facts = sound.map(sound::webm_facts).transpose()?;
    let tracks = [Some(video), sound];
    let times = Times::of(content, &head, tracks, bounds, |block, count| {
        match block.track == video.number {
            true => bounds.check_frames(count),
            false => Ok(()),
        }
    })?;
    let [pictures, samples] = times;
    bounds.check_frames(pictures.count)?;
    let own = pictures.length();
    Ok(Facts {
        size: shown(video),
        duration: own.max(samples.length()),
        frames: pictures.count,
        frame_rate: rate(pictures.count, own),
        codec: codec_name(&video.codec),
        sound: sound_facts,
    })
}

/// Pixels as shown, by the shape that the file says.
fn shown(video: &Track) -> (u32, u32) {
    let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    let (width, height) = video.size;
    let pixel = match video.shown {
        (0, _) | (_, 0) => (1, 1),
        (shown_width, shown_height) => (
            shown_width.saturating_mul(height),
            shown_height.saturating_mul(width),
        ),
    };
    stretched((side(width), side(height)), pixel)
}

fn codec_name(codec: &str) -> String {
    let known = [
        ("V_VP8", "vp8"),
        ("V_VP9", "vp9"),
        ("V_AV1", "av1"),
        ("V_MPEG4/ISO/AVC", "h264"),
        ("V_MPEGH/ISO/HEVC", "hevc"),
        ("V_THEORA", "theora"),
    ];
    let known = known.iter().find(|(known, _)| *known == codec);
    known.map_or(codec, |(_, name)| name).to_owned()
}
