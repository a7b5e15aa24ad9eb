//! Smaller copies of pictures, and pictures without transparency.

use std::borrow::Cow;

use image::{
    DynamicImage, Rgb, RgbImage, Rgba, RgbaImage,
    imageops::{self, FilterType},
};

/// From this factor on a picture is first averaged down to twice the size: the filter would read each pixel many times over
/// for no gain that can be seen.
const COARSE_FACTOR: u32 = 4;

/// An [`opaque`] picture with at most `side` pixels on its longest side; never enlarged.
pub fn shrink(picture: Cow<'_, RgbImage>, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (small_width, small_height) = scaled(width, height, side);
    if (small_width, small_height) == (width, height) {
        return picture.into_owned();
    }
    let coarse = (width.max(height) / side.max(1) >= COARSE_FACTOR).then(|| {
        let (width, height) = scaled(width, height, side.saturating_mul(2));
        imageops::thumbnail(&*picture, width, height)
    });
    let source = coarse.as_ref().unwrap_or(&picture);
    imageops::resize(source, small_width, small_height, FilterType::Lanczos3)
}

/// The picture in 8-bit RGB, on white where it is transparent.
pub fn opaque(picture: &DynamicImage) -> Cow<'_, RgbImage> {
    match picture {
        DynamicImage::ImageRgb8(rgb) => Cow::Borrowed(rgb),
        other if other.color().has_alpha() => Cow::Owned(on_white(&other.to_rgba8())),
        other => Cow::Owned(other.to_rgb8()),
    }
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

/// The size that `width` x `height` pixels have when the longest side is cut down to `limit`.
pub fn scaled(width: u32, height: u32, limit: u32) -> (u32, u32) {
    let longest = u64::from(width.max(height));
    let scale = |side: u32| match longest > u64::from(limit) {
        true => ((u64::from(side) * u64::from(limit) + longest / 2) / longest).max(1) as u32,
        false => side,
    };
    (scale(width), scale(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_side_becomes_the_one_asked_for_and_no_picture_grows() {
        let cases = [
            ((1_080, 1_350), 320, (256, 320)),
            ((1_920, 1_080), 320, (320, 180)),
            ((5_000, 1), 16, (16, 1)),
            ((100, 80), 320, (100, 80)),
            ((320, 320), 320, (320, 320)),
            ((330, 100), 320, (320, 97)),
        ];
        for ((width, height), side, expected) in cases {
            let picture = RgbImage::new(width, height);
            assert_eq!(
                shrink(Cow::Borrowed(&picture), side).dimensions(),
                expected,
                "{width}x{height}"
            );
        }
    }

    #[test]
    fn colours_and_edges_stay_where_they_are() {
        let halves = RgbImage::from_fn(1_600, 400, |x, _| {
            Rgb(if x < 800 {
                [200, 30, 30]
            } else {
                [20, 40, 220]
            })
        });
        for side in [1_000, 160] {
            let small = shrink(Cow::Borrowed(&halves), side);
            let (width, height) = small.dimensions();
            let at = |x: u32| small.get_pixel(x, height / 2).0;
            assert_eq!(at(width / 4), [200, 30, 30], "{side}");
            assert_eq!(at(width * 3 / 4), [20, 40, 220], "{side}");
            let [red, _, blue] = at(width / 2 - 3);
            assert!(red > 180 && blue < 60, "{side}: {red} {blue}");
        }
    }

    #[test]
    fn transparent_pixels_become_white_whatever_colour_they_hide() {
        let hidden = RgbaImage::from_fn(64, 64, |x, _| {
            Rgba([255, 0, 0, if x < 32 { 255 } else { 0 }])
        });
        let small = shrink(opaque(&DynamicImage::ImageRgba8(hidden)), 8);
        assert_eq!(small.get_pixel(7, 4).0, [255, 255, 255]);
        let Rgb([red, green, blue]) = *small.get_pixel(0, 4);
        assert!(red == 255 && green < 10 && blue < 10, "{green} {blue}");
        let half = RgbaImage::from_pixel(1, 1, Rgba([0, 0, 0, 128]));
        assert_eq!(on_white(&half).get_pixel(0, 0).0, [127; 3]);
    }
}
