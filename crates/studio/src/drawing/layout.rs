//! Puts words and art on a canvas: one file a family of layouts.

mod card;
mod furniture;
mod hero;
mod open;
mod pair;
mod pictured;

use std::sync::Arc;

use image::RgbaImage;
use serde_json::Value;

use super::block::{self, Column, Piece, Role, Sizes};
use super::dice::Dice;
use super::emblem;
use super::font::{Face, Meter, showable};
use super::geometry::Area;
use super::motif::Brush;
use super::palette::{Ground, Mood, PALETTES, Palette, Tone};
use super::scene::Scene;
use super::style::{Align, Emblem, Font, Layout, Motif, PictureUse, Style};
use super::typeset::Words;
use super::wording::{Offer, Wording, is_quote};
use super::{Brief, DrawError, editing};

/// The least size of type as a share of the canvas's shorter side: ten points on a phone that shows the picture as wide as
/// itself.
const LEAST_TYPE: f32 = 0.0285;
/// The least shorter side of a canvas that has room for more than a headline, in pixels, and for a seal.
const ROOM_FOR_LINES: f32 = 128.0;
const ROOM_FOR_SEAL: f32 = 180.0;

/// Everything that the layouts share about one picture.
struct Studio {
    scene: Scene,
    meter: Meter,
    dice: Dice,
    palette: Palette,
    /// What the style asks for; the layouts choose where it does not.
    mood: Option<Mood>,
    motif: Motif,
    align: Option<Align>,
    emblem: Option<Emblem>,
    face: Face,
    wording: Wording,
    /// What the user brings, and what it is in this layout.
    picture: Option<(Arc<RgbaImage>, PictureUse)>,
    footer: Option<String>,
    canvas: Area,
    /// The space that is kept free along the canvas's edges.
    margin: f32,
    /// Which of the ideas that fit is carried out, counted around: those of variations, whose seeds follow each other, differ.
    idea: usize,
    /// The highest number of a countdown; 0 if nothing is counted.
    count: u8,
}

/// Composes the scene of a brief.
pub(super) fn compose(brief: &Brief, style: &Style, count: u8) -> Result<Scene, DrawError> {
    let dice = Dice::new(brief.seed);
    let (mut studio, layout) = prepare(brief, style, &dice, count);
    if !studio.has_room_for_headline()? {
        studio.wording.headline.clear();
    }
    match layout {
        Layout::Poster => hero::poster(&mut studio)?,
        Layout::Banner => hero::banner(&mut studio)?,
        Layout::Split => hero::split(&mut studio)?,
        Layout::Announcement => card::announcement(&mut studio)?,
        Layout::Centered => open::centered(&mut studio)?,
        Layout::Quote => open::quote(&mut studio)?,
        Layout::Billboard => open::billboard(&mut studio)?,
    }
    Ok(studio.scene)
}

fn prepare(brief: &Brief, style: &Style, dice: &Dice, count: u8) -> (Studio, Layout) {
    let canvas = Area::new(0.0, 0.0, brief.width as f32, brief.height as f32);
    let layout = style.layout.unwrap_or_else(|| choose_layout(brief, canvas));
    let face = choose_face(style, layout, &mut dice.fork("font"));
    let shown = |text: &str| showable(text, &[face, Face::Text, Face::Heavy]);
    let line = |text: &Option<String>| {
        text.as_deref()
            .map(shown)
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let prompt = shown(&brief.prompt);
    let some = |text: Option<String>| text.filter(|text| text.chars().any(char::is_alphanumeric));
    let kicker = some(line(&style.kicker));
    let mut wording = match layout {
        Layout::Quote => Wording {
            kicker,
            ..Wording::of_quote(&prompt)
        },
        _ => Wording::of(&prompt, kicker),
    };
    let badge = some(line(&style.badge)).map(|text| Offer::from_badge(&text));
    let is_sealed = badge.is_none() && canvas.short() >= ROOM_FOR_SEAL;
    wording = editing::edit(wording, is_sealed);
    wording.offer = badge.or(wording.offer);
    if canvas.short() < ROOM_FOR_LINES {
        wording = Wording {
            headline: wording.headline,
            ..Wording::default()
        };
    }
    let mut picks = dice.fork("look");
    let picture = pictured::use_of(brief, style, layout);
    let studio = Studio {
        scene: Scene::new(brief.width, brief.height),
        meter: Meter::default(),
        dice: dice.fork(layout_name(layout)),
        palette: style
            .palette
            .unwrap_or_else(|| PALETTES[(brief.seed % 16 * 7 % 16) as usize])
            .tinted(idea(brief)),
        mood: style.mood,
        motif: style
            .motif
            .unwrap_or_else(|| choose_motif(layout, &mut picks)),
        align: style.align,
        emblem: style
            .emblem
            .or_else(|| emblem::for_prompt(&prompt))
            // A countdown needs the illustration's place.
            .or((count > 0).then_some(Emblem::Star))
            .filter(|emblem| *emblem != Emblem::None && picture.is_none()),
        face,
        wording,
        picture,
        footer: some(line(&style.footer)).filter(|_| canvas.short() >= ROOM_FOR_LINES),
        canvas,
        idea: idea(brief),
        count,
        margin: (canvas.w * canvas.h).sqrt().min(canvas.short() * 1.3) * 0.07,
    };
    (studio, layout)
}

fn layout_name(layout: Layout) -> &'static str {
    Layout::NAMES
        .iter()
        .find(|(_, named)| *named == layout)
        .map_or("", |(name, _)| name)
}

fn choose_layout(brief: &Brief, canvas: Area) -> Layout {
    if is_quote(&brief.prompt) {
        return Layout::Quote;
    }
    let fitting = if canvas.w > canvas.h * 1.25 {
        [
            Layout::Banner,
            Layout::Split,
            Layout::Centered,
            Layout::Billboard,
        ]
    } else {
        [
            Layout::Poster,
            Layout::Announcement,
            Layout::Centered,
            Layout::Split,
        ]
    };
    fitting[(brief.seed % 4) as usize]
}

/// The idea for a brief. Where the seed has chosen the layout by its place in four, the ideas within it go on with the fours.
fn idea(brief: &Brief) -> usize {
    let is_chosen = brief.style.get("layout").is_none_or(Value::is_array);
    let fours = if is_chosen { brief.seed / 4 } else { 0 };
    ((brief.seed % 4 + fours) % 12) as usize
}

fn choose_face(style: &Style, layout: Layout, dice: &mut Dice) -> Face {
    match style.font {
        Some(Font::Sans) => Face::Heavy,
        Some(Font::Display) => Face::Display,
        Some(Font::Serif) => Face::Serif,
        Some(Font::Rounded) => Face::Rounded,
        None if layout == Layout::Quote => Face::Serif,
        None if layout == Layout::Billboard => Face::Display,
        None => dice.pick([Face::Heavy, Face::Heavy, Face::Rounded, Face::Serif]),
    }
}

fn choose_motif(layout: Layout, dice: &mut Dice) -> Motif {
    match layout {
        Layout::Split => dice.pick([Motif::Grid, Motif::Arcs, Motif::Hills, Motif::Grid]),
        Layout::Announcement => dice.pick([
            Motif::Confetti,
            Motif::Leaves,
            Motif::Grid,
            Motif::Dots,
            Motif::Stripes,
            Motif::Blobs,
        ]),
        Layout::Quote => dice.pick([Motif::Leaves, Motif::Arcs, Motif::Blobs, Motif::Dots]),
        _ => dice.pick([
            Motif::Waves,
            Motif::Blobs,
            Motif::Rays,
            Motif::Dots,
            Motif::Confetti,
            Motif::Leaves,
            Motif::Arcs,
            Motif::Hills,
        ]),
    }
}

impl Studio {
    fn has_words(&self) -> bool {
        !self.wording.headline.is_empty()
    }

    /// Whether the headline's words stand whole on a small canvas; a few letters of them would say nothing.
    fn has_room_for_headline(&mut self) -> Result<bool, DrawError> {
        if self.canvas.short() >= ROOM_FOR_LINES {
            return Ok(true);
        }
        let (face, headline) = (self.face, &self.wording.headline);
        let words = Words::measure(&mut self.meter, face, headline, 0.0)?;
        let size = Sizes::of(self.canvas).headline.0;
        // The narrowest column of all layouts.
        let (w, h) = (self.canvas.w * 0.5, self.canvas.h * 0.4);
        let lines = words.wrap(w / size);
        Ok(lines.width() * size <= w && lines.height() * size <= h)
    }

    fn ground(&self, mood: Mood) -> Ground {
        Ground::new(&self.palette, mood)
    }

    fn art_ground(&self, tone: Tone) -> Ground {
        Ground::art(&self.palette, tone)
    }

    /// The one of the choices whose turn it is.
    fn turn<T: Copy, const N: usize>(&self, choices: [T; N]) -> T {
        choices[self.idea % N]
    }

    fn full(&mut self, ground: &Ground) {
        let canvas = self.canvas;
        self.scene.backdrop(canvas, ground);
    }

    fn brush(&self, area: Area, ground: &Ground, alpha: f32) -> Brush {
        Brush {
            area,
            focus: area.centre(),
            colours: ground.shapes,
            alpha,
        }
    }

    /// The pieces of a column, in their order from the top.
    fn pieces(&self) -> Vec<Piece> {
        let words = &self.wording;
        let headline = if self.face == Face::Display {
            words.headline.to_uppercase()
        } else {
            words.headline.clone()
        };
        let emphasis = words.emphasis.clone().map(|part| {
            if self.face == Face::Display {
                part.to_uppercase()
            } else {
                part
            }
        });
        let piece = |role, text: &Option<String>, face| {
            text.clone().map(|text| Piece {
                role,
                text,
                face,
                emphasis: None,
            })
        };
        [
            piece(Role::Kicker, &words.kicker, Face::Heavy),
            Some(Piece {
                role: Role::Headline,
                text: headline,
                face: self.face,
                emphasis,
            }),
            piece(Role::Subline, &words.subline, Face::Text),
            piece(Role::Details, &words.details, Face::Heavy),
            piece(Role::Author, &words.author, Face::Heavy),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Fits all words into an area; the footer is drawn apart.
    fn column(&mut self, area: Area, sizes: Sizes, align: Align) -> Result<Column, DrawError> {
        let pieces = self.pieces();
        block::fit(&mut self.meter, &pieces, area, sizes, align)
    }

    /// The style's alignment, or else the layout's own.
    fn align(&self, usual: Align) -> Align {
        self.align.unwrap_or(usual)
    }
}
