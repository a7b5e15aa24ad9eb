//! Puts layers of pixels on a frame.

use image::RgbImage;

use super::pose::Pose;
use crate::drawing::{Area, Backdrop, Layer};

/// Steps of a gradient's colours: more than there are levels of a channel.
const SHADES: usize = 1024;
/// Fixed-point numbers have so many bits after the point.
const POINT: u32 = 16;
/// Every other byte of a pixel, so that two channels are reckoned at once.
const EVEN: u32 = 0x00ff_00ff;

/// Covers the frame with the gradient, shifted by a share of its length.
pub(super) fn fill(frame: &mut RgbImage, backdrop: &Backdrop, shift: f32) {
    let shades: Vec<[u8; 3]> = (0..SHADES)
        .map(|shade| {
            let share = shade as f32 / (SHADES - 1) as f32;
            [0, 1, 2].map(|channel| {
                let (from, to) = (backdrop.from[channel], backdrop.to[channel]);
                (f32::from(from) + (f32::from(to) - f32::from(from)) * share).round() as u8
            })
        })
        .collect();
    let Area { x, y, w, h } = backdrop.area;
    let squared = w * w + h * h;
    let last = (SHADES - 1) as f32;
    let step = fixed(w / squared * last);
    let width = frame.width() as usize;
    for (row, pixels) in frame.chunks_exact_mut(width * 3).enumerate() {
        let below = (row as f32 + 0.5 - y) * h - (x - 0.5) * w;
        let mut at = fixed((below / squared + shift) * last);
        for pixel in pixels.chunks_exact_mut(3) {
            let shade = (at >> POINT).clamp(0, SHADES as i64 - 1);
            pixel.copy_from_slice(&shades[shade as usize]);
            at += step;
        }
    }
}

fn fixed(number: f32) -> i64 {
    (f64::from(number) * f64::from(1 << POINT)).round() as i64
}

/// Draws a layer in its pose over what is on the frame.
pub(super) fn draw(frame: &mut RgbImage, layer: &Layer, pose: &Pose) {
    let opacity = (pose.opacity.clamp(0.0, 1.0) * 256.0).round() as u32;
    let placed = Placed::new(layer, pose);
    let Some(seen) = placed.seen(frame, pose.window) else {
        return;
    };
    if opacity == 0 || pose.scale <= 0.0 {
        return;
    }
    let width = frame.width() as usize;
    let bytes: &mut [u8] = frame;
    for row in seen.top..seen.bottom {
        let line = &mut bytes[(row * width + seen.left) * 3..(row * width + seen.right) * 3];
        match placed.whole {
            Some((left, top)) if opacity == 256 => {
                // Inside the layer: `seen` is a part of its place on the canvas.
                let start =
                    (row as i64 - top) as usize * layer.width + (seen.left as i64 - left) as usize;
                let pixels = &layer.pixels[start..start + seen.right - seen.left];
                for (under, pixel) in line.chunks_exact_mut(3).zip(pixels) {
                    cover(under, *pixel);
                }
            }
            _ => {
                let (mut u, mut v) = placed.source(seen.left, row);
                for under in line.chunks_exact_mut(3) {
                    cover(under, dim(sample(layer, u, v), opacity));
                    u += placed.step.0;
                    v += placed.step.1;
                }
            }
        }
    }
}

/// The pixels of a frame from `left` and `top` up to, not including, `right` and `bottom`.
struct Span {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

/// The way between the pixels of a layer and those of a frame.
struct Placed {
    /// The place of the layer's corners on the frame.
    corners: [(f32, f32); 4],
    /// Rows of the matrix from the frame to the layer.
    across: [f32; 3],
    along: [f32; 3],
    /// What one pixel to the right on the frame is on the layer, in fixed-point numbers.
    step: (i64, i64),
    /// The frame's pixel of the layer's first one, where their pixels lie exactly over each other.
    whole: Option<(i64, i64)>,
}

impl Placed {
    fn new(layer: &Layer, pose: &Pose) -> Self {
        let (sin, cos) = pose.turn.sin_cos();
        let Area { x, y, w, h } = layer.area;
        let (px, py) = pose.pivot;
        let moved = (px + pose.shift.0, py + pose.shift.1);
        let forward = |(x, y): (f32, f32)| {
            let (dx, dy) = ((x - px) * pose.scale, (y - py) * pose.scale);
            (moved.0 + dx * cos - dy * sin, moved.1 + dx * sin + dy * cos)
        };
        let shrink = layer.scale / pose.scale.max(f32::MIN_POSITIVE);
        let (a, b) = (cos * shrink, sin * shrink);
        let across = [a, b, (px - x) * layer.scale - a * moved.0 - b * moved.1];
        let along = [-b, a, (py - y) * layer.scale + b * moved.0 - a * moved.1];
        let (left, top) = (x + pose.shift.0, y + pose.shift.1);
        let is_whole = pose.turn == 0.0
            && pose.scale == 1.0
            && layer.scale == 1.0
            && left.fract() == 0.0
            && top.fract() == 0.0;
        Self {
            corners: [(x, y), (x + w, y), (x, y + h), (x + w, y + h)].map(forward),
            across,
            along,
            step: (fixed(across[0]), fixed(along[0])),
            whole: is_whole.then_some((left as i64, top as i64)),
        }
    }

    /// The part of the frame where the layer may be seen.
    fn seen(&self, frame: &RgbImage, window: Area) -> Option<Span> {
        let least =
            |of: fn(&(f32, f32)) -> f32| self.corners.iter().map(of).fold(f32::MAX, f32::min);
        let most =
            |of: fn(&(f32, f32)) -> f32| self.corners.iter().map(of).fold(f32::MIN, f32::max);
        let low = |at: f32, edge: f32| at.max(edge).max(0.0).floor() as usize;
        let high =
            |at: f32, edge: f32, side: u32| at.min(edge).ceil().clamp(0.0, side as f32) as usize;
        let span = Span {
            left: low(least(|corner| corner.0), window.x),
            top: low(least(|corner| corner.1), window.y),
            right: high(most(|corner| corner.0), window.right(), frame.width()),
            bottom: high(most(|corner| corner.1), window.bottom(), frame.height()),
        };
        (span.left < span.right && span.top < span.bottom).then_some(span)
    }

    /// The place on the layer, in fixed-point numbers, of the middle of a pixel of the frame.
    fn source(&self, column: usize, row: usize) -> (i64, i64) {
        let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
        let on = |[a, b, c]: [f32; 3]| fixed(a * x + b * y + c - 0.5);
        (on(self.across), on(self.along))
    }
}

/// The layer's colour between four of its pixels; nothing lies around it.
fn sample(layer: &Layer, u: i64, v: i64) -> u32 {
    let (x, y) = (u >> POINT, v >> POINT);
    let (width, height) = (layer.width as i64, layer.height as i64);
    let (right, below) = ((u >> 8) as u32 & 0xff, (v >> 8) as u32 & 0xff);
    if x >= 0 && y >= 0 && x + 1 < width && y + 1 < height {
        let first = (y * width + x) as usize;
        let (upper, lower) = (
            &layer.pixels[first..first + 2],
            &layer.pixels[first + layer.width..first + layer.width + 2],
        );
        if upper[0] == upper[1] && upper[0] == lower[0] && upper[0] == lower[1] {
            return upper[0];
        }
        return mix(
            mix(upper[0], upper[1], right),
            mix(lower[0], lower[1], right),
            below,
        );
    }
    if x < -1 || y < -1 || x >= width || y >= height {
        return 0;
    }
    let at = |x: i64, y: i64| {
        let inside = x >= 0 && y >= 0 && x < width && y < height;
        if inside {
            layer.pixels[(y * width + x) as usize]
        } else {
            0
        }
    };
    mix(
        mix(at(x, y), at(x + 1, y), right),
        mix(at(x, y + 1), at(x + 1, y + 1), right),
        below,
    )
}

/// Between two pixels: `share` of the second, in 1/256.
fn mix(a: u32, b: u32, share: u32) -> u32 {
    let rest = 256 - share;
    let round = 0x0080_0080;
    let low = ((a & EVEN) * rest + (b & EVEN) * share + round) >> 8 & EVEN;
    let high = ((a >> 8 & EVEN) * rest + (b >> 8 & EVEN) * share + round) & !EVEN;
    low | high
}

/// A pixel at a part of its opacity, in 1/256.
fn dim(pixel: u32, opacity: u32) -> u32 {
    if opacity == 256 {
        return pixel;
    }
    mix(0, pixel, opacity)
}

/// Puts a pixel over the three bytes under it.
fn cover(under: &mut [u8], pixel: u32) {
    let [red, green, blue, opacity] = pixel.to_le_bytes();
    match opacity {
        0 => {}
        255 => under.copy_from_slice(&[red, green, blue]),
        _ => {
            let rest = 255 - u32::from(opacity);
            for (under, over) in under.iter_mut().zip([red, green, blue]) {
                // Exact division by 255 with rounding, for all products of two bytes.
                let product = u32::from(*under) * rest + 128;
                let kept = (product + (product >> 8)) >> 8;
                *under = over.saturating_add(kept as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::drawing::Part;

    const RED: u32 = 0xff00_00ff;
    const CANVAS: Area = Area {
        x: 0.0,
        y: 0.0,
        w: 20.0,
        h: 10.0,
    };

    /// An opaque rectangle.
    fn layer(area: Area, scale: f32) -> Layer {
        let (width, height) = ((area.w * scale) as usize, (area.h * scale) as usize);
        Layer {
            part: Part::Still,
            window: CANVAS,
            area,
            scale,
            width,
            height,
            pixels: vec![RED; width * height],
        }
    }

    fn pose(layer: &Layer) -> Pose {
        Pose {
            shift: (0.0, 0.0),
            pivot: layer.area.centre(),
            turn: 0.0,
            scale: 1.0,
            opacity: 1.0,
            window: layer.window,
        }
    }

    /// How red each pixel is, on blue.
    fn drawn(layer: &Layer, pose: &Pose) -> Vec<Vec<u8>> {
        let mut frame = RgbImage::from_pixel(20, 10, Rgb([0, 0, 255]));
        draw(&mut frame, layer, pose);
        for Rgb([red, _, blue]) in frame.pixels() {
            assert!(red.abs_diff(255 - blue) <= 2, "{red} and {blue}");
        }
        frame
            .rows()
            .map(|row| row.map(|pixel| pixel.0[0]).collect())
            .collect()
    }

    fn red_box(rows: &[Vec<u8>]) -> (usize, usize, usize, usize) {
        let red = |(x, y): &(usize, usize)| rows[*y][*x] > 128;
        let all = (0..10).flat_map(|y| (0..20).map(move |x| (x, y)));
        let found: Vec<(usize, usize)> = all.filter(red).collect();
        let of = |pick: fn(&(usize, usize)) -> usize| {
            let values = found.iter().map(pick);
            (
                values.clone().min().unwrap_or(0),
                values.max().map_or(0, |most| most + 1),
            )
        };
        let ((left, right), (top, bottom)) = (of(|at| at.0), of(|at| at.1));
        (left, top, right, bottom)
    }

    #[test]
    fn a_layer_at_rest_lies_where_it_was_drawn() {
        let area = Area::new(4.0, 2.0, 6.0, 4.0);
        for scale in [1.0, 2.0] {
            let layer = layer(area, scale);
            let rows = drawn(&layer, &pose(&layer));
            assert_eq!(red_box(&rows), (4, 2, 10, 6));
            assert_eq!((rows[2][4], rows[5][9], rows[2][3]), (255, 255, 0));
        }
    }

    #[test]
    fn a_layer_moves_by_parts_of_pixels_too() {
        let layer = layer(Area::new(4.0, 2.0, 6.0, 4.0), 1.0);
        let moved = |x: f32, y: f32| {
            let shift = (x, y);
            drawn(
                &layer,
                &Pose {
                    shift,
                    ..pose(&layer)
                },
            )
        };
        assert_eq!(red_box(&moved(3.0, -1.0)), (7, 1, 13, 5));
        let half = moved(0.5, 0.0);
        assert!((126..=129).contains(&half[3][4]) && (126..=129).contains(&half[3][10]));
        assert_eq!((half[3][3], half[3][5], half[3][11]), (0, 255, 0));
        // Off the frame on every side.
        for (x, y) in [(-30.0, 0.0), (30.0, 0.0), (0.0, -30.5), (0.0, 30.5)] {
            assert_eq!(red_box(&moved(x, y)), (0, 0, 0, 0));
        }
        assert_eq!(red_box(&moved(-6.5, 0.0)).2, 3);
    }

    #[test]
    fn a_layer_turns_and_grows_about_its_pivot() {
        let layer = layer(Area::new(6.0, 3.0, 6.0, 4.0), 1.0);
        let turn = std::f32::consts::FRAC_PI_2;
        let turned = drawn(
            &layer,
            &Pose {
                turn,
                ..pose(&layer)
            },
        );
        assert_eq!(red_box(&turned), (7, 2, 11, 8));
        let scale = 1.5;
        let pivot = (6.0, 3.0);
        let grown = drawn(
            &layer,
            &Pose {
                scale,
                pivot,
                ..pose(&layer)
            },
        );
        assert_eq!(red_box(&grown), (6, 3, 15, 9));
    }

    #[test]
    fn opacity_and_window_hold() {
        let layer = layer(Area::new(4.0, 2.0, 6.0, 4.0), 1.0);
        let opacity = 0.5;
        let rows = drawn(
            &layer,
            &Pose {
                opacity,
                ..pose(&layer)
            },
        );
        assert!((126..=129).contains(&rows[3][5]), "{}", rows[3][5]);
        let window = Area::new(5.0, 0.0, 2.0, 10.0);
        let rows = drawn(
            &layer,
            &Pose {
                window,
                ..pose(&layer)
            },
        );
        assert_eq!(red_box(&rows), (5, 2, 7, 6));
    }

    #[test]
    fn a_gradient_runs_over_its_area_and_can_be_shifted() {
        let backdrop = Backdrop {
            area: CANVAS,
            from: [0, 100, 0],
            to: [200, 100, 0],
        };
        let reds = |shift: f32| {
            let mut frame = RgbImage::new(20, 10);
            fill(&mut frame, &backdrop, shift);
            [(0, 0), (10, 5), (19, 9)].map(|(x, y)| frame.get_pixel(x, y).0[0])
        };
        let [first, middle, last] = reds(0.0);
        assert!(first < 12 && (98..=114).contains(&middle) && last > 188);
        assert_eq!(reds(2.0), [200, 200, 200]);
        assert!(reds(0.2)[1] > middle + 30);
    }
}
