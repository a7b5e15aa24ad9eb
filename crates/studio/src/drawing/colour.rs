//! Colours and their contrast.

/// The least contrast between text and what lies behind it (WCAG 2.2, level AA, normal text).
pub(super) const READABLE: f32 = 4.5;

/// An opaque sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

impl Colour {
    pub(super) const WHITE: Self = Self(255, 255, 255);
    pub(super) const INK: Self = Self(17, 17, 22);

    /// Reads `#rrggbb` or `#rgb`, with or without the hash.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches('#');
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let byte = |shift: u32| ((value >> shift) & 0xff) as u8;
        let nibble = |shift: u32| ((value >> shift) & 0xf) as u8 * 17;
        match digits.len() {
            6 => Some(Self(byte(16), byte(8), byte(0))),
            3 => Some(Self(nibble(8), nibble(4), nibble(0))),
            _ => None,
        }
    }

    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// `share` of `other` over this colour, as alpha blending does it.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        let blend = |a: u8, b: u8| {
            (f32::from(a) + (f32::from(b) - f32::from(a)) * share)
                .round()
                .clamp(0.0, 255.0) as u8
        };
        Self(
            blend(self.0, other.0),
            blend(self.1, other.1),
            blend(self.2, other.2),
        )
    }

    /// Relative luminance, 0 (black) to 1 (white), as WCAG defines it.
    pub(super) fn luminance(self) -> f32 {
        let linear = |byte: u8| {
            let value = f32::from(byte) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// WCAG contrast ratio, 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f32 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The smallest contrast with any of the colours behind.
    pub(super) fn least_contrast(self, behind: &[Self]) -> f32 {
        behind
            .iter()
            .map(|back| self.contrast(*back))
            .fold(21.0, f32::min)
    }

    /// This colour, or the nearest one towards white or black that reaches `ratio` on everything behind.
    pub(super) fn readable_on(self, behind: &[Self], ratio: f32) -> Option<Self> {
        (0..=20)
            .flat_map(|step| {
                let share = step as f32 / 20.0;
                [self.mix(Self::WHITE, share), self.mix(Self::INK, share)]
            })
            .find(|colour| colour.least_contrast(behind) >= ratio)
    }
}
