//! The small pictures shown until the real one has loaded: BlurHash and tiny preview.
//!
//! Both are made from one small copy, because neither can show more detail than it has and reading
//! every pixel of the original once is all that a big picture should cost.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use codec::picture::{opaque, scaled};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};

/// Longest side of the small copy in pixels.
const COPY_SIDE: u32 = 64;

/// BlurHash components: horizontal, vertical.
const COMPONENTS: (u32, u32) = (4, 3);

/// Most bytes that a tiny preview takes, as the whole data URL.
pub const TINY_PREVIEW_BYTES: usize = 1024;

/// Longest sides and JPEG qualities of the tiny preview, tried in this order until one fits. Most
/// pictures fit at 32.
const SIDES: [u32; 5] = [32, 24, 16, 8, 1];
const QUALITIES: [u8; 3] = [70, 50, 30];

/// A copy of at most 64 x 64 pixels with the original's proportions, on white where the original is
/// transparent.
///
/// Pixels are averaged in linear light, as BlurHash itself does, so the hash of the copy has the
/// colours of the original.
pub fn small_copy(picture: &DynamicImage) -> RgbImage {
    shrink(&opaque(picture))
}

/// The BlurHash of a picture, 4 x 3 components in 28 characters. See <https://blurha.sh>.
///
/// The cost grows with the number of pixels, twelve times over; hash a [`small_copy`].
pub fn blurhash(picture: &RgbImage) -> String {
    let rgba: Vec<u8> = picture
        .pixels()
        .flat_map(|Rgb([r, g, b])| [*r, *g, *b, u8::MAX])
        .collect();
    blurhash::encode(
        COMPONENTS.0,
        COMPONENTS.1,
        picture.width(),
        picture.height(),
        &rgba,
    )
    .expect("the number of components is in the allowed range")
}

/// A very small version of a [`small_copy`] as a `data:` URL of at most [`TINY_PREVIEW_BYTES`]
/// bytes.
///
/// JPEG, although its tables alone take over 600 of them: the lossless formats at hand fit half as
/// many pixels.
pub(super) fn tiny_preview(small: &RgbImage) -> String {
    SIDES
        .into_iter()
        .flat_map(|side| QUALITIES.map(|quality| (side, quality)))
        .map(|(side, quality)| data_url(&fit(small, side), quality))
        .find(|url| url.len() <= TINY_PREVIEW_BYTES)
        .expect("a single pixel fits")
}

/// The BlurHash of what nothing here decodes: plain grey, sRGB 128. Players show a grey area until the file has loaded.
pub const NEUTRAL_BLURHASH: &str = "L0Eyb[fQfQfQfQfQfQfQfQfQfQfQ";

/// What stands for a file that nothing here decodes: [`NEUTRAL_BLURHASH`] and a tiny preview of the same grey.
pub(super) fn neutral() -> (String, String) {
    let grey = RgbImage::from_pixel(1, 1, Rgb([128; 3]));
    (NEUTRAL_BLURHASH.to_owned(), tiny_preview(&grey))
}

/// The picture, shrunk to `side` pixels on its longest side if it is larger.
fn fit(small: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = scaled(small.width(), small.height(), side);
    imageops::resize(small, width, height, FilterType::Triangle)
}

fn data_url(picture: &RgbImage, quality: u8) -> String {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality)
        .encode_image(picture)
        .expect("JPEG holds pictures of this size, and memory can be written to");
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg))
}

fn shrink(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (columns, rows) = scaled(width, height, COPY_SIDE);
    RgbImage::from_fn(columns, rows, |column, row| {
        let (xs, ys) = (part(column, width, columns), part(row, height, rows));
        average(picture, xs, ys)
    })
}

/// The mean colour of a rectangle, in linear light.
fn average(picture: &RgbImage, xs: Range<usize>, ys: Range<usize>) -> Rgb<u8> {
    let (linear, srgb, stride) = (&*LINEAR, &*SRGB, picture.width() as usize * 3);
    let count = (xs.len() * ys.len()) as u64;
    let mut sums = [0_u64; 3];
    for row in ys.map(|y| y * stride) {
        let pixels = &picture.as_raw()[row + 3 * xs.start..row + 3 * xs.end];
        for pixel in pixels.chunks_exact(3) {
            for (sum, &channel) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(linear[usize::from(channel)]);
            }
        }
    }
    Rgb(sums.map(|sum| srgb[((sum + count / 2) / count) as usize]))
}

/// The pixels in number `index` of `parts` nearly equal parts of `length` pixels. None is empty as
/// long as there are no more parts than pixels.
fn part(index: u32, length: u32, parts: u32) -> Range<usize> {
    let start = |index: u64| (index * u64::from(length) / u64::from(parts)) as usize;
    start(index.into())..start(u64::from(index) + 1)
}

/// Linear light in 0..=65535 for each sRGB value (IEC 61966-2-1).
static LINEAR: LazyLock<[u16; 256]> = LazyLock::new(|| {
    std::array::from_fn(|value| {
        let value = value as f64 / 255.0;
        let linear = if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        };
        (linear * f64::from(u16::MAX)).round() as u16
    })
});

/// The [`nearest_srgb`] of each linear light: computed for each pixel of each copy, it cost more than the rest of the copy.
static SRGB: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..=u64::from(u16::MAX)).map(nearest_srgb).collect());

/// The sRGB value nearest to this linear light of 0..=65535.
fn nearest_srgb(linear: u64) -> u8 {
    let linear = linear as f64 / f64::from(u16::MAX);
    let value = if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    const ALPHABET: &str =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

    /// Red towards the right, green towards the bottom, some blue: every component of the hash has
    /// something to say.
    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 90])
        })
    }

    fn hash(picture: RgbImage) -> String {
        blurhash(&small_copy(&DynamicImage::ImageRgb8(picture)))
    }

    fn decoded(hash: &str) -> Vec<u8> {
        blurhash::decode(hash, 8, 8, 1.0).unwrap()
    }

    #[test]
    fn the_hash_of_a_known_picture_never_changes() {
        assert_eq!(hash(gradient(640, 480)), "L#HV8|2Y$5Sgl|azjtf7gcfjfQfj");
    }

    #[test]
    fn the_hash_of_the_small_copy_looks_like_that_of_the_whole_picture() {
        let picture = gradient(640, 480);
        let (whole, small) = (blurhash(&picture), hash(picture));
        assert_eq!(whole[2..6], small[2..6], "the average colour");
        let differences = decoded(&whole)
            .into_iter()
            .zip(decoded(&small))
            .map(|(a, b)| u32::from(a.abs_diff(b)));
        let mean = differences.sum::<u32>() / (8 * 8 * 4);
        assert!(mean <= 2, "{whole} and {small} differ by {mean} of 255");
    }

    #[test]
    fn the_neutral_hash_is_that_of_plain_grey() {
        let grey = hash(RgbImage::from_pixel(64, 64, Rgb([128; 3])));
        assert_eq!(grey[..6], NEUTRAL_BLURHASH[..6], "size and average colour");
        assert_eq!(grey.len(), NEUTRAL_BLURHASH.len());
        for pixel in decoded(NEUTRAL_BLURHASH).chunks_exact(4) {
            assert_eq!(pixel, [128, 128, 128, 255]);
        }
    }

    #[test]
    fn transparent_pixels_count_as_white() {
        let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(9, 9, Rgba([200, 0, 0, 0])));
        assert!(small_copy(&clear).pixels().all(|pixel| pixel.0 == [255; 3]));
        let half = DynamicImage::ImageRgba8(RgbaImage::from_pixel(9, 9, Rgba([255, 0, 0, 128])));
        assert!(
            small_copy(&half)
                .pixels()
                .all(|pixel| pixel.0 == [255, 127, 127])
        );
    }

    #[test]
    fn a_single_colour_survives_the_small_copy_exactly() {
        for value in 0..=u8::MAX {
            let grey = DynamicImage::ImageRgb8(RgbImage::from_pixel(100, 3, Rgb([value; 3])));
            assert!(
                small_copy(&grey)
                    .pixels()
                    .all(|pixel| pixel.0 == [value; 3]),
                "{value}"
            );
        }
    }

    #[test]
    fn the_small_copy_keeps_the_proportions() {
        let size = |width, height| {
            small_copy(&DynamicImage::ImageRgb8(RgbImage::new(width, height))).dimensions()
        };
        assert_eq!(size(1920, 1080), (64, 36));
        assert_eq!(size(1080, 1920), (36, 64));
        assert_eq!(size(5000, 1), (64, 1));
        assert_eq!(size(10, 20), (10, 20));
    }

    #[test]
    fn the_tiny_preview_is_a_jpeg_that_shows_the_picture() {
        let url = tiny_preview(&small_copy(&DynamicImage::ImageRgb8(gradient(640, 480))));
        let jpeg = BASE64_STANDARD
            .decode(url.strip_prefix("data:image/jpeg;base64,").unwrap())
            .unwrap();
        let shown = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!(shown.dimensions(), (32, 24));
        let Rgb([red, green, _]) = *shown.get_pixel(30, 1);
        assert!(red > 200 && green < 50, "{red} {green}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn even_noise_gives_a_valid_hash_and_a_tiny_preview(
            width in 1..80_u32, height in 1..80_u32, seed: u32,
        ) {
            let noise = RgbImage::from_fn(width, height, |x, y| {
                let mixed = (x * 7919 + y * 104_729 + 1).wrapping_mul(seed | 1);
                let mixed = mixed.wrapping_mul(0x9E37_79B9);
                Rgb([(mixed >> 8) as u8, (mixed >> 16) as u8, (mixed >> 24) as u8])
            });
            let small = small_copy(&DynamicImage::ImageRgb8(noise));
            let hash = blurhash(&small);
            prop_assert_eq!(hash.len(), 28);
            prop_assert!(hash.chars().all(|character| ALPHABET.contains(character)), "{}", hash);
            prop_assert!(tiny_preview(&small).len() <= TINY_PREVIEW_BYTES);
        }
    }
}
