//! Files that are made of an output: other formats, thumbnails, posters, previews.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use image::DynamicImage;
use tokio::sync::OnceCell;

use super::probe::{DECODERS, run_bounded};
use super::{InspectError, Limits};
use crate::codec::CodecError;
use crate::codec::picture::{self, Encoding};
use crate::domain::Format;
use crate::entity::MediaType;

/// Good enough for a picture that is only looked at while it is small.
const THUMBNAIL_QUALITY: u8 = 80;

/// A file that can be made of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// The whole of it in another format.
    Format(Format),
    /// Its picture as a JPEG, with at most so many pixels on the longest side.
    Thumbnail(u32),
    /// The picture that stands for it, in full size.
    Poster,
    /// The beginning of a video as a small GIF.
    Preview,
}

/// Why a file is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Nothing here reads the original, or writes what is wanted. The text is for operators.
    #[error("it cannot be made of this original: {0}")]
    Unsupported(String),
    /// The original breaks off or contradicts itself. The text is for operators.
    #[error("the original cannot be read: {0}")]
    Corrupt(String),
    /// The original, or what is made of it, is beyond the [`Limits`].
    #[error("it would be too large")]
    TooLarge,
    /// It took longer than allowed.
    #[error("it took too long")]
    TimedOut,
    /// No thread was free in time, so try again later.
    #[error("too many files are being decoded")]
    Busy,
}

impl From<CodecError> for DeriveError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TooManyPixels { .. } => Self::TooLarge,
            CodecError::Corrupt(what) => Self::Corrupt(what),
            CodecError::Unsupported(what) => Self::Unsupported(what),
            CodecError::Stopped => Self::TimedOut,
        }
    }
}

impl From<InspectError> for DeriveError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Busy => Self::Busy,
            InspectError::TimedOut => Self::TimedOut,
            InspectError::TooLarge { .. } | InspectError::TooManyPixels { .. } => Self::TooLarge,
            InspectError::Empty | InspectError::UnknownFormat | InspectError::Corrupt(_) => {
                Self::Corrupt(error.to_string())
            }
        }
    }
}

/// An output that other files are made of. Its picture is decoded once for all of them, and kept as long as this lives.
pub struct Original {
    content: Bytes,
    format: Format,
    limits: Limits,
    still: OnceCell<Result<Arc<DynamicImage>, DeriveError>>,
}

impl Original {
    /// An output whose content is known to be of `format`. The limits hold for each file that is made of it.
    pub fn new(content: Bytes, format: Format, limits: Limits) -> Self {
        Self {
            content,
            format,
            limits,
            still: OnceCell::new(),
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Makes a file, on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// [`DeriveError`]; all but [`Busy`](DeriveError::Busy) and perhaps [`TimedOut`](DeriveError::TimedOut) would come again
    /// for the same original.
    pub async fn derive(&self, derivation: Derivation) -> Result<Bytes, DeriveError> {
        let (content, from) = (self.content.clone(), self.format);
        match (derivation, from.media_type()) {
            (Derivation::Format(to), MediaType::Image) => {
                self.draw(Encoding::of(to), |still| Cow::Borrowed(still))
                    .await
            }
            (Derivation::Thumbnail(side), _) => {
                let encoding = Encoding {
                    quality: THUMBNAIL_QUALITY,
                    ..Encoding::of(Format::Jpg)
                };
                self.draw(encoding, move |still| {
                    Cow::Owned(picture::shrink(still, side).into())
                })
                .await
            }
            _ => Err(DeriveError::Unsupported(format!("{content:?}"))),
        }
    }

    /// Writes what `choose` makes of the still.
    async fn draw(
        &self,
        encoding: Encoding,
        choose: impl FnOnce(&DynamicImage) -> Cow<'_, DynamicImage> + Send + 'static,
    ) -> Result<Bytes, DeriveError> {
        let still = self.still().await?;
        let (content, format) = (self.content.clone(), self.format);
        self.run(move || {
            let profile = picture::profile(&content, format);
            Ok(picture::encode_any(
                &choose(&still),
                Encoding {
                    profile,
                    ..encoding
                },
            )?)
        })
        .await
    }

    async fn still(&self) -> Result<Arc<DynamicImage>, DeriveError> {
        let decoded = self.still.get_or_init(|| {
            let (content, format, max_pixels) =
                (self.content.clone(), self.format, self.limits.max_pixels);
            self.run(move || Ok(Arc::new(picture::decode(&content, format, max_pixels)?)))
        });
        decoded.await.clone()
    }

    /// Runs quick work.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DeriveError> + Send + 'static,
    ) -> Result<T, DeriveError> {
        run_bounded(Arc::clone(&DECODERS), self.limits.max_duration, || {
            Ok(work())
        })
        .await?
    }
}
