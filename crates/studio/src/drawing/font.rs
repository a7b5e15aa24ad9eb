//! The fonts that the program carries, and the measures of text set in them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use resvg::usvg::{self, fontdb};
use skrifa::{FontRef, MetadataProvider as _};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::DrawError;
use super::scene::escape;

/// A font face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Face {
    /// Be Vietnam Pro Medium: body text.
    Text,
    /// Be Vietnam Pro ExtraBold.
    Heavy,
    /// Anton: narrow and loud.
    Display,
    /// Noto Serif Display Bold.
    Serif,
    /// Baloo 2 ExtraBold: round and friendly.
    Rounded,
}

impl Face {
    pub(super) const ALL: [Self; 5] = [
        Self::Text,
        Self::Heavy,
        Self::Display,
        Self::Serif,
        Self::Rounded,
    ];

    pub(super) fn family(self) -> &'static str {
        match self {
            Self::Text | Self::Heavy => "Be Vietnam Pro",
            Self::Display => "Anton",
            Self::Serif => "Noto Serif Display",
            Self::Rounded => "Baloo 2",
        }
    }

    pub(super) fn weight(self) -> u16 {
        match self {
            Self::Text => 500,
            Self::Display => 400,
            Self::Serif => 700,
            Self::Heavy | Self::Rounded => 800,
        }
    }

    fn data(self) -> &'static [u8] {
        match self {
            Self::Text => {
                include_bytes!("../../fonts/BeVietnamPro/BeVietnamPro-Medium.ttf")
            }
            Self::Heavy => {
                include_bytes!("../../fonts/BeVietnamPro/BeVietnamPro-ExtraBold.ttf")
            }
            Self::Display => include_bytes!("../../fonts/Anton/Anton-Regular.ttf"),
            Self::Serif => include_bytes!("../../fonts/NotoSerifDisplay/NotoSerifDisplay-Bold.ttf"),
            Self::Rounded => include_bytes!("../../fonts/Baloo2/Baloo2-ExtraBold.ttf"),
        }
    }
}

/// Only our own fonts: what is drawn must not depend on the machine.
static DATABASE: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut database = fontdb::Database::new();
    for face in Face::ALL {
        database.load_font_source(fontdb::Source::Binary(Arc::new(face.data())));
    }
    Arc::new(database)
});

/// Parse options that know our fonts, and nothing outside the program.
pub(super) fn options() -> usvg::Options<'static> {
    usvg::Options {
        fontdb: Arc::clone(&DATABASE),
        font_family: Face::Text.family().to_owned(),
        ..usvg::Options::default()
    }
}

/// Whether the face has a glyph for the character.
pub(super) fn covers(face: Face, c: char) -> bool {
    FontRef::new(face.data()).is_ok_and(|font| font.charmap().map(c).is_some())
}

/// The part of a text that every given face can show: composed (NFC), look-alikes replaced by the plain
/// characters they stand for (NFKC), and the rest (emoji, other scripts, control characters) left out. What is joined to
/// something that cannot be shown is left out with it.
pub(super) fn showable(text: &str, faces: &[Face]) -> String {
    let composed: String = text.nfc().collect();
    let mut out = String::with_capacity(composed.len());
    for cluster in composed.graphemes(true) {
        if !cluster.contains(JOINER) || is_shown(cluster, faces) {
            out.extend(cluster.chars().flat_map(|c| shown(c, faces)));
        }
    }
    out
}

/// What a reader takes for one character and some of which no face shows: whole emoji, letters with their marks.
pub(super) fn omitted(text: &str) -> Vec<String> {
    let composed: String = text.nfc().collect();
    let clusters = composed.graphemes(true);
    let left_out = clusters.filter(|cluster| !is_shown(cluster, &Face::ALL));
    // No emoji is longer; marks may be piled up without end.
    left_out
        .map(|cluster| cluster.chars().take(16).collect())
        .collect()
}

fn is_shown(cluster: &str, faces: &[Face]) -> bool {
    let seen = |c: &char| !c.is_whitespace() && !c.is_control() && !is_unseen(*c);
    cluster
        .chars()
        .filter(seen)
        .all(|c| !shown(c, faces).is_empty())
}

/// What shows a character: itself, the plain ones that it stands for, or nothing.
fn shown(c: char, faces: &[Face]) -> Vec<char> {
    let covered =
        |c: &char| !c.is_control() && !is_unseen(*c) && faces.iter().all(|face| covers(*face, *c));
    match c {
        '\n' => vec!['\n'],
        c if c.is_whitespace() => vec![' '],
        c if covered(&c) => vec![c],
        c => c.nfkc().filter(covered).collect(),
    }
}

/// Joins emoji to one.
const JOINER: char = '\u{200d}';

/// Whether a character only joins, selects or turns others, and has no picture of its own.
fn is_unseen(c: char) -> bool {
    const UNSEEN: [RangeInclusive<char>; 8] = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{fe00}'..='\u{fe0f}',
        '\u{feff}'..='\u{feff}',
        '\u{e0000}'..='\u{e01ef}',
    ];
    // The frame around a digit: 1️⃣ is shown as 1.
    c == '\u{20e3}' || UNSEEN.iter().any(|range| range.contains(&c))
}

/// What a piece of text takes up at a font size of one pixel, relative to its baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    /// How far the next glyph stands from the start.
    pub(super) advance: f32,
    /// Ink above the baseline (positive).
    pub(super) ascent: f32,
    /// Ink below the baseline (positive).
    pub(super) descent: f32,
}

/// Measures words, each once.
#[derive(Debug, Default)]
pub(super) struct Meter {
    known: HashMap<(Face, String), Extent>,
}

/// The size at which text is laid out to be measured: outlines scale, so one size serves all.
const MEASURED_AT: f32 = 100.0;

impl Meter {
    /// Measures all pieces that are not known yet, in one layout run.
    pub(super) fn learn<'a>(
        &mut self,
        face: Face,
        pieces: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DrawError> {
        let mut new: Vec<&str> = pieces
            .into_iter()
            .filter(|piece| !self.known.contains_key(&(face, (*piece).to_owned())))
            .collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let tree = parse(&specimen(face, &new))?;
        for piece in &new {
            self.known.insert((face, (*piece).to_owned()), NOTHING);
        }
        for node in tree.root().children() {
            let usvg::Node::Text(text) = node else {
                continue;
            };
            let index: Option<usize> = text.id().strip_prefix('t').and_then(|id| id.parse().ok());
            if let Some(piece) = index.and_then(|index| new.get(index)) {
                self.known.insert((face, (*piece).to_owned()), extent(text));
            }
        }
        Ok(())
    }

    /// The extent of a piece that [`Meter::learn`] has seen; nothing for one that shows nothing.
    pub(super) fn extent(&self, face: Face, piece: &str) -> Extent {
        // The key type is owned; pieces are short words.
        self.known
            .get(&(face, piece.to_owned()))
            .copied()
            .unwrap_or(NOTHING)
    }

    /// The width of a space at a size of one pixel.
    pub(super) fn space(&mut self, face: Face) -> Result<f32, DrawError> {
        self.learn(face, ["n n", "nn"])?;
        Ok(self.extent(face, "n n").advance - self.extent(face, "nn").advance)
    }
}

const NOTHING: Extent = Extent {
    advance: 0.0,
    ascent: 0.0,
    descent: 0.0,
};

fn specimen(face: Face, pieces: &[&str]) -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100" font-family="{}" font-weight="{}" font-size="{MEASURED_AT}">"#,
        face.family(),
        face.weight(),
    );
    for (index, piece) in pieces.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(svg, r#"<text id="t{index}">{}</text>"#, escape(piece));
    }
    svg.push_str("</svg>");
    svg
}

fn extent(text: &usvg::Text) -> Extent {
    let ink = text.stroke_bounding_box();
    Extent {
        advance: text.bounding_box().width() / MEASURED_AT,
        ascent: -ink.top() / MEASURED_AT,
        descent: ink.bottom().max(0.0) / MEASURED_AT,
    }
}

pub(super) fn parse(svg: &str) -> Result<usvg::Tree, DrawError> {
    usvg::Tree::from_str(svg, &options()).map_err(|error| DrawError::Internal(error.to_string()))
}
