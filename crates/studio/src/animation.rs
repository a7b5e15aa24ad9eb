//! Animates composed scenes: the layers of a picture go to their places one after another, its art is panned slowly until the
//! end, the words swell now and then and last of all together, and it ends as the picture itself.
//!
//! Each layer is drawn once (`drawing::layers`); a frame only puts them together in their poses. So memory holds the layers
//! and one frame, and the same brief gives the same frames.

mod compositor;
mod direction;
mod easing;
mod pose;
mod timeline;

use std::f32::consts::TAU;

use image::RgbImage;

use crate::dice::Dice;
use crate::drawing::{Area, Brief, DrawError, Drawn, Part, layers};
use direction::{Count, Direction, Drift};
use pose::{Stage, Whim};
use timeline::Timeline;

pub use direction::check_style;

/// Seconds in which the ground's colours wander there and back.
const DRIFT_SECONDS: f32 = 7.0;

/// A picture that moves.
pub struct Animation {
    drawn: Drawn,
    stage: Stage,
    whims: Vec<Whim>,
    frame: RgbImage,
}

impl Animation {
    /// Composes a brief that moves for some seconds; `style.animation` may have the keys `entrance` (rise, fade, pop,
    /// slide), `pan` (left, right, in, out, none), `drift` (none, gentle, strong), `pace` (calm, steady, brisk) and `count`
    /// (down, none): the seconds that are left, at most nine, in the place of the illustration until the end begins.
    ///
    /// `report` is called with the share of the drawing that is done, 0.0 to 1.0, and stops it by returning false.
    ///
    /// # Errors
    /// Those of [`crate::drawing::draw`].
    pub fn new(
        brief: &Brief,
        seconds: f32,
        report: &mut dyn FnMut(f32) -> bool,
    ) -> Result<Self, DrawError> {
        let dice = Dice::new(brief.seed);
        let direction = Direction::read(&brief.style, &dice)?;
        let counts = direction.count == Count::Down;
        let count = if counts {
            timeline::counted(seconds)
        } else {
            0
        };
        let drawn = layers(brief, count, report)?;
        let parts: Vec<Part> = drawn.layers.iter().map(|layer| layer.part).collect();
        let mut dice = dice.fork("whims");
        let whims = parts.iter().map(|_| Whim {
            speed: dice.unit(),
            phase: dice.unit(),
        });
        Ok(Self {
            whims: whims.collect(),
            stage: Stage {
                canvas: Area::new(0.0, 0.0, brief.width as f32, brief.height as f32),
                direction,
                timeline: Timeline::new(&parts, direction.pace, seconds),
                // From the side where no art is crossed.
                slides_from: if parts.contains(&Part::Panel((-1, 0))) {
                    1.0
                } else {
                    -1.0
                },
                counts,
            },
            drawn,
            frame: RgbImage::new(brief.width, brief.height),
        })
    }

    /// The picture at a time, in seconds from the begin.
    pub fn frame(&mut self, time: f32) -> &RgbImage {
        let drift = self.drift(time);
        compositor::fill(&mut self.frame, &self.drawn.backdrop, drift);
        let layers = self.drawn.layers.iter().zip(&self.whims);
        for (index, (layer, whim)) in layers.enumerate() {
            if let Some(pose) = self.stage.pose(index, layer, *whim, time) {
                compositor::draw(&mut self.frame, layer, &pose);
            }
        }
        &self.frame
    }

    /// How far the ground's gradient is shifted, as a share of its length; not at all at the begin and at the end.
    fn drift(&self, time: f32) -> f32 {
        let reach = match self.stage.direction.drift {
            Drift::None => 0.0,
            Drift::Gentle => 0.22,
            Drift::Strong => 0.45,
        };
        reach * (TAU * time / DRIFT_SECONDS).sin() * self.stage.timeline.liveliness(time)
    }
}

#[cfg(test)]
mod tests;
