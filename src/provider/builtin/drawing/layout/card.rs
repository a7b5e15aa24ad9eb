//! A card on a pattern.

use super::super::block::Sizes;
use super::super::geometry::Area;
use super::super::motif;
use super::super::palette::{Ground, Mood};
use super::super::style::{Align, Emblem};
use super::{DrawError, Studio, hero};

/// Words on a framed card, the pattern around it, illustration and seal on the card's rim.
pub(super) fn announcement(studio: &mut Studio) -> Result<(), DrawError> {
    let mut dice = studio.dice.fork("plan");
    let (back, front) = match studio.mood {
        Some(Mood::Dark) => (Mood::Vivid, Mood::Dark),
        Some(Mood::Vivid) => (Mood::Light, Mood::Vivid),
        Some(Mood::Light) => (dice.pick([Mood::Vivid, Mood::Dark]), Mood::Light),
        None => dice.pick([
            (Mood::Vivid, Mood::Light),
            (Mood::Dark, Mood::Light),
            (Mood::Light, Mood::Dark),
            (Mood::Vivid, Mood::Dark),
        ]),
    };
    let (back, front) = (studio.art_ground(back), studio.ground(front));
    if !studio.has_words() {
        return hero::artwork(studio, &back);
    }
    let canvas = studio.canvas;
    studio.full(&back);
    let brush = studio.brush(canvas, &back, 0.95);
    let mut art = studio.dice.fork("art");
    let motif = studio.motif;
    motif::paint(&mut studio.scene, motif, &brush, &mut art);

    let emblem = studio.emblem.filter(|_| canvas.w < canvas.h * 2.2);
    let r = studio.disc_radius(0.1);
    let mut card = canvas.inset(studio.margin * 1.25, studio.margin * 1.25);
    if emblem.is_some() {
        // The medallion sits half above the card.
        card = Area::new(card.x, card.y + r * 0.55, card.w, card.h - r * 0.55);
    }
    let radius = canvas.short() * dice.pick([0.0, 0.02, 0.05]);
    studio.scene.rect(card, radius, front.from, 1.0);
    let line = (canvas.short() * 0.004).max(1.0);
    let inset = studio.margin * 0.28;
    studio.scene.frame(
        card.inset(inset, inset),
        (radius - inset).max(0.0),
        line,
        front.accent,
        0.9,
    );
    words(studio, card, emblem, r, &front)
}

fn words(
    studio: &mut Studio,
    card: Area,
    emblem: Option<Emblem>,
    r: f32,
    front: &Ground,
) -> Result<(), DrawError> {
    let seal = studio.disc_radius(0.13);
    let sizes = Sizes::of(card);
    let align = studio.align(Align::Center);
    let wide = studio.canvas.w > studio.canvas.h * 1.2;
    let sealed = studio.wording.offer.is_some();
    let mut inner = card.inset(studio.margin * 0.95, studio.margin * 0.95);
    if emblem.is_some() {
        inner = Area::new(inner.x, inner.y + r * 0.6, inner.w, inner.h - r * 0.6);
    }
    // The seal stands right of the words on a wide card, else under them.
    let (beside, below) = match (sealed, wide) {
        (false, _) => (0.0, 0.0),
        (true, true) => (seal * 2.9, 0.0),
        (true, false) => (0.0, seal * 2.3),
    };
    inner = Area::new(inner.x, inner.y, inner.w - beside, inner.h);
    let above = studio.above_footer(inner, sizes);
    let text_area = Area::new(above.x, above.y, above.w, above.h - below);
    let mut column = studio.column(text_area, sizes, align)?;
    column.settle(0.5);
    column.draw(&mut studio.scene, front);
    studio.draw_footer(inner, sizes, align, front)?;
    let middle = inner.centre().0;
    if wide {
        let at = (inner.right() + beside * 0.56, card.centre().1);
        studio.seal(at, seal * 1.35, front)?;
    } else {
        studio.seal(
            (middle, column.bounds().bottom() + below * 0.56),
            seal,
            front,
        )?;
    }
    if let Some(emblem) = emblem {
        // A rim of the card's colour keeps the medallion apart from the pattern.
        studio
            .scene
            .circle(middle, card.y, r * 1.15, front.from, 1.0);
        studio.medallion(emblem, (middle, card.y), r, front);
    }
    Ok(())
}
