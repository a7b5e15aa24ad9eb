//! Puts words and art on a canvas: one file a family of layouts.

mod card;
mod hero;
mod open;
mod pictured;

use std::sync::Arc;

use image::RgbaImage;

use super::block::{self, Column, Piece, Role, Sizes};
use super::colour::Colour;
use super::dice::Dice;
use super::emblem::{self, Inks};
use super::font::{Face, Meter, showable};
use super::geometry::Area;
use super::motif::Brush;
use super::palette::{Ground, Mood, PALETTES, Palette};
use super::part::Part;
use super::scene::{Anchor, Scene, TextRun};
use super::style::{Align, Emblem, Font, Layout, Motif, PictureUse, Style};
use super::typeset::Words;
use super::wording::{Offer, Wording, is_quote};
use super::{Brief, DrawError, badge};

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
}

/// Composes the scene of a brief.
pub(super) fn compose(brief: &Brief, style: &Style) -> Result<Scene, DrawError> {
    let dice = Dice::new(brief.seed);
    let (mut studio, layout) = prepare(brief, style, &dice);
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

fn prepare(brief: &Brief, style: &Style, dice: &Dice) -> (Studio, Layout) {
    let canvas = Area::new(0.0, 0.0, brief.width as f32, brief.height as f32);
    let layout = style
        .layout
        .unwrap_or_else(|| choose_layout(brief, canvas, &mut dice.fork("layout")));
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
    wording.offer = some(line(&style.badge))
        .map(|text| Offer::from_badge(&text))
        .or(wording.offer);
    let mut picks = dice.fork("look");
    let picture = pictured::use_of(brief, style, layout);
    let studio = Studio {
        scene: Scene::new(brief.width, brief.height),
        meter: Meter::default(),
        dice: dice.fork(layout_name(layout)),
        palette: style
            .palette
            .unwrap_or_else(|| PALETTES[picks.index(PALETTES.len())]),
        mood: style.mood,
        motif: style
            .motif
            .unwrap_or_else(|| choose_motif(layout, &mut picks)),
        align: style.align,
        emblem: style
            .emblem
            .or_else(|| emblem::for_prompt(&prompt))
            .filter(|emblem| *emblem != Emblem::None && picture.is_none()),
        face,
        wording,
        picture,
        footer: some(line(&style.footer)),
        canvas,
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

fn choose_layout(brief: &Brief, canvas: Area, dice: &mut Dice) -> Layout {
    if is_quote(&brief.prompt) {
        return Layout::Quote;
    }
    if canvas.w > canvas.h * 1.25 {
        dice.pick([
            Layout::Banner,
            Layout::Split,
            Layout::Centered,
            Layout::Banner,
        ])
    } else {
        dice.pick([
            Layout::Poster,
            Layout::Announcement,
            Layout::Centered,
            Layout::Split,
            Layout::Poster,
        ])
    }
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

    fn ground(&self, mood: Mood) -> Ground {
        Ground::new(&self.palette, mood)
    }

    fn art_ground(&self, mood: Mood) -> Ground {
        Ground::art(&self.palette, mood)
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
        let kicker = words.kicker.as_ref().map(|text| text.to_uppercase());
        [
            piece(Role::Kicker, &kicker, Face::Heavy),
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

    /// Takes the footer's line from the foot of an area, and gives what is left.
    fn above_footer(&self, area: Area, sizes: Sizes) -> Area {
        match self.footer {
            Some(_) => Area::new(area.x, area.y, area.w, area.h - sizes.body.0 * 2.6),
            None => area,
        }
    }

    /// Draws the footer on one line at the foot of an area.
    fn draw_footer(
        &mut self,
        area: Area,
        sizes: Sizes,
        align: Align,
        ground: &Ground,
    ) -> Result<(), DrawError> {
        let Some(footer) = self.footer.clone() else {
            return Ok(());
        };
        let words = Words::measure(&mut self.meter, Face::Text, &footer, 0.02)?;
        let size = sizes.body.0;
        let lines = words.wrap_cut(area.w / size, 1);
        let Some((text, width)) = lines
            .lines
            .first()
            .cloned()
            .filter(|(_, width)| width * size <= area.w + 0.5)
        else {
            return Ok(());
        };
        let width = width * size;
        let baseline = area.bottom() - lines.descent * size;
        let (anchor, x, left) = match align {
            Align::Left => (Anchor::Start, area.x, area.x),
            Align::Center => (
                Anchor::Middle,
                area.x + area.w / 2.0,
                area.x + (area.w - width) / 2.0,
            ),
        };
        let bounds = Area::new(
            left,
            baseline - lines.ascent * size,
            width,
            (lines.ascent + lines.descent) * size,
        );
        let run = TextRun {
            text,
            face: Face::Text,
            size,
            tracking: words.tracking,
            anchor,
            x,
            baseline,
            bounds,
            colour: ground.quiet,
            emphasis: None,
            behind: ground.behind(),
        };
        let canvas = self.canvas;
        self.scene
            .part(Part::Footer, canvas, |scene| scene.text(run));
        Ok(())
    }

    /// The colours of a seal that stands out from a ground, and from the medallion that it may lie on.
    fn seal_ground(&self, under: &Ground) -> Ground {
        let mut below = vec![under.from];
        if self.emblem.is_some() {
            below.push(self.medallion_ground(under).from);
        }
        let colour = self.palette.seal(&below);
        let dark = self.ground(Mood::Dark).from;
        Ground::plain(
            colour,
            if dark.contrast(colour) > Colour::WHITE.contrast(colour) {
                dark
            } else {
                Colour::WHITE
            },
        )
    }

    fn medallion_ground(&self, under: &Ground) -> Ground {
        self.ground(if under.from.luminance() > 0.45 {
            Mood::Dark
        } else {
            Mood::Light
        })
    }

    fn seal(&mut self, at: (f32, f32), r: f32, under: &Ground) -> Result<(), DrawError> {
        let Some(offer) = self.wording.offer.clone() else {
            return Ok(());
        };
        if r * 0.3 < block::LEGIBLE {
            return Ok(());
        }
        let ground = self.seal_ground(under);
        let mut dice = self.dice.fork("seal");
        let meter = &mut self.meter;
        self.scene.part(Part::Seal, self.canvas, |scene| {
            scene.named("seal", |scene| {
                badge::draw(scene, meter, &offer, at, r, &ground, &mut dice)
            })
        })
    }

    /// The illustration on a disc.
    fn medallion(&mut self, emblem: Emblem, (x, y): (f32, f32), r: f32, under: &Ground) {
        let disc = self.medallion_ground(under);
        let dark = disc.from.luminance() < 0.45;
        let inks = Inks {
            line: if dark { disc.shapes[1] } else { disc.ink },
            body: if dark { disc.ink } else { disc.shapes[0] },
            second: disc.shapes[1],
            light: disc.shapes[2],
        };
        self.scene.part(Part::Medallion, self.canvas, |scene| {
            scene.named("medallion", |scene| {
                scene.circle(x, y, r, disc.from, 1.0);
                scene.ring(x, y, r * 1.08, r * 0.025, disc.from, 0.9);
                emblem::draw(scene, emblem, (x, y), r * 0.72, inks);
            });
        });
    }

    /// A disc's radius as a share of the shorter side; larger on tall canvases, which have the room.
    fn disc_radius(&self, share: f32) -> f32 {
        let tall = (self.canvas.h / self.canvas.w / 1.5).clamp(1.0, 1.8);
        self.canvas.short() * share * tall
    }

    /// The style's alignment, or else the layout's own.
    fn align(&self, usual: Align) -> Align {
        self.align.unwrap_or(usual)
    }
}
