//! What stands on a picture beside its words: footer, seal, illustration, and the numbers of a countdown.

use super::super::badge::{self, HALO, Seal};
use super::super::block::{LEGIBLE, Sizes};
use super::super::colour::Colour;
use super::super::emblem::{self, Inks};
use super::super::font::Face;
use super::super::geometry::Area;
use super::super::palette::{Ground, Mood};
use super::super::part::Part;
use super::super::scene::{Anchor, TextRun};
use super::super::style::{Align, Emblem};
use super::super::typeset::{Lines, Words};
use super::{DrawError, LEAST_TYPE, Studio};

/// The letters of small print stand a little apart.
const FOOTER_TRACKING: f32 = 0.02;

impl Studio {
    /// The footer's lines at the least size of body text.
    fn footer_lines(&mut self, area: Area, size: f32) -> Result<Option<Lines>, DrawError> {
        let Some(footer) = &self.footer else {
            return Ok(None);
        };
        let words = Words::measure(&mut self.meter, Face::Text, footer, FOOTER_TRACKING)?;
        let lines = words.wrap_cut(area.w / size, 2);
        Ok(Some(lines).filter(|lines| lines.width() * size <= area.w + 0.5))
    }

    /// Takes the footer's lines from the foot of an area, and gives what is left.
    pub(super) fn above_footer(&mut self, area: Area, sizes: Sizes) -> Result<Area, DrawError> {
        let size = sizes.body.0;
        let lines = self.footer_lines(area, size)?;
        let taken = lines.map_or(0.0, |lines| (lines.height() + 1.5) * size);
        Ok(Area::new(area.x, area.y, area.w, area.h - taken))
    }

    /// Draws the footer at the foot of an area.
    pub(super) fn draw_footer(
        &mut self,
        area: Area,
        sizes: Sizes,
        align: Align,
        ground: &Ground,
    ) -> Result<(), DrawError> {
        let size = sizes.body.0;
        let Some(lines) = self.footer_lines(area, size)? else {
            return Ok(());
        };
        let canvas = self.canvas;
        let top = area.bottom() - lines.height() * size;
        self.scene.part(Part::Footer, canvas, |scene| {
            for (index, (text, width)) in lines.lines.iter().enumerate() {
                let baseline = top + (lines.ascent + lines.leading * index as f32) * size;
                let width = width * size;
                let (anchor, x, left) = match align {
                    Align::Left => (Anchor::Start, area.x, area.x),
                    Align::Center => (
                        Anchor::Middle,
                        area.x + area.w / 2.0,
                        area.x + (area.w - width) / 2.0,
                    ),
                };
                scene.text(TextRun {
                    text: text.clone(),
                    face: Face::Text,
                    size,
                    tracking: FOOTER_TRACKING,
                    anchor,
                    x,
                    baseline,
                    bounds: Area::new(
                        left,
                        baseline - lines.ascent * size,
                        width,
                        (lines.ascent + lines.descent) * size,
                    ),
                    colour: ground.quiet,
                    emphasis: None,
                    behind: ground.behind(),
                });
            }
        });
        Ok(())
    }

    /// A seal that stands out from all the colours that may lie under it, the ground's own first.
    fn seal_over(&self, under: &[Colour]) -> Seal {
        let (ground, halo) = self.palette.seal(under);
        Seal {
            ground,
            halo,
            least: self.canvas.short() * LEAST_TYPE,
        }
    }

    pub(super) fn medallion_ground(&self, under: &Ground) -> Ground {
        self.ground(if under.from.luminance() > 0.45 {
            Mood::Dark
        } else {
            Mood::Light
        })
    }

    /// Draws the seal, if there is an offer, within a circle; `under` is what may lie under it.
    pub(super) fn seal(
        &mut self,
        at: (f32, f32),
        r: f32,
        under: &[Colour],
    ) -> Result<(), DrawError> {
        let Some(offer) = self.wording.offer.clone() else {
            return Ok(());
        };
        if r * 0.3 < LEGIBLE {
            return Ok(());
        }
        let seal = self.seal_over(under);
        // A halo belongs to the circle.
        let r = if seal.halo.is_some() { r / HALO } else { r };
        let mut dice = self.dice.fork("seal");
        let meter = &mut self.meter;
        self.scene.part(Part::Seal, self.canvas, |scene| {
            scene.named("seal", |scene| {
                badge::draw(scene, meter, &offer, at, r, &seal, &mut dice)
            })
        })
    }

    /// How large a seal is beside an illustration, in radii of that: a long price needs the room.
    pub(super) fn weight_of_seal(&self) -> f32 {
        let value = self.wording.offer.as_ref().map_or("", |offer| &offer.value);
        match value.chars().count() {
            0..=5 => 0.88,
            _ => 1.15,
        }
    }

    /// The illustration on a disc.
    pub(super) fn medallion(
        &mut self,
        emblem: Emblem,
        (x, y): (f32, f32),
        r: f32,
        under: &Ground,
    ) -> Result<(), DrawError> {
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
        self.numbers((x, y), r, &disc)
    }

    /// The numbers of a countdown, each for itself over the illustration's disc.
    fn numbers(&mut self, (x, y): (f32, f32), r: f32, disc: &Ground) -> Result<(), DrawError> {
        for number in 1..=self.count {
            let text = number.to_string();
            let words = Words::measure(&mut self.meter, Face::Display, &text, 0.0)?;
            let lines = words.wrap(1.0);
            let size = r * 1.3 / lines.height().max(0.1);
            let bounds = Area::new(
                x - lines.width() * size / 2.0,
                y - lines.height() * size / 2.0,
                lines.width() * size,
                lines.height() * size,
            );
            let run = TextRun {
                text,
                face: Face::Display,
                size,
                tracking: 0.0,
                anchor: Anchor::Middle,
                x,
                baseline: bounds.y + lines.ascent * size,
                bounds,
                colour: disc.ink,
                emphasis: None,
                behind: disc.behind(),
            };
            self.scene.part(Part::Count(number), self.canvas, |scene| {
                scene.circle(x, y, r, disc.from, 1.0);
                scene.ring(x, y, r * 0.88, r * 0.05, disc.accent, 1.0);
                scene.text(run);
            });
        }
        Ok(())
    }

    /// A disc's radius as a share of the shorter side; larger on tall canvases, which have the room.
    pub(super) fn disc_radius(&self, share: f32) -> f32 {
        let tall = (self.canvas.h / self.canvas.w / 1.5).clamp(1.0, 1.8);
        self.canvas.short() * share * tall
    }
}
