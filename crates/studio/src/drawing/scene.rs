//! A picture as a vector scene: shapes first to last, and the text on top with what lies behind it.

use std::fmt::Write as _;
use std::ops::Range;

use super::colour::Colour;
use super::font::Face;
use super::geometry::Area;
use super::palette::Ground;
use super::part::Part;
use super::path;
use super::photo::Photo;

/// Makes a text safe inside XML. Characters that XML forbids are dropped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Which end of a line stands at its x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
}

/// One line of text, placed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextRun {
    pub(super) text: String,
    pub(super) face: Face,
    /// Font size in pixels.
    pub(super) size: f32,
    /// Space added after each letter, in parts of the font size.
    pub(super) tracking: f32,
    pub(super) anchor: Anchor,
    pub(super) x: f32,
    pub(super) baseline: f32,
    /// The ink's box.
    pub(super) bounds: Area,
    pub(super) colour: Colour,
    /// A part of the text in its own colour.
    pub(super) emphasis: Option<(String, Colour)>,
    /// Every colour that may lie behind the text.
    pub(super) behind: Vec<Colour>,
}

/// A scene under construction.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) canvas: Area,
    body: String,
    clips: usize,
    gradients: usize,
    pub(super) texts: Vec<TextRun>,
    /// What moves for itself, in the order of painting; they do not overlap.
    parts: Vec<Marked>,
    inside_part: bool,
    /// Each stands behind so much of the body.
    photos: Vec<(usize, Photo)>,
    pub(super) backdrop: Option<Backdrop>,
}

/// What is painted in one go.
#[derive(Debug)]
pub(super) enum Stage<'a> {
    /// As SVG.
    Shapes(String),
    Photo(&'a Photo),
}

/// A part of the scene's body.
#[derive(Debug, Clone)]
struct Marked {
    part: Part,
    window: Area,
    body: Range<usize>,
}

/// A part as a scene of its own.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) part: Part,
    /// Where it may be seen, however it moves.
    pub(super) window: Area,
    pub(super) stage: Stage<'a>,
}

/// The gradient that covers the whole canvas, under everything else.
#[derive(Debug, Clone)]
pub(super) struct Backdrop {
    /// The gradient runs from the top left of this to the bottom right.
    pub(super) area: Area,
    pub(super) from: Colour,
    pub(super) to: Colour,
}

impl Scene {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            canvas: Area::new(0.0, 0.0, width as f32, height as f32),
            body: String::new(),
            clips: 0,
            gradients: 0,
            texts: Vec::new(),
            parts: Vec::new(),
            inside_part: false,
            photos: Vec::new(),
            backdrop: None,
        }
    }

    fn element(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(arguments);
    }

    pub(super) fn fill(&mut self, path: &str, colour: Colour, alpha: f32) {
        self.element(format_args!(
            r#"<path d="{path}" fill="{}" fill-opacity="{alpha:.3}"/>"#,
            colour.hex()
        ));
    }

    pub(super) fn stroke(&mut self, path: &str, colour: Colour, width: f32, alpha: f32) {
        self.element(format_args!(
            r#"<path d="{path}" fill="none" stroke="{}" stroke-width="{width:.2}" stroke-linecap="round" stroke-linejoin="round" stroke-opacity="{alpha:.3}"/>"#,
            colour.hex()
        ));
    }

    pub(super) fn circle(&mut self, x: f32, y: f32, r: f32, colour: Colour, alpha: f32) {
        self.element(format_args!(
            r#"<circle cx="{x:.2}" cy="{y:.2}" r="{:.2}" fill="{}" fill-opacity="{alpha:.3}"/>"#,
            r.max(0.01),
            colour.hex()
        ));
    }

    pub(super) fn ring(&mut self, x: f32, y: f32, r: f32, width: f32, colour: Colour, alpha: f32) {
        self.element(format_args!(
            r#"<circle cx="{x:.2}" cy="{y:.2}" r="{:.2}" fill="none" stroke="{}" stroke-width="{width:.2}" stroke-opacity="{alpha:.3}"/>"#,
            r.max(0.01),
            colour.hex()
        ));
    }

    pub(super) fn rect(&mut self, area: Area, radius: f32, colour: Colour, alpha: f32) {
        self.element(format_args!(
            r#"<rect x="{:.2}" y="{:.2}" width="{:.2}" height="{:.2}" rx="{radius:.2}" fill="{}" fill-opacity="{alpha:.3}"/>"#,
            area.x, area.y, area.w, area.h, colour.hex()
        ));
    }

    pub(super) fn frame(
        &mut self,
        area: Area,
        radius: f32,
        width: f32,
        colour: Colour,
        alpha: f32,
    ) {
        self.element(format_args!(
            r#"<rect x="{:.2}" y="{:.2}" width="{:.2}" height="{:.2}" rx="{radius:.2}" fill="none" stroke="{}" stroke-width="{width:.2}" stroke-opacity="{alpha:.3}"/>"#,
            area.x, area.y, area.w, area.h, colour.hex()
        ));
    }

    /// A path filled with the ground's gradient, which runs over `area` from the top left to the bottom right.
    pub(super) fn ground(&mut self, path: &str, area: Area, ground: &Ground) {
        self.gradients += 1;
        let id = self.gradients;
        self.element(format_args!(
            r#"<linearGradient id="g{id}" gradientUnits="userSpaceOnUse" x1="{:.2}" y1="{:.2}" x2="{:.2}" y2="{:.2}"><stop offset="0" stop-color="{}"/><stop offset="1" stop-color="{}"/></linearGradient><path d="{path}" fill="url(#g{id})"/>"#,
            area.x, area.y, area.right(), area.bottom(), ground.from.hex(), ground.to.hex()
        ));
    }

    /// The ground of the whole canvas, whose gradient runs over `area`.
    pub(super) fn backdrop(&mut self, area: Area, ground: &Ground) {
        let canvas = self.canvas;
        self.part(Part::Backdrop, canvas, |scene| {
            scene.ground(&path::rectangle(canvas), area, ground);
        });
        self.backdrop = Some(Backdrop {
            area,
            from: ground.from,
            to: ground.to,
        });
    }

    /// What `paint` draws moves for itself when the scene is animated, and is seen only inside the window. A part inside a
    /// part moves with it.
    pub(super) fn part<T>(
        &mut self,
        part: Part,
        window: Area,
        paint: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if self.inside_part {
            return paint(self);
        }
        self.inside_part = true;
        let start = self.body.len();
        let painted = paint(self);
        self.inside_part = false;
        self.parts.push(Marked {
            part,
            window,
            body: start..self.body.len(),
        });
        painted
    }

    /// What `paint` draws is seen only inside the path.
    pub(super) fn clipped(&mut self, path: &str, paint: impl FnOnce(&mut Self)) {
        self.clips += 1;
        let id = self.clips;
        self.element(format_args!(
            r#"<clipPath id="c{id}"><path d="{path}"/></clipPath><g clip-path="url(#c{id})">"#
        ));
        paint(self);
        self.body.push_str("</g>");
    }

    /// Draws what `paint` draws moved, turned (degrees) and scaled about its origin.
    pub(super) fn placed(
        &mut self,
        x: f32,
        y: f32,
        degrees: f32,
        scale: f32,
        paint: impl FnOnce(&mut Self),
    ) {
        self.element(format_args!(
            r#"<g transform="translate({x:.2} {y:.2}) rotate({degrees:.2}) scale({scale:.4})">"#
        ));
        paint(self);
        self.body.push_str("</g>");
    }

    /// What `paint` draws is one named thing.
    pub(super) fn named<T>(&mut self, name: &str, paint: impl FnOnce(&mut Self) -> T) -> T {
        self.element(format_args!(r#"<g id="{name}">"#));
        let painted = paint(self);
        self.body.push_str("</g>");
        painted
    }

    pub(super) fn text(&mut self, run: TextRun) {
        let anchor = match run.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
        };
        self.element(format_args!(
            r#"<text x="{:.2}" y="{:.2}" font-family="{}" font-weight="{}" font-size="{:.2}" letter-spacing="{:.3}" text-anchor="{anchor}" fill="{}">"#,
            run.x, run.baseline, run.face.family(), run.face.weight(), run.size,
            run.tracking * run.size, run.colour.hex()
        ));
        match run
            .emphasis
            .as_ref()
            .and_then(|(part, colour)| Some((run.text.split_once(part.as_str())?, part, colour)))
        {
            Some(((before, after), part, colour)) => self.element(format_args!(
                r#"{}<tspan fill="{}">{}</tspan>{}"#,
                escape(before),
                colour.hex(),
                escape(part),
                escape(after)
            )),
            None => self.body.push_str(&escape(&run.text)),
        }
        self.body.push_str("</text>");
        self.texts.push(run);
    }

    /// A picture in its place, which is a part by itself.
    pub(super) fn photo(&mut self, part: Part, photo: Photo) {
        let at = self.body.len();
        self.parts.push(Marked {
            part,
            window: match part {
                // What floats is seen all over the canvas.
                Part::Medallion => self.canvas,
                _ => photo.area,
            },
            body: at..at,
        });
        self.photos.push((at, photo));
    }

    #[cfg(test)]
    pub(super) fn svg(&self) -> String {
        self.document(&self.body)
    }

    /// The scene, cut where pictures are.
    pub(super) fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = Vec::new();
        let mut done = 0;
        for (at, photo) in &self.photos {
            if done < *at {
                stages.push(Stage::Shapes(self.document(&self.body[done..*at])));
            }
            stages.push(Stage::Photo(photo));
            done = *at;
        }
        stages.push(Stage::Shapes(self.document(&self.body[done..])));
        stages
    }

    fn document(&self, body: &str) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}">{body}</svg>"#,
            self.canvas.w, self.canvas.h
        )
    }

    /// The scene in its parts, in the order of painting; what lies between them is still. The backdrop is left out.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut photos = self.photos.iter();
        let mut piece = |part, window, body: Range<usize>| Piece {
            part,
            window,
            stage: match body.is_empty().then(|| photos.next()).flatten() {
                Some((_, photo)) => Stage::Photo(photo),
                None => Stage::Shapes(self.document(&self.body[body])),
            },
        };
        let mut pieces = Vec::new();
        let mut at = 0;
        let end = self.body.len()..self.body.len();
        let parts = self.parts.iter();
        for next in parts.map(Some).chain([None]) {
            let body = next.map_or(&end, |marked| &marked.body);
            if at < body.start {
                pieces.push(piece(Part::Still, self.canvas, at..body.start));
            }
            if let Some(marked) = next.filter(|marked| marked.part != Part::Backdrop) {
                pieces.push(piece(marked.part, marked.window, marked.body.clone()));
            }
            at = body.end;
        }
        pieces
    }
}
