//! A card on a pattern.

use super::super::block::Sizes;
use super::super::geometry::Area;
use super::super::motif;
use super::super::palette::Mood;
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
    let r = canvas.short() * 0.1;
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
    words(studio, card, emblem, r, &front, &back)
}

fn words(
    studio: &mut Studio,
    card: Area,
    emblem: Option<Emblem>,
    r: f32,
    front: &super::Ground,
    back: &super::Ground,
) -> Result<(), DrawError> {
    let seal = studio.canvas.short() * 0.13;
    let sizes = Sizes::of(card);
    let align = studio.align(Align::Center);
    let mut inner = card.inset(studio.margin * 0.95, studio.margin * 0.95);
    let wide = studio.canvas.w > studio.canvas.h * 1.2;
    if emblem.is_some() {
        inner = Area::new(inner.x, inner.y + r * 0.6, inner.w, inner.h - r * 0.6);
    }
    let mut seal_at = None;
    if studio.wording.offer.is_some() {
        if wide {
            let room = seal * 2.9;
            inner = Area::new(inner.x, inner.y, inner.w - room, inner.h);
            seal_at = Some((inner.right() + room * 0.56, card.centre().1, seal * 1.35));
        } else {
            let room = seal * 2.05;
            inner = Area::new(inner.x, inner.y, inner.w, inner.h - room);
            let foot = if studio.footer.is_some() {
                sizes.body.0 * 2.2
            } else {
                0.0
            };
            inner.h -= foot;
            seal_at = Some((card.centre().0, inner.bottom() + room * 0.55, seal));
            let footer_area = Area::new(inner.x, inner.y, inner.w, inner.h + room + foot);
            studio.draw_footer(footer_area, sizes, align, front)?;
        }
    }
    let text_area = if seal_at.is_some() && !wide {
        inner
    } else {
        studio.above_footer(inner, sizes)
    };
    let mut column = studio.column(text_area, sizes, align)?;
    column.settle(0.5);
    column.draw(&mut studio.scene, front);
    if seal_at.is_none() || wide {
        studio.draw_footer(inner, sizes, align, front)?;
    }
    if let Some((x, y, r)) = seal_at {
        studio.seal((x, y), r, front)?;
    }
    if let Some(emblem) = emblem {
        let x = if wide && studio.wording.offer.is_some() {
            inner.centre().0
        } else {
            card.centre().0
        };
        studio.medallion(emblem, (x, card.y), r, back);
    }
    Ok(())
}
