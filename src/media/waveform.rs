//! A sound as a picture: its loudness over time as bars.

use codec::sound::Block;
use image::{Rgb, RgbImage};

/// Pixels of a waveform that stands for a sound, width first.
pub const SIZE: (u32, u32) = (1280, 320);

/// Peaks of a second of sound.
const PER_SECOND: u32 = 100;

const GROUND: Rgb<u8> = Rgb([0x12, 0x16, 0x2A]);
/// The bars' colours at the left and the right end.
const COLOURS: (Rgb<u8>, Rgb<u8>) = (Rgb([0x3D, 0xD6, 0xC6]), Rgb([0x9B, 0x6C, 0xFF]));
/// Width of a bar and its gap, as parts of the height.
const BAR: f64 = 1.0 / 40.0;
const GAP: f64 = 1.0 / 60.0;
/// How much of the height the loudest bar takes.
const REACH: f64 = 0.84;
/// A sound whose loudest peak is below this counts as silence: 1/2000 of full scale.
const SILENCE: u16 = 16;

/// Gathers the loudness of a sound, 10 ms after 10 ms.
#[derive(Debug, Default)]
pub struct Peaks {
    values: Vec<u16>,
    /// The peak of the current 10 ms, and the samples of each channel in it.
    current: u16,
    frames: u32,
}

impl Peaks {
    /// Adds the next part of the sound.
    pub fn add(&mut self, block: Block<'_>) {
        let window = (block.sample_rate / PER_SECOND).max(1);
        for frame in block.samples.chunks(usize::from(block.channels.max(1))) {
            let loudest = frame.iter().map(|sample| sample.unsigned_abs()).max();
            self.current = self.current.max(loudest.unwrap_or(0));
            self.frames += 1;
            if self.frames == window {
                self.values.push(std::mem::take(&mut self.current));
                self.frames = 0;
            }
        }
    }

    /// The loudest sample of each 10 ms, 0..=32768.
    pub fn finish(mut self) -> Vec<u16> {
        if self.frames > 0 {
            self.values.push(self.current);
        }
        self.values
    }
}

/// Draws peaks as rounded bars, the loudest as high as the picture allows. Silence is a row of dots.
pub fn draw(peaks: &[u16], (width, height): (u32, u32)) -> RgbImage {
    let (w, h) = (f64::from(width), f64::from(height));
    let (bar, gap) = ((h * BAR).max(1.0), (h * GAP).max(1.0));
    let count = ((w / (bar + gap)) as usize).max(1);
    let margin = (w - count as f64 * (bar + gap) + gap) / 2.0;
    let mut picture = RgbImage::from_pixel(width, height, GROUND);
    for (index, level) in levels(peaks, count).into_iter().enumerate() {
        let left = margin + index as f64 * (bar + gap);
        draw_bar(&mut picture, left, bar, level * REACH * h);
    }
    picture
}

/// Draws a capsule that stands in the middle of the picture's height, with smooth edges.
fn draw_bar(picture: &mut RgbImage, left: f64, bar: f64, tall: f64) {
    let (w, h) = (f64::from(picture.width()), f64::from(picture.height()));
    let radius = bar / 2.0;
    let half = (tall / 2.0 - radius).max(0.0);
    // Sides before the first pixel count as the first one, those behind the last are cut off.
    let columns = (left - 1.0) as u32..((left + bar + 1.0) as u32).min(picture.width());
    let top = (h / 2.0 - half - radius - 1.0) as u32;
    let colour = blend(COLOURS.0, COLOURS.1, (left + radius) / w);
    for y in top..picture.height() - top {
        let beyond = ((f64::from(y) + 0.5 - h / 2.0).abs() - half).max(0.0);
        for x in columns.clone() {
            // The distance to the line along the capsule's middle.
            let across = f64::from(x) + 0.5 - left - radius;
            let covered = (radius + 0.5 - across.hypot(beyond)).clamp(0.0, 1.0);
            if covered > 0.0 {
                picture.put_pixel(x, y, blend(GROUND, colour, covered));
            }
        }
    }
}

/// The loudest peak of each of `count` parts, 0..=1 with the loudest of all as 1.
fn levels(peaks: &[u16], count: usize) -> Vec<f64> {
    let loudest = peaks.iter().copied().max().unwrap_or(0);
    if loudest < SILENCE {
        return vec![0.0; count];
    }
    let part = |index: usize| {
        let start = index * peaks.len() / count;
        let end = ((index + 1) * peaks.len()).div_ceil(count);
        let peak = peaks[start..end].iter().copied().max().unwrap_or(0);
        f64::from(peak) / f64::from(loudest)
    };
    (0..count).map(part).collect()
}

fn blend(Rgb(from): Rgb<u8>, Rgb(to): Rgb<u8>, part: f64) -> Rgb<u8> {
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    Rgb([
        mix(from[0], to[0]),
        mix(from[1], to[1]),
        mix(from[2], to[2]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaks(blocks: &[&[i16]], channels: u16) -> Vec<u16> {
        let mut peaks = Peaks::default();
        for samples in blocks {
            let sample_rate = 400; // four samples to a peak
            peaks.add(Block {
                channels,
                sample_rate,
                samples,
            });
        }
        peaks.finish()
    }

    #[test]
    fn each_hundredth_of_a_second_has_its_loudest_sample() {
        let mono = peaks(&[&[1, -5, 2], &[3, 0, 0, 0, i16::MIN], &[7]], 1);
        assert_eq!(mono, [5, 32_768, 7]);
        let stereo = peaks(&[&[1, -5, 2, 3, 9, 0, 0, 0], &[4, 6]], 2);
        assert_eq!(stereo, [9, 6]);
        assert_eq!(peaks(&[], 1), [0_u16; 0]);
    }

    #[test]
    fn a_loud_part_is_drawn_higher_than_a_quiet_one() {
        let mut loudness = vec![1000; 50];
        loudness.extend([30_000; 50]);
        let picture = draw(&loudness, (240, 60));
        let ink = |columns: std::ops::Range<u32>| {
            let pixels = columns.flat_map(|x| (0..60).map(move |y| (x, y)));
            pixels
                .filter(|(x, y)| *picture.get_pixel(*x, *y) != GROUND)
                .count()
        };
        assert!(
            ink(120..240) > 4 * ink(0..120),
            "{} {}",
            ink(0..120),
            ink(120..240)
        );
    }

    #[test]
    fn silence_is_a_row_of_dots_and_nothing_at_all_too() {
        let silent = draw(&[3; 100], SIZE);
        assert_eq!(silent, draw(&[], SIZE));
        let drawn = silent
            .enumerate_pixels()
            .filter(|(.., pixel)| **pixel != GROUND);
        let rows: Vec<u32> = drawn.map(|(_, y, _)| y.abs_diff(SIZE.1 / 2)).collect();
        assert!(!rows.is_empty() && rows.iter().all(|distance| *distance <= 6));
    }

    #[test]
    fn any_size_can_be_drawn() {
        for size in [(1, 1), (1, 300), (300, 1), (7, 5)] {
            assert_eq!(draw(&[5, 20_000], size).dimensions(), size);
        }
    }
}
