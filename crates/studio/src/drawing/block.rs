//! A column of text: kicker, headline, subline and details, sized together so that they fill a box and keep their order
//! of importance.

mod draw;

use super::DrawError;
use super::font::{Face, Meter};
use super::geometry::Area;
use super::style::Align;
use super::typeset::{Lines, Words};

/// Smaller text is noise, in pixels. Very small canvases show fewer words instead.
pub(super) const LEGIBLE: f32 = 7.0;

/// What a piece of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Kicker,
    Headline,
    Subline,
    /// Stands on a pill of its own.
    Details,
    Author,
}

/// One piece of a column.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) role: Role,
    pub(super) text: String,
    pub(super) face: Face,
    /// Drawn in the accent colour.
    pub(super) emphasis: Option<String>,
}

/// Font sizes in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) headline: (f32, f32),
    pub(super) body: (f32, f32),
    /// Most lines of a headline.
    pub(super) lines: usize,
}

impl Sizes {
    /// Sizes for a canvas: the scale follows its area, the limits its shorter side.
    pub(super) fn of(canvas: Area) -> Self {
        let unit = (canvas.w * canvas.h).sqrt().min(canvas.short() * 1.9);
        Self {
            headline: (
                (unit * 0.038).max(LEGIBLE * 1.2),
                (unit * 0.185).max(LEGIBLE * 1.5),
            ),
            body: ((unit * 0.0285).max(LEGIBLE), (unit * 0.047).max(LEGIBLE)),
            lines: 5,
        }
    }

    /// The same with no text smaller than so many pixels.
    pub(super) fn at_least(self, pixels: f32) -> Self {
        Self {
            body: (self.body.0.max(pixels), self.body.1.max(pixels)),
            ..self
        }
    }
}

struct Measured {
    role: Role,
    words: Words,
    emphasis: Option<String>,
}

struct Placed {
    role: Role,
    face: Face,
    tracking: f32,
    size: f32,
    lines: Lines,
    emphasis: Option<String>,
    /// Space above.
    gap: f32,
}

impl Placed {
    fn height(&self) -> f32 {
        let text = self.lines.height() * self.size;
        if self.role == Role::Details {
            text + 2.0 * self.size * PILL
        } else {
            text
        }
    }
}

/// A pill's padding above and below its text, in parts of the font size.
const PILL: f32 = 0.55;

/// A column that fits its box.
pub(super) struct Column {
    placed: Vec<Placed>,
    area: Area,
    align: Align,
}

/// How often a headline size is tried between its limits, and how far beyond the upper one, where there is room for more.
const STEPS: usize = 28;
const BEYOND: usize = 26;
/// As much for body sizes.
const BODY_STEPS: usize = 5;
const BODY_BEYOND: usize = 2;
/// A column so many times as high as its box is not going to fit in larger type.
const FAR: f32 = 1.25;

/// Fits the pieces into the area: the largest sizes that do; what cannot be read at the least size is cut.
pub(super) fn fit(
    meter: &mut Meter,
    pieces: &[Piece],
    area: Area,
    sizes: Sizes,
    align: Align,
) -> Result<Column, DrawError> {
    let mut measured = Vec::with_capacity(pieces.len());
    for piece in pieces.iter().filter(|piece| !piece.text.trim().is_empty()) {
        let tracking = match piece.role {
            Role::Kicker => 0.02,
            _ => 0.0,
        };
        let words = Words::measure(meter, piece.face, &piece.text, tracking)?;
        measured.push(Measured {
            role: piece.role,
            words,
            emphasis: piece.emphasis.clone(),
        });
    }
    let mut best: Option<(f32, Vec<Placed>)> = None;
    for body_step in 0..=BODY_STEPS + BODY_BEYOND {
        let body_share = body_step as f32 / BODY_STEPS as f32;
        for headline_step in 0..=STEPS + BEYOND {
            let share = headline_step as f32 / STEPS as f32;
            let candidate = lay_out(&measured, area, sizes, share, body_share, None);
            if height(&candidate) > area.h * FAR {
                break;
            }
            // A larger headline is worth more than larger small print, but tiny small print is worth nothing.
            let score = share.min(1.0) + 0.4 * (share - 1.0).max(0.0) + 0.32 * body_share.sqrt()
                - 0.6 * raggedness(&candidate)
                - 0.3 * stumbles(&candidate)
                - 0.08 * tall_stack(&candidate, sizes);
            if fits(&candidate, area, sizes) && best.as_ref().is_none_or(|(most, _)| score > *most)
            {
                best = Some((score, candidate));
            }
        }
    }
    let placed = match best {
        Some((_, placed)) => placed,
        None => squeeze(meter, measured, area, sizes)?,
    };
    Ok(Column {
        placed,
        area,
        align,
    })
}

fn fits(column: &[Placed], area: Area, sizes: Sizes) -> bool {
    let lines = |role: Role, most: usize| {
        column
            .iter()
            .filter(|p| p.role == role)
            .all(|p| p.lines.lines.len() <= most)
    };
    column.iter().all(|piece| {
        piece.lines.width() * piece.size <= width_for(piece.role, area, piece.size) + 0.01
    }) && height(column) <= area.h
        && lines(Role::Headline, sizes.lines)
        && lines(Role::Kicker, 1)
        && lines(Role::Author, 1)
        && lines(Role::Details, 2)
}

/// How far the headline's shortest line is from three quarters of its longest: stubs look like accidents.
fn raggedness(column: &[Placed]) -> f32 {
    column
        .iter()
        .filter(|piece| piece.role == Role::Headline)
        .flat_map(|piece| {
            piece
                .lines
                .lines
                .iter()
                .map(|(_, width)| 0.75 - width / piece.lines.width().max(0.01))
        })
        .fold(0.0, f32::max)
}

/// How badly a reader stumbles at the ends of lines, most of all in the headline.
fn stumbles(column: &[Placed]) -> f32 {
    let of = |piece: &Placed| match piece.role {
        Role::Headline => piece.lines.stumbles,
        _ => piece.lines.stumbles * 0.3,
    };
    column.iter().map(of).sum()
}

/// How many headline lines there are beyond what is read at a glance.
fn tall_stack(column: &[Placed], sizes: Sizes) -> f32 {
    let easy = sizes.lines.saturating_sub(2);
    column
        .iter()
        .filter(|piece| piece.role == Role::Headline)
        .map(|piece| piece.lines.lines.len().saturating_sub(easy) as f32)
        .sum()
}

fn height(column: &[Placed]) -> f32 {
    column.iter().map(|piece| piece.height() + piece.gap).sum()
}

fn width_for(role: Role, area: Area, size: f32) -> f32 {
    match role {
        Role::Details => area.w - 2.0 * size * 0.9,
        _ => area.w,
    }
}

/// Lays the column out; `cut` limits the lines of headline and subline.
fn lay_out(
    measured: &[Measured],
    area: Area,
    sizes: Sizes,
    share: f32,
    body_share: f32,
    cut: Option<(usize, usize)>,
) -> Vec<Placed> {
    let between = |(low, high): (f32, f32), share: f32| low + (high - low) * share;
    let headline = between(sizes.headline, share);
    let body = between(sizes.body, body_share)
        .min(headline * 0.62)
        .max(sizes.body.0);
    let mut column: Vec<Placed> = Vec::with_capacity(measured.len());
    for piece in measured {
        let size = match piece.role {
            Role::Headline => headline,
            Role::Kicker | Role::Details => (body * 0.9).max(sizes.body.0),
            Role::Subline | Role::Author => body,
        };
        // Lines of body text as wide as a large headline would be hard to read.
        let width = width_for(piece.role, area, size).min(if piece.role == Role::Subline {
            size * 27.0
        } else {
            f32::MAX
        });
        let width = width / size;
        let lines = match (cut, piece.role) {
            (Some((most, _)), Role::Headline) => piece.words.wrap_cut(width, most),
            (Some((_, most)), Role::Subline) => piece.words.wrap_cut(width, most),
            (Some(_), _) => piece.words.wrap_cut(width, 1),
            (None, _) => piece.words.wrap(width),
        };
        let gap = gap(
            column.last().map(|above| above.role),
            piece.role,
            headline,
            body,
        );
        column.push(Placed {
            role: piece.role,
            face: piece.words.face,
            tracking: piece.words.tracking,
            size,
            lines,
            emphasis: piece.emphasis.clone(),
            gap,
        });
    }
    column
}

fn gap(above: Option<Role>, role: Role, headline: f32, body: f32) -> f32 {
    match (above, role) {
        (None, _) => 0.0,
        (Some(Role::Kicker), _) => body * 0.7,
        // The rule stands in this gap.
        (Some(Role::Headline), _) => (headline * 0.2 + body * 1.1).min(body * 2.4),
        (Some(_), Role::Details) => body * 0.9,
        (Some(_), _) => body * 0.7,
    }
}

/// The column at its least sizes with long words broken and long texts cut; then without its least important pieces.
fn squeeze(
    meter: &mut Meter,
    mut measured: Vec<Measured>,
    area: Area,
    sizes: Sizes,
) -> Result<Vec<Placed>, DrawError> {
    for piece in &mut measured {
        let size = if piece.role == Role::Headline {
            sizes.headline.0
        } else {
            sizes.body.0
        };
        let width = width_for(piece.role, area, size) / size;
        if piece.words.widest() > width {
            piece.words = piece.words.broken_to(meter, width)?;
            piece.emphasis = None;
        }
    }
    for shrink in [1.0_f32, 0.8, 0.6] {
        let sizes = Sizes {
            headline: (sizes.headline.0 * shrink, sizes.headline.1),
            body: (sizes.body.0 * shrink, sizes.body.1),
            ..sizes
        };
        for (headline, subline) in (1..=sizes.lines + 3)
            .rev()
            .flat_map(|most| (1..=6).rev().map(move |sub| (most, sub)))
        {
            let column = lay_out(&measured, area, sizes, 0.0, 0.0, Some((headline, subline)));
            if column
                .iter()
                .all(|piece| piece.lines.width() * piece.size <= area.w + 0.5)
                && height(&column) <= area.h
            {
                return Ok(column);
            }
        }
    }
    let least = measured
        .iter()
        .rposition(|piece| piece.role != Role::Headline);
    match least {
        Some(index) => {
            measured.remove(index);
            squeeze(meter, measured, area, sizes)
        }
        // A canvas too small for a single line gets none.
        None => Ok(Vec::new()),
    }
}
