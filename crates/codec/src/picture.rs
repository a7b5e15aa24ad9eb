//! Still pictures.

mod encode;
mod jpeg;
mod shrink;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Format;
use crate::provenance::{png, riff};

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

/// A picture that has been read.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The pixels, as shown.
    pub picture: DynamicImage,
    /// How the file is damaged that the picture was read of as far as it goes. The text is for developers.
    pub damage: Option<String>,
}

/// Decodes a picture and turns it the way its Exif orientation says. Of an animation the first picture counts.
///
/// # Errors
///
/// [`CodecError::TooManyPixels`] before anything is decoded; [`CodecError::Corrupt`], also for a file that goes on after
/// the picture's end; [`CodecError::Unsupported`] for what is no picture.
pub fn decode(content: &[u8], format: Format, max_pixels: u64) -> Result<DynamicImage, CodecError> {
    let content = readable(content, format);
    let (picture, orientation) = as_stored(opened(&content, format, max_pixels)?)?;
    Ok(turned(picture, orientation))
}

/// As [`decode`], and tells whether the file is damaged. That is known of JPEGs, which are shown as far as they go; other
/// formats are refused when they are damaged.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_telling(
    content: &[u8],
    format: Format,
    max_pixels: u64,
) -> Result<Decoded, CodecError> {
    let content = readable(content, format);
    let decoder = opened(&content, format, max_pixels)?;
    // Before the picture is there, so that there are never two at once.
    let longer = (format == Format::Jpg).then(|| jpeg::Longer::read(&content));
    let (picture, orientation) = as_stored(decoder)?;
    let damage = longer.and_then(|longer| longer.damage(&picture));
    let picture = turned(picture, orientation);
    Ok(Decoded { picture, damage })
}

/// What of a file is known before anything is decoded.
fn opened(
    content: &[u8],
    format: Format,
    max_pixels: u64,
) -> Result<impl ImageDecoder, CodecError> {
    let decoder = decoder(content, format, max_pixels)?;
    ending::check(content, format)?;
    Ok(decoder)
}

fn as_stored(mut decoder: impl ImageDecoder) -> Result<(DynamicImage, Orientation), CodecError> {
    let orientation = orientation(&mut decoder)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    Ok((picture, orientation))
}

fn turned(mut picture: DynamicImage, orientation: Orientation) -> DynamicImage {
    picture.apply_orientation(orientation);
    picture
}

/// Which way is up. In WebP and PNG, some writers put before Exif what stands before it in a JPEG.
fn orientation(decoder: &mut impl ImageDecoder) -> Result<Orientation, CodecError> {
    let exif = decoder.exif_metadata().map_err(corrupt)?;
    let orientation = exif.and_then(|exif| {
        Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif))
    });
    Ok(orientation.unwrap_or(Orientation::NoTransforms))
}

/// The file without what its decoder stumbles over and others pass by.
fn readable(content: &[u8], format: Format) -> Cow<'_, [u8]> {
    match format {
        Format::Jpg => jpeg::readable(content),
        _ => Cow::Borrowed(content),
    }
}

/// Whether the file says that it is an animation.
pub fn is_animated(content: &[u8], format: Format) -> bool {
    /// Of the extended header of WebP (RFC 9649, section 2.7).
    const HAS_ANIMATION: u8 = 0x02;
    match format {
        Format::Webp => riff::file(content, riff::Form::Webp)
            .and_then(|file| riff::chunks(file).next())
            .filter(|first| first.kind == *b"VP8X")
            .and_then(|first| first.data.first())
            .is_some_and(|flags| flags & HAS_ANIMATION != 0),
        Format::Png => png::chunks(content).any(|chunk| chunk.kind == *b"acTL"),
        _ => false,
    }
}

/// Width and height of a picture as it is stored, without decoding it.
///
/// # Errors
///
/// As [`decode`].
pub fn size(content: &[u8], format: Format, max_pixels: u64) -> Result<(u32, u32), CodecError> {
    Ok(decoder(&readable(content, format), format, max_pixels)?.dimensions())
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
    let content = readable(content, format);
    let reader = ImageReader::with_format(Cursor::new(&*content), image_format(format)?);
    let profile = reader.into_decoder().ok()?.icc_profile().ok()??;
    (profile.get(COLOUR_SPACE) == Some(b"RGB ".as_slice())).then_some(profile)
}

fn corrupt(error: ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}
