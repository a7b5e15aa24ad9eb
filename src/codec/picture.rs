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

use super::CodecError;

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

/// Decodes a picture and turns it the way its Exif orientation says.
pub fn decode(content: &[u8], format: Format, max_pixels: u64) -> Result<DynamicImage, CodecError> {
    if format == Format::Jpg && !jpeg_is_whole(content) {
        return Err(CodecError::Corrupt(
            "the end of the picture is missing".to_owned(),
        ));
    }
    let known = image_format(format)
        .ok_or_else(|| CodecError::Unsupported(format!("{format} is no picture")))?;
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

/// Whether an end marker follows the last scan; the decoder would fill what is missing with grey.
/// Compressed data cannot hold the marker, since each 0xFF in it is followed by a zero or a restart
/// marker (ITU-T T.81, section B.1.1.5).
fn jpeg_is_whole(content: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let last_scan = content
        .windows(2)
        .rposition(|marker| marker == START_OF_SCAN);
    last_scan.is_some_and(|start| {
        content[start..]
            .windows(2)
            .any(|marker| marker == END_OF_IMAGE)
    })
}

fn corrupt(error: ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}
