//! The last step: nothing below hearing, nothing above full scale.

use super::super::synth::maths::{decay, low_pass};
use super::super::synth::{Frame, RATE};

/// The loudest sample, about -1 dB below full scale: what players may overshoot between samples has room.
const CEILING: f32 = 0.89;
/// Below this frequency there is only offset, in Hertz.
const RUMBLE: f64 = 22.0;
/// Samples by which the limiter sees ahead.
const AHEAD: usize = 96;
/// Seconds of 60 dB in which the limiter lets go.
const LET_GO: f64 = 1.2;
/// Share of the way to its target that the limiter's gain goes in each sample.
const TURN: f32 = 0.045;

pub(super) struct Master {
    offset: Frame,
    rumble: f32,
    line: [Frame; AHEAD],
    at: usize,
    peak: f32,
    falling: f32,
    gain: f32,
}

impl Master {
    pub(super) fn new() -> Self {
        Self {
            offset: [0.0; 2],
            rumble: low_pass(RUMBLE, RATE) as f32,
            line: [[0.0; 2]; AHEAD],
            at: 0,
            peak: 0.0,
            falling: decay(LET_GO, RATE) as f32,
            gain: 1.0,
        }
    }

    /// How many samples later a frame comes out than it went in.
    pub(super) const LATENCY: usize = AHEAD;

    pub(super) fn next(&mut self, mut frame: Frame) -> Frame {
        for (sample, offset) in frame.iter_mut().zip(&mut self.offset) {
            *offset += (*sample - *offset) * self.rumble;
            *sample -= *offset;
        }
        let loudest = frame[0].abs().max(frame[1].abs());
        self.peak = loudest.max(self.peak * self.falling);
        let wanted = CEILING / self.peak.max(CEILING);
        self.gain += (wanted - self.gain) * TURN;
        let late = std::mem::replace(&mut self.line[self.at], frame);
        self.at = (self.at + 1) % AHEAD;
        late.map(|sample| soften(sample * self.gain))
    }
}

/// Bends what the limiter let through, so that it never reaches the ceiling.
fn soften(sample: f32) -> f32 {
    const KNEE: f32 = 0.8;
    let size = sample.abs();
    if size <= KNEE {
        return sample;
    }
    let over = (size - KNEE) / (CEILING - KNEE);
    let bent = KNEE + (CEILING - KNEE) * over / (1.0 + over);
    if sample < 0.0 { -bent } else { bent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_louder_than_the_ceiling_and_soft_sounds_are_left_alone() {
        let mut master = Master::new();
        for index in 0..20_000 {
            let sample = if index % 100 < 50 { 7.0 } else { -7.0 };
            let [left, right] = master.next([sample, -sample / 3.0]);
            assert!(
                left.abs() < CEILING && right.abs() < CEILING,
                "{left} {right}"
            );
        }
        let mut master = Master::new();
        let tone = |index: usize| if index % 100 < 50 { 0.3 } else { -0.3 };
        let heard: Vec<f32> = (0..4_000)
            .map(|index| master.next([tone(index); 2])[0])
            .collect();
        for (index, sample) in heard.iter().enumerate().skip(AHEAD) {
            assert!(
                (sample - tone(index - AHEAD)).abs() < 0.05,
                "{index}: {sample}"
            );
        }
    }
}
