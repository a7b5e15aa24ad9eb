//! What some bytes really are: facts from the content, never from names or declared types.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::digest::sha256_hex;
use super::preview;
use crate::codec::{CodecError, picture};
use crate::domain::Format;

/// Decoding keeps a core busy, so more threads than cores gain nothing. A decode that has been
/// given up holds its permit until it ends: however many get stuck, the other threads of the
/// blocking pool stay free.
pub(super) static DECODERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores))
});

/// What decoding may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file in bytes.
    pub max_bytes: u64,
    /// Width times height of a picture.
    pub max_pixels: u64,
    /// Time to decode a file and make its previews, and before that to wait for a thread to do so.
    pub max_duration: Duration,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The format that the content has.
    pub format: Format,
    /// Size in bytes.
    pub file_size: u64,
    /// SHA-256 of the content as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Pixels of a picture or a video, width first, as shown: with the orientation applied. `None` for sound.
    pub size: Option<(u32, u32)>,
    /// Exact length of a video or sound.
    pub duration: Option<Duration>,
    /// Frames per second of a video, on average.
    pub frame_rate: Option<f64>,
    /// How the pictures of a video are encoded, such as "h264".
    pub video_codec: Option<String>,
    /// The sound, if there is any.
    pub sound: Option<SoundFacts>,
}

/// What the sound of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFacts {
    /// How it is encoded, such as "pcm_s16le" or "opus".
    pub codec: String,
    pub channels: u16,
    /// Samples per second and channel.
    pub sample_rate: u32,
}

/// A file's facts, and what to show until it has loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// What the file is.
    pub facts: Facts,
    /// BlurHash of 4 x 3 components, never empty.
    pub blurhash: String,
    /// A `data:` URL of at most [`preview::TINY_PREVIEW_BYTES`] bytes.
    pub tiny_preview: String,
    /// Why the BlurHash is the neutral one: nothing here decodes the content. `None` when it shows the content.
    pub undecoded: Option<String>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// There are no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// More bytes than [`Limits::max_bytes`].
    #[error("the file has {size} bytes, more than the {max} allowed")]
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The content is of no [`Format`].
    #[error("the file is of no supported format")]
    UnknownFormat,
    /// More pixels than [`Limits::max_pixels`].
    #[error("the picture is {width} x {height} pixels, more than the {max} allowed")]
    TooManyPixels {
        /// Declared width in pixels.
        width: u32,
        /// Declared height in pixels.
        height: u32,
        /// The limit on their product.
        max: u64,
    },
    /// Decoding took longer than [`Limits::max_duration`].
    #[error("the file took too long to decode")]
    TimedOut,
    /// No thread was free to decode within [`Limits::max_duration`]; the file may be fine, so try
    /// again later.
    #[error("too many files are being decoded")]
    Busy,
    /// The content is not what its first bytes promise. The text is for operators.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
}

impl From<CodecError> for InspectError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TooManyPixels { width, height, max } => {
                Self::TooManyPixels { width, height, max }
            }
            CodecError::Corrupt(what) | CodecError::Unsupported(what) => Self::Corrupt(what),
            CodecError::Stopped => Self::TimedOut,
        }
    }
}

/// Finds out what `content` is and makes its previews, on a thread for blocking work.
///
/// Size, format and pixel count are checked before anything is decoded.
///
/// # Errors
///
/// [`InspectError`]; all but [`Busy`](InspectError::Busy) and perhaps
/// [`TimedOut`](InspectError::TimedOut) would come again for the same content.
pub async fn inspect(content: Bytes, limits: &Limits) -> Result<Inspected, InspectError> {
    let format = identify(&content, limits)?;
    let max_pixels = limits.max_pixels;
    let work = move || inspect_picture(&content, format, max_pixels);
    run_bounded(Arc::clone(&DECODERS), limits.max_duration, work).await
}

fn identify(content: &[u8], limits: &Limits) -> Result<Format, InspectError> {
    let (size, max) = (content.len() as u64, limits.max_bytes);
    if size == 0 {
        return Err(InspectError::Empty);
    }
    if size > max {
        return Err(InspectError::TooLarge { size, max });
    }
    sniff(content).ok_or(InspectError::UnknownFormat)
}

/// The format whose signature stands at the start of `content`.
fn sniff(content: &[u8]) -> Option<Format> {
    picture::sniff(content)
}

/// Runs `work` on a blocking thread once a permit is free. Its thread cannot be stopped, so when
/// time is up it runs on alone and keeps its permit.
pub(super) async fn run_bounded<T: Send + 'static>(
    permits: Arc<Semaphore>,
    limit: Duration,
    work: impl FnOnce() -> Result<T, InspectError> + Send + 'static,
) -> Result<T, InspectError> {
    let permit = timeout(limit, permits.acquire_owned())
        .await
        .map_err(|_| InspectError::Busy)?;
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    match timeout(limit, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(InspectError::Corrupt(format!(
            "the decoder failed: {panic}"
        ))),
        Err(_) => Err(InspectError::TimedOut),
    }
}

fn inspect_picture(
    content: &[u8],
    format: Format,
    max_pixels: u64,
) -> Result<Inspected, InspectError> {
    let picture = picture::decode(content, format, max_pixels)?;
    let small = preview::small_copy(&picture);
    let facts = Facts {
        format,
        file_size: content.len() as u64,
        sha256: sha256_hex(content),
        size: Some((picture.width(), picture.height())),
        duration: None,
        frame_rate: None,
        video_codec: None,
        sound: None,
    };
    Ok(Inspected {
        facts,
        blurhash: preview::blurhash(&small),
        tiny_preview: preview::tiny_preview(&small),
        undecoded: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use image::{Rgb, RgbImage};

    use crate::entity::MediaType;

    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 1 << 20,
        max_pixels: 1_000_000,
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
        for format in Format::of(MediaType::Image) {
            let content = picture(format);
            let Inspected {
                facts,
                blurhash,
                tiny_preview,
                undecoded,
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
            assert_eq!(undecoded, None);
            assert!(tiny_preview.len() <= preview::TINY_PREVIEW_BYTES);
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
        assert_eq!(
            error_of("GIF89a\x01\0\x01\0\0\0\0").await,
            InspectError::UnknownFormat
        );
        assert_eq!(error_of("image.png").await, InspectError::UnknownFormat);
    }

    #[tokio::test]
    async fn a_picture_that_breaks_off_is_damaged() {
        for format in Format::of(MediaType::Image) {
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
            InspectError::TooManyPixels {
                width: 60_000,
                height: 60_000,
                max: 1_000_000
            }
        );
        let error = error_of(declaring(1000, 1001)).await;
        assert!(
            matches!(error, InspectError::TooManyPixels { .. }),
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

    #[tokio::test]
    async fn work_that_gets_stuck_is_given_up_and_keeps_its_permit_until_it_ends() {
        let permits = Arc::new(Semaphore::new(1));
        let (unblock, blocked) = mpsc::channel::<()>();
        let stuck = move || blocked.recv().map_err(|_| InspectError::Empty);
        let limit = Duration::from_millis(1);
        assert_eq!(
            run_bounded(Arc::clone(&permits), limit, stuck).await,
            Err(InspectError::TimedOut)
        );
        assert_eq!(
            run_bounded(Arc::clone(&permits), limit, || Ok(())).await,
            Err(InspectError::Busy)
        );
        drop(unblock);
        assert_eq!(
            run_bounded(permits, LIMITS.max_duration, || Ok(())).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn a_decoder_that_panics_condemns_only_its_file() {
        let permits = Arc::new(Semaphore::new(1));
        let panics = || -> Result<(), _> { panic!("a decoder's mistake") };
        let error = run_bounded(Arc::clone(&permits), LIMITS.max_duration, panics)
            .await
            .unwrap_err();
        assert!(matches!(error, InspectError::Corrupt(_)), "{error}");
        assert_eq!(
            run_bounded(permits, LIMITS.max_duration, || Ok(())).await,
            Ok(())
        );
    }
}
