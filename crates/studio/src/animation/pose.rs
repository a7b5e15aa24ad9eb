//! Where a part of a picture is at a time, and how large, turned and opaque.

use std::f32::consts::TAU;

use super::direction::{Direction, Entrance, Pan};
use super::easing::{in_out_sine, out_back, out_cubic};
use super::timeline::Timeline;
use crate::drawing::{Area, Layer, OVERSCAN, Part};

/// A part's place against the picture at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Pixels to the right and down.
    pub(super) shift: (f32, f32),
    /// Turned (radians, clockwise) and scaled about this point of the canvas.
    pub(super) pivot: (f32, f32),
    pub(super) turn: f32,
    pub(super) scale: f32,
    /// 0 to 1.
    pub(super) opacity: f32,
    /// Nothing is seen outside.
    pub(super) window: Area,
}

/// What makes one part's movement different from that of its like: 0 to 1 each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whim {
    pub(super) speed: f32,
    pub(super) phase: f32,
}

/// What all poses of an animation depend on.
pub(super) struct Stage {
    pub(super) canvas: Area,
    pub(super) direction: Direction,
    pub(super) timeline: Timeline,
    /// The side that words slide in from: -1 is the left, 1 the right.
    pub(super) slides_from: f32,
    /// Whether a countdown stands in the place of the illustration until the end begins.
    pub(super) counts: bool,
}

/// The opacity of words that have not come in yet: what has a contrast of 4.5 to 1 keeps one of 3 to 1.
const FAINT: f32 = 0.85;

impl Pose {
    fn at_rest(layer: &Layer) -> Self {
        Self {
            shift: (0.0, 0.0),
            pivot: layer.area.centre(),
            turn: 0.0,
            scale: 1.0,
            opacity: 1.0,
            window: layer.window,
        }
    }
}

impl Stage {
    /// The pose of the part with this index at a time (seconds); none while nothing of it is seen.
    pub(super) fn pose(&self, index: usize, layer: &Layer, whim: Whim, time: f32) -> Option<Pose> {
        let share = self.timeline.entered(index, time);
        let pose = Pose::at_rest(layer);
        let count = self.counts.then(|| self.timeline.count(time)).flatten();
        Some(match layer.part {
            Part::Count(number) if count == Some(number) => self.ticking(pose, time),
            Part::Count(_) => return None,
            // The number stands in its place.
            Part::Medallion if count.is_some() => return None,
            Part::Still | Part::Backdrop => pose,
            Part::Motif => self.panned(pose, layer, time),
            Part::Rays(x, y) => self.turned(pose, (x, y), time),
            Part::Piece => fallen(pose, layer, whim, time),
            Part::Corner(x, y) => self.grown(pose, (x, y), whim, share, time),
            Part::Panel(art) => self.pulled(pose, art, share),
            Part::Medallion | Part::Seal => self.pinned(pose, layer, index, time),
            Part::Card => self.entered(pose, layer, share),
            Part::QuotationMark
            | Part::Kicker
            | Part::Headline
            | Part::Rule
            | Part::Subline
            | Part::Details
            | Part::Author
            | Part::Footer => {
                let pose = self.entered(pose, layer, share);
                Pose {
                    scale: pose.scale * (1.0 + 0.035 * self.timeline.swell(index, time)),
                    ..pose
                }
            }
        })
    }

    /// A number of a countdown, as it comes.
    fn ticking(&self, pose: Pose, time: f32) -> Pose {
        let gone = self.timeline.ticked(time);
        Pose {
            scale: 0.8 + 0.2 * out_back((gone * 3.0).min(1.0)),
            ..pose
        }
    }

    /// Words and cards. They are all there from the first, since a clip's cover is its first frame, and go to their places.
    fn entered(&self, pose: Pose, layer: &Layer, share: f32) -> Pose {
        let eased = out_cubic(share);
        let left = 1.0 - eased;
        match self.direction.entrance {
            Entrance::Rise => Pose {
                shift: (0.0, self.canvas.short() * 0.04 * left),
                opacity: FAINT + (1.0 - FAINT) * eased,
                ..pose
            },
            Entrance::Fade => Pose {
                opacity: FAINT + (1.0 - FAINT) * in_out_sine(share),
                ..pose
            },
            Entrance::Slide => Pose {
                shift: (self.canvas.w * 0.035 * left * self.slides_from, 0.0),
                opacity: FAINT + (1.0 - FAINT) * eased,
                ..pose
            },
            Entrance::Pop => {
                let least = if layer.part == Part::Card { 0.95 } else { 0.84 };
                Pose {
                    scale: least + (1.0 - least) * out_back(share),
                    // So that lines of one edge have one from the first.
                    pivot: (self.canvas.centre().0, pose.pivot.1),
                    ..pose
                }
            }
        }
    }

    /// The ground of the words gives way to the art.
    fn pulled(&self, pose: Pose, (x, y): (i8, i8), share: f32) -> Pose {
        if self.direction.entrance == Entrance::Fade {
            return pose;
        }
        let left = 0.13 * (1.0 - out_cubic(share));
        Pose {
            shift: (
                f32::from(x) * self.canvas.w * left,
                f32::from(y) * self.canvas.h * left,
            ),
            ..pose
        }
    }

    /// Medallions and seals pop in; then the one floats and the other beats.
    fn pinned(&self, pose: Pose, layer: &Layer, index: usize, time: f32) -> Pose {
        let share = self.timeline.entered(index, time);
        let lively = self.timeline.liveliness(time) * share;
        let swell = 1.0 + 0.08 * self.timeline.swell(index, time);
        let pose = if self.direction.entrance == Entrance::Fade {
            Pose {
                opacity: FAINT + (1.0 - FAINT) * in_out_sine(share),
                scale: swell,
                ..pose
            }
        } else {
            Pose {
                scale: (0.75 + 0.25 * out_back(share)) * swell,
                turn: 0.2 * (out_cubic(share) - 1.0),
                ..pose
            }
        };
        if layer.part == Part::Medallion {
            let up = layer.area.h * 0.014 * (TAU * time / 3.4).sin();
            return Pose {
                shift: (0.0, up * lively),
                ..pose
            };
        }
        let beat = (TAU * time / 1.7).sin().max(0.0).powi(2);
        Pose {
            scale: pose.scale * (1.0 + 0.045 * beat * lively),
            ..pose
        }
    }

    /// An ornament grows out of its corner, and sways.
    fn grown(&self, pose: Pose, corner: (f32, f32), whim: Whim, share: f32, time: f32) -> Pose {
        let sway = 0.05 * (TAU * (time / 4.5 + whim.phase)).sin() * self.timeline.liveliness(time);
        // Where things only fade in, the ornaments are what is there from the first.
        let grows = self.direction.entrance != Entrance::Fade;
        Pose {
            pivot: corner,
            turn: sway * share,
            scale: if grows {
                0.5 + 0.5 * out_cubic(share)
            } else {
                1.0
            },
            ..pose
        }
    }

    /// The decoration is always a little larger than its window, so that no edge is seen.
    fn panned(&self, pose: Pose, layer: &Layer, time: f32) -> Pose {
        let gone = in_out_sine(self.timeline.gone(time));
        let most = OVERSCAN - 0.02;
        // Half of what sticks out, less a pixel's worth of doubt.
        let room = layer.window.w * ((most - 1.0) / 2.0 - 0.004);
        let (scale, x) = match self.direction.pan {
            Pan::None => (1.0, 0.0),
            Pan::In => (1.0 + (most - 1.0) * gone, 0.0),
            Pan::Out => (most - (most - 1.0) * gone, 0.0),
            Pan::Left => (most, room * (1.0 - 2.0 * gone)),
            Pan::Right => (most, room * (2.0 * gone - 1.0)),
        };
        Pose {
            pivot: layer.window.centre(),
            scale,
            shift: (x, 0.0),
            ..pose
        }
    }

    /// Rays turn about their middle.
    fn turned(&self, pose: Pose, middle: (f32, f32), time: f32) -> Pose {
        let speed = match self.direction.pan {
            Pan::None => 0.0,
            Pan::Left | Pan::Out => -0.06,
            Pan::Right | Pan::In => 0.06,
        };
        Pose {
            pivot: middle,
            turn: speed * time,
            ..pose
        }
    }
}

/// A piece of confetti falls, sways and turns; below its window it begins again above.
fn fallen(pose: Pose, layer: &Layer, whim: Whim, time: f32) -> Pose {
    let (area, window) = (layer.area, layer.window);
    let speed = window.h * (0.05 + 0.06 * whim.speed);
    let above = window.y - area.h;
    let y = above + (area.y - above + speed * time).rem_euclid(window.h + area.h);
    let sway = |time: f32| area.w * 0.5 * (TAU * (time * 0.3 + whim.phase)).sin();
    Pose {
        shift: (sway(time) - sway(0.0), y - area.y),
        turn: (whim.speed - 0.5) * 3.0 * time,
        ..pose
    }
}

#[cfg(test)]
mod tests {
    use super::super::direction::{Count, Drift, Pace};
    use super::*;

    const SECONDS: f32 = 6.0;
    const WHIM: Whim = Whim {
        speed: 0.8,
        phase: 0.3,
    };

    fn layer(part: Part, area: Area) -> Layer {
        Layer {
            part,
            window: Area::new(0.0, 0.0, 200.0, 100.0),
            area,
            scale: 1.0,
            width: area.w as usize,
            height: area.h as usize,
            pixels: vec![0; (area.w * area.h) as usize],
        }
    }

    fn stage(entrance: Entrance, pan: Pan, part: Part) -> Stage {
        Stage {
            canvas: Area::new(0.0, 0.0, 200.0, 100.0),
            direction: Direction {
                entrance,
                pan,
                drift: Drift::None,
                pace: Pace::Steady,
                count: Count::None,
            },
            timeline: Timeline::new(&[part], Pace::Steady, SECONDS),
            slides_from: -1.0,
            counts: false,
        }
    }

    const ENTRANCES: [Entrance; 4] = [
        Entrance::Rise,
        Entrance::Fade,
        Entrance::Pop,
        Entrance::Slide,
    ];

    #[test]
    fn everything_that_comes_in_is_at_rest_in_the_end() {
        let area = Area::new(40.0, 30.0, 60.0, 20.0);
        for part in [
            Part::Panel((0, -1)),
            Part::Card,
            Part::Medallion,
            Part::Seal,
            Part::Headline,
            Part::Details,
            Part::Corner(0.0, 0.0),
        ] {
            for entrance in ENTRANCES {
                let (stage, layer) = (stage(entrance, Pan::None, part), layer(part, area));
                let found = stage.pose(0, &layer, WHIM, SECONDS);
                let found = found.map(|pose| Pose {
                    pivot: area.centre(),
                    ..pose
                });
                assert_eq!(found, Some(Pose::at_rest(&layer)), "{part:?} {entrance:?}");
            }
        }
    }

    #[test]
    fn words_are_seen_from_the_first_and_come_to_full_strength() {
        let layer = layer(Part::Headline, Area::new(40.0, 30.0, 60.0, 20.0));
        for entrance in ENTRANCES {
            let stage = stage(entrance, Pan::None, Part::Headline);
            let times = (0..60).map(|step| step as f32 / 10.0);
            let opacities: Vec<f32> = times
                .filter_map(|time| Some(stage.pose(0, &layer, WHIM, time)?.opacity))
                .collect();
            assert!(opacities.len() == 60 && opacities[0] >= FAINT);
            assert!(opacities.is_sorted() && opacities.last() == Some(&1.0));
            assert_ne!(
                stage.pose(0, &layer, WHIM, 0.0),
                Some(Pose::at_rest(&layer))
            );
        }
    }

    #[test]
    fn lines_of_one_edge_have_one_in_the_first_frame_too() {
        for entrance in ENTRANCES {
            let stage = stage(entrance, Pan::None, Part::Headline);
            let edge = |y: f32, w: f32| {
                let layer = layer(Part::Headline, Area::new(20.0, y, w, 10.0));
                let pose = stage.pose(0, &layer, WHIM, 0.0).expect("words");
                pose.pivot.0 + (20.0 - pose.pivot.0) * pose.scale + pose.shift.0
            };
            let (short, long) = (edge(30.0, 40.0), edge(45.0, 120.0));
            assert!((short - long).abs() < 0.01, "{entrance:?}: {short} {long}");
        }
    }

    #[test]
    fn a_countdown_takes_the_place_of_the_illustration_until_the_end() {
        let area = Area::new(40.0, 30.0, 20.0, 20.0);
        let stage = Stage {
            counts: true,
            ..stage(Entrance::Pop, Pan::None, Part::Medallion)
        };
        let is_seen =
            |part: Part, time: f32| stage.pose(0, &layer(part, area), WHIM, time).is_some();
        assert!(is_seen(Part::Count(4), 0.0) && !is_seen(Part::Medallion, 0.0));
        assert!(is_seen(Part::Count(1), 4.0) && !is_seen(Part::Count(4), 4.0));
        assert!(is_seen(Part::Medallion, 5.0) && !is_seen(Part::Count(1), 5.0));
    }

    #[test]
    fn a_panned_motif_covers_its_window_at_every_time() {
        let window = Area::new(0.0, 0.0, 200.0, 100.0);
        let layer = layer(Part::Motif, window);
        for pan in [Pan::Left, Pan::Right, Pan::In, Pan::Out, Pan::None] {
            let stage = stage(Entrance::Rise, pan, Part::Motif);
            let mut scales = Vec::new();
            for step in 0..=60 {
                let Some(pose) = stage.pose(0, &layer, WHIM, step as f32 / 10.0) else {
                    panic!("no motif");
                };
                let half = window.w / 2.0 * pose.scale;
                let (left, right) = (100.0 - half + pose.shift.0, 100.0 + half + pose.shift.0);
                assert!(left <= 0.0 && right >= 200.0, "{pan:?}: {left} to {right}");
                assert!(pose.scale <= OVERSCAN && pose.shift.1 == 0.0);
                scales.push((pose.scale, pose.shift.0));
            }
            assert_eq!(scales.first() == scales.last(), pan == Pan::None, "{pan:?}");
        }
    }

    #[test]
    fn confetti_falls_and_begins_again_above() {
        let layer = layer(Part::Piece, Area::new(50.0, 20.0, 6.0, 6.0));
        let stage = stage(Entrance::Rise, Pan::In, Part::Piece);
        let at = |time: f32| {
            let pose = stage.pose(0, &layer, WHIM, time);
            pose.map_or(f32::NAN, |pose| layer.area.y + pose.shift.1)
        };
        assert_eq!(at(0.0), 20.0);
        assert!(at(1.0) > at(0.5) && at(0.5) > at(0.0));
        let places: Vec<f32> = (0..1200).map(|step| at(step as f32 / 10.0)).collect();
        assert!(places.iter().all(|y| (-6.0..=100.0).contains(y)));
        assert!(places.windows(2).any(|pair| pair[1] < pair[0]));
    }
}
