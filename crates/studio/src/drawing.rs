//! Draws posters, banners and quote cards: from a prompt, a style and a seed to pixels.
//!
//! The words of the prompt are read into roles (`wording`), measured and fitted into a column (`typeset`, `block`), put
//! on a canvas with art around them (`layout`), as a vector scene (`scene`) that is rasterised in bands (`raster`).
//! Same brief, same pixels; another seed, another composition with the same words.

mod badge;
mod block;
mod colour;
mod editing;
mod emblem;
mod font;
mod geometry;
mod layer;
mod layout;
mod motif;
mod palette;
mod part;
mod path;
mod photo;
mod phrasing;
mod raster;
mod scene;
mod style;
mod typeset;
mod wording;

use std::sync::Arc;

use image::{RgbImage, RgbaImage};
use serde_json::{Map, Value};

use super::dice;

pub use style::check_style;

pub(crate) use geometry::Area;
pub(crate) use layer::{Backdrop, Drawn, Layer, OVERSCAN, layers};
pub(crate) use part::Part;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// The words. What the fonts cannot show (emoji, other scripts) is left out.
    pub prompt: String,
    /// Chooses what the style leaves open.
    pub seed: u64,
    /// Width in pixels, 64 to 4096.
    pub width: u32,
    /// Height in pixels, 64 to 4096. No side is more than four times the other.
    pub height: u32,
    /// The template's style; see [`check_style`].
    pub style: Map<String, Value>,
    /// A picture of the user's own, as background or product shot.
    pub picture: Option<Arc<RgbaImage>>,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// The caller asked to stop.
    #[error("the drawing was stopped")]
    Stopped,
    /// The brief cannot be drawn.
    #[error("{field}: {message}")]
    Invalid {
        /// The wrong field, as in `style.palette`.
        field: String,
        /// What is expected.
        message: String,
    },
    /// A defect of the program.
    #[error("drawing failed: {0}")]
    Internal(String),
}

const LEAST_SIDE: u32 = 64;
const MOST_SIDE: u32 = 4096;
const MOST_RATIO: u32 = 4;
/// Pixels that a side computed from a ratio may be too long.
const ROUNDING: u32 = 4;
/// The share of the work that composing is; the rest is rasterising.
const COMPOSED: f32 = 0.1;

/// Draws a brief. `report` is called with the share that is done, 0.0 to 1.0, and stops the drawing by returning false.
///
/// # Errors
/// [`DrawError::Stopped`] when `report` returned false, [`DrawError::Invalid`] when a side is out of range or a style key
/// has a wrong value, [`DrawError::Internal`] when the scene cannot be rendered.
pub fn draw(brief: &Brief, report: &mut dyn FnMut(f32) -> bool) -> Result<RgbImage, DrawError> {
    let mut step = |share: f32| {
        if report(share) {
            Ok(())
        } else {
            Err(DrawError::Stopped)
        }
    };
    step(0.0)?;
    let scene = compose(brief, 0)?;
    step(COMPOSED / 2.0)?;
    let painted = scene.stages().into_iter().map(raster::Painted::of);
    let painted = painted.collect::<Result<Vec<_>, _>>()?;
    step(COMPOSED)?;
    raster::rasterise(&painted, (brief.width, brief.height), &mut |share| {
        report(COMPOSED + (1.0 - COMPOSED) * share)
    })
}

/// The characters of a text that the fonts cannot show, each once and at most 64 of them, so that a caller can be told. An
/// emoji is one character, however many it is made of.
pub fn omitted(text: &str) -> String {
    let mut named: Vec<String> = Vec::new();
    for character in font::omitted(text) {
        if named.len() < 64 && !named.contains(&character) {
            named.push(character);
        }
    }
    named.concat()
}

/// Whether the fonts can show any of a text.
pub fn shows(text: &str) -> bool {
    !font::showable(text, &font::Face::ALL).trim().is_empty()
}

/// Whether a prompt has more words than a picture is given, however large it is.
pub fn shortens(prompt: &str) -> bool {
    wording::shortens(&font::showable(prompt, &font::Face::ALL))
}

/// The scene of a brief, with the numbers of a countdown from `count`.
fn compose(brief: &Brief, count: u8) -> Result<scene::Scene, DrawError> {
    check_size(brief)?;
    let style = style::Style::parse(&brief.style, brief.seed)?;
    layout::compose(brief, &style, count)
}

fn check_size(brief: &Brief) -> Result<(), DrawError> {
    let sides = [
        ("width", brief.width, brief.height),
        ("height", brief.height, brief.width),
    ];
    for (field, side, other) in sides {
        let message = if !(LEAST_SIDE..=MOST_SIDE).contains(&side) {
            format!("expected {LEAST_SIDE} to {MOST_SIDE} pixels, not {side}")
        } else if side > other.saturating_mul(MOST_RATIO) + ROUNDING {
            format!("expected at most {MOST_RATIO} times the other side, not {side} to {other}")
        } else {
            continue;
        };
        return Err(DrawError::Invalid {
            field: field.to_owned(),
            message,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
