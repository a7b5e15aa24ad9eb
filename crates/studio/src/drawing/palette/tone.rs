//! Grounds for art: beside the words of a picture, or behind the card that they stand on.

use super::{Ground, Mood, Palette};

/// What the ground of art is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Tone {
    Dark,
    Light,
    /// The main colour.
    Vivid,
    /// The main colour if it is a dim one, else dusk.
    Glow,
    /// Between the darkest and the main colour.
    Dusk,
    /// Between the darkest colour and the main one's companion.
    Shade,
    /// The companion.
    Second,
    /// The accent.
    Spark,
    /// A breath of the companion.
    Pale,
}

impl Tone {
    /// What art has beside or behind words, in the order of the ideas; the words' mood is kept by the whole.
    pub(in super::super) fn beside(words: Mood) -> [Self; 4] {
        match words {
            Mood::Dark => [Self::Dusk, Self::Glow, Self::Shade, Self::Dusk],
            Mood::Light => [Self::Vivid, Self::Second, Self::Spark, Self::Pale],
            Mood::Vivid => [Self::Pale, Self::Dark, Self::Spark, Self::Light],
        }
    }
}

/// The most luminance of a colour that is at home in the dark.
const DIM: f32 = 0.12;

impl Ground {
    /// A ground for art alone: its colours need not carry words, so they stay as bright as they are.
    pub(in super::super) fn art(palette: &Palette, tone: Tone) -> Self {
        let Palette {
            deep,
            main,
            second,
            spark,
            paper,
            ..
        } = *palette;
        let dim = main.luminance() < DIM;
        let (mood, from, to, shapes) = match tone {
            Tone::Dark => return Self::new(palette, Mood::Dark),
            Tone::Light => return Self::new(palette, Mood::Light),
            Tone::Glow if dim => (
                Mood::Vivid,
                main,
                main.mix(deep, 0.3),
                [second.mix(deep, 0.4), spark, deep],
            ),
            Tone::Dusk | Tone::Glow => (
                Mood::Dark,
                deep.mix(main, 0.55),
                deep.mix(main, 0.3),
                [main, second.mix(deep, 0.4), spark],
            ),
            Tone::Shade => (
                Mood::Dark,
                deep.mix(second, 0.32),
                deep.mix(second, 0.14),
                [main, spark, second.mix(deep, 0.4)],
            ),
            Tone::Vivid => (
                Mood::Vivid,
                main,
                main.mix(deep, 0.22),
                [second, spark, paper],
            ),
            Tone::Second => (
                Mood::Vivid,
                second,
                second.mix(main, 0.3),
                [main, paper, spark],
            ),
            Tone::Spark => (
                Mood::Vivid,
                spark,
                spark.mix(second, 0.3),
                [main, paper, deep],
            ),
            Tone::Pale => (
                Mood::Light,
                paper.mix(second, 0.42),
                paper.mix(second, 0.6),
                [main, paper, spark],
            ),
        };
        Self {
            from,
            to,
            shapes,
            ..Self::new(palette, mood)
        }
    }
}
