//! What some bytes really are: facts from the content, never from names or declared types.

use std::time::Duration;

use bytes::Bytes;
use codec::{Bounds, CodecError, Format, Kind, Stop, picture, sound, video};
use image::DynamicImage;

use super::bounded::run_bounded;
use super::cost::Cost;
use super::facts::{Facts, InspectError, Inspected, Limits, SoundFacts};
use super::preview;
use super::still::poster;
use super::waveform::{self, Peaks};
use crate::domain::sha256_hex;

/// Finds out what `content` is and makes its previews, on a thread for blocking work.
///
/// Size, format, pixels, frames and length are checked before anything is decoded, as far as the file declares them.
///
/// # Errors
///
/// [`InspectError`]; all but [`Busy`](InspectError::Busy) and perhaps
/// [`TimedOut`](InspectError::TimedOut) would come again for the same content.
pub async fn inspect(content: Bytes, limits: &Limits) -> Result<Inspected, InspectError> {
    let (inspected, _) = inspect_with_still(content, limits).await?;
    Ok(inspected)
}

/// As [`inspect`], with the picture of which the previews were made, see [`still`](super::still); `None` where nothing
/// here decodes the content.
///
/// # Errors
///
/// As [`inspect`].
pub async fn inspect_with_still(
    content: Bytes,
    limits: &Limits,
) -> Result<(Inspected, Option<DynamicImage>), InspectError> {
    // Before a thread is waited for.
    let format = identify(&content, limits)?;
    let (declared, limits) = (content.clone(), *limits);
    let tables = Cost::of_size(Kind::Audio, content.len(), None).bytes;
    let cost = move |stop| Ok(Cost::of(&declared, format, &limits.bounds(stop))?);
    let cost = run_bounded(limits.max_duration, tables, cost).await?;
    // A file that has said less than it takes is refused.
    let affordable = Limits {
        max_pixels: limits.max_pixels.min(cost.max_pixels),
        ..limits
    };
    let work = move |stop| examine(&content, &affordable, stop);
    run_bounded(limits.max_duration, cost.bytes, work).await
}

/// As [`inspect_with_still`], on this thread, which it keeps busy: until it is done or stopped,
/// [`Limits::max_duration`] does not count.
///
/// # Errors
///
/// As [`inspect`], but never [`Busy`](InspectError::Busy).
pub fn examine(
    content: &[u8],
    limits: &Limits,
    stop: Stop,
) -> Result<(Inspected, Option<DynamicImage>), InspectError> {
    let format = identify(content, limits)?;
    let found = look(content, format, &limits.bounds(stop))?;
    Ok(describe(content, format, found))
}

fn identify(content: &[u8], limits: &Limits) -> Result<Format, InspectError> {
    let (size, max) = (content.len() as u64, limits.max_bytes);
    if size == 0 {
        return Err(InspectError::Empty);
    }
    if size > max {
        return Err(InspectError::TooLarge { size, max });
    }
    codec::sniff(content).ok_or(InspectError::UnknownFormat)
}

/// What a reader found in a file.
#[derive(Default)]
struct Found {
    size: Option<(u32, u32)>,
    duration: Option<Duration>,
    frame_rate: Option<f64>,
    video_codec: Option<String>,
    sound: Option<SoundFacts>,
    still: Option<DynamicImage>,
    undecoded: Option<String>,
    damaged: Option<String>,
}

impl Found {
    /// Takes the picture, or why there is none.
    fn with_still(mut self, still: Result<DynamicImage, CodecError>) -> Result<Self, CodecError> {
        match still {
            Ok(still) => self.still = Some(still),
            Err(CodecError::Unsupported(why)) => self.undecoded = Some(why),
            Err(error) => return Err(error),
        }
        Ok(self)
    }
}

fn look(content: &[u8], format: Format, bounds: &Bounds) -> Result<Found, CodecError> {
    match format.kind() {
        Kind::Image => look_at_picture(content, format, bounds),
        Kind::Video => look_at_video(content, format, bounds),
        Kind::Audio => listen(content, format, bounds),
    }
}

fn look_at_picture(content: &[u8], format: Format, bounds: &Bounds) -> Result<Found, CodecError> {
    let read = picture::decode_telling(content, format, bounds.max_pixels)?;
    Ok(Found {
        size: Some((read.picture.width(), read.picture.height())),
        still: Some(read.picture),
        damaged: read.damage,
        ..Found::default()
    })
}

fn look_at_video(content: &[u8], format: Format, bounds: &Bounds) -> Result<Found, CodecError> {
    let facts = video::facts(content, format, bounds)?;
    let still = poster(content, format, bounds, facts.duration);
    let found = Found {
        size: Some(facts.size),
        duration: Some(facts.duration),
        frame_rate: facts.frame_rate,
        video_codec: Some(facts.codec),
        sound: facts.sound,
        ..Found::default()
    };
    found.with_still(still)
}

/// Reads a sound once, for its length and its waveform.
fn listen(content: &[u8], format: Format, bounds: &Bounds) -> Result<Found, CodecError> {
    let mut peaks = Peaks::default();
    let heard = sound::decode(content, format, bounds, &mut |block| {
        peaks.add(block);
        Ok(())
    });
    let (track, still) = match heard {
        Ok(track) => (
            track,
            Ok(waveform::draw(&peaks.finish(), waveform::SIZE).into()),
        ),
        Err(CodecError::Unsupported(why)) => {
            let track = sound::measure(content, format, bounds)?;
            (track, Err(CodecError::Unsupported(why)))
        }
        Err(error) => return Err(error),
    };
    let found = Found {
        duration: Some(track.duration()),
        sound: Some(track.facts),
        ..Found::default()
    };
    found.with_still(still)
}

fn describe(content: &[u8], format: Format, found: Found) -> (Inspected, Option<DynamicImage>) {
    let (blurhash, tiny_preview) = match &found.still {
        Some(still) => {
            let small = preview::small_copy(still);
            (preview::blurhash(&small), preview::tiny_preview(&small))
        }
        None => preview::neutral(),
    };
    let inspected = Inspected {
        facts: Facts {
            format,
            file_size: content.len() as u64,
            sha256: sha256_hex(content),
            size: found.size,
            duration: found.duration,
            frame_rate: found.frame_rate,
            video_codec: found.video_codec,
            sound: found.sound,
        },
        blurhash,
        tiny_preview,
        undecoded: found.undecoded,
        damaged: found.damaged,
    };
    (inspected, found.still)
}

#[cfg(test)]
mod tests {
    use codec::samples::ffmpeg;
    use image::{Rgb, RgbImage};

    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 1 << 20,
        max_pixels: 1_000_000,
        max_frames: 1000,
        max_length: Duration::from_secs(60),
        max_duration: Duration::from_secs(60),
    };

    fn picture(format: Format) -> Vec<u8> {
        let pixels = RgbImage::from_fn(120, 80, |x, y| {
            Rgb([(x * 2) as u8, (y * 3) as u8, (x ^ y) as u8])
        });
        picture::encode(&pixels, format).unwrap().into()
    }

    /// A PNG whose header declares this size, with a correct checksum and next to no data.
    fn declaring(width: u32, height: u32) -> Vec<u8> {
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]); // 8 bits per channel, RGB, no interlacing
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        file.extend(&header);
        file.extend(crc32(&header).to_be_bytes());
        file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        file
    }

    /// The checksum of PNG chunks (PNG specification, annex D).
    fn crc32(bytes: &[u8]) -> u32 {
        let shift = |crc: u32| {
            if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            }
        };
        let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc));
        !bytes.iter().fold(u32::MAX, step)
    }

    async fn error_of(content: impl Into<Bytes>) -> InspectError {
        inspect(content.into(), &LIMITS).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_picture_of_each_format_is_described() {
        for format in Format::of(Kind::Image) {
            let content = picture(format);
            let Inspected {
                facts,
                blurhash,
                tiny_preview,
                undecoded,
                damaged,
            } = inspect(content.clone().into(), &LIMITS).await.unwrap();
            let (file_size, sha256) = (content.len() as u64, sha256_hex(&content));
            assert_eq!(
                facts,
                Facts {
                    format,
                    file_size,
                    sha256,
                    size: Some((120, 80)),
                    duration: None,
                    frame_rate: None,
                    video_codec: None,
                    sound: None,
                }
            );
            assert_eq!(blurhash.len(), 28);
            assert_eq!((undecoded, damaged), (None, None));
            assert!(tiny_preview.len() <= preview::TINY_PREVIEW_BYTES);
        }
    }

    #[tokio::test]
    async fn a_video_is_described_with_a_telling_frame() {
        // Black at first, then bars.
        let source = "-f lavfi -i color=black:size=96x64:rate=10:duration=1 \
            -f lavfi -i smptebars=size=96x64:rate=10:duration=2 -filter_complex concat";
        for (options, extension, format, codec) in [
            ("-c:v libx264 -g 100", "mp4", Format::Mp4, "h264"),
            ("", "gif", Format::Gif, "gif"),
        ] {
            let content = ffmpeg(&format!("{source} {options}"), extension);
            let (inspected, still) = inspect_with_still(content.into(), &LIMITS).await.unwrap();
            let facts = inspected.facts;
            assert_eq!((facts.format, facts.size), (format, Some((96, 64))));
            assert_eq!(facts.duration, Some(Duration::from_secs(3)));
            assert_eq!(facts.frame_rate, Some(10.0));
            assert_eq!(facts.video_codec.as_deref(), Some(codec));
            assert_eq!((facts.sound, inspected.undecoded), (None, None));
            let still = still.unwrap().to_rgb8();
            assert!(
                still.get_pixel(5, 5).0.iter().all(|value| *value > 100),
                "the bars"
            );
            let small = preview::small_copy(&still.into());
            assert_eq!(inspected.blurhash, preview::blurhash(&small));
        }
    }

    #[tokio::test]
    async fn a_sound_is_described_with_its_waveform() {
        let content = ffmpeg("-f lavfi -i sine=duration=1.5 -ac 2", "wav");
        let (inspected, still) = inspect_with_still(content.into(), &LIMITS).await.unwrap();
        let facts = inspected.facts;
        assert_eq!(
            (facts.size, facts.video_codec, facts.frame_rate),
            (None, None, None)
        );
        assert_eq!(facts.duration, Some(Duration::from_millis(1500)));
        let sound = SoundFacts {
            codec: "pcm_s16le".to_owned(),
            channels: 2,
            sample_rate: 44_100,
        };
        assert_eq!(facts.sound, Some(sound));
        assert_eq!(inspected.undecoded, None);
        let still = still.unwrap();
        assert_eq!((still.width(), still.height()), waveform::SIZE);
    }

    #[tokio::test]
    async fn what_nothing_decodes_gets_the_neutral_hash_and_says_why() {
        let bars = "-f lavfi -i smptebars=size=96x64:rate=10:duration=1";
        let tone = "-f lavfi -i sine=duration=1";
        for (source, extension, format, what, millis) in [
            (
                format!("{bars} -c:v libvpx"),
                "webm",
                Format::Webm,
                "vp8",
                1_000,
            ),
            // By its position, it ends before what the encoder has looked ahead at.
            (
                format!("{tone} -ar 16000 -c:a libspeex"),
                "ogg",
                Format::Ogg,
                "speex",
                991,
            ),
        ] {
            let content = ffmpeg(&source, extension);
            let (inspected, still) = inspect_with_still(content.into(), &LIMITS).await.unwrap();
            assert_eq!(inspected.facts.format, format);
            let duration = inspected.facts.duration.unwrap();
            assert!(duration.abs_diff(Duration::from_millis(millis)) < Duration::from_millis(2));
            assert_eq!(inspected.blurhash, preview::NEUTRAL_BLURHASH);
            assert!(inspected.undecoded.unwrap().contains(what));
            assert!(still.is_none());
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused_whatever_it_says_it_is() {
        assert_eq!(error_of("").await, InspectError::Empty);
        assert_eq!(
            error_of("<!doctype html><title>502</title>").await,
            InspectError::UnknownFormat
        );
        assert_eq!(
            error_of("<svg xmlns='http://www.w3.org/2000/svg'/>").await,
            InspectError::UnknownFormat
        );
        assert_eq!(error_of("image.png").await, InspectError::UnknownFormat);
    }

    #[tokio::test]
    async fn a_picture_that_breaks_off_is_damaged() {
        for format in Format::of(Kind::Image) {
            let content = picture(format);
            for kept in [12, content.len() / 4, content.len() / 2, content.len() - 20] {
                let error = error_of(content[..kept].to_vec()).await;
                assert!(
                    matches!(error, InspectError::Corrupt(_)),
                    "{format} of {kept} bytes: {error}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_header_that_declares_too_many_pixels_is_refused_before_decoding() {
        let error = error_of(declaring(60_000, 60_000)).await;
        assert_eq!(
            error,
            InspectError::BeyondBounds(CodecError::TooManyPixels {
                width: 60_000,
                height: 60_000,
                max: 1_000_000
            })
        );
        let error = error_of(declaring(1000, 1001)).await;
        assert!(
            matches!(
                error,
                InspectError::BeyondBounds(CodecError::TooManyPixels { .. })
            ),
            "{error}"
        );
        let error = error_of(declaring(1000, 1000)).await;
        assert!(
            matches!(error, InspectError::Corrupt(_)),
            "as many as allowed, but no data: {error}"
        );
    }

    #[tokio::test]
    async fn a_file_of_too_many_bytes_is_refused() {
        let limits = Limits {
            max_bytes: 10,
            ..LIMITS
        };
        let error = inspect(Bytes::from_static(&[0; 11]), &limits)
            .await
            .unwrap_err();
        assert_eq!(error, InspectError::TooLarge { size: 11, max: 10 });
    }

    #[tokio::test]
    async fn a_photo_taken_upright_is_described_as_it_is_shown() {
        // An APP1 segment with one Exif tag: orientation (0x0112) 6, "rotate by 90 degrees".
        let header = *b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01";
        let tag = *b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut content = picture(Format::Jpg);
        content.splice(2..2, header.into_iter().chain(tag));
        let facts = inspect(content.into(), &LIMITS).await.unwrap().facts;
        assert_eq!(facts.size, Some((80, 120)));
    }
}
