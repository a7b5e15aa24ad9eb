//! Draws a fitted column.

use super::super::colour::Colour;
use super::super::geometry::Area;
use super::super::palette::Ground;
use super::super::part::Part;
use super::super::scene::{Anchor, Scene, TextRun};
use super::super::style::Align;
use super::{Column, PILL, Placed, Role, height};

impl Column {
    pub(in super::super) fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    pub(in super::super) fn height(&self) -> f32 {
        height(&self.placed)
    }

    /// Moves the column to a vertical place in its box: 0 is the top, 1 the bottom.
    pub(in super::super) fn settle(&mut self, share: f32) {
        let height = self.height();
        self.area.y += (self.area.h - height).max(0.0) * share;
        self.area.h = height;
    }

    /// The box of all lines.
    pub(in super::super) fn bounds(&self) -> Area {
        let width = self
            .placed
            .iter()
            .map(Placed::box_width)
            .fold(0.0, f32::max);
        let x = match self.align {
            Align::Left => self.area.x,
            Align::Center => self.area.x + (self.area.w - width) / 2.0,
        };
        Area::new(x, self.area.y, width, self.height())
    }

    /// Draws the column on a ground.
    pub(in super::super) fn draw(&self, scene: &mut Scene, ground: &Ground) {
        let mut top = self.area.y;
        for (index, piece) in self.placed.iter().enumerate() {
            if index > 0 && self.placed[index - 1].role == Role::Headline {
                scene.part(Part::Rule, scene.canvas, |scene| {
                    self.rule(scene, ground, top + piece.gap * 0.46, piece.size);
                });
            }
            top += piece.gap;
            self.piece(scene, ground, piece, top);
            top += piece.height();
        }
    }

    fn piece(&self, scene: &mut Scene, ground: &Ground, piece: &Placed, top: f32) {
        let canvas = scene.canvas;
        let (part, colour) = match piece.role {
            // Its lines are parts of their own.
            Role::Headline => return self.lines(scene, piece, top, 0.0, ground.ink, ground),
            Role::Details => {
                return scene.part(Part::Details, canvas, |scene| {
                    self.pill(scene, ground, piece, top);
                });
            }
            Role::Kicker => (Part::Kicker, ground.accent),
            Role::Author => (Part::Author, ground.accent),
            Role::Subline => (Part::Subline, ground.quiet),
        };
        scene.part(part, canvas, |scene| {
            self.lines(scene, piece, top, 0.0, colour, ground);
        });
    }

    /// A short line between the headline and what follows.
    fn rule(&self, scene: &mut Scene, ground: &Ground, y: f32, body: f32) {
        let width = body * 2.6;
        let x = match self.align {
            Align::Left => self.area.x,
            Align::Center => self.area.x + (self.area.w - width) / 2.0,
        };
        let height = (body * 0.13).max(1.0);
        scene.rect(
            Area::new(x, y, width, height),
            height / 2.0,
            ground.accent,
            1.0,
        );
    }

    fn pill(&self, scene: &mut Scene, ground: &Ground, piece: &Placed, top: f32) {
        let width = piece.box_width();
        let x = match self.align {
            Align::Left => self.area.x,
            Align::Center => self.area.x + (self.area.w - width) / 2.0,
        };
        let area = Area::new(x, top, width, piece.height());
        let radius = (piece.size * 0.9).min(area.h / 2.0);
        scene.rect(area, radius, ground.ink, 1.0);
        let inner = Ground::plain(ground.ink, ground.from);
        self.lines(
            scene,
            piece,
            top + piece.size * PILL,
            piece.size * 0.9,
            inner.ink,
            &inner,
        );
    }

    fn lines(
        &self,
        scene: &mut Scene,
        piece: &Placed,
        top: f32,
        indent: f32,
        colour: Colour,
        ground: &Ground,
    ) {
        let (anchor, x) = match self.align {
            Align::Left => (Anchor::Start, self.area.x + indent),
            Align::Center => (Anchor::Middle, self.area.x + self.area.w / 2.0),
        };
        for (index, (text, width)) in piece.lines.lines.iter().enumerate() {
            let baseline =
                top + (piece.lines.ascent + piece.lines.leading * index as f32) * piece.size;
            let width = width * piece.size;
            let left = if anchor == Anchor::Start {
                x
            } else {
                x - width / 2.0
            };
            let emphasis = piece
                .emphasis
                .as_ref()
                .filter(|part| text.contains(part.as_str()));
            let run = TextRun {
                text: text.clone(),
                face: piece.face,
                size: piece.size,
                tracking: piece.tracking,
                anchor,
                x,
                baseline,
                bounds: Area::new(
                    left,
                    baseline - piece.lines.ascent * piece.size,
                    width,
                    (piece.lines.ascent + piece.lines.descent) * piece.size,
                ),
                colour,
                emphasis: emphasis.map(|part| (part.clone(), ground.accent)),
                behind: ground.behind(),
            };
            scene.part(Part::Headline, scene.canvas, |scene| scene.text(run));
        }
    }
}

impl Placed {
    fn box_width(&self) -> f32 {
        let padding = if self.role == Role::Details {
            1.8 * self.size
        } else {
            0.0
        };
        self.lines.width() * self.size + padding
    }
}
