//! A scene as layers of pixels, each of which an animation can move without drawing it again.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::Tree;

use super::colour::Colour;
use super::geometry::Area;
use super::part::Part;
use super::scene::{Piece, Scene, Stage};
use super::{Brief, DrawError, compose, font};

/// How much larger than the canvas an animation may show a motif.
pub(crate) const OVERSCAN: f32 = 1.12;

/// The layers of a picture, first to last, over a gradient.
pub(crate) struct Drawn {
    pub(crate) backdrop: Backdrop,
    pub(crate) layers: Vec<Layer>,
}

/// A gradient over the whole canvas, which runs over an area from its top left corner to the bottom right.
pub(crate) struct Backdrop {
    pub(crate) area: Area,
    /// Red, green and blue.
    pub(crate) from: [u8; 3],
    pub(crate) to: [u8; 3],
}

/// One part of a picture.
pub(crate) struct Layer {
    pub(crate) part: Part,
    /// Where on the canvas it may be seen, however it moves.
    pub(crate) window: Area,
    /// What it covers of the canvas when it does not move.
    pub(crate) area: Area,
    /// Pixels of the layer to one of the canvas.
    pub(crate) scale: f32,
    /// Pixels in a row.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Rows from the top; red in the lowest byte, then green, blue and opacity, which the colours are multiplied with.
    pub(crate) pixels: Vec<u32>,
}

/// Draws a brief in layers, with the numbers of a countdown from `count` in the place of the illustration. `report` is called with the share that is done, 0.0 to 1.0, and stops the drawing by returning
/// false.
///
/// # Errors
/// Those of [`super::draw`].
pub(crate) fn layers(
    brief: &Brief,
    count: u8,
    report: &mut dyn FnMut(f32) -> bool,
) -> Result<Drawn, DrawError> {
    let scene = compose(brief, count)?;
    let pieces = scene.pieces();
    let mut layers = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        if !report(index as f32 / pieces.len() as f32) {
            return Err(DrawError::Stopped);
        }
        layers.extend(rasterise(piece)?);
    }
    Ok(Drawn {
        backdrop: backdrop(&scene)?,
        layers,
    })
}

fn backdrop(scene: &Scene) -> Result<Backdrop, DrawError> {
    let backdrop = scene
        .backdrop
        .as_ref()
        .ok_or_else(|| DrawError::Internal("the scene has no backdrop".to_owned()))?;
    let bytes = |Colour(red, green, blue)| [red, green, blue];
    Ok(Backdrop {
        area: backdrop.area,
        from: bytes(backdrop.from),
        to: bytes(backdrop.to),
    })
}

/// The pixels of a part; none if it shows nothing.
fn rasterise(piece: &Piece<'_>) -> Result<Option<Layer>, DrawError> {
    let svg = match &piece.stage {
        Stage::Shapes(svg) => svg,
        Stage::Photo(photo) => {
            return Ok(Some(Layer {
                part: piece.part,
                window: piece.window,
                area: photo.area,
                scale: 1.0,
                width: photo.area.w as usize,
                height: photo.area.h as usize,
                pixels: packed(&photo.pixels),
            }));
        }
    };
    let tree = font::parse(svg)?;
    let (reach, scale) = reach(piece);
    let Some(area) = ink(&tree).and_then(|ink| common(ink, reach)) else {
        return Ok(None);
    };
    let side = |length: f32| (length * scale).ceil().max(1.0);
    let (width, height) = (side(area.w), side(area.h));
    let mut pixmap = Pixmap::new(width as u32, height as u32)
        .ok_or_else(|| DrawError::Internal(format!("no pixmap of {width} x {height}")))?;
    let placed = Transform::from_translate(-area.x, -area.y).post_scale(scale, scale);
    resvg::render(&tree, placed, &mut pixmap.as_mut());
    Ok(Some(Layer {
        part: piece.part,
        window: piece.window,
        area: Area {
            w: width / scale,
            h: height / scale,
            ..area
        },
        scale,
        width: width as usize,
        height: height as usize,
        pixels: packed(pixmap.data()),
    }))
}

/// How much of a part is ever seen, and at which scale it is rasterised.
fn reach(piece: &Piece<'_>) -> (Area, f32) {
    let window = piece.window;
    match piece.part {
        Part::Motif => {
            let spare = OVERSCAN - 1.0;
            (window.inset(-window.w * spare, -window.h * spare), OVERSCAN)
        }
        Part::Rays(x, y) => {
            let far = |from: f32, to: f32, at: f32| (at - from).abs().max((to - at).abs());
            let across = far(window.x, window.right(), x);
            let along = far(window.y, window.bottom(), y);
            let radius = across.hypot(along);
            (Area::new(x, y, 0.0, 0.0).inset(-radius, -radius), 1.0)
        }
        // What moves into the window from outside is whole.
        Part::Piece | Part::Panel(_) => (window.inset(-window.w, -window.h), 1.0),
        _ => (window, 1.0),
    }
}

/// The box of all that a tree draws, in whole pixels.
fn ink(tree: &Tree) -> Option<Area> {
    let ink = tree.root().abs_layer_bounding_box();
    let (left, top) = (ink.left().floor() - 1.0, ink.top().floor() - 1.0);
    let (right, bottom) = (ink.right().ceil() + 1.0, ink.bottom().ceil() + 1.0);
    tree.root()
        .has_children()
        .then(|| Area::new(left, top, right - left, bottom - top))
}

/// What two areas have in common, in whole pixels.
fn common(a: Area, b: Area) -> Option<Area> {
    let (left, top) = (a.x.max(b.x).floor(), a.y.max(b.y).floor());
    let (right, bottom) = (
        a.right().min(b.right()).ceil(),
        a.bottom().min(b.bottom()).ceil(),
    );
    (left < right && top < bottom).then(|| Area::new(left, top, right - left, bottom - top))
}

fn packed(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], pixel[3]]))
        .collect()
}
