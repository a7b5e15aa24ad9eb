//! A grid of tiles in the manner of the Bauhaus.

use super::super::geometry::Area;
use super::super::path;
use super::super::scene::Scene;
use super::Brush;
use crate::dice::Dice;

pub(super) fn grid(scene: &mut Scene, brush: &Brush, dice: &mut Dice) {
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
        let sides = if quarter.is_multiple_of(2) {
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
