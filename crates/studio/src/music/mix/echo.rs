//! An echo in time with the music, from side to side.

use super::super::synth::maths::low_pass;
use super::super::synth::{Frame, RATE};

/// How much of each echo comes back once more.
const FEEDBACK: f32 = 0.36;
/// Each echo is duller than the one before, in Hertz.
const DULL: f64 = 2_800.0;

pub(super) struct Echo {
    line: Vec<Frame>,
    at: usize,
    smooth: Frame,
    pass: f32,
}

impl Echo {
    /// Three quarters of a beat apart, at so many beats per minute.
    pub(super) fn new(tempo: u32) -> Self {
        let samples = (0.75 * 60.0 / f64::from(tempo) * RATE) as usize;
        Self {
            line: vec![[0.0; 2]; samples.max(1)],
            at: 0,
            smooth: [0.0; 2],
            pass: low_pass(DULL, RATE) as f32,
        }
    }

    pub(super) fn next(&mut self, input: Frame) -> Frame {
        let heard = self.line[self.at];
        for (smooth, heard) in self.smooth.iter_mut().zip(heard) {
            *smooth += (heard - *smooth) * self.pass;
        }
        // What came from the left comes back from the right.
        self.line[self.at] = [
            (input[0] + input[1]) * 0.5 + self.smooth[1] * FEEDBACK,
            self.smooth[0] * FEEDBACK * 2.0,
        ];
        self.at = if self.at + 1 == self.line.len() {
            0
        } else {
            self.at + 1
        };
        heard
    }
}
