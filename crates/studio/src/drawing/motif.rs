//! Decorations: families of shapes that fill an area.

mod corner;
mod tiles;

use std::f32::consts::{PI, TAU};

use super::colour::Colour;
use super::dice::Dice;
use super::geometry::Area;
use super::part::Part;
use super::path;
use super::scene::Scene;
use super::style::Motif;

pub(super) use corner::corner;

/// What a motif is painted with.
#[derive(Debug, Clone)]
pub(super) struct Brush {
    pub(super) area: Area,
    /// Where concentric motifs have their centre.
    pub(super) focus: (f32, f32),
    pub(super) colours: [Colour; 3],
    /// Opacity of one shape.
    pub(super) alpha: f32,
}

impl Brush {
    fn colour(&self, index: usize) -> Colour {
        self.colours[index % self.colours.len()]
    }
}

/// Paints a motif over an area. Shapes may cross the area's edge: clip or cover where that matters.
pub(super) fn paint(scene: &mut Scene, motif: Motif, brush: &Brush, dice: &mut Dice) {
    let part = match motif {
        Motif::None => return,
        // Each piece moves for itself.
        Motif::Confetti => return confetti(scene, brush, dice),
        Motif::Rays => Part::Rays(brush.focus.0, brush.focus.1),
        _ => Part::Motif,
    };
    scene.part(part, brush.area, |scene| {
        shapes(scene, motif, brush, dice);
    });
}

fn shapes(scene: &mut Scene, motif: Motif, brush: &Brush, dice: &mut Dice) {
    match motif {
        Motif::Waves => waves(scene, brush, dice),
        Motif::Blobs => blobs(scene, brush, dice),
        Motif::Rays => rays(scene, brush, dice),
        Motif::Dots => dots(scene, brush, dice),
        Motif::Leaves => leaves(scene, brush, dice),
        Motif::Grid => tiles::grid(scene, brush, dice),
        Motif::Arcs => arcs(scene, brush, dice),
        Motif::Hills => hills(scene, brush, dice),
        Motif::Stripes => stripes(scene, brush, dice),
        Motif::Confetti | Motif::None => {}
    }
}

fn waves(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let count = 5;
    let turn = dice.range(0.0, TAU);
    for layer in 0..count {
        let share = layer as f32 / count as f32;
        let top = y + h * (0.22 + 0.74 * share);
        let height = h * dice.range(0.05, 0.09);
        let length = w * dice.range(0.55, 0.8);
        let points: Vec<(f32, f32)> = (0..=40)
            .map(|step| {
                let at = x + w * step as f32 / 40.0;
                (
                    at,
                    top + height * (turn + share * 5.0 + TAU * (at - x) / length).sin(),
                )
            })
            .chain([(x + w, y + h), (x, y + h)])
            .collect();
        scene.fill(
            &path::polygon(&points),
            brush.colour(layer),
            brush.alpha * (0.55 + 0.45 * share),
        );
    }
}

fn blobs(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    // Along the rim, so that the middle stays calm.
    let spots = [
        (0.02, 0.1),
        (0.95, 0.02),
        (1.0, 0.75),
        (0.08, 0.98),
        (0.6, 1.04),
        (0.45, -0.04),
    ];
    for (index, (u, v)) in spots.into_iter().enumerate() {
        let r = brush.area.short() * dice.range(0.2, 0.38);
        let (cx, cy) = (
            x + w * (u + dice.range(-0.05, 0.05)),
            y + h * (v + dice.range(-0.05, 0.05)),
        );
        scene.fill(
            &path::blob(dice, cx, cy, r),
            brush.colour(index),
            brush.alpha,
        );
        if index % 2 == 0 {
            scene.stroke(
                &path::blob(dice, cx, cy, r * 1.22),
                brush.colour(index + 1),
                r * 0.03,
                brush.alpha,
            );
        }
    }
}

fn rays(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let (x, y) = brush.focus;
    let reach = brush.area.w.hypot(brush.area.h);
    let count = 14 + 2 * dice.index(5);
    let turn = dice.range(0.0, PI);
    for index in 0..count {
        let angle = turn + TAU * index as f32 / count as f32;
        let half = PI / count as f32 * 0.5;
        let tip = |angle: f32| (x + reach * angle.cos(), y + reach * angle.sin());
        scene.fill(
            &path::polygon(&[(x, y), tip(angle - half), tip(angle + half)]),
            brush.colour(0),
            brush.alpha * 0.8,
        );
    }
}

fn dots(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let pitch = (w * h / 700.0).sqrt().max(2.0);
    let (fx, fy) = dice.pick([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
    let (cx, cy) = (x + w * fx, y + h * fy);
    let reach = w.hypot(h) * 0.8;
    let rows = (h / pitch).ceil() as usize + 1;
    let columns = (w / pitch).ceil() as usize + 1;
    for row in 0..rows {
        for column in 0..columns {
            let shift = if row % 2 == 0 { 0.0 } else { pitch / 2.0 };
            let (px, py) = (x + column as f32 * pitch + shift, y + row as f32 * pitch);
            let near = 1.0 - (px - cx).hypot(py - cy) / reach;
            if near > 0.05 {
                scene.circle(px, py, pitch * 0.46 * near, brush.colour(0), brush.alpha);
            }
        }
    }
}

fn confetti(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let cell = (w * h / 90.0).sqrt().max(3.0);
    let (rows, columns) = ((h / cell).ceil() as usize, (w / cell).ceil() as usize);
    for index in 0..rows * columns {
        if dice.chance(0.22) {
            continue;
        }
        // Jitter inside a cell keeps the pieces apart.
        let px = x + ((index % columns) as f32 + dice.range(0.2, 0.8)) * cell;
        let py = y + ((index / columns) as f32 + dice.range(0.2, 0.8)) * cell;
        let size = cell * dice.range(0.12, 0.26);
        scene.part(Part::Piece, brush.area, |scene| {
            confetto(scene, brush, dice, (px, py), size);
        });
    }
}

fn confetto(scene: &mut Scene, brush: &Brush, dice: &mut Dice, (x, y): (f32, f32), size: f32) {
    let colour = brush.colour(dice.index(3));
    let (turn, alpha) = (dice.range(0.0, 360.0), brush.alpha);
    match dice.index(5) {
        0 => scene.circle(x, y, size * 0.6, colour, alpha),
        1 => scene.ring(x, y, size * 0.6, size * 0.28, colour, alpha),
        2 => scene.fill(&path::star(x, y, size, size * 0.5, 3, turn), colour, alpha),
        3 => scene.placed(x, y, turn, size, |scene| {
            scene.stroke("M-1.2 0Q-.6 -.9 0 0T1.2 0", colour, 0.34, alpha);
        }),
        _ => scene.placed(x, y, turn, size, |scene| {
            scene.rect(
                Area {
                    x: -0.9,
                    y: -0.3,
                    w: 1.8,
                    h: 0.6,
                },
                0.12,
                colour,
                alpha,
            );
        }),
    }
}

fn leaves(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let area = brush.area;
    let corners = [
        (area.x, area.y, 0.25),
        (area.right(), area.y, 0.75),
        (area.right(), area.bottom(), 1.25),
        (area.x, area.bottom(), 1.75),
    ];
    let long = (area.w * area.h).sqrt().min(area.short() * 1.3) * 0.6;
    for (index, (x, y, towards)) in corners.into_iter().enumerate() {
        for branch in 0..3 {
            let angle = towards * PI + (branch as f32 - 1.0) * dice.range(0.5, 0.62);
            let length = long
                * if branch == 1 {
                    1.0
                } else {
                    dice.range(0.72, 0.9)
                };
            sprig(
                scene,
                brush.colour(index + branch),
                brush.alpha,
                (x, y),
                angle,
                length,
            );
        }
    }
}

/// A stem with pairs of leaves.
fn sprig(
    scene: &mut Scene,
    colour: Colour,
    alpha: f32,
    (x, y): (f32, f32),
    angle: f32,
    length: f32,
) {
    let at = |share: f32| {
        // The stem bends a little, as a quarter of a sine.
        let bend = angle + 0.35 * share;
        (
            x + length * share * bend.cos(),
            y + length * share * bend.sin(),
            bend,
        )
    };
    let (mx, my, _) = at(0.5);
    let (ex, ey, tip) = at(0.92);
    scene.stroke(
        &format!("M{x:.2} {y:.2}Q{mx:.2} {my:.2} {ex:.2} {ey:.2}"),
        colour,
        length * 0.014,
        alpha,
    );
    for step in 1..=6 {
        let share = 0.12 + 0.13 * step as f32;
        let (px, py, bend) = at(share);
        let size = length * (0.27 - 0.018 * step as f32);
        for side in [-1.0, 1.0] {
            scene.fill(
                &path::leaf(px, py, size, size * 0.3, bend + side * 0.85),
                colour,
                alpha,
            );
        }
    }
    scene.fill(
        &path::leaf(ex, ey, length * 0.16, length * 0.05, tip),
        colour,
        alpha,
    );
}

fn arcs(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let area = brush.area;
    let corner = dice.index(4);
    let corners = [
        (area.x, area.y),
        (area.right(), area.y),
        (area.right(), area.bottom()),
        (area.x, area.bottom()),
    ];
    for (which, share) in [(corner, 0.85), (corner + 2, 0.5)] {
        let (x, y) = corners[which % 4];
        let reach = area.short() * share;
        let rings = 5;
        for ring in 0..rings {
            let r = reach * (1.0 - ring as f32 / rings as f32);
            scene.ring(
                x,
                y,
                r - reach * 0.05,
                reach * 0.11,
                brush.colour(ring),
                brush.alpha,
            );
        }
    }
}

fn hills(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let r = brush.area.short() * 0.24;
    scene.circle(
        x + w * dice.range(0.25, 0.75),
        y + h * 0.42,
        r,
        brush.colour(2),
        brush.alpha,
    );
    for layer in 0..4 {
        let top = y + h * (0.42 + 0.15 * layer as f32);
        let mut points = vec![(x - w * 0.2, y + h * 1.4), (x - w * 0.2, top)];
        let peaks = 4;
        for peak in 0..=peaks {
            let up = if (peak + layer) % 2 == 0 { -1.0 } else { 0.6 };
            points.push((
                x + w * peak as f32 / peaks as f32,
                top + up * h * dice.range(0.06, 0.14),
            ));
        }
        points.extend([(x + w * 1.2, top), (x + w * 1.2, y + h * 1.4)]);
        let alpha = brush.alpha * (0.55 + 0.15 * layer as f32);
        scene.fill(&path::smooth(&points), brush.colour(layer % 2), alpha);
    }
}

fn stripes(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let pitch = brush.area.short() * dice.range(0.14, 0.2);
    let lean = if dice.chance(0.5) { h } else { -h };
    let count = ((w + h) / pitch).ceil() as usize;
    for index in 0..count {
        let left = x - h.max(0.0) + index as f32 * pitch * 1.4;
        let top = |from: f32| (from + lean.max(0.0), y);
        let foot = |from: f32| (from + (-lean).max(0.0), y + h);
        let points = [
            top(left),
            top(left + pitch * 0.7),
            foot(left + pitch * 0.7),
            foot(left),
        ];
        scene.fill(
            &path::polygon(&points),
            brush.colour(index % 2),
            brush.alpha,
        );
    }
}
