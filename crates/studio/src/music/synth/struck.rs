//! What is struck and rings: piano, electric piano, bells, bars. Each partial is a resonator that dies away; left and
//! right are tuned a little apart, as the two strings of a piano's note are.

use super::maths::{cosine, decay, exp2, sine};
use super::{Frame, RATE, TooSoft};

/// Partials above this frequency are left out, in Hertz.
const BRIGHTEST: f64 = 14_000.0;

/// What rings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    /// Frequency ratio, amplitude, and share of the body's ringing time of each partial.
    pub(super) partials: &'static [(f64, f64, f64)],
    /// Seconds in which middle C falls by 60 dB; higher notes die sooner.
    pub(super) ring: f64,
    /// Seconds of the same once the note is let go.
    pub(super) damped: f64,
    /// How much softer strokes weaken high partials.
    pub(super) touch: f64,
    /// Cents between left and right.
    pub(super) detune: f64,
}

pub(super) const PIANO: Body = Body {
    partials: &[
        (1.0, 1.0, 1.0),
        (2.001, 0.62, 0.85),
        (3.004, 0.38, 0.7),
        (4.01, 0.26, 0.6),
        (5.02, 0.17, 0.5),
        (6.035, 0.12, 0.42),
        (7.055, 0.08, 0.36),
        (8.085, 0.05, 0.3),
        (9.12, 0.035, 0.26),
    ],
    ring: 6.0,
    damped: 0.5,
    touch: 0.42,
    detune: 1.6,
};

pub(super) const ELECTRIC_PIANO: Body = Body {
    partials: &[
        (1.0, 1.0, 1.0),
        (2.0, 0.22, 0.7),
        (3.0, 0.1, 0.5),
        (4.0, 0.05, 0.4),
        (7.1, 0.12, 0.12),
    ],
    ring: 5.0,
    damped: 0.4,
    touch: 0.3,
    detune: 3.0,
};

pub(super) const MUSIC_BOX: Body = Body {
    partials: &[
        (1.0, 1.0, 1.0),
        (2.0, 0.1, 0.8),
        (4.08, 0.3, 0.5),
        (9.2, 0.12, 0.2),
    ],
    ring: 3.2,
    damped: 1.6,
    touch: 0.1,
    detune: 1.0,
};

pub(super) const VIBRAPHONE: Body = Body {
    partials: &[(1.0, 1.0, 1.0), (4.0, 0.28, 0.3), (10.0, 0.08, 0.1)],
    ring: 4.5,
    damped: 1.2,
    touch: 0.12,
    detune: 2.0,
};

pub(super) const MARIMBA: Body = Body {
    partials: &[(1.0, 1.0, 1.0), (3.93, 0.35, 0.3), (9.2, 0.15, 0.12)],
    ring: 1.1,
    damped: 0.8,
    touch: 0.15,
    detune: 1.0,
};

pub(super) const GONG: Body = Body {
    partials: &[
        (1.0, 1.0, 1.0),
        (1.48, 0.7, 0.9),
        (1.97, 0.6, 0.8),
        (2.61, 0.5, 0.65),
        (3.34, 0.4, 0.5),
        (4.53, 0.3, 0.4),
        (5.97, 0.2, 0.3),
    ],
    ring: 3.5,
    damped: 3.5,
    touch: 0.05,
    detune: 6.0,
};

/// A damped sine: y[n] = 2 r cos(w) y[n-1] - r² y[n-2].
#[derive(Debug, Clone)]
struct Partial {
    feedback: f64,
    loss: f64,
    last: [f64; 2],
}

impl Partial {
    fn new(hertz: f64, amplitude: f64, seconds: f64) -> Self {
        let (turns, r) = (hertz / RATE, decay(seconds, RATE));
        // The two samples before a sine that begins at zero.
        let before = |n: f64| -amplitude * sine(turns * n) / if n == 1.0 { r } else { r * r };
        Self {
            feedback: 2.0 * r * cosine(turns),
            loss: r * r,
            last: [before(1.0), before(2.0)],
        }
    }

    fn next(&mut self) -> f64 {
        let y = self.feedback * self.last[0] - self.loss * self.last[1];
        self.last = [y, self.last[0]];
        y
    }
}

/// A note that was struck.
#[derive(Debug, Clone)]
pub(super) struct Struck {
    sides: [Vec<Partial>; 2],
    /// Falls to zero once the note is let go.
    level: f64,
    damping: f64,
    released: bool,
    silent: TooSoft,
}

impl Struck {
    pub(super) fn new(body: &Body, hertz: f64, velocity: f32) -> Self {
        // Halved two octaves above middle C.
        let ring = body.ring * (261.6 / hertz).sqrt().clamp(0.2, 2.0);
        let soft = 1.0 - f64::from(velocity);
        let side = |cents: f64| -> Vec<Partial> {
            let tuned = hertz * exp2(cents / 1_200.0);
            body.partials
                .iter()
                .filter(|(ratio, _, _)| tuned * ratio < BRIGHTEST)
                .map(|(ratio, amplitude, share)| {
                    let touch = exp2(-soft * body.touch * 2.0 * (ratio - 1.0));
                    Partial::new(tuned * ratio, amplitude * touch, ring * share)
                })
                .collect()
        };
        Self {
            sides: [side(-body.detune / 2.0), side(body.detune / 2.0)],
            level: 1.0,
            damping: decay(body.damped, RATE),
            released: false,
            silent: TooSoft::default(),
        }
    }

    pub(super) fn release(&mut self) {
        self.released = true;
    }

    /// Adds the next samples; false when there is nothing more to hear.
    pub(super) fn render(&mut self, out: &mut [Frame], gain: Frame) -> bool {
        for frame in out.iter_mut() {
            if self.released {
                self.level *= self.damping;
            }
            let [left, right] = &mut self.sides;
            let sum = |side: &mut Vec<Partial>| side.iter_mut().map(Partial::next).sum::<f64>();
            let heard = [
                (sum(left) * self.level) as f32,
                (sum(right) * self.level) as f32,
            ];
            self.silent.hear(heard);
            frame[0] += heard[0] * gain[0];
            frame[1] += heard[1] * gain[1];
        }
        !self.silent.is_over()
    }
}
