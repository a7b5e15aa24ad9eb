//! What reading a file takes of memory at most, by what it declares of itself.

use codec::{Bounds, CodecError, Format, Kind, picture, video};

/// For each pixel of a picture: what its decoder may take, see [`picture::MEMORY_PER_PIXEL`], and a copy to draw on.
const OF_PICTURE: u64 = picture::MEMORY_PER_PIXEL + 4;
/// For each pixel of a video: the frames that its decoder refers to, those that stand for it, and those of an encoder.
const OF_VIDEO: u64 = 64;
/// For samples, tables, profiles and what else does not depend on pixels.
const BASE: u64 = 16 << 20;
/// As many pixels as that is enough for: decoders of pictures count it as theirs.
const BASE_PIXELS: u64 = BASE / picture::MEMORY_PER_PIXEL;
/// How much larger the frames of a video may be than it declares: players are told a size, decoders another.
const FRAME_SLACK: u64 = 4;

/// What reading a file takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Bytes of memory.
    pub bytes: u64,
    /// Pixels of a picture, or of a frame, that this is enough for.
    pub max_pixels: u64,
}

impl Cost {
    /// That of a file of so many bytes whose picture has this size.
    pub(super) fn of_size(kind: Kind, length: usize, size: Option<(u32, u32)>) -> Self {
        let pixels = size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
        let (each, slack) = match kind {
            Kind::Image => (OF_PICTURE, 1),
            Kind::Video => (OF_VIDEO, FRAME_SLACK),
            Kind::Audio => (0, 1),
        };
        let max_pixels = match size {
            Some(_) => pixels.saturating_mul(slack) + BASE_PIXELS,
            // The picture of a sound is drawn here.
            None => u64::MAX,
        };
        Self {
            bytes: BASE + (length as u64) * 2 + pixels.saturating_mul(each),
            max_pixels,
        }
    }

    /// That of a file, which nothing of is decoded.
    ///
    /// # Errors
    ///
    /// Those that reading it gives before anything is decoded.
    pub(super) fn of(content: &[u8], format: Format, bounds: &Bounds) -> Result<Self, CodecError> {
        let size = match format.kind() {
            Kind::Image => Some(picture::size(content, format, bounds.max_pixels)?),
            Kind::Video => Some(video::facts(content, format, bounds)?.size),
            Kind::Audio => None,
        };
        Ok(Self::of_size(format.kind(), content.len(), size))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codec::{Stop, samples::ffmpeg};

    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            max_pixels: 1_000_000,
            max_frames: 1_000,
            max_length: Duration::from_secs(60),
            stop: Stop::default(),
        }
    }

    #[test]
    fn pixels_count_for_pictures_and_videos_and_bytes_for_all() {
        let source = "-f lavfi -i testsrc=size=128x96:rate=5:duration=1";
        for (format, extension, each, slack) in [
            (Format::Png, "-frames:v 1|png", OF_PICTURE, 1),
            (Format::Mp4, "-pix_fmt yuv420p|mp4", OF_VIDEO, FRAME_SLACK),
        ] {
            let (options, extension) = extension.split_once('|').unwrap();
            let content = ffmpeg(&format!("{source} {options}"), extension);
            let cost = Cost::of(&content, format, &bounds()).unwrap();
            let pixels = 128 * 96;
            assert_eq!(cost.max_pixels, pixels * slack + BASE_PIXELS);
            assert_eq!(cost.bytes, BASE + 2 * content.len() as u64 + pixels * each);
        }
        let sound = Cost::of(&[0; 1_000], Format::Wav, &bounds()).unwrap();
        assert_eq!(sound.bytes, BASE + 2_000);
    }

    #[test]
    fn what_has_too_many_pixels_is_refused_before_it_costs_anything() {
        let content = ffmpeg("-f lavfi -i testsrc=size=2000x1000 -frames:v 1", "png");
        let refused = Cost::of(&content, Format::Png, &bounds());
        assert!(
            matches!(refused, Err(CodecError::TooManyPixels { .. })),
            "{refused:?}"
        );
    }
}
