//! Still pictures.

mod encode;
mod shrink;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Format;

use super::{CodecError, ending};

pub use encode::{Encoding, encode, encode_any};
pub use shrink::{on_white, opaque, scaled, shrink};

/// Bytes of memory that decoding may take for each pixel allowed: 16-bit RGBA twice over.
pub const MEMORY_PER_PIXEL: u64 = 16;

/// `None` for what is no picture.
fn image_format(format: Format) -> Option<ImageFormat> {
    match format {
        Format::Png => Some(ImageFormat::Png),
        Format::Jpg => Some(ImageFormat::Jpeg),
        Format::Webp => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Decodes a picture and turns it the way its Exif orientation says. Of an animation the first picture counts.
///
/// # Errors
///
/// [`CodecError::TooManyPixels`] before anything is decoded; [`CodecError::Corrupt`], also for a file that goes on after
/// the picture's end; [`CodecError::Unsupported`] for what is no picture.
pub fn decode(content: &[u8], format: Format, max_pixels: u64) -> Result<DynamicImage, CodecError> {
    let mut decoder = decoder(content, format, max_pixels)?;
    ending::check(content, format)?;
    let orientation = decoder.orientation().map_err(corrupt)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Width and height of a picture as it is stored, without decoding it.
///
/// # Errors
///
/// As [`decode`].
pub fn size(content: &[u8], format: Format, max_pixels: u64) -> Result<(u32, u32), CodecError> {
    Ok(decoder(content, format, max_pixels)?.dimensions())
}

fn decoder(
    content: &[u8],
    format: Format,
    max_pixels: u64,
) -> Result<impl ImageDecoder, CodecError> {
    let known = image_format(format)
        .ok_or_else(|| CodecError::Unsupported(format!("{format} is no picture")))?;
    let mut reader = ImageReader::with_format(Cursor::new(content), known);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(MEMORY_PER_PIXEL));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(CodecError::TooManyPixels {
            width,
            height,
            max: max_pixels,
        });
    }
    Ok(decoder)
}

/// The ICC profile of a picture, unless it is one for other values than the RGB that [`decode`] gives.
pub fn profile(content: &[u8], format: Format) -> Option<Vec<u8>> {
    /// Where a profile names the colour space of the pixels (ICC.1:2022, section 7.2).
    const COLOUR_SPACE: std::ops::Range<usize> = 16..20;
    let reader = ImageReader::with_format(Cursor::new(content), image_format(format)?);
    let profile = reader.into_decoder().ok()?.icc_profile().ok()??;
    (profile.get(COLOUR_SPACE) == Some(b"RGB ".as_slice())).then_some(profile)
}

fn corrupt(error: ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}
