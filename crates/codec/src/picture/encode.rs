//! Pictures to files.

use std::{borrow::Cow, io::Cursor};

use bytes::Bytes;
use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageResult, RgbImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::{CodecError, Format};

use super::shrink::opaque;

/// High enough that flat areas and letters stay clean.
const JPEG_QUALITY: u8 = 92;

/// How a picture becomes a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// One of a picture.
    pub format: Format,
    /// Of a JPEG, 1 to 100. The other formats are written without loss.
    pub quality: u8,
    /// The ICC profile that says what the pixels' values mean; sRGB without one.
    pub profile: Option<Vec<u8>>,
}

impl Encoding {
    /// The best of the format.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            quality: JPEG_QUALITY,
            profile: None,
        }
    }
}

/// The picture as a file of the best quality. WebP is lossless.
pub fn encode(picture: &RgbImage, format: Format) -> Result<Bytes, CodecError> {
    write(
        picture,
        picture.dimensions(),
        ExtendedColorType::Rgb8,
        Encoding::of(format),
    )
}

/// Any picture as a file, with 8 bits a channel. What is transparent stays so in PNG and WebP, and lies on white in JPEG.
///
/// # Errors
///
/// [`CodecError::Unsupported`] for a format that is no picture's, and for more pixels a side than the format can say: 16,383
/// in WebP, 65,535 in JPEG.
pub fn encode_any(picture: &DynamicImage, encoding: Encoding) -> Result<Bytes, CodecError> {
    let size = (picture.width(), picture.height());
    if encoding.format == Format::Jpg || !picture.color().has_alpha() {
        return write(&opaque(picture), size, ExtendedColorType::Rgb8, encoding);
    }
    let rgba = match picture {
        DynamicImage::ImageRgba8(rgba) => Cow::Borrowed(rgba),
        other => Cow::Owned(other.to_rgba8()),
    };
    write(&rgba, size, ExtendedColorType::Rgba8, encoding)
}

fn write(
    pixels: &[u8],
    size: (u32, u32),
    colour: ExtendedColorType,
    Encoding {
        format,
        quality,
        profile,
    }: Encoding,
) -> Result<Bytes, CodecError> {
    let mut file = Cursor::new(Vec::new());
    let written = match format {
        Format::Png => with_profile(
            PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive),
            profile,
        )
        .and_then(|encoder| encoder.write_image(pixels, size.0, size.1, colour)),
        Format::Jpg => with_profile(JpegEncoder::new_with_quality(&mut file, quality), profile)
            .and_then(|encoder| encoder.write_image(pixels, size.0, size.1, colour)),
        Format::Webp => with_profile(WebPEncoder::new_lossless(&mut file), profile)
            .and_then(|encoder| encoder.write_image(pixels, size.0, size.1, colour)),
        other => return Err(CodecError::Unsupported(format!("{other} is no picture"))),
    };
    written.map_err(|error| CodecError::Unsupported(error.to_string()))?;
    Ok(file.into_inner().into())
}

fn with_profile<E: ImageEncoder>(mut encoder: E, profile: Option<Vec<u8>>) -> ImageResult<E> {
    if let Some(profile) = profile {
        encoder
            .set_icc_profile(profile)
            .map_err(image::ImageError::Unsupported)?;
    }
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, LumaA, Rgba, RgbaImage};

    use crate::picture::{decode, profile};

    use super::*;

    fn see_through() -> DynamicImage {
        DynamicImage::ImageRgba8(RgbaImage::from_fn(20, 10, |x, y| {
            Rgba([(x * 12) as u8, (y * 25) as u8, 90, (x * 13) as u8])
        }))
    }

    #[test]
    fn transparency_is_kept_where_the_format_can_say_it() {
        for format in [Format::Png, Format::Webp] {
            let file = encode_any(&see_through(), Encoding::of(format)).unwrap();
            assert_eq!(
                decode(&file, format, 1_000).unwrap(),
                see_through(),
                "{format}"
            );
        }
    }

    #[test]
    fn a_jpeg_has_white_where_the_picture_is_transparent() {
        let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(16, 16, Rgba([0, 0, 0, 0])));
        let file = encode_any(&clear, Encoding::of(Format::Jpg)).unwrap();
        let shown = decode(&file, Format::Jpg, 1_000).unwrap().to_rgb8();
        assert!(
            shown
                .pixels()
                .all(|pixel| pixel.0.iter().all(|channel| *channel > 250))
        );
    }

    #[test]
    fn other_kinds_of_pixels_are_written_too() {
        let grey = GrayAlphaImage::from_pixel(8, 8, LumaA([40, 200]));
        let deep = DynamicImage::ImageLumaA8(grey).to_rgba16();
        let picture = DynamicImage::ImageRgba16(deep);
        for format in [Format::Png, Format::Jpg, Format::Webp] {
            let file = encode_any(&picture, Encoding::of(format)).unwrap();
            let shown = decode(&file, format, 1_000).unwrap();
            assert_eq!((shown.width(), shown.height()), (8, 8), "{format}");
        }
    }

    #[test]
    fn the_colour_profile_goes_along() {
        // A header alone: what counts here is the colour space at its place (ICC.1:2022, section 7.2).
        let mut icc = vec![0; 128];
        icc[16..20].copy_from_slice(b"RGB ");
        let of = |icc: &[u8], format| {
            let encoding = Encoding {
                profile: Some(icc.to_vec()),
                ..Encoding::of(format)
            };
            let file = encode_any(&see_through(), encoding).unwrap();
            profile(&file, format)
        };
        for format in [Format::Png, Format::Jpg, Format::Webp] {
            assert_eq!(of(&icc, format), Some(icc.clone()), "{format}");
        }
        icc[16..20].copy_from_slice(b"CMYK");
        assert_eq!(
            of(&icc, Format::Jpg),
            None,
            "pixels are RGB when they are decoded"
        );
        assert_eq!(profile(b"no picture", Format::Png), None);
    }

    #[test]
    fn what_a_format_cannot_hold_is_said() {
        let long = DynamicImage::new_rgb8(16_385, 1);
        let error = encode_any(&long, Encoding::of(Format::Webp)).unwrap_err();
        assert!(matches!(error, CodecError::Unsupported(_)), "{error}");
        let error = encode_any(&long, Encoding::of(Format::Wav)).unwrap_err();
        assert!(matches!(error, CodecError::Unsupported(_)), "{error}");
    }
}
