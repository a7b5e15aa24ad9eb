//! From the colours of video to those of pictures.

use image::{Rgb, RgbImage};
use openh264::formats::YUVSource;

/// Height from which pictures without a word on their colours count as high definition, as players have it.
const HIGH_DEFINITION: usize = 720;

/// How luma and chroma are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matrix {
    /// ITU-R BT.601: standard definition.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
    /// ITU-R BT.2020 with constant weights.
    Bt2020,
}

impl Matrix {
    /// The code of ITU-T H.273, table 4.
    pub(super) fn of(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Bt709),
            5 | 6 => Some(Self::Bt601),
            9 => Some(Self::Bt2020),
            _ => None,
        }
    }

    /// The weights of red and blue in luma.
    fn weights(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// What a stream says of its colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Colour {
    /// `None` where it does not say.
    pub(super) matrix: Option<Matrix>,
    /// Whether luma takes 0..=255 instead of 16..=235.
    pub(super) full_range: bool,
}

/// A decoded picture of 4:2:0 in red, green and blue. `None` if its planes are smaller than its size.
pub(super) fn to_rgb(yuv: &impl YUVSource, colour: Colour) -> Option<RgbImage> {
    let (width, height) = yuv.dimensions();
    let (y_stride, u_stride, v_stride) = yuv.strides();
    let mix = Mix::new(colour, height);
    let mut pixels = Vec::with_capacity(width.checked_mul(height)?.checked_mul(3)?);
    for row in 0..height {
        let luma = yuv.y().get(row * y_stride..)?.get(..width)?;
        let half = width.div_ceil(2);
        let u = yuv.u().get(row / 2 * u_stride..)?.get(..half)?;
        let v = yuv.v().get(row / 2 * v_stride..)?.get(..half)?;
        for (column, &y) in luma.iter().enumerate() {
            let Rgb(rgb) = mix.rgb(y, u[column / 2], v[column / 2]);
            pixels.extend(rgb);
        }
    }
    RgbImage::from_raw(
        u32::try_from(width).ok()?,
        u32::try_from(height).ok()?,
        pixels,
    )
}

/// Factors in 1/65536.
struct Mix {
    black: i32,
    luma: i32,
    red: i32,
    green: (i32, i32),
    blue: i32,
}

impl Mix {
    fn new(colour: Colour, height: usize) -> Self {
        let guess = match height >= HIGH_DEFINITION {
            true => Matrix::Bt709,
            false => Matrix::Bt601,
        };
        let (red, blue) = colour.matrix.unwrap_or(guess).weights();
        let green = 1.0 - red - blue;
        let (luma_range, chroma_range) = match colour.full_range {
            true => (255.0, 255.0),
            false => (219.0, 224.0),
        };
        let fixed = |factor: f64| (factor * 65_536.0).round() as i32;
        let chroma = |weight: f64| 2.0 * (1.0 - weight) * 255.0 / chroma_range;
        Self {
            black: if colour.full_range { 0 } else { 16 },
            luma: fixed(255.0 / luma_range),
            red: fixed(chroma(red)),
            green: (
                fixed(chroma(blue) * blue / green),
                fixed(chroma(red) * red / green),
            ),
            blue: fixed(chroma(blue)),
        }
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> Rgb<u8> {
        let luma = (i32::from(y) - self.black) * self.luma + (1 << 15);
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let clamp = |value: i32| (value >> 16).clamp(0, 255) as u8;
        Rgb([
            clamp(luma + v * self.red),
            clamp(luma - u * self.green.0 - v * self.green.1),
            clamp(luma + u * self.blue),
        ])
    }
}
