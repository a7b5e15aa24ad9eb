//! Flat illustrations of what an invitation is about, drawn in a square from -1 to 1: which one by the words (`subjects`), as
//! a list of strokes (`sketches`) or by code (`drawings`).

mod drawings;
mod sketches;
mod subjects;

use super::colour::Colour;
use super::geometry::Area;
use super::scene::Scene;
use super::style::Emblem;

pub(super) use subjects::for_prompt;

/// The colours of an illustration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inks {
    pub(super) line: Colour,
    pub(super) body: Colour,
    pub(super) second: Colour,
    pub(super) light: Colour,
}

/// What a stroke is drawn with.
#[derive(Debug, Clone, Copy)]
enum Ink {
    Line,
    Body,
    Second,
    Light,
}

impl Inks {
    fn of(self, ink: Ink) -> Colour {
        match ink {
            Ink::Line => self.line,
            Ink::Body => self.body,
            Ink::Second => self.second,
            Ink::Light => self.light,
        }
    }
}

/// Draws the illustration around a point; `r` is the radius of the circle that it fits in.
pub(super) fn draw(scene: &mut Scene, emblem: Emblem, (x, y): (f32, f32), r: f32, inks: Inks) {
    scene.placed(x, y, 0.0, r, |scene| {
        let mut pen = Pen { scene, inks };
        match emblem {
            Emblem::Cup => drawings::cup(pen),
            Emblem::Gift => drawings::gift(pen),
            Emblem::Cake => drawings::cake(pen),
            Emblem::Heart => drawings::heart(pen),
            Emblem::Book => drawings::book(pen),
            Emblem::Music => drawings::music(pen),
            Emblem::Leaf => drawings::leaf(pen),
            Emblem::Bowl => drawings::bowl(pen),
            Emblem::Blossom => drawings::blossom(pen),
            Emblem::Lantern => drawings::lantern(pen),
            Emblem::Snowflake => drawings::snowflake(pen),
            Emblem::Megaphone => drawings::megaphone(pen),
            Emblem::Bag => drawings::bag(pen),
            Emblem::Plane => drawings::plane(pen),
            Emblem::Star => drawings::star(pen),
            emblem => sketches::sketch(emblem, &mut pen),
        }
    });
}

struct Pen<'a> {
    scene: &'a mut Scene,
    inks: Inks,
}

impl Pen<'_> {
    fn fill(&mut self, path: &str, colour: Colour) {
        self.scene.fill(path, colour, 1.0);
    }

    fn line(&mut self, path: &str, width: f32, colour: Colour) {
        self.scene.stroke(path, colour, width, 1.0);
    }

    fn block(&mut self, x: f32, y: f32, w: f32, h: f32, radius: f32, colour: Colour) {
        self.scene.rect(Area { x, y, w, h }, radius, colour, 1.0);
    }
}
