//! Seals that carry a price or a discount.

use super::DrawError;
use super::colour::Colour;
use super::dice::Dice;
use super::font::{Face, Meter};
use super::geometry::Area;
use super::palette::Ground;
use super::path;
use super::scene::{Anchor, Scene, TextRun};
use super::typeset::Words;
use super::wording::Offer;

/// The text of a badge stays inside this share of its radius.
const INNER: f32 = 0.74;
/// The radius of a halo, in radii of its seal.
pub(super) const HALO: f32 = 1.08;

/// What a seal is made of.
pub(super) struct Seal {
    /// Its colour, and that of its words.
    pub(super) ground: Ground,
    /// The colour around it, where its own would be lost.
    pub(super) halo: Option<Colour>,
    /// The least size of its words, in pixels, as far as they have room.
    pub(super) least: f32,
}

/// Draws the seal around a point, with its words fitted in; they are centred and stand upright.
pub(super) fn draw(
    scene: &mut Scene,
    meter: &mut Meter,
    offer: &Offer,
    (x, y): (f32, f32),
    r: f32,
    seal: &Seal,
    dice: &mut Dice,
) -> Result<(), DrawError> {
    let ground = &seal.ground;
    shape(scene, (x, y), r, seal, dice);
    let value = Words::measure(meter, Face::Heavy, &offer.value, 0.0)?;
    let before = Words::measure(meter, Face::Heavy, &offer.before, 0.01)?;
    let after = Words::measure(meter, Face::Heavy, &offer.after, 0.01)?;
    let stack = [seal.least, seal.least * 0.8, 0.0]
        .into_iter()
        .find_map(|least| fit([&before, &value, &after], r * INNER, least));
    let Some(stack) = stack else {
        return Ok(());
    };
    let gap = stack.gap;
    let total: f32 = stack.rows.iter().map(|row| row.height).sum::<f32>()
        + gap * stack.rows.len().saturating_sub(1) as f32;
    let mut top = y - total / 2.0;
    for row in stack.rows {
        let bounds = Area::new(x - row.width / 2.0, top, row.width, row.height);
        scene.text(TextRun {
            text: row.text,
            face: Face::Heavy,
            size: row.size,
            tracking: row.tracking,
            anchor: Anchor::Middle,
            x,
            baseline: top + row.ascent,
            bounds,
            colour: ground.ink,
            emphasis: None,
            behind: vec![ground.from],
        });
        top += row.height + gap;
    }
    Ok(())
}

fn shape(scene: &mut Scene, (x, y): (f32, f32), r: f32, seal: &Seal, dice: &mut Dice) {
    let turn = dice.range(0.0, 1.0);
    let which = dice.index(3);
    let mut outline = |r: f32, colour: Colour| match which {
        0 => scene.fill(&path::star(x, y, r, r * 0.88, 22, turn), colour, 1.0),
        1 => scene.fill(&path::star(x, y, r, r * 0.91, 14, turn), colour, 1.0),
        _ => scene.circle(x, y, r * 0.96, colour, 1.0),
    };
    if let Some(colour) = seal.halo {
        outline(r * HALO, colour);
    }
    outline(r, seal.ground.from);
    scene.ring(x, y, r * 0.85, r * 0.018, seal.ground.ink, 0.85);
}

struct Row {
    text: String,
    size: f32,
    tracking: f32,
    width: f32,
    ascent: f32,
    height: f32,
}

struct Stack {
    rows: Vec<Row>,
    gap: f32,
}

/// The largest value size at which all rows lie inside the circle of radius `r`, none in type smaller than `least` pixels.
fn fit(words: [&Words; 3], r: f32, least: f32) -> Option<Stack> {
    (4..=40).rev().find_map(|step| {
        let size = r * 0.028 * step as f32;
        let stack = stacked(words, size, (r, least));
        (size >= least && inside(&stack, r)).then_some(stack)
    })
}

fn stacked([before, value, after]: [&Words; 3], size: f32, (r, least): (f32, f32)) -> Stack {
    let small = (size * 0.4).max(r * 0.22).max(least).min(size);
    let mut rows = rows_of(before, small, r * 1.7);
    // A value of several words, as a badge's own text may be, takes several lines.
    rows.extend(rows_of(value, size, r * 1.9));
    rows.extend(rows_of(after, small, r * 1.7));
    Stack {
        rows,
        gap: size * 0.12,
    }
}

/// The lines of a text, each as high as it needs to be: the leading keeps a line's marks off the line above.
fn rows_of(words: &Words, size: f32, width: f32) -> Vec<Row> {
    let lines = words.wrap(width / size);
    let last = lines.lines.len().saturating_sub(1);
    let row = |(index, (text, width)): (usize, &(String, f32))| {
        let ascent = if index == 0 {
            lines.ascent
        } else {
            lines.leading
        };
        let descent = if index == last { lines.descent } else { 0.0 };
        Row {
            text: text.clone(),
            size,
            tracking: words.tracking,
            width: width * size,
            ascent: ascent * size,
            height: (ascent + descent) * size,
        }
    };
    let rows = lines.lines.iter().enumerate().map(row);
    rows.filter(|row| !row.text.is_empty()).collect()
}

fn inside(stack: &Stack, r: f32) -> bool {
    let total: f32 = stack.rows.iter().map(|row| row.height).sum::<f32>()
        + stack.gap * stack.rows.len().saturating_sub(1) as f32;
    let mut top = -total / 2.0;
    stack.rows.len() <= 5
        && stack.rows.iter().all(|row| {
            let far = top.abs().max((top + row.height).abs());
            top += row.height + stack.gap;
            far.hypot(row.width / 2.0) <= r * 1.06
        })
}
