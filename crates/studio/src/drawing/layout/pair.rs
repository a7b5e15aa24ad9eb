//! An illustration and a seal side by side.

use super::super::geometry::Area;

/// The radius of a medallion's outer ring, in radii of its disc.
pub(super) const RIM: f32 = 1.1;
/// How far the two are from each other, in sums of their radii.
const BETWEEN: f32 = 1.06;

pub(super) type Disc = ((f32, f32), f32);

/// The places of a medallion and a seal that do not touch: as large as the area has room for, along its diagonal.
/// `weight` is the radius of the seal in radii of the medallion.
pub(super) fn apart(area: Area, weight: f32, mirrored: bool) -> (Disc, Disc) {
    let most = area.short() * 0.47 / weight.max(1.0);
    let span = |r: f32| (area.w - r * (1.0 + weight), area.h - r * (1.0 + weight));
    let needed = |r: f32| r * (1.0 + weight) * BETWEEN;
    let has_room = |r: &f32| {
        let (w, h) = span(*r);
        w >= 0.0 && h >= 0.0 && w.hypot(h) >= needed(*r)
    };
    let r = (1..=40)
        .rev()
        .map(|step| most * step as f32 / 40.0)
        .find(has_room)
        .unwrap_or(most / 40.0);
    // From corner to corner, drawn together to the middle as far as they keep apart.
    let (w, h) = span(r);
    let pull = needed(r) / w.hypot(h).max(0.01);
    let (w, h) = (w * pull * if mirrored { -1.0 } else { 1.0 }, h * pull);
    let (x, y) = area.centre();
    // The larger one weighs more: the middle is that of both discs together.
    let lean = r * (1.0 - weight) / 2.0;
    let (dx, dy) = (lean * w.signum(), lean * h.signum());
    let first = (x - w / 2.0 + dx, y - h / 2.0 + dy);
    let second = (x + w / 2.0 + dx, y + h / 2.0 + dy);
    ((first, r), (second, r * weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_keep_apart_and_inside_in_every_shape_of_area() {
        for (w, h) in [(400.0, 100.0), (300.0, 290.0), (90.0, 500.0)] {
            for weight in [0.88, 1.15] {
                for mirrored in [false, true] {
                    let area = Area::new(20.0, 30.0, w, h);
                    let ((a, r), (b, s)) = apart(area, weight, mirrored);
                    let between = (a.0 - b.0).hypot(a.1 - b.1);
                    assert!(between > (r + s) * 1.05, "{w}x{h}: {between}");
                    for ((x, y), r) in [(a, r), (b, s)] {
                        assert!(x - r > 19.9 && x + r < 20.1 + w, "{w}x{h}: {x} {r}");
                        assert!(y - r > 29.9 && y + r < 30.1 + h, "{w}x{h}: {y} {r}");
                    }
                    assert!(r > area.short() * 0.2, "{w}x{h}: {r}");
                    assert_eq!(a.0 > b.0, mirrored);
                }
            }
        }
    }
}
