//! Decorations: families of shapes that fill an area.

use std::f32::consts::{PI, TAU};

use super::colour::Colour;
use super::dice::Dice;
use super::geometry::Area;
use super::path;
use super::scene::Scene;
use super::style::Motif;

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
    match motif {
        Motif::Waves => waves(scene, brush, dice),
        Motif::Blobs => blobs(scene, brush, dice),
        Motif::Rays => rays(scene, brush, dice),
        Motif::Dots => dots(scene, brush, dice),
        Motif::Confetti => confetti(scene, brush, dice),
        Motif::Leaves => leaves(scene, brush, dice),
        Motif::Grid => grid(scene, brush, dice),
        Motif::Arcs => arcs(scene, brush, dice),
        Motif::Hills => hills(scene, brush, dice),
        Motif::Stripes => stripes(scene, brush, dice),
        Motif::None => {}
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
        confetto(scene, brush, dice, (px, py), size);
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
pub(super) fn sprig(
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

fn grid(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
    let Area { x, y, w, h } = brush.area;
    let across = if w > h { 5.0 } else { 4.0 };
    let cell = (w.max(h) / across).min(brush.area.short() / 2.0);
    let (columns, rows) = ((w / cell).ceil(), (h / cell).ceil());
    // Whole tiles only: stretch the cell to the area.
    let (cw, ch) = (w / columns, h / rows);
    for row in 0..rows as usize {
        for column in 0..columns as usize {
            let tile_area = Area {
                x: x + column as f32 * cw,
                y: y + row as f32 * ch,
                w: cw,
                h: ch,
            };
            tile(scene, brush, dice, tile_area);
        }
    }
}

/// One tile in the manner of the Bauhaus: discs, quarters, triangles.
fn tile(scene: &mut Scene, brush: &Brush, dice: &mut Dice, area: Area) {
    let first = dice.index(3);
    let (back, front) = (brush.colour(first), brush.colour(first + 1 + dice.index(2)));
    let alpha = brush.alpha;
    if dice.chance(0.7) {
        // A hair larger, so that no seams show between tiles.
        scene.rect(
            Area {
                w: area.w + 0.6,
                h: area.h + 0.6,
                ..area
            },
            0.0,
            back,
            alpha,
        );
    }
    let (cx, cy) = area.centre();
    let quarter = dice.index(4);
    let shape = dice.index(6);
    scene.placed(cx, cy, 90.0 * quarter as f32, 1.0, |scene| {
        let sides = if quarter % 2 == 0 {
            (area.w, area.h)
        } else {
            (area.h, area.w)
        };
        let (w, h) = (sides.0 / 2.0, sides.1 / 2.0);
        match shape {
            0 => scene.fill(&path::disc(0.0, 0.0, w.min(h) * 0.74), front, alpha),
            1 => scene.fill(
                &format!(
                    "M{:.2} {:.2}H{w:.2}A{:.2} {:.2} 0 0 1 {:.2} {h:.2}Z",
                    -w,
                    -h,
                    2.0 * w,
                    2.0 * h,
                    -w
                ),
                front,
                alpha,
            ),
            2 => scene.fill(&path::polygon(&[(-w, -h), (w, -h), (-w, h)]), front, alpha),
            3 => scene.fill(
                &format!("M{:.2} 0A{w:.2} {h:.2} 0 0 1 {w:.2} 0Z", -w),
                front,
                alpha,
            ),
            4 => {
                scene.ring(0.0, 0.0, w.min(h) * 0.6, w.min(h) * 0.26, front, alpha);
            }
            _ => {
                for line in 0..4 {
                    let top = -h + h * 2.0 * (line as f32 + 0.25) / 4.0;
                    scene.rect(
                        Area {
                            x: -w,
                            y: top,
                            w: w * 2.0,
                            h: h / 4.0,
                        },
                        0.0,
                        front,
                        alpha,
                    );
                }
            }
        }
    });
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

/// An ornament that fits in the quarter disc of radius `r` at a corner; `turn` quarter turns from the top left.
pub(super) fn corner(
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
