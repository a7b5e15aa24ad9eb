//! Ornaments for the corners of a canvas.

use std::f32::consts::PI;

use super::super::path;
use super::super::scene::Scene;
use super::super::style::Motif;
use super::{Brush, confetto, sprig};
use crate::dice::Dice;

/// An ornament that fits in the quarter disc of radius `r` at a corner; `turn` quarter turns from the top left.
pub(in super::super) fn corner(
    scene: &mut Scene,
    motif: Motif,
    brush: &Brush,
    (x, y): (f32, f32),
    turn: usize,
    r: f32,
    dice: &mut Dice,
) {
    let degrees = 90.0 * turn as f32;
    scene.placed(x, y, degrees, 1.0, |scene| match motif {
        Motif::Leaves => {
            for branch in 0..3 {
                let angle = PI * 0.2 + (branch as f32 - 1.0) * 0.5;
                sprig(
                    scene,
                    brush.colour(branch),
                    brush.alpha,
                    (0.0, 0.0),
                    angle,
                    r * 0.9,
                );
            }
        }
        Motif::Confetti | Motif::Dots => scatter(scene, brush, r, dice),
        Motif::Blobs | Motif::Waves | Motif::Hills => {
            scene.fill(
                &path::blob(dice, 0.0, 0.0, r * 0.9),
                brush.colour(turn),
                brush.alpha,
            );
            scene.fill(
                &path::blob(dice, r * 0.1, r * 0.1, r * 0.5),
                brush.colour(turn + 1),
                brush.alpha,
            );
        }
        Motif::None => {}
        Motif::Rays | Motif::Grid | Motif::Arcs | Motif::Stripes => {
            for ring in 0..4 {
                let radius = r * (0.92 - 0.22 * ring as f32);
                scene.ring(
                    0.0,
                    0.0,
                    radius,
                    r * 0.1,
                    brush.colour(ring + turn),
                    brush.alpha,
                );
            }
        }
    });
}

fn scatter(scene: &mut Scene, brush: &Brush, r: f32, dice: &mut Dice) {
    for ring in 1..=4 {
        let radius = r * (0.22 * ring as f32);
        let count = ring + 1;
        for step in 0..count {
            let angle = PI / 2.0 * (step as f32 + dice.range(0.25, 0.75)) / count as f32;
            let size = r * dice.range(0.05, 0.085);
            confetto(
                scene,
                brush,
                dice,
                (radius * angle.cos(), radius * angle.sin()),
                size,
            );
        }
    }
}
