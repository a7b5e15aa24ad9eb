//! The mask of a request as protocols take it. What is transparent in it is made anew; where nothing is, what is white.

use bytes::Bytes;
use codec::{
    CodecError, Format,
    picture::{Encoding, MEMORY_PER_PIXEL, decode, encode_any, size},
};
use image::{DynamicImage, GrayImage, Luma, Rgba, RgbaImage};
use tokio::task::spawn_blocking;

use super::{Picture, ProviderError};
use crate::memory;

/// As many as the largest output has.
const MAX_PIXELS: u64 = 7_680 * 7_680;
/// Bytes for each pixel of what is drawn of it.
const OF_DRAWING: u64 = 10;

/// White is made anew, and black stays.
pub(super) async fn in_white(mask: &Picture) -> Result<Bytes, ProviderError> {
    drawn(mask, DynamicImage::ImageLuma8).await
}

/// What is transparent is made anew.
pub(super) async fn in_transparency(mask: &Picture) -> Result<Bytes, ProviderError> {
    drawn(mask, |anew| {
        let (width, height) = anew.dimensions();
        let pixel = |x, y| Rgba([0, 0, 0, 255 - anew.get_pixel(x, y).0[0]]);
        DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, pixel))
    })
    .await
}

async fn drawn(
    mask: &Picture,
    draw: impl FnOnce(GrayImage) -> DynamicImage + Send + 'static,
) -> Result<Bytes, ProviderError> {
    let Picture {
        field,
        content,
        format,
    } = mask.clone();
    let refused = |error: CodecError| ProviderError::InvalidInput(format!("{field}: {error}."));
    let (width, height) = size(&content, format, MAX_PIXELS).map_err(refused)?;
    let pixels = u64::from(width) * u64::from(height);
    let taken = memory::take(pixels * (MEMORY_PER_PIXEL + OF_DRAWING)).await;
    let drawn = spawn_blocking(move || {
        let _taken = taken;
        let mask = decode(&content, format, MAX_PIXELS)?;
        encode_any(&draw(anew(&mask)), Encoding::of(Format::Png))
    });
    let drawn = drawn
        .await
        .map_err(|error| ProviderError::Failed(error.to_string()))?;
    drawn.map_err(refused)
}

/// How much of each pixel is made anew.
fn anew(mask: &DynamicImage) -> GrayImage {
    let colours = mask.to_rgba8();
    match colours.pixels().any(|pixel| pixel.0[3] < 255) {
        true => {
            let (width, height) = colours.dimensions();
            GrayImage::from_fn(width, height, |x, y| {
                Luma([255 - colours.get_pixel(x, y).0[3]])
            })
        }
        false => mask.to_luma8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mask_is_read_by_its_transparency_or_by_its_white() {
        let white = GrayImage::from_fn(2, 1, |x, _| Luma([255 * x as u8]));
        let clear = RgbaImage::from_fn(2, 1, |x, _| Rgba([9, 9, 9, 255 - 255 * x as u8]));
        for given in [
            DynamicImage::ImageLuma8(white.clone()),
            DynamicImage::ImageRgba8(clear),
        ] {
            let mask = Picture {
                field: "input.mask_url".to_owned(),
                content: encode_any(&given, Encoding::of(Format::Png)).unwrap(),
                format: Format::Png,
            };
            let read = |bytes: Bytes| decode(&bytes, Format::Png, 2).unwrap();
            assert_eq!(read(in_white(&mask).await.unwrap()).to_luma8(), white);
            let clear = read(in_transparency(&mask).await.unwrap()).to_rgba8();
            assert_eq!((clear[(0, 0)].0[3], clear[(1, 0)].0[3]), (255, 0));
        }
    }
}
