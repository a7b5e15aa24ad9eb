use std::io::Cursor;

use bytes::Bytes;
use image::{
    ExtendedColorType, ImageEncoder, ImageError, RgbImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::domain::Format;

/// High enough that flat areas and letters stay clean.
const JPEG_QUALITY: u8 = 92;

/// The picture as a file. WebP is lossless.
pub fn encode(picture: &RgbImage, format: Format) -> Result<Bytes, ImageError> {
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
    }?;
    Ok(file.into_inner().into())
}
