//! RGB to the planes that video encoders take: Y'CbCr of BT.709 in limited range, with one chroma sample for 2 x 2 pixels.

use image::RgbImage;
use openh264::formats::YUVSource;

/// The planes of one picture. Both sides are even.
pub(super) struct Planes {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// Two rows of RGB, as long as the planes are wide.
    rows: [Vec<u8>; 2],
}

// In whole numbers and plain code: a library that picks the processor's own instructions gives other bytes on other machines.

/// ITU-R BT.709-6, section 3: the weights of R, G and B, scaled to the limited range 16..=235 (luma) and 16..=240
/// (chroma), in units of 1/65536.
const LUMA: [i32; 3] = [11_966, 40_254, 4_064];
const BLUE: [i32; 3] = [-6_596, -22_189, 28_785];
const RED: [i32; 3] = [28_785, -26_145, -2_640];

impl Planes {
    /// Planes for pictures of this size, made even.
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        let (width, height) = (even(width), even(height));
        let quarter = width * height / 4;
        Self {
            width,
            height,
            y: vec![16; width * height],
            u: vec![128; quarter],
            v: vec![128; quarter],
            rows: [vec![0; width * 3], vec![0; width * 3]],
        }
    }

    /// Converts a picture of the size that the planes were made for; a missing last row or column repeats the one before.
    pub(super) fn convert(&mut self, picture: &RgbImage) {
        let stride = picture.width() as usize * 3;
        let last = (picture.height() as usize).saturating_sub(1);
        let pixels = picture.as_raw();
        for pair in 0..self.height / 2 {
            for (line, row) in self.rows.iter_mut().enumerate() {
                let start = (pair * 2 + line).min(last) * stride;
                row[..stride].copy_from_slice(&pixels[start..start + stride]);
                if row.len() > stride {
                    row.copy_within(stride - 3..stride, stride);
                }
            }
            let half = self.width / 2;
            let (upper, lower) =
                self.y[pair * 2 * self.width..][..self.width * 2].split_at_mut(self.width);
            luma(&self.rows[0], upper);
            luma(&self.rows[1], lower);
            let (u, v) = (
                &mut self.u[pair * half..][..half],
                &mut self.v[pair * half..][..half],
            );
            chroma(&self.rows, u, v);
        }
    }
}

fn even(side: u32) -> usize {
    side.next_multiple_of(2) as usize
}

fn weigh(weights: [i32; 3], [r, g, b]: [i32; 3]) -> i32 {
    weights[0] * r + weights[1] * g + weights[2] * b
}

fn luma(row: &[u8], out: &mut [u8]) {
    for (pixel, y) in row.chunks_exact(3).zip(out) {
        let rgb = [pixel[0], pixel[1], pixel[2]].map(i32::from);
        // Within 16..=235 by the weights' sum, so the cast cannot truncate.
        *y = (16 + ((weigh(LUMA, rgb) + (1 << 15)) >> 16)) as u8;
    }
}

fn chroma(rows: &[Vec<u8>; 2], u: &mut [u8], v: &mut [u8]) {
    let pairs = rows[0].chunks_exact(6).zip(rows[1].chunks_exact(6));
    for ((upper, lower), (u, v)) in pairs.zip(u.iter_mut().zip(v)) {
        let sum = |channel: usize| {
            i32::from(upper[channel])
                + i32::from(upper[channel + 3])
                + i32::from(lower[channel])
                + i32::from(lower[channel + 3])
        };
        let rgb = [sum(0), sum(1), sum(2)];
        // Sums of four pixels: two more bits to shift away. Within 16..=240 by the weights.
        *u = (128 + ((weigh(BLUE, rgb) + (1 << 17)) >> 18)) as u8;
        *v = (128 + ((weigh(RED, rgb) + (1 << 17)) >> 18)) as u8;
    }
}

impl YUVSource for Planes {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.y
    }

    fn u(&self) -> &[u8] {
        &self.u
    }

    fn v(&self) -> &[u8] {
        &self.v
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn converted(rgb: [u8; 3]) -> (u8, u8, u8) {
        let mut planes = Planes::new((3, 3));
        planes.convert(&RgbImage::from_pixel(3, 3, Rgb(rgb)));
        assert_eq!(planes.dimensions(), (4, 4));
        (planes.y[15], planes.u[3], planes.v[3])
    }

    /// The values of the colour bars of ITU-R BT.709 at full amplitude.
    #[test]
    fn colours_are_those_of_bt_709() {
        assert_eq!(converted([0, 0, 0]), (16, 128, 128));
        assert_eq!(converted([255, 255, 255]), (235, 128, 128));
        assert_eq!(converted([255, 0, 0]), (63, 102, 240));
        assert_eq!(converted([0, 255, 0]), (173, 42, 26));
        assert_eq!(converted([0, 0, 255]), (32, 240, 118));
    }
}
