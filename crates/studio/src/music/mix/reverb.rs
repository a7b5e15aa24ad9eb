//! A room: eight delay lines that feed each other (Jot and Chaigne, AES Convention 90, 1991), with a Householder matrix.

use super::super::synth::maths::{decay, low_pass};
use super::super::synth::{Frame, RATE};

/// Samples of the lines: no common factors, 30 to 65 ms.
const LINES: [usize; 8] = [1_327, 1_487, 1_693, 1_871, 2_053, 2_281, 2_539, 2_861];
/// Samples until the first reflection.
const BEFORE: usize = 700;
/// Above this frequency the walls swallow more, in Hertz.
const DULL: f64 = 4_200.0;

pub(super) struct Reverb {
    before: Vec<f32>,
    before_at: usize,
    lines: [Line; 8],
    pass: f32,
}

struct Line {
    samples: Vec<f32>,
    at: usize,
    loss: f32,
    smooth: f32,
}

impl Reverb {
    /// A room in which a sound falls by 60 dB in so many seconds.
    pub(super) fn new(seconds: f64) -> Self {
        let each = decay(seconds, RATE);
        let line = |length: usize| Line {
            samples: vec![0.0; length],
            at: 0,
            loss: (0..length).fold(1.0, |level, _| level * each) as f32,
            smooth: 0.0,
        };
        Self {
            before: vec![0.0; BEFORE],
            before_at: 0,
            lines: LINES.map(line),
            pass: low_pass(DULL, RATE) as f32,
        }
    }

    /// What comes back from the walls for a frame of the room's input.
    pub(super) fn next(&mut self, input: Frame) -> Frame {
        let early = std::mem::replace(&mut self.before[self.before_at], input[0] + input[1]);
        self.before_at = (self.before_at + 1) % BEFORE;
        let mut back = [0.0; 8];
        for (heard, line) in back.iter_mut().zip(&mut self.lines) {
            let raw = line.samples[line.at] * line.loss;
            line.smooth += (raw - line.smooth) * self.pass;
            *heard = line.smooth;
        }
        let shared = back.iter().sum::<f32>() * 0.25;
        for (index, line) in self.lines.iter_mut().enumerate() {
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            line.samples[line.at] = back[index] - shared + early * 0.5 * sign;
            line.at = if line.at + 1 == line.samples.len() {
                0
            } else {
                line.at + 1
            };
        }
        [
            (back[0] - back[1] + back[4] - back[5]) * 0.35,
            (back[2] - back[3] + back[6] - back[7]) * 0.35,
        ]
    }
}
