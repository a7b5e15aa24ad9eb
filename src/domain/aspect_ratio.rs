//! Ratios such as 16:9: how they are written, which are drawn, and the sizes that have them.

use std::{fmt, str::FromStr};

/// Width to height, as the client wrote it: `16:9`.
#[derive(Clone, Copy, Debug)]
pub struct AspectRatio {
    width: u32,
    height: u32,
}

impl AspectRatio {
    /// 1:1, where nothing asks for a ratio.
    pub(super) const SQUARE: Self = Self {
        width: 1,
        height: 1,
    };

    /// The ratio of a picture, whose sides are not 0, in lowest terms.
    pub fn of_size(width: u32, height: u32) -> Self {
        let divisor = gcd(width, height).max(1);
        Self {
            width: width / divisor,
            height: height / divisor,
        }
    }

    /// Whether the longer side is at most four times the shorter, which is what Atelier makes.
    pub fn is_drawable(self) -> bool {
        let (long, short) = (self.width.max(self.height), self.width.min(self.height));
        u64::from(long) <= u64::from(short) * 4
    }

    /// Whether a picture of this size has the ratio, up to the rounding of its sides to whole pixels.
    pub fn fits(self, width: u32, height: u32) -> bool {
        let expected = f64::from(height) * f64::from(self.width) / f64::from(self.height);
        (f64::from(width) - expected).abs() <= 1.0 + expected * 0.005
    }

    /// The size whose shorter side is `short` pixels; both sides are even, as video encoders want them.
    pub fn size(self, short: u32) -> (u32, u32) {
        let scale = |part: u32, of: u32| even(f64::from(short) * f64::from(part) / f64::from(of));
        if self.width >= self.height {
            (scale(self.width, self.height), even(f64::from(short)))
        } else {
            (even(f64::from(short)), scale(self.height, self.width))
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn even(length: f64) -> u32 {
    // Lengths are a few thousand pixels at most, so the cast cannot truncate.
    ((length / 2.0).round() as u32) * 2
}

impl PartialEq for AspectRatio {
    /// 2:1 and 4:2 are one ratio.
    fn eq(&self, other: &Self) -> bool {
        u64::from(self.width) * u64::from(other.height)
            == u64::from(other.width) * u64::from(self.height)
    }
}

impl fmt::Display for AspectRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.width, self.height)
    }
}

impl FromStr for AspectRatio {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (width, height) = text.split_once(':').ok_or(())?;
        let side = |digits: &str| match digits.parse::<u32>() {
            Ok(side @ 1..=10_000) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(side),
            _ => Err(()),
        };
        Ok(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> AspectRatio {
        text.parse().unwrap_or(AspectRatio::SQUARE)
    }

    #[test]
    fn a_size_has_its_ratio_and_even_sides() {
        for (text, size) in [
            ("16:9", (1920, 1080)),
            ("9:16", (1080, 1920)),
            ("4:5", (1080, 1350)),
            ("1:1", (1080, 1080)),
        ] {
            assert_eq!(ratio(text).size(1080), size, "{text}");
            assert!(ratio(text).fits(size.0, size.1), "{text}");
        }
    }

    #[test]
    fn equal_ratios_are_one_however_they_are_written() {
        assert_eq!(ratio("2:1"), ratio("4:2"));
        assert_ne!(ratio("2:1"), ratio("1:2"));
    }

    #[test]
    fn what_is_not_a_ratio_is_refused() {
        for text in [
            "", "16", "16/9", "0:1", "1:0", "-1:2", "+1:2", "a:b", "1:2:3", "99999:1",
        ] {
            assert!(text.parse::<AspectRatio>().is_err(), "{text}");
        }
    }
}
