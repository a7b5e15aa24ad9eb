//! A card on a pattern.

use super::super::block::{Column, Sizes};
use super::super::geometry::Area;
use super::super::motif;
use super::super::palette::{Ground, Mood, Tone};
use super::super::part::Part;
use super::super::style::Align;
use super::{DrawError, LEAST_TYPE, Studio, hero};

/// Words on a framed card, the pattern around it, illustration and seal on the card's rim.
pub(super) fn announcement(studio: &mut Studio) -> Result<(), DrawError> {
    let mut dice = studio.dice.fork("plan");
    let (back, front) = match studio.mood {
        Some(mood) => (studio.turn(Tone::beside(mood)), mood),
        None => studio.turn([
            (Tone::Vivid, Mood::Light),
            (Tone::Dark, Mood::Light),
            (Tone::Pale, Mood::Dark),
            (Tone::Spark, Mood::Dark),
        ]),
    };
    let (back, front) = (studio.art_ground(back), studio.ground(front));
    if !studio.has_words() {
        return hero::artwork(studio, &back);
    }
    let canvas = studio.canvas;
    if !studio.fill_with_picture(&back) {
        studio.full(&back);
        let brush = studio.brush(canvas, &back, 0.95);
        let mut art = studio.dice.fork("art");
        let motif = studio.motif;
        motif::paint(&mut studio.scene, motif, &brush, &mut art);
    }

    let emblem = studio.emblem.filter(|_| canvas.w < canvas.h * 2.2);
    let r = if emblem.is_some() {
        studio.disc_radius(0.1)
    } else {
        0.0
    };
    let mut card = canvas.inset(studio.margin * 1.1, studio.margin * 1.1);
    // The medallion sits half above the card.
    card = Area::new(card.x, card.y + r * 0.7, card.w, card.h - r * 0.7);
    let mut words = Words::arrange(studio, card, r)?;
    if words.spare > card.h * MOST_SPARE {
        // Less card and more pattern looks better than a card that is mostly empty.
        card = card.inset(0.0, (words.spare - card.h * MOST_SPARE) / 2.0);
        words = Words::arrange(studio, card, r)?;
    }
    draw_card(
        studio,
        card,
        canvas.short() * dice.pick([0.0, 0.02, 0.05]),
        &front,
    );
    words.draw(studio, &front)?;
    if let Some(emblem) = emblem {
        let x = words.foot.centre().0;
        // A rim of the card's colour keeps the medallion apart from the pattern.
        studio.scene.part(Part::Card, canvas, |scene| {
            scene.circle(x, card.y, r * 1.15, front.from, 1.0);
        });
        studio.medallion(emblem, (x, card.y), r, &front)?;
    }
    Ok(())
}

/// The most of a card's height that may stay empty.
const MOST_SPARE: f32 = 0.16;

fn draw_card(studio: &mut Studio, card: Area, radius: f32, front: &Ground) {
    let canvas = studio.canvas;
    let line = (canvas.short() * 0.004).max(1.0);
    let inset = studio.margin * 0.28;
    let frame = card.inset(inset, inset);
    studio.scene.part(Part::Card, canvas, |scene| {
        scene.rect(card, radius, front.from, 1.0);
        scene.frame(frame, (radius - inset).max(0.0), line, front.accent, 0.9);
    });
}

/// What a card holds, and where.
struct Words {
    column: Column,
    sizes: Sizes,
    align: Align,
    /// The footer stands at the foot of this area.
    foot: Area,
    seal: ((f32, f32), f32),
    /// The height that words and seal leave.
    spare: f32,
}

impl Words {
    /// Arranges the words on a card whose upper edge has a medallion of radius `r`.
    fn arrange(studio: &mut Studio, card: Area, r: f32) -> Result<Self, DrawError> {
        let radius = studio.disc_radius(0.13 * studio.weight_of_seal().max(1.0));
        let sizes = Sizes::of(card).at_least(studio.canvas.short() * LEAST_TYPE);
        let align = studio.align(Align::Center);
        let wide = studio.canvas.w > studio.canvas.h * 1.2;
        // The seal stands right of the words on a wide card, else under them.
        let (beside, below) = match (studio.wording.offer.is_some(), wide) {
            (false, _) => (0.0, 0.0),
            (true, true) => (radius * 2.9, 0.0),
            (true, false) => (0.0, radius * 2.3),
        };
        let inner = card.inset(studio.margin * 0.85, studio.margin * 0.85);
        let foot = Area::new(
            inner.x,
            inner.y + r * 0.6,
            inner.w - beside,
            inner.h - r * 0.6,
        );
        let above = studio.above_footer(foot, sizes)?;
        let area = Area::new(above.x, above.y, above.w, above.h - below);
        let mut column = studio.column(area, sizes, align)?;
        column.settle(0.5);
        let seal = if wide {
            (
                (foot.right() + beside * 0.56, card.centre().1),
                radius * 1.35,
            )
        } else {
            (
                (foot.centre().0, column.bounds().bottom() + below * 0.56),
                radius,
            )
        };
        let spare = area.h - column.height();
        Ok(Self {
            column,
            sizes,
            align,
            foot,
            seal,
            spare,
        })
    }

    fn draw(&self, studio: &mut Studio, front: &Ground) -> Result<(), DrawError> {
        self.column.draw(&mut studio.scene, front);
        studio.draw_footer(self.foot, self.sizes, self.align, front)?;
        let (at, r) = self.seal;
        studio.seal(at, r, &front.behind())
    }
}
