//! Layouts of two parts: art on one side, words on the other.

use super::super::block::Sizes;
use super::super::geometry::Area;
use super::super::motif;
use super::super::palette::{Ground, Mood, Tone};
use super::super::part::Part;
use super::super::path;
use super::super::style::{Align, Motif};
use super::pair::{RIM, apart};
use super::{DrawError, ROOM_FOR_SEAL, Studio};
use crate::dice::Dice;

/// Where the art is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Top,
    Bottom,
    Right,
    Left,
}

impl Side {
    /// The way from the words to the art: a step along x and y.
    fn towards(self) -> (i8, i8) {
        match self {
            Self::Top => (0, -1),
            Self::Bottom => (0, 1),
            Self::Right => (1, 0),
            Self::Left => (-1, 0),
        }
    }
}

/// The line between art and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Straight,
    Wave,
    Slant,
    Arc,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    side: Side,
    edge: Edge,
    /// The art's share of the canvas.
    share: f32,
    art: Tone,
    words: Mood,
    align: Align,
    /// Whether the illustration stands right of the seal.
    mirrored: bool,
}

/// Art above the words, or beside them on a wide canvas.
pub(super) fn poster(studio: &mut Studio) -> Result<(), DrawError> {
    let mut dice = studio.dice.fork("plan");
    let wide = studio.canvas.w > studio.canvas.h * 1.2;
    let (art, words) = moods(studio);
    let plan = Plan {
        side: if wide {
            studio.turn([Side::Right, Side::Left])
        } else {
            Side::Top
        },
        edge: studio.turn([Edge::Arc, Edge::Slant, Edge::Wave, Edge::Straight]),
        share: if wide {
            0.42
        } else {
            studio.turn([0.46, 0.4, 0.48, 0.42]) - 0.015 * studio.pieces().len() as f32
        },
        art,
        words,
        align: if wide {
            Align::Left
        } else {
            studio.turn([Align::Center, Align::Left])
        },
        mirrored: dice.chance(0.5),
    };
    hero(studio, &plan)
}

/// Words first, art at the end.
pub(super) fn banner(studio: &mut Studio) -> Result<(), DrawError> {
    let mut dice = studio.dice.fork("plan");
    let tall = studio.canvas.h > studio.canvas.w * 1.1;
    let (art, words) = moods(studio);
    let plan = Plan {
        side: if tall { Side::Bottom } else { Side::Right },
        edge: studio.turn([Edge::Wave, Edge::Slant, Edge::Arc]),
        share: if tall { 0.42 } else { dice.range(0.36, 0.42) },
        art,
        words,
        align: Align::Left,
        mirrored: dice.chance(0.5),
    };
    hero(studio, &plan)
}

/// Two even parts.
pub(super) fn split(studio: &mut Studio) -> Result<(), DrawError> {
    let mut dice = studio.dice.fork("plan");
    let tall = studio.canvas.h > studio.canvas.w * 1.1;
    let (art, words) = moods(studio);
    let plan = Plan {
        side: if tall {
            studio.turn([Side::Top, Side::Bottom])
        } else {
            studio.turn([Side::Right, Side::Left])
        },
        edge: Edge::Straight,
        share: if tall { 0.46 } else { 0.45 },
        art,
        words,
        align: Align::Left,
        mirrored: dice.chance(0.5),
    };
    hero(studio, &plan)
}

/// What art and words stand on: always different, or the edge would not be seen.
fn moods(studio: &Studio) -> (Tone, Mood) {
    match studio.mood {
        Some(words) => (studio.turn(Tone::beside(words)), words),
        None => studio.turn([
            (Tone::Vivid, Mood::Light),
            (Tone::Spark, Mood::Dark),
            (Tone::Dark, Mood::Light),
            (Tone::Pale, Mood::Vivid),
        ]),
    }
}

fn hero(studio: &mut Studio, plan: &Plan) -> Result<(), DrawError> {
    let canvas = studio.canvas;
    let words_ground = studio.ground(plan.words);
    let art_ground = studio.art_ground(plan.art);
    if !studio.has_words() {
        return artwork(studio, &art_ground);
    }
    let plan = &Plan {
        share: plan.share * studio.share_of_art(),
        ..*plan
    };
    let (art, panel) = parts(canvas, plan);
    let sizes = Sizes::of(canvas);
    let align = studio.align(plan.align);
    let bulge = bulge(canvas, plan);
    let text_area = safe(panel, plan, bulge, studio.margin);
    let above = studio.above_footer(text_area, sizes)?;
    let mut column = studio.column(above, sizes, align)?;
    column.settle(0.5);
    if let Some(backcloth) = studio.backcloth() {
        let ground = backcloth.ground.clone();
        studio.hang(backcloth, canvas);
        studio.seal_on_picture(art, &art_ground)?;
        column.draw(&mut studio.scene, &ground);
        return studio.draw_footer(text_area, sizes, align, &ground);
    }

    paint_art(studio, art, bulge, plan, &art_ground);
    let outline = outline(canvas, panel, plan, bulge, &mut studio.dice.fork("edge"));
    studio
        .scene
        .part(Part::Panel(plan.side.towards()), canvas, |scene| {
            scene.ground(&outline, canvas, &words_ground);
        });
    if studio.has_product() {
        let clear = art.inset(bulge.min(art.w * 0.1), bulge.min(art.h * 0.1));
        studio.seal_on_picture(clear, &art_ground)?;
    } else {
        focal(studio, art, bulge, plan, &art_ground)?;
    }
    column.draw(&mut studio.scene, &words_ground);
    studio.draw_footer(text_area, sizes, align, &words_ground)
}

impl Studio {
    /// How much of its usual room art needs: a pattern alone leaves some of it to the words.
    fn share_of_art(&self) -> f32 {
        let is_held = self.emblem.is_some() || self.wording.offer.is_some();
        if is_held || self.picture.is_some() || self.motif == Motif::Grid {
            return 1.0;
        }
        0.72
    }
}

/// A picture without words: the art alone, over the whole canvas.
pub(super) fn artwork(studio: &mut Studio, ground: &Ground) -> Result<(), DrawError> {
    let canvas = studio.canvas;
    if studio.fill_with_picture(ground) {
        return studio.seal_on_picture(canvas, ground);
    }
    studio.full(ground);
    let brush = studio.brush(canvas, ground, 0.95);
    let mut dice = studio.dice.fork("art");
    let motif = if studio.motif == Motif::None {
        Motif::Blobs
    } else {
        studio.motif
    };
    motif::paint(&mut studio.scene, motif, &brush, &mut dice);
    let r = canvas.short() * 0.26;
    if studio.wording.offer.is_some() && canvas.short() >= ROOM_FOR_SEAL {
        return studio.seal(canvas.centre(), r, &ground.among_shapes());
    }
    if let Some(emblem) = studio.emblem {
        return studio.medallion(emblem, canvas.centre(), r, ground);
    }
    Ok(())
}

/// The parts of the canvas, ignoring the edge's curve.
fn parts(canvas: Area, plan: &Plan) -> (Area, Area) {
    let Area { w, h, .. } = canvas;
    let (across, along) = (w * plan.share, h * plan.share);
    match plan.side {
        Side::Top => (
            Area::new(0.0, 0.0, w, along),
            Area::new(0.0, along, w, h - along),
        ),
        Side::Bottom => (
            Area::new(0.0, h - along, w, along),
            Area::new(0.0, 0.0, w, h - along),
        ),
        Side::Left => (
            Area::new(0.0, 0.0, across, h),
            Area::new(across, 0.0, w - across, h),
        ),
        Side::Right => (
            Area::new(w - across, 0.0, across, h),
            Area::new(0.0, 0.0, w - across, h),
        ),
    }
}

/// How far the edge swings to either side.
fn bulge(canvas: Area, plan: &Plan) -> f32 {
    let length = if matches!(plan.side, Side::Top | Side::Bottom) {
        canvas.h
    } else {
        canvas.w
    };
    match plan.edge {
        Edge::Straight => 0.0,
        Edge::Wave => length * 0.028,
        Edge::Slant => length * 0.05,
        Edge::Arc => length * 0.04,
    }
}

/// The part of the panel where words may stand.
fn safe(panel: Area, plan: &Plan, bulge: f32, margin: f32) -> Area {
    let inner = panel.inset(margin, margin);
    match plan.side {
        Side::Top => Area::new(
            inner.x,
            inner.y + bulge * 0.8,
            inner.w,
            inner.h - bulge * 0.8,
        ),
        Side::Bottom => Area::new(inner.x, inner.y, inner.w, inner.h - bulge * 0.8),
        Side::Left => Area::new(
            inner.x + bulge * 0.8,
            inner.y,
            inner.w - bulge * 0.8,
            inner.h,
        ),
        Side::Right => Area::new(inner.x, inner.y, inner.w - bulge * 0.8, inner.h),
    }
}

/// How far the panel goes on outside the canvas, as a share of its side.
const PAST: f32 = 0.15;

/// The panel's outline: its curved edge first, then around its far corners.
fn outline(canvas: Area, panel: Area, plan: &Plan, bulge: f32, dice: &mut Dice) -> String {
    let flip = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let turn = dice.range(0.0, 6.0);
    let steps = 48;
    // How far the edge lies from the straight line at a share of its length; positive is into the panel.
    let swing = |share: f32| match plan.edge {
        Edge::Straight => 0.0,
        Edge::Wave => bulge * (turn + share * 7.5).sin(),
        Edge::Slant => bulge * flip * (1.0 - 2.0 * share),
        Edge::Arc => bulge * (1.0 - 2.0 * (1.0 - (2.0 * share - 1.0).powi(2))),
    };
    let edge = (0..=steps).map(|step| step as f32 / steps as f32);
    // Past the canvas, so that an animation may move the panel into the art.
    let (wide, high) = (canvas.w * PAST, canvas.h * PAST);
    let points: Vec<(f32, f32)> = match plan.side {
        Side::Top => edge
            .map(|s| (canvas.w * s, panel.y + swing(s)))
            .chain([(canvas.w, canvas.h + high), (0.0, canvas.h + high)])
            .collect(),
        Side::Bottom => edge
            .map(|s| (canvas.w * s, panel.bottom() - swing(s)))
            .chain([(canvas.w, -high), (0.0, -high)])
            .collect(),
        Side::Left => edge
            .map(|s| (panel.x + swing(s), canvas.h * s))
            .chain([(canvas.w + wide, canvas.h), (canvas.w + wide, 0.0)])
            .collect(),
        Side::Right => edge
            .map(|s| (panel.right() - swing(s), canvas.h * s))
            .chain([(-wide, canvas.h), (-wide, 0.0)])
            .collect(),
    };
    path::polygon(&points)
}

fn paint_art(studio: &mut Studio, art: Area, bulge: f32, plan: &Plan, ground: &Ground) {
    // Under the swinging edge as well.
    let under = match plan.side {
        Side::Top => Area::new(art.x, art.y, art.w, art.h + bulge),
        Side::Bottom => Area::new(art.x, art.y - bulge, art.w, art.h + bulge),
        Side::Left => Area::new(art.x, art.y, art.w + bulge, art.h),
        Side::Right => Area::new(art.x - bulge, art.y, art.w + bulge, art.h),
    };
    studio.scene.backdrop(under, ground);
    if studio.has_product() {
        let clear = art.inset(bulge.min(art.w * 0.1), bulge.min(art.h * 0.1));
        studio.show_product(under, clear);
        return;
    }
    let mut brush = studio.brush(under, ground, 0.95);
    let mut dice = studio.dice.fork("art");
    let motif = studio.motif;
    // Tiles cover all of their ground: where that is dark, they keep to it.
    if motif == Motif::Grid && plan.words == Mood::Dark {
        brush.colours = brush.colours.map(|colour| colour.mix(ground.from, 0.4));
    }
    motif::paint(&mut studio.scene, motif, &brush, &mut dice);
}

/// What the eye meets first in the art: the illustration, with the seal beside it; or the seal alone.
fn focal(
    studio: &mut Studio,
    art: Area,
    bulge: f32,
    plan: &Plan,
    ground: &Ground,
) -> Result<(), DrawError> {
    let clear = art.inset(bulge.min(art.w * 0.1), bulge.min(art.h * 0.1));
    let (x, y) = clear.centre();
    let short = clear.short();
    // A full pattern is the art itself.
    let pattern = matches!(studio.motif, Motif::Grid) && plan.edge == Edge::Straight;
    let emblem = studio
        .emblem
        .filter(|_| !pattern || studio.wording.offer.is_none());
    let under = ground.among_shapes();
    match (emblem, studio.wording.offer.is_some()) {
        (Some(emblem), true) => {
            let (picture, seal) = apart(clear, studio.weight_of_seal(), plan.mirrored);
            studio.medallion(emblem, picture.0, picture.1 / RIM, ground)?;
            studio.seal(seal.0, seal.1, &under)
        }
        (Some(emblem), false) => studio.medallion(emblem, (x, y), short * 0.38, ground),
        (None, _) => studio.seal((x, y), short * 0.42, &under),
    }
}
