//! The picture of the user's own that is in what is drawn: the first that the request brings.

use std::sync::Arc;

use codec::{
    CodecError,
    picture::{MEMORY_PER_PIXEL, decode, size},
};
use image::{RgbaImage, imageops::thumbnail};
use tokio::{sync::OwnedSemaphorePermit, task::spawn_blocking};

use crate::{
    memory,
    provider::{Picture, ProviderError, Task},
};

/// As many as the largest output has.
const MAX_PIXELS: u64 = 7_680 * 7_680;
/// Bytes for each pixel of the picture as it is drawn from.
const OF_DRAWING: u64 = 8;
/// No canvas has a longer side.
const MOST_SIDE: u32 = 4_096;

/// What is shown, if anything is.
#[derive(Default)]
pub(super) struct Shown {
    picture: Option<Arc<RgbaImage>>,
    /// Until the work has ended.
    _taken: Option<OwnedSemaphorePermit>,
}

impl Shown {
    /// Reads the first picture of a task.
    pub(super) async fn of(task: &Task) -> Result<Self, ProviderError> {
        let Some(picture) = task.pictures_to_work_from().next().cloned() else {
            return Ok(Self::default());
        };
        let Picture {
            field,
            content,
            format,
        } = picture;
        let refused = |error: CodecError| ProviderError::InvalidInput(format!("{field}: {error}."));
        let (width, height) = size(&content, format, MAX_PIXELS).map_err(refused)?;
        let pixels = u64::from(width) * u64::from(height);
        let taken = memory::take(pixels * (MEMORY_PER_PIXEL + OF_DRAWING)).await;
        let read = spawn_blocking(move || {
            let picture = decode(&content, format, MAX_PIXELS)?.into_rgba8();
            Ok(small_enough(picture))
        });
        let read = read
            .await
            .map_err(|error| ProviderError::Failed(error.to_string()))?;
        Ok(Self {
            picture: Some(Arc::new(read.map_err(refused)?)),
            _taken: Some(taken),
        })
    }

    pub(super) fn picture(&self) -> Option<Arc<RgbaImage>> {
        self.picture.clone()
    }
}

fn small_enough(picture: RgbaImage) -> RgbaImage {
    let longest = picture.width().max(picture.height());
    if longest <= MOST_SIDE {
        return picture;
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(MOST_SIDE) / u64::from(longest);
        u32::try_from(side.max(1)).unwrap_or(MOST_SIDE)
    };
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    thumbnail(&picture, width, height)
}
