//! Turns a scene into pixels, in horizontal bands: so work is reported, can be stopped, and memory stays small.

use image::RgbImage;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::Tree;

use super::photo::Photo;
use super::scene::Stage;
use super::{DrawError, font};

/// Bands have about this many pixels, so that stopping takes a moment at any size.
const BAND_PIXELS: u32 = 200_000;
/// Small pictures have at least this many bands.
const LEAST_BANDS: u32 = 12;

/// What is painted in one go.
pub(super) enum Painted<'a> {
    Shapes(Box<Tree>),
    Photo(&'a Photo),
}

impl<'a> Painted<'a> {
    pub(super) fn of(stage: Stage<'a>) -> Result<Self, DrawError> {
        Ok(match stage {
            Stage::Shapes(svg) => Self::Shapes(Box::new(font::parse(&svg)?)),
            Stage::Photo(photo) => Self::Photo(photo),
        })
    }

    /// Paints what of it is seen in a band that begins with this row.
    fn paint(&self, band: &mut Pixmap, top: u32) {
        match self {
            Self::Shapes(tree) => {
                let placed = Transform::from_translate(0.0, -(top as f32));
                resvg::render(tree, placed, &mut band.as_mut());
            }
            Self::Photo(photo) => {
                let width = band.width() as usize;
                photo.draw(band.data_mut(), width, top);
            }
        }
    }
}

/// Renders what is painted, first to last; `report` gets the share that is done, and stops the work by returning false.
pub(super) fn rasterise(
    painted: &[Painted<'_>],
    (width, height): (u32, u32),
    report: &mut dyn FnMut(f32) -> bool,
) -> Result<RgbImage, DrawError> {
    let rows = (BAND_PIXELS / width).clamp(1, height.div_ceil(LEAST_BANDS).max(1));
    let mut image = RgbImage::new(width, height);
    let mut band = Pixmap::new(width, rows)
        .ok_or_else(|| DrawError::Internal(format!("no pixmap of {width}x{rows}")))?;
    let mut top = 0;
    while top < height {
        band.fill(resvg::tiny_skia::Color::WHITE);
        for painted in painted {
            painted.paint(&mut band, top);
        }
        let count = rows.min(height - top);
        copy_rows(&band, &mut image, top, count);
        top += count;
        if !report(top as f32 / height as f32) {
            return Err(DrawError::Stopped);
        }
    }
    Ok(image)
}

/// Copies rows of opaque pixels: over a white ground, premultiplied colour is the colour.
fn copy_rows(band: &Pixmap, image: &mut RgbImage, top: u32, count: u32) {
    let width = image.width() as usize;
    let start = top as usize * width * 3;
    let target = &mut image.as_mut()[start..start + count as usize * width * 3];
    for (to, from) in target.chunks_exact_mut(3).zip(band.data().chunks_exact(4)) {
        to.copy_from_slice(&from[..3]);
    }
}
