//! The built-in palettes, and how a palette becomes the colours of one picture.

mod tone;

use super::colour::{Colour, READABLE};

pub(super) use tone::Tone;

/// Five colours that go together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Palette {
    pub(super) name: &'static str,
    /// The darkest: dark grounds, and text on light ones.
    deep: Colour,
    /// The colour that one remembers.
    main: Colour,
    /// Its companion.
    second: Colour,
    /// Small bright accents: badges, rules.
    spark: Colour,
    /// The lightest: light grounds, and text on dark ones.
    paper: Colour,
}

const fn palette(name: &'static str, rgb: [u32; 5]) -> Palette {
    const fn colour(rgb: u32) -> Colour {
        Colour((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
    }
    Palette {
        name,
        deep: colour(rgb[0]),
        main: colour(rgb[1]),
        second: colour(rgb[2]),
        spark: colour(rgb[3]),
        paper: colour(rgb[4]),
    }
}

/// All palettes that a style may name.
pub(super) const PALETTES: [Palette; 16] = [
    palette("coffee", [0x2f1b12, 0x8a4b2a, 0xd99a5b, 0xf6c453, 0xfbf1e3]),
    palette(
        "sunrise",
        [0x3d1432, 0xe4502e, 0xf7946b, 0xffcf56, 0xfff4e6],
    ),
    palette("ocean", [0x07263f, 0x0f6e9c, 0x39b6c8, 0xffb74a, 0xeef8fa]),
    palette("forest", [0x10291f, 0x23704a, 0x8fbf6b, 0xf2c14e, 0xf6f6e9]),
    palette("berry", [0x33092f, 0xb01e6b, 0xf07ba8, 0xffd166, 0xfff0f5]),
    palette("lotus", [0x45152c, 0xd6547d, 0xf4a6b8, 0x5f9e7f, 0xfff5f2]),
    palette(
        "midnight",
        [0x0e1033, 0x3a3fa8, 0x8b6cf0, 0xffc857, 0xf3f3ff],
    ),
    palette("mint", [0x0b3333, 0x14887c, 0x7fd1b5, 0xff8a5c, 0xf0fbf6]),
    palette("citrus", [0x2b3a12, 0x5d8c1a, 0xb9d03e, 0xff9f1c, 0xfcfbe8]),
    palette(
        "lavender",
        [0x2a1b4a, 0x6f52b5, 0xb9a2ec, 0xf7b7d3, 0xf8f4ff],
    ),
    palette("tet", [0x5b0a12, 0xc3161c, 0xe8563f, 0xffd34e, 0xfff3dc]),
    palette(
        "terracotta",
        [0x3a211b, 0xb5533c, 0xdd9b7a, 0x3f7d7a, 0xfaf1e8],
    ),
    palette("candy", [0x3b1a5a, 0xf0468a, 0x5ac8e8, 0xffd93d, 0xfff6fb]),
    palette("neon", [0x12081f, 0x7a1fd1, 0x1fc8db, 0xf9f871, 0xf4efff]),
    palette("sand", [0x33302a, 0x8c7a5b, 0xcdb78e, 0xc8553d, 0xfaf6ee]),
    palette("mono", [0x16181d, 0x3c4250, 0x9aa3b2, 0xf25f3a, 0xf6f7f9]),
];

impl Palette {
    /// A seal's ground, and the colour of the halo that it needs: the brightest that stands out from everything that may lie
    /// under it, else one that differs from the ground itself (the first of them) within a halo that stands out from the seal.
    pub(super) fn seal(&self, under: &[Colour]) -> (Ground, Option<Colour>) {
        let bright = [self.spark, self.main, self.second].map(|colour| self.sealed(colour));
        let clear = |seal: &&Ground| stands_out(seal.from, under);
        if let Some(seal) = bright.iter().find(clear) {
            return (seal.clone(), None);
        }
        let behind = under.first().copied().unwrap_or(self.paper);
        let differs = |seal: &&Ground| seal.from.contrast(behind) >= 1.7;
        let seal = bright.iter().find(differs).unwrap_or(&bright[0]).clone();
        let halos = [self.paper, self.deep, Colour::WHITE, Colour::INK];
        let halo = halos
            .into_iter()
            .filter(|halo| halo.contrast(seal.from) >= DISTINCT)
            .max_by(|a, b| a.contrast(behind).total_cmp(&b.contrast(behind)));
        (seal, halo.or(Some(Colour::INK)))
    }

    /// The ground of a seal of a colour, as dark as its words need it.
    fn sealed(&self, colour: Colour) -> Ground {
        let dark = Ground::new(self, Mood::Dark).from;
        let ink = match dark.contrast(colour) > Colour::WHITE.contrast(colour) {
            true => dark,
            false => Colour::WHITE,
        };
        Ground::plain(colour, ink)
    }

    /// The same colours with other paper and ink, for the idea of this number, counted around.
    pub(super) fn tinted(self, idea: usize) -> Self {
        let Self {
            deep,
            main,
            second,
            spark,
            paper,
            ..
        } = self;
        let (deep, paper) = match idea % 4 {
            0 => (deep, paper),
            1 => (deep.mix(second, 0.14), paper.mix(second, 0.3)),
            2 => (deep.mix(main, 0.3), paper.mix(spark, 0.24)),
            _ => (deep.mix(Colour::INK, 0.45), paper.mix(main, 0.14)),
        };
        Self {
            deep,
            paper,
            ..self
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        PALETTES.into_iter().find(|palette| palette.name == name)
    }

    /// A palette of a user's own colours (two or more): ordered by luminance, what is missing is mixed.
    pub(super) fn from_colours(colours: &[Colour]) -> Self {
        let mut sorted = colours.to_vec();
        sorted.sort_by(|a, b| a.luminance().total_cmp(&b.luminance()));
        let first = sorted.first().copied().unwrap_or(Colour::INK);
        let last = sorted.last().copied().unwrap_or(Colour::WHITE);
        let deep = first.mix(
            Colour::INK,
            if first.luminance() > 0.06 { 0.7 } else { 0.0 },
        );
        let paper = last.mix(
            Colour::WHITE,
            if last.luminance() < 0.8 { 0.88 } else { 0.0 },
        );
        // The first colour that the user wrote leads; it is what a brand calls its own.
        let main = colours.first().copied().unwrap_or(first);
        let second = colours.get(1).copied().unwrap_or(main.mix(paper, 0.4));
        let spark = colours
            .get(2)
            .copied()
            .unwrap_or(second.mix(Colour::WHITE, 0.35));
        Self {
            name: "custom",
            deep,
            main,
            second,
            spark,
            paper,
        }
    }
}

/// How light a ground is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Dark,
    Vivid,
    Light,
}

/// A ground with the colours that stand on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    /// Where the ground's gradient begins and ends.
    pub(super) from: Colour,
    pub(super) to: Colour,
    /// Text. Readable on the ground, also where a soft pattern lies on it.
    pub(super) ink: Colour,
    /// Less loud text, and still readable.
    pub(super) quiet: Colour,
    /// Emphasised text, readable too.
    pub(super) accent: Colour,
    /// Decoration, loudest first. Not for text.
    pub(super) shapes: [Colour; 3],
    /// The pattern under text, painted at the opacity [`SOFT`].
    pub(super) soft: Colour,
}

/// The least contrast of a seal with what lies around it (WCAG 2.2, 1.4.11, of graphical objects).
const DISTINCT: f32 = 3.0;

/// Whether a colour is distinct from all of these, and from what they give where a pattern lies half over the ground.
fn stands_out(colour: Colour, under: &[Colour]) -> bool {
    let own = colour.luminance();
    let darker = under.iter().filter(|below| below.luminance() < own).count();
    let is_aside = darker == 0 || darker == under.len();
    is_aside && colour.least_contrast(under) >= DISTINCT
}

/// The opacity of a pattern that text may lie on.
pub(super) const SOFT: f32 = 0.09;

impl Ground {
    pub(super) fn new(palette: &Palette, mood: Mood) -> Self {
        let Palette {
            deep,
            main,
            second,
            spark,
            paper,
            ..
        } = *palette;
        match mood {
            Mood::Dark => Self::build(
                (deep, deep.mix(main, 0.3)),
                paper,
                spark,
                [main, second, spark],
                second,
            ),
            Mood::Light => Self::build(
                (paper, paper.mix(second, 0.16)),
                deep,
                main,
                [main, second, spark],
                main,
            ),
            // A bright main colour carries dark words, a deep one light words.
            Mood::Vivid if main.luminance() > 0.24 => Self::build(
                (main.mix(paper, 0.12), main),
                deep,
                deep,
                [paper, spark, paper],
                paper,
            ),
            Mood::Vivid =>
            // The pattern is darker than the ground: it never takes contrast from light words.
            {
                Self::build(
                    (main, main.mix(deep, 0.28)),
                    paper,
                    spark,
                    [second, spark, paper],
                    deep,
                )
            }
        }
    }

    /// A plain ground of one colour, as a badge or a pill has it.
    pub(super) fn plain(colour: Colour, ink: Colour) -> Self {
        Self::build((colour, colour), ink, ink, [ink; 3], colour)
    }

    fn build(
        (mut from, mut to): (Colour, Colour),
        ink: Colour,
        accent: Colour,
        shapes: [Colour; 3],
        soft: Colour,
    ) -> Self {
        // Middle tones carry neither white nor black text: darken them until one of them is readable.
        for _ in 0..20 {
            let behind = behind(from, to, soft);
            if let Some(ink) = ink.readable_on(&behind, READABLE + 0.2) {
                let accent = accent.readable_on(&behind, READABLE).unwrap_or(ink);
                let quiet = ink.mix(from, 0.2);
                let quiet = if quiet.least_contrast(&behind) >= READABLE {
                    quiet
                } else {
                    ink
                };
                return Self {
                    from,
                    to,
                    ink,
                    quiet,
                    accent,
                    shapes,
                    soft,
                };
            }
            (from, to) = (from.mix(Colour::INK, 0.06), to.mix(Colour::INK, 0.06));
        }
        let (dark, light) = (Colour::INK, Colour::WHITE);
        Self {
            from: dark,
            to: dark,
            ink: light,
            quiet: light,
            accent: light,
            shapes,
            soft: dark,
        }
    }

    /// What stands on colours between these two, in each channel, as this ground's own would; `None` if nothing could be read
    /// there.
    pub(super) fn over(&self, from: Colour, to: Colour) -> Option<Self> {
        let behind = behind(from, to, from);
        let ink = self.ink.readable_on(&behind, READABLE + 0.2)?;
        let or_ink = |colour: Option<Colour>| {
            let readable = colour.filter(|colour| colour.least_contrast(&behind) >= READABLE);
            readable.unwrap_or(ink)
        };
        Some(Self {
            from,
            to,
            ink,
            quiet: or_ink(Some(ink.mix(from, 0.2))),
            accent: or_ink(self.accent.readable_on(&behind, READABLE)),
            shapes: self.shapes,
            soft: from,
        })
    }

    /// Every colour that may lie behind what stands among the shapes; the ground's own is the first.
    pub(super) fn among_shapes(&self) -> Vec<Colour> {
        [self.from, self.to]
            .into_iter()
            .chain(self.shapes)
            .collect()
    }

    /// Every colour that may lie behind text here.
    pub(super) fn behind(&self) -> Vec<Colour> {
        behind(self.from, self.to, self.soft)
    }
}

/// Samples of the gradient, bare, and under one and two layers of the soft pattern.
fn behind(from: Colour, to: Colour, soft: Colour) -> Vec<Colour> {
    [0.0, 0.25, 0.5, 0.75, 1.0]
        .into_iter()
        .flat_map(|share| {
            let bare = from.mix(to, share);
            let once = bare.mix(soft, SOFT);
            [bare, once, once.mix(soft, SOFT)]
        })
        .collect()
}
