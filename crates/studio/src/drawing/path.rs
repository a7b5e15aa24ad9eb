//! SVG path data of the shapes that pictures are made of.

use std::f32::consts::TAU;
use std::fmt::Write as _;

use super::dice::Dice;
use super::geometry::Area;

pub(super) fn polygon(points: &[(f32, f32)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(path, "{}{x:.2} {y:.2}", if index == 0 { 'M' } else { 'L' });
    }
    path.push('Z');
    path
}

pub(super) fn rectangle(area: Area) -> String {
    let Area { x, y, .. } = area;
    polygon(&[
        (x, y),
        (area.right(), y),
        (area.right(), area.bottom()),
        (x, area.bottom()),
    ])
}

pub(super) fn disc(x: f32, y: f32, r: f32) -> String {
    format!(
        "M{:.2} {y:.2}a{r:.2} {r:.2} 0 1 0 {:.2} 0a{r:.2} {r:.2} 0 1 0 {:.2} 0Z",
        x - r,
        2.0 * r,
        -2.0 * r
    )
}

/// A closed, smooth curve through all points (Catmull-Rom as cubic Béziers).
pub(super) fn smooth(points: &[(f32, f32)]) -> String {
    let n = points.len();
    if n < 3 {
        return polygon(points);
    }
    let at = |index: usize| points[index % n];
    let mut path = format!("M{:.2} {:.2}", points[0].0, points[0].1);
    for i in 0..n {
        let (before, from, to, after) = (at(i + n - 1), at(i), at(i + 1), at(i + 2));
        let _ = write!(
            path,
            "C{:.2} {:.2} {:.2} {:.2} {:.2} {:.2}",
            from.0 + (to.0 - before.0) / 6.0,
            from.1 + (to.1 - before.1) / 6.0,
            to.0 - (after.0 - from.0) / 6.0,
            to.1 - (after.1 - from.1) / 6.0,
            to.0,
            to.1
        );
    }
    path.push('Z');
    path
}

/// An organic shape around a point.
pub(super) fn blob(dice: &mut Dice, x: f32, y: f32, r: f32) -> String {
    let count = 7;
    let turn = dice.range(0.0, TAU);
    let points: Vec<(f32, f32)> = (0..count)
        .map(|index| {
            let angle = turn + TAU * index as f32 / count as f32;
            let reach = r * dice.range(0.78, 1.08);
            (x + reach * angle.cos(), y + reach * angle.sin())
        })
        .collect();
    smooth(&points)
}

/// A star or seal with `points` tips.
pub(super) fn star(x: f32, y: f32, outer: f32, inner: f32, points: usize, turn: f32) -> String {
    let corners: Vec<(f32, f32)> = (0..points * 2)
        .map(|index| {
            let angle = turn + TAU * index as f32 / (points * 2) as f32;
            let r = if index % 2 == 0 { outer } else { inner };
            (x + r * angle.cos(), y + r * angle.sin())
        })
        .collect();
    polygon(&corners)
}

/// A pointed leaf from `(x, y)` along `angle` (radians).
pub(super) fn leaf(x: f32, y: f32, length: f32, width: f32, angle: f32) -> String {
    let (cos, sin) = (angle.cos(), angle.sin());
    let at = |along: f32, across: f32| {
        (
            x + along * cos - across * sin,
            y + along * sin + across * cos,
        )
    };
    let (tip, left, right) = (
        at(length, 0.0),
        at(length * 0.45, width),
        at(length * 0.45, -width),
    );
    format!(
        "M{x:.2} {y:.2}Q{:.2} {:.2} {:.2} {:.2}Q{:.2} {:.2} {x:.2} {y:.2}Z",
        left.0, left.1, tip.0, tip.1, right.0, right.1
    )
}
