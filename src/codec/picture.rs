//! Still pictures.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::domain::Format;

use super::{CodecError, ending};

/// Bytes of memory that decoding may take for each pixel allowed: 16-bit RGBA twice over.
pub(super) const MEMORY_PER_PIXEL: u64 = 16;
/// High enough that flat areas and letters stay clean.
const JPEG_QUALITY: u8 = 92;

/// The picture as a file. WebP is lossless.
pub fn encode(picture: &RgbImage, format: Format) -> Result<Bytes, CodecError> {
    let mut file = Cursor::new(Vec::new());
    let (width, height) = picture.dimensions();
    let rgb = ExtendedColorType::Rgb8;
    match format {
        Format::Png => {
            PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive)
                .write_image(picture, width, height, rgb)
        }
        Format::Jpg => JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY)
            .write_image(picture, width, height, rgb),
        Format::Webp => {
            WebPEncoder::new_lossless(&mut file).write_image(picture, width, height, rgb)
        }
        other => return Err(CodecError::Unsupported(format!("{other} is no picture"))),
    }
    .map_err(|error| CodecError::Unsupported(error.to_string()))?;
    Ok(file.into_inner().into())
}

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
    let known = image_format(format)
        .ok_or_else(|| CodecError::Unsupported(format!("{format} is no picture")))?;
    ending::check(content, format)?;
    let mut reader = ImageReader::with_format(Cursor::new(content), known);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(MEMORY_PER_PIXEL));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(CodecError::TooManyPixels {
            width,
            height,
            max: max_pixels,
        });
    }
    let orientation = decoder.orientation().map_err(corrupt)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// The picture on a white ground.
pub fn on_white(picture: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *picture.get_pixel(x, y);
        let (alpha, white) = (u32::from(alpha), u32::from(u8::MAX));
        let blend = |channel: u32| (channel * alpha + white * (white - alpha) + white / 2) / white;
        Rgb([r, g, b].map(|channel| blend(u32::from(channel)) as u8))
    })
}

fn corrupt(error: ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}
