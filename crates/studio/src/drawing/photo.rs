//! A picture of the user's own in a composition: fitted into its place, with soft edges where it has a shape.

use image::{RgbaImage, imageops};

use super::colour::Colour;
use super::geometry::Area;

/// Where the middle of what is kept lies, from the top: what matters in a picture is mostly above its own.
const LOOK: f32 = 0.45;

/// How a picture fills its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// All of the place: what does not fit is cut off.
    Cover,
    /// All of the picture: what is left of the place stays as it is.
    Contain,
}

/// A picture in its place.
#[derive(Debug, Clone)]
pub(super) struct Photo {
    /// In whole pixels of the canvas.
    pub(super) area: Area,
    /// Rows from the top: red, green, blue and opacity, which the colours are multiplied with.
    pub(super) pixels: Vec<u8>,
}

/// Whether something lies behind the picture that can be seen.
pub(super) fn is_cut_out(picture: &RgbaImage) -> bool {
    let clear = picture.pixels().filter(|pixel| pixel.0[3] < 128).count();
    clear * 50 > picture.pixels().len()
}

impl Photo {
    /// The picture in this place, whose corners are as round as the radius says.
    pub(super) fn fitted(picture: &RgbaImage, place: Area, fit: Fit, radius: f32) -> Self {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let (area, cut) = match fit {
            Fit::Cover => {
                let area = whole(place);
                let share = (width / area.w).min(height / area.h);
                let (w, h) = (area.w * share, area.h * share);
                (
                    area,
                    Area::new((width - w) / 2.0, (height - h) * LOOK, w, h),
                )
            }
            Fit::Contain => {
                let scale = (place.w / width).min(place.h / height);
                let (w, h) = (width * scale, height * scale);
                let (x, y) = place.centre();
                let area = whole(Area::new(x - w / 2.0, y - h / 2.0, w, h));
                (area, Area::new(0.0, 0.0, width, height))
            }
        };
        let side = |length: f32, most: u32| (length.round() as u32).clamp(1, most);
        let (w, h) = (side(cut.w, picture.width()), side(cut.h, picture.height()));
        let (x, y) = (
            (cut.x.max(0.0) as u32).min(picture.width() - w),
            (cut.y.max(0.0) as u32).min(picture.height() - h),
        );
        let mut kept = imageops::crop_imm(picture, x, y, w, h).to_image();
        multiply(&mut kept);
        let size = (area.w as u32, area.h as u32);
        let filter = imageops::FilterType::CatmullRom;
        let mut scaled = imageops::resize(&kept, size.0, size.1, filter);
        bound(&mut scaled);
        if radius > 0.0 {
            round(&mut scaled, radius);
        }
        Self {
            area,
            pixels: scaled.into_raw(),
        }
    }

    /// The least and the most of each channel that is seen where this ground lies behind.
    pub(super) fn range(&self, ground: [Colour; 2]) -> (Colour, Colour) {
        let (mut low, mut high) = ([255; 3], [0; 3]);
        let mut note = |colour: [u8; 3]| {
            for (channel, value) in colour.into_iter().enumerate() {
                low[channel] = low[channel].min(value);
                high[channel] = high[channel].max(value);
            }
        };
        for pixel in self.pixels.chunks_exact(4) {
            let clear = u16::from(255 - pixel[3]);
            if clear == 0 {
                note([pixel[0], pixel[1], pixel[2]]);
                continue;
            }
            for Colour(red, green, blue) in ground {
                let behind = [red, green, blue];
                note([0, 1, 2].map(|channel| {
                    let through = (u16::from(behind[channel]) * clear + 127) / 255;
                    (u16::from(pixel[channel]) + through).min(255) as u8
                }));
            }
        }
        let colour = |[red, green, blue]: [u8; 3]| Colour(red, green, blue);
        (colour(low), colour(high))
    }

    /// Relative luminance of the whole, 0 to 1.
    pub(super) fn lightness(&self) -> f32 {
        // One of so many is enough to tell.
        let seen = self.pixels.chunks_exact(4).step_by(97);
        let (mut sum, mut count) = (0.0, 0.0);
        for pixel in seen {
            sum += Colour(pixel[0], pixel[1], pixel[2]).luminance();
            count += 1.0;
        }
        sum / f32::max(count, 1.0)
    }

    /// Draws it over rows of opaque pixels, of which the first is this one of the canvas.
    pub(super) fn draw(&self, rows: &mut [u8], width: usize, top: u32) {
        let (left, first) = (self.area.x as i64, self.area.y as i64);
        let own = self.area.w as i64;
        let height = self.area.h as i64;
        for (row, line) in rows.chunks_exact_mut(width * 4).enumerate() {
            let y = i64::from(top) + row as i64 - first;
            if y < 0 || y >= height {
                continue;
            }
            for x in 0.max(-left)..own.min(width as i64 - left) {
                let from = ((y * own + x) * 4) as usize;
                let to = ((left + x) * 4) as usize;
                let pixel = &self.pixels[from..from + 4];
                let clear = u16::from(255 - pixel[3]);
                for channel in 0..4 {
                    let through = (u16::from(line[to + channel]) * clear + 127) / 255;
                    line[to + channel] = (u16::from(pixel[channel]) + through).min(255) as u8;
                }
            }
        }
    }
}

/// In whole pixels, not smaller.
fn whole(area: Area) -> Area {
    let (x, y) = (area.x.floor(), area.y.floor());
    Area::new(x, y, area.right().ceil() - x, area.bottom().ceil() - y)
}

fn multiply(picture: &mut RgbaImage) {
    for pixel in picture.pixels_mut().filter(|pixel| pixel.0[3] < 255) {
        let opacity = u16::from(pixel.0[3]);
        for channel in 0..3 {
            let value = u16::from(pixel.0[channel]);
            pixel.0[channel] = ((value * opacity + 127) / 255) as u8;
        }
    }
}

/// No colour is more than its opacity, as a sharp filter may make it.
fn bound(picture: &mut RgbaImage) {
    for pixel in picture.pixels_mut() {
        let [red, green, blue, opacity] = pixel.0;
        pixel.0 = [
            red.min(opacity),
            green.min(opacity),
            blue.min(opacity),
            opacity,
        ];
    }
}

fn round(picture: &mut RgbaImage, radius: f32) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let radius = radius.min(width / 2.0).min(height / 2.0);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        let dx = (radius - x).max(x - (width - radius)).max(0.0);
        let dy = (radius - y).max(y - (height - radius)).max(0.0);
        let inside = (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0);
        if inside < 1.0 {
            pixel.0 = pixel
                .0
                .map(|value| (f32::from(value) * inside).round() as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    /// Red on the left, green on the right.
    fn picture(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, _| match x < width / 2 {
            true => Rgba([255, 0, 0, 255]),
            false => Rgba([0, 255, 0, 255]),
        })
    }

    #[test]
    fn a_picture_that_covers_its_place_is_cut_and_not_stretched() {
        // Of a wide picture the middle is kept, so both colours are there.
        let photo = Photo::fitted(
            &picture(400, 100),
            Area::new(10.0, 20.0, 50.0, 50.0),
            Fit::Cover,
            0.0,
        );
        assert_eq!(photo.area, Area::new(10.0, 20.0, 50.0, 50.0));
        assert_eq!(photo.pixels[..4], [255, 0, 0, 255]);
        assert_eq!(photo.pixels[49 * 4..50 * 4], [0, 255, 0, 255]);
    }

    #[test]
    fn a_picture_that_is_contained_is_whole_and_in_the_middle() {
        let photo = Photo::fitted(
            &picture(400, 100),
            Area::new(0.0, 0.0, 100.0, 100.0),
            Fit::Contain,
            0.0,
        );
        assert_eq!((photo.area.w, photo.area.y.floor()), (100.0, 37.0));
    }

    #[test]
    fn round_corners_are_clear_and_the_middle_is_not() {
        let photo = Photo::fitted(
            &picture(100, 100),
            Area::new(0.0, 0.0, 40.0, 40.0),
            Fit::Cover,
            20.0,
        );
        assert_eq!(photo.pixels[..4], [0; 4]);
        let middle = (20 * 40 + 5) * 4;
        assert_eq!(photo.pixels[middle..middle + 4], [255, 0, 0, 255]);
    }

    #[test]
    fn what_is_clear_shows_the_ground() {
        let mut cut_out = picture(40, 40);
        assert!(!is_cut_out(&cut_out));
        for pixel in cut_out.pixels_mut().take(800) {
            pixel.0 = [9, 9, 9, 0];
        }
        assert!(is_cut_out(&cut_out));
        let photo = Photo::fitted(&cut_out, Area::new(0.0, 0.0, 40.0, 40.0), Fit::Cover, 0.0);
        let mut rows = vec![200; 40 * 40 * 4];
        photo.draw(&mut rows, 40, 0);
        assert_eq!(rows[..4], [200; 4]);
        assert_eq!(rows[39 * 160..39 * 160 + 4], [255, 0, 0, 255]);
        let (low, high) = photo.range([Colour(50, 60, 70), Colour(50, 60, 70)]);
        assert_eq!((low, high), (Colour(0, 0, 0), Colour(255, 255, 70)));
    }
}
