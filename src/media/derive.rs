//! Files that are made of an output: other formats, thumbnails, posters, previews.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use codec::picture::{self, Encoding};
use codec::{Bounds, CodecError, Format, Kind};
use image::DynamicImage;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::bounded::run_bounded;
use super::cost::Cost;
use super::{Facts, InspectError, Inspected, Limits, convert};

/// Good enough for a picture that is only looked at while it is small.
const THUMBNAIL_QUALITY: u8 = 80;

/// Converting a video takes minutes, so one core is left to those who only look at a file, where there are several.
static CONVERTERS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.saturating_sub(1).max(1))
});

/// Has conversions wait for as long as what is returned lives.
#[cfg(test)]
pub(crate) async fn hold_conversions() -> tokio::sync::SemaphorePermit<'static> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = u32::try_from(cores.saturating_sub(1).max(1)).unwrap();
    CONVERTERS.acquire_many(all).await.unwrap()
}

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
    /// The original moves, and what is wanted does not.
    #[error("it would lose its animation")]
    Still,
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
            CodecError::TooManyPixels { .. }
            | CodecError::TooManyFrames { .. }
            | CodecError::TooLong { .. } => Self::TooLarge,
            CodecError::Corrupt(what) => Self::Corrupt(what),
            CodecError::Unsupported(what) => Self::Unsupported(what),
            CodecError::Refused(why) => Self::Unsupported(why.to_owned()),
            CodecError::Stopped => Self::TimedOut,
        }
    }
}

impl From<InspectError> for DeriveError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Busy => Self::Busy,
            InspectError::TimedOut => Self::TimedOut,
            InspectError::TooLarge { .. } | InspectError::BeyondBounds(_) => Self::TooLarge,
            InspectError::Empty
            | InspectError::UnknownFormat
            | InspectError::Corrupt(_)
            | InspectError::Refused(_) => Self::Corrupt(error.to_string()),
        }
    }
}

/// An output that other files are made of. It holds the picture that stands for it, decoded.
pub struct Original {
    content: Bytes,
    facts: Facts,
    still: Result<Arc<DynamicImage>, DeriveError>,
    limits: Limits,
    conversion_time: Duration,
}

impl Original {
    /// An output and what [`inspect_with_still`](super::inspect_with_still) found out about it. The limits hold for each file
    /// that is made of it; of the conversion of a video or sound, `conversion_time` takes the place of
    /// [`Limits::max_duration`].
    pub fn new(
        content: Bytes,
        inspected: &Inspected,
        still: Option<DynamicImage>,
        limits: Limits,
        conversion_time: Duration,
    ) -> Self {
        let undecoded = || inspected.undecoded.clone().unwrap_or_default();
        Self {
            content,
            facts: inspected.facts.clone(),
            still: still
                .map(Arc::new)
                .ok_or_else(|| DeriveError::Unsupported(undecoded())),
            limits,
            conversion_time,
        }
    }

    /// What the original is.
    pub fn format(&self) -> Format {
        self.facts.format
    }

    /// Makes a file within `time`, on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// [`DeriveError`]; all but [`Busy`](DeriveError::Busy) and perhaps [`TimedOut`](DeriveError::TimedOut) would come again
    /// for the same original.
    pub async fn derive(
        &self,
        derivation: Derivation,
        time: Duration,
    ) -> Result<Bytes, DeriveError> {
        let made = timeout(time, self.make(derivation)).await;
        made.unwrap_or(Err(DeriveError::TimedOut))
    }

    async fn make(&self, derivation: Derivation) -> Result<Bytes, DeriveError> {
        let max_bytes = self.limits.max_bytes;
        match (derivation, self.format().kind()) {
            (Derivation::Format(_), Kind::Image)
                if picture::is_animated(&self.content, self.format()) =>
            {
                Err(DeriveError::Still)
            }
            (Derivation::Format(to), Kind::Image) => {
                self.draw(Encoding::of(to), |still| Cow::Borrowed(still))
                    .await
            }
            (Derivation::Format(to), Kind::Video) => {
                self.convert(move |content, facts, bounds| {
                    convert::video(content, facts, to, max_bytes, bounds)
                })
                .await
            }
            (Derivation::Format(to), Kind::Audio) => {
                self.convert(move |content, facts, bounds| {
                    convert::sound(content, facts, to, max_bytes, bounds)
                })
                .await
            }
            (Derivation::Thumbnail(side), _) => {
                let encoding = Encoding {
                    quality: THUMBNAIL_QUALITY,
                    ..Encoding::of(Format::Jpg)
                };
                self.draw(encoding, move |still| {
                    Cow::Owned(picture::shrink(picture::opaque(still), side).into())
                })
                .await
            }
            // Bars on one colour: as a PNG they are small and clean.
            (Derivation::Poster, Kind::Audio) => {
                self.draw(Encoding::of(Format::Png), |still| Cow::Borrowed(still))
                    .await
            }
            (Derivation::Poster, _) => {
                self.draw(Encoding::of(Format::Jpg), |still| Cow::Borrowed(still))
                    .await
            }
            (Derivation::Preview, Kind::Video) => {
                self.convert(move |content, facts, bounds| {
                    convert::preview(content, facts, max_bytes, bounds)
                })
                .await
            }
            (Derivation::Preview, _) => Err(DeriveError::Unsupported(
                "only videos have a preview".to_owned(),
            )),
        }
    }

    /// Writes what `choose` makes of the still.
    async fn draw(
        &self,
        encoding: Encoding,
        choose: impl FnOnce(&DynamicImage) -> Cow<'_, DynamicImage> + Send + 'static,
    ) -> Result<Bytes, DeriveError> {
        let still = self.still.clone()?;
        let (content, format) = (self.content.clone(), self.format());
        let work = move || {
            let profile = picture::profile(&content, format);
            Ok(picture::encode_any(
                &choose(&still),
                Encoding {
                    profile,
                    ..encoding
                },
            )?)
        };
        let bytes = self.cost(Kind::Image);
        run_bounded(self.limits.max_duration, bytes, move |_| Ok(work())).await?
    }

    /// What making something of it takes of memory, as of a picture or of all of it.
    fn cost(&self, kind: Kind) -> u64 {
        Cost::of_size(kind, self.content.len(), self.facts.size).bytes
    }

    /// Converts the whole content.
    async fn convert(
        &self,
        work: impl FnOnce(&[u8], &Facts, &Bounds) -> Result<Bytes, DeriveError> + Send + 'static,
    ) -> Result<Bytes, DeriveError> {
        let turn = CONVERTERS.acquire().await.map_err(|_| DeriveError::Busy)?;
        let (content, facts, limits) = (self.content.clone(), self.facts.clone(), self.limits);
        let bytes = self.cost(self.format().kind());
        run_bounded(self.conversion_time, bytes, move |stop| {
            // Until the work has ended, also when nobody waits for it any more.
            let _turn = turn;
            Ok(work(&content, &facts, &limits.bounds(stop)))
        })
        .await?
    }
}

#[cfg(test)]
mod tests;
