//! Layouts where the words stand on the open ground.

use super::super::block::{Column, Sizes};
use super::super::font::Face;
use super::super::geometry::Area;
use super::super::motif::{self, Brush};
use super::super::palette::{Ground, Mood, SOFT, Tone};
use super::super::part::Part;
use super::super::scene::{Anchor, TextRun};
use super::super::style::{Align, Motif};
use super::super::typeset::Words;
use super::{DrawError, Studio, hero};

/// Words in the middle over a soft pattern, ornaments in the corners.
pub(super) fn centered(studio: &mut Studio) -> Result<(), DrawError> {
    let usual = studio.turn([Mood::Vivid, Mood::Dark, Mood::Light]);
    let mood = studio.mood.unwrap_or(usual);
    let mut ground = studio.ground(mood);
    if !studio.has_words() {
        return hero::artwork(studio, &ground);
    }
    let backcloth = studio.backcloth();
    if let Some(backcloth) = &backcloth {
        ground = backcloth.ground.clone();
    }
    let canvas = studio.canvas;
    let wide = canvas.w > canvas.h * 1.35;
    let sizes = Sizes::of(canvas);
    let align = studio.align(Align::Center);
    let mut area = canvas.inset(
        studio.margin * if wide { 2.4 } else { 1.5 },
        studio.margin * 1.35,
    );
    let foot = area;
    area = studio.above_footer(area, sizes)?;
    // Illustration above the words, seal below them; beside them on a wide canvas.
    let emblem = studio.emblem;
    let product = studio.has_product();
    let focal = emblem.is_some() || product;
    let seal = studio.wording.offer.is_some();
    let crowded = !wide && focal && seal;
    let r = studio.disc_radius(match (product, crowded) {
        (true, _) => 0.15,
        (false, true) => 0.137,
        (false, false) => 0.135,
    });
    let mut art = (None, None);
    if wide {
        let side = r * 2.7;
        if focal {
            art.0 = Some((area.x + r * 1.1, area.centre().1));
            area = Area::new(area.x + side, area.y, area.w - side, area.h);
        }
        if seal {
            art.1 = Some((area.right() - r * 1.1, area.centre().1));
            area = Area::new(area.x, area.y, area.w - side, area.h);
        }
    }
    let above = if !wide && focal { r * 2.45 } else { 0.0 };
    let below = if !wide && seal { r * 2.4 } else { 0.0 };
    let mut column = studio.column(
        Area::new(area.x, area.y + above, area.w, area.h - above - below),
        sizes,
        align,
    )?;
    column.settle(0.5);
    // Words, illustration and seal move together to the middle.
    let bounds = column.bounds();
    if above > 0.0 {
        art.0 = Some((area.centre().0, bounds.y - r * 1.35));
    }
    if below > 0.0 {
        art.1 = Some((area.centre().0, bounds.bottom() + r * 1.3));
    }
    match backcloth {
        Some(backcloth) => studio.hang(backcloth, canvas),
        None => backdrop(studio, &ground, &column, &art_areas(&art, r)),
    }
    if let Some(at) = art.0.filter(|_| product) {
        studio.show_on_disc(at, r, &ground);
    }
    if let (Some(at), Some(emblem)) = (art.0, emblem) {
        studio.medallion(emblem, at, r, &ground)?;
    }
    column.draw(&mut studio.scene, &ground);
    if let Some(at) = art.1 {
        studio.seal(at, r, &ground.behind())?;
    }
    studio.draw_footer(foot, sizes, align, &ground)
}

type Spot = Option<(f32, f32)>;

fn art_areas(art: &(Spot, Spot), r: f32) -> Vec<Area> {
    [art.0, art.1]
        .into_iter()
        .flatten()
        .map(|(x, y)| Area::new(x - r, y - r, 2.0 * r, 2.0 * r))
        .collect()
}

/// The ground, its soft pattern, and ornaments in the corners, as large as words and art leave room.
fn backdrop(studio: &mut Studio, ground: &Ground, column: &Column, art: &[Area]) {
    let canvas = studio.canvas;
    studio.full(ground);
    let mut dice = studio.dice.fork("art");
    // Patterns whose shapes pile up would become louder than the text's contrast was computed for.
    if matches!(
        studio.motif,
        Motif::Rays | Motif::Dots | Motif::Arcs | Motif::Stripes | Motif::Grid
    ) {
        let brush = Brush {
            area: canvas,
            focus: column.bounds().centre(),
            colours: [ground.soft; 3],
            alpha: SOFT,
        };
        let soft = if studio.motif == Motif::Grid {
            Motif::Rays
        } else {
            studio.motif
        };
        motif::paint(&mut studio.scene, soft, &brush, &mut dice);
    }
    let kept = column.bounds();
    let footer = studio
        .footer
        .as_ref()
        .map(|_| canvas.inset(studio.margin * 1.3, studio.margin * 1.2));
    let corners = [
        (0.0, 0.0),
        (canvas.w, 0.0),
        (canvas.w, canvas.h),
        (0.0, canvas.h),
    ];
    for (turn, (x, y)) in corners.into_iter().enumerate() {
        let room = art
            .iter()
            .map(|area| area.distance_to(x, y))
            .fold(kept.distance_to(x, y), f32::min);
        let room = match footer {
            // The footer's line runs along the foot.
            Some(inner) if turn >= 2 => {
                room.min((x - inner.x.max(0.0)).abs().min(studio.margin * 1.6))
            }
            _ => room,
        };
        let r = (room * 0.92).min(canvas.short() * if turn % 2 == 0 { 0.42 } else { 0.3 });
        let mut brush = studio.brush(canvas, ground, 0.95);
        brush.focus = (x, y);
        let motif = studio.motif;
        studio.scene.part(Part::Corner(x, y), canvas, |scene| {
            motif::corner(scene, motif, &brush, (x, y), turn, r, &mut dice);
        });
    }
}

/// A quotation under a large quotation mark.
pub(super) fn quote(studio: &mut Studio) -> Result<(), DrawError> {
    let usual = studio.turn([Mood::Light, Mood::Dark, Mood::Vivid]);
    let mood = studio.mood.unwrap_or(usual);
    let mut ground = studio.ground(mood);
    if !studio.has_words() {
        return hero::artwork(studio, &ground);
    }
    let backcloth = studio.backcloth();
    if let Some(backcloth) = &backcloth {
        ground = backcloth.ground.clone();
    }
    let canvas = studio.canvas;
    let align = studio.align(studio.turn([Align::Center, Align::Left]));
    let whole = Sizes::of(canvas);
    let sizes = Sizes {
        headline: (whole.headline.0 * 0.72, whole.headline.1 * 0.72),
        lines: 12,
        ..whole
    };
    let area = canvas.inset(studio.margin * 1.9, studio.margin * 1.7);
    let inner = studio.above_footer(area, sizes)?;
    let mark = canvas.short() * 0.2;
    let room = mark * 0.62;
    let mut column = studio.column(
        Area::new(inner.x, inner.y + room, inner.w, inner.h - room),
        sizes,
        align,
    )?;
    column.settle(0.45);
    let words = column.bounds();
    let mark_area = Area::new(words.x, words.y - mark * 0.8, words.w, mark);
    match backcloth {
        Some(backcloth) => studio.hang(backcloth, canvas),
        None => backdrop(studio, &ground, &column, &[mark_area]),
    }
    let inset = studio.margin * 0.6;
    let line = (canvas.short() * 0.0035).max(1.0);
    studio
        .scene
        .frame(canvas.inset(inset, inset), 0.0, line, ground.ink, 0.55);
    if !column.is_empty() {
        quotation_mark(studio, column.bounds(), inner, mark, align, &ground)?;
    }
    column.draw(&mut studio.scene, &ground);
    studio.draw_footer(area, sizes, align, &ground)
}

fn quotation_mark(
    studio: &mut Studio,
    words: Area,
    area: Area,
    size: f32,
    align: Align,
    ground: &Ground,
) -> Result<(), DrawError> {
    let mark = Words::measure(&mut studio.meter, Face::Serif, "“", 0.0)?.wrap(1.0);
    let (ascent, width) = (mark.ascent * size * 1.5, mark.width() * size * 1.5);
    // The mark's ink hangs at the top of the em box: its foot is what keeps the distance.
    let height = size * 0.5;
    let top = words.y - height - size * 0.14;
    let (anchor, x, left) = match align {
        Align::Left => (Anchor::Start, area.x, area.x),
        Align::Center => (
            Anchor::Middle,
            area.centre().0,
            area.centre().0 - width / 2.0,
        ),
    };
    let run = TextRun {
        text: "“".to_owned(),
        face: Face::Serif,
        size: size * 1.5,
        tracking: 0.0,
        anchor,
        x,
        baseline: top + ascent,
        bounds: Area::new(left, top, width, height),
        colour: ground.accent,
        emphasis: None,
        behind: ground.behind(),
    };
    let canvas = studio.canvas;
    let scene = &mut studio.scene;
    scene.part(Part::QuotationMark, canvas, |scene| scene.text(run));
    Ok(())
}

/// Huge words over the whole canvas, a band of pattern at the foot.
pub(super) fn billboard(studio: &mut Studio) -> Result<(), DrawError> {
    let usual = studio.turn([Mood::Vivid, Mood::Dark, Mood::Light]);
    let mood = studio.mood.unwrap_or(usual);
    let mut ground = studio.ground(mood);
    if !studio.has_words() {
        return hero::artwork(studio, &ground);
    }
    let backcloth = studio.backcloth();
    if let Some(backcloth) = &backcloth {
        ground = backcloth.ground.clone();
    }
    let canvas = studio.canvas;
    let whole = Sizes::of(canvas);
    let sizes = Sizes {
        headline: (whole.headline.0, whole.headline.1 * 1.9),
        ..whole
    };
    let align = studio.align(Align::Left);
    let wide = canvas.w > canvas.h * 1.35;
    let least = match (wide, studio.wording.offer.is_some()) {
        (true, true) => 0.24,
        // Beside the headline's line, small ones leave much of a strip empty.
        (true, false) => 0.3,
        (false, true) => 0.3,
        (false, false) => 0.22,
    };
    let last = studio.turn([true, false]);
    let (_, rest) = bands(canvas, wide, last, least);
    let (room, words) = studio.words_in(rest, sizes, align)?;
    // Words that cannot be larger leave their room to the art.
    let spare = match wide {
        true => (room.w - words.bounds().w) / canvas.w,
        false => (room.h - words.height()) / canvas.h,
    };
    let (band, rest) = bands(canvas, wide, last, least + (spare - 0.06).clamp(0.0, 0.36));
    let (_, mut column) = studio.words_in(rest, sizes, align)?;
    let text_area = rest.inset(studio.margin, studio.margin);
    column.settle(0.5);
    if let Some(backcloth) = backcloth {
        // The band shows the picture as it is.
        let art = studio.ground(mood);
        studio.hang(backcloth, rest);
        studio.seal_on_picture(band, &art)?;
        column.draw(&mut studio.scene, &ground);
        return studio.draw_footer(text_area, sizes, align, &ground);
    }
    studio.full(&ground);
    let mut art = studio.dice.fork("art");
    let back = studio.art_ground(studio.turn(Tone::beside(mood)));
    let motif = studio.motif;
    let brush = studio.brush(band, &back, 0.95);
    let outline = super::super::path::rectangle(band);
    studio.scene.part(Part::Motif, band, |scene| {
        scene.clipped(&outline, |scene| {
            scene.ground(&outline, band, &back);
            motif::paint(scene, motif, &brush, &mut art);
        });
    });
    let r = (band.short() * 0.44).min(canvas.short() * 0.24);
    let at = match wide {
        true => band.centre(),
        false => (
            band.right() - (r * 1.15).max(studio.margin),
            band.centre().1,
        ),
    };
    studio.seal(at, r, &back.among_shapes())?;
    column.draw(&mut studio.scene, &ground);
    studio.draw_footer(text_area, sizes, align, &ground)
}

impl Studio {
    /// The words in a part of the canvas: the area that they have, and how they fill it.
    fn words_in(
        &mut self,
        rest: Area,
        sizes: Sizes,
        align: Align,
    ) -> Result<(Area, Column), DrawError> {
        let inner = rest.inset(self.margin, self.margin);
        let above = self.above_footer(inner, sizes)?;
        Ok((above, self.column(above, sizes, align)?))
    }
}

/// The strip of art, a share of the canvas, and what it leaves: at the end or the foot, or else at the start or the head.
fn bands(canvas: Area, wide: bool, last: bool, share: f32) -> (Area, Area) {
    let Area { w, h, .. } = canvas;
    let band = if wide { w * share } else { h * share };
    let (strip, rest) = match (wide, last) {
        (true, true) => (w - band, 0.0),
        (false, true) => (h - band, 0.0),
        (_, false) => (0.0, band),
    };
    match wide {
        true => (
            Area::new(strip, 0.0, band, h),
            Area::new(rest, 0.0, w - band, h),
        ),
        false => (
            Area::new(0.0, strip, w, band),
            Area::new(0.0, rest, w, h - band),
        ),
    }
}
