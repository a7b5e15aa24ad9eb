//! How large the outputs of a feature may be, by the usual names such as 4K, see
//! docs/domain.md#properties-of-a-feature.

use std::{fmt, str::FromStr};

/// Shortest side of an output, in pixels.
pub const MIN_SIDE: u32 = 64;
/// Longest side of an output, in pixels: that of "8K".
const MAX_SIDE: u32 = 7_680;

/// The largest output of a feature, either way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    long: u32,
    short: u32,
}

impl Resolution {
    /// 3840x2160, where a feature sets none.
    pub(super) const UHD_4K: Self = Self {
        long: 3_840,
        short: 2_160,
    };

    /// 512x512, the largest output that only tries a template.
    pub(super) const PREVIEW: Self = Self {
        long: 512,
        short: 512,
    };

    /// Whether a picture of this size is no larger: neither side longer than the long one, no more pixels in all.
    pub fn allows(self, width: u32, height: u32) -> bool {
        let pixels = u64::from(width) * u64::from(height);
        width.max(height) <= self.long && pixels <= u64::from(self.long) * u64::from(self.short)
    }

    /// The largest that neither of the two has less than.
    pub(super) fn within(self, other: Self) -> Self {
        Self {
            long: self.long.min(other.long),
            short: self.short.min(other.short),
        }
    }

    /// Length of the shorter side in pixels.
    pub fn short_side(self) -> u32 {
        self.short
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.long, self.short)
    }
}

impl FromStr for Resolution {
    type Err = ();

    /// "720p", "1080p", "2K", "4K", "8K" or "WIDTHxHEIGHT".
    fn from_str(text: &str) -> Result<Self, ()> {
        let (long, short) = match text.to_ascii_lowercase().as_str() {
            "720p" => (1_280, 720),
            "1080p" => (1_920, 1_080),
            "1440p" | "2k" => (2_560, 1_440),
            "2160p" | "4k" => (3_840, 2_160),
            "4320p" | "8k" => (7_680, 4_320),
            other => {
                let (width, height) = other.split_once('x').ok_or(())?;
                let side = |digits: &str| digits.parse::<u32>().map_err(|_| ());
                let (width, height) = (side(width)?, side(height)?);
                (width.max(height), width.min(height))
            }
        };
        if short < MIN_SIDE || long > MAX_SIDE {
            return Err(());
        }
        Ok(Self { long, short })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_allows_pictures_either_way_round() {
        let uhd = Resolution::UHD_4K;
        assert!(uhd.allows(3_840, 2_160) && uhd.allows(2_160, 3_840) && uhd.allows(2_160, 2_160));
        assert!(!uhd.allows(3_841, 100) && !uhd.allows(3_840, 2_161));
    }

    #[test]
    fn names_and_sizes_are_understood_and_nonsense_is_not() {
        assert_eq!("4k".parse(), Ok(Resolution::UHD_4K));
        assert_eq!("2160x3840".parse(), Ok(Resolution::UHD_4K));
        for text in ["", "huge", "0x10", "10x10", "99999x99999", "-1x5", "x"] {
            assert!(text.parse::<Resolution>().is_err(), "{text}");
        }
    }
}
