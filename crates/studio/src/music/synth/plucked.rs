//! Plucked strings, after Karplus and Strong (Computer Music Journal 7(2), 1983), tuned by an all-pass as in Jaffe and
//! Smith (same issue).

use super::maths::{decay, low_pass};
use super::noise::Noise;
use super::{Frame, RATE, TooSoft};

/// A kind of string.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringKind {
    /// Seconds in which a note falls by 60 dB.
    pub(super) ring: f64,
    /// Seconds of the same once the note is let go.
    pub(super) damped: f64,
    /// How much each turn through the string dulls it, 0 to 0.5.
    pub(super) dullness: f64,
    /// Low-pass of the stroke in Hertz, at full and at no velocity.
    pub(super) pick: (f64, f64),
    /// Where it is plucked, as a share of its length.
    pub(super) position: f64,
}

pub(super) const GUITAR: StringKind = StringKind {
    ring: 3.5,
    damped: 0.35,
    dullness: 0.42,
    pick: (5_000.0, 1_200.0),
    position: 0.23,
};

pub(super) const ZITHER: StringKind = StringKind {
    ring: 3.0,
    damped: 1.6,
    dullness: 0.2,
    pick: (9_000.0, 2_500.0),
    position: 0.11,
};

pub(super) const HARP: StringKind = StringKind {
    ring: 3.2,
    damped: 1.8,
    dullness: 0.45,
    pick: (3_200.0, 900.0),
    position: 0.4,
};

pub(super) const PIZZICATO: StringKind = StringKind {
    ring: 0.7,
    damped: 0.3,
    dullness: 0.48,
    pick: (3_000.0, 900.0),
    position: 0.3,
};

#[derive(Debug, Clone)]
pub(super) struct Plucked {
    line: Vec<f32>,
    at: usize,
    dullness: f32,
    loss: f32,
    damping: f32,
    all_pass: f32,
    /// Input of the low-pass; input and output of the all-pass.
    last: [f32; 3],
    level: f32,
    released: bool,
    silent: TooSoft,
}

impl Plucked {
    pub(super) fn new(kind: &StringKind, hertz: f64, velocity: f32, seed: u32) -> Self {
        let period = RATE / hertz;
        let whole = (period - kind.dullness - 0.3).floor().max(2.0);
        let rest = period - kind.dullness - whole;
        let loss = {
            let each = decay(kind.ring, RATE);
            // A turn through the string takes a period.
            (0..period as usize).fold(1.0, |level, _| level * each)
        };
        Self {
            line: stroke(kind, whole as usize, velocity, seed),
            at: 0,
            dullness: kind.dullness as f32,
            loss: loss as f32,
            damping: decay(kind.damped, RATE) as f32,
            all_pass: ((1.0 - rest) / (1.0 + rest)) as f32,
            last: [0.0; 3],
            level: 1.0,
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
            let heard = self.next() * self.level;
            self.silent.hear([heard, heard]);
            frame[0] += heard * gain[0];
            frame[1] += heard * gain[1];
        }
        !self.silent.is_over()
    }

    fn next(&mut self) -> f32 {
        let heard = self.line[self.at];
        let [input, passed_in, passed_out] = self.last;
        let dulled = heard + (input - heard) * self.dullness;
        let tuned = self.all_pass * (dulled - passed_out) + passed_in;
        self.last = [heard, dulled, tuned];
        self.line[self.at] = tuned * self.loss;
        self.at = if self.at + 1 == self.line.len() {
            0
        } else {
            self.at + 1
        };
        heard
    }
}

/// The string's shape as it is let go: noise, dull when plucked softly, without what has a node where it is plucked, and
/// as loud for every note.
fn stroke(kind: &StringKind, length: usize, velocity: f32, seed: u32) -> Vec<f32> {
    let (bright, dull) = kind.pick;
    let pass = low_pass(dull + (bright - dull) * f64::from(velocity), RATE) as f32;
    let (mut noise, mut smooth) = (Noise::new(seed), 0.0);
    let raw: Vec<f32> = (0..length)
        .map(|_| {
            smooth += (noise.next() - smooth) * pass;
            smooth
        })
        .collect();
    let lag = ((length as f64 * kind.position) as usize).max(1);
    let mut shape: Vec<f32> = (0..length)
        .map(|index| raw[index] - 0.9 * raw[(index + length - lag % length) % length])
        .collect();
    let mean = shape.iter().sum::<f32>() / length as f32;
    shape.iter_mut().for_each(|sample| *sample -= mean);
    let power = shape.iter().map(|sample| sample * sample).sum::<f32>() / length as f32;
    let gain = 0.45 / power.sqrt().max(1e-6);
    shape.iter_mut().for_each(|sample| *sample *= gain);
    shape
}
