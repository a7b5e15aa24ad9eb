//! Drums: a tone that falls in pitch, and filtered noise.

use super::super::score::Drum;
use super::maths::{decay, low_pass};
use super::noise::Noise;
use super::wave::{Wave, Waves, advance, read};
use super::{Frame, RATE};

/// Below this level a stroke is over.
const SILENCE: f32 = 1e-4;
/// Strokes of a clap, in samples from one to the next.
const FLAM: usize = 480;

/// A kind of drum. Times are those of 60 dB.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// Frequencies in Hertz at the stroke and when it has settled, and the seconds in between.
    pitch: (f64, f64, f64),
    /// Level and seconds of the tone.
    tone: (f32, f64),
    /// Level and seconds of the noise.
    noise: (f32, f64),
    /// The noise's band in Hertz.
    band: (f64, f64),
    /// How often the noise is struck.
    strokes: usize,
    /// -1 left to 1 right.
    pan: f32,
}

const fn kind(drum: Drum) -> Kind {
    let base = Kind {
        pitch: (200.0, 200.0, 0.1),
        tone: (0.0, 0.1),
        noise: (0.0, 0.1),
        band: (500.0, 8_000.0),
        strokes: 1,
        pan: 0.0,
    };
    match drum {
        Drum::Kick => Kind {
            pitch: (165.0, 49.0, 0.16),
            tone: (1.0, 0.42),
            noise: (0.12, 0.03),
            band: (800.0, 5_000.0),
            ..base
        },
        Drum::Snare => Kind {
            pitch: (240.0, 185.0, 0.08),
            tone: (0.45, 0.2),
            noise: (0.55, 0.28),
            band: (900.0, 8_500.0),
            pan: -0.08,
            ..base
        },
        Drum::Rim => Kind {
            pitch: (820.0, 620.0, 0.03),
            tone: (0.4, 0.06),
            noise: (0.3, 0.05),
            band: (1_500.0, 6_000.0),
            pan: -0.15,
            ..base
        },
        Drum::Clap => Kind {
            noise: (0.8, 0.3),
            band: (900.0, 5_000.0),
            strokes: 3,
            pan: 0.1,
            ..base
        },
        Drum::ClosedHat => Kind {
            noise: (0.75, 0.14),
            band: (7_000.0, 14_000.0),
            pan: 0.3,
            ..base
        },
        Drum::OpenHat => Kind {
            noise: (0.62, 0.4),
            band: (6_500.0, 14_000.0),
            pan: 0.3,
            ..base
        },
        Drum::Shaker => Kind {
            noise: (0.5, 0.16),
            band: (4_500.0, 11_000.0),
            pan: -0.4,
            ..base
        },
        Drum::Crash => Kind {
            noise: (0.42, 2.4),
            band: (3_500.0, 13_000.0),
            pan: -0.25,
            ..base
        },
        Drum::Taiko => Kind {
            pitch: (120.0, 58.0, 0.2),
            tone: (1.0, 1.1),
            noise: (0.3, 0.08),
            band: (150.0, 1_800.0),
            pan: -0.1,
            ..base
        },
        Drum::Tom => Kind {
            pitch: (190.0, 105.0, 0.2),
            tone: (0.85, 0.55),
            noise: (0.2, 0.06),
            band: (300.0, 3_500.0),
            pan: 0.15,
            ..base
        },
        Drum::Cymbals => Kind {
            noise: (0.62, 0.5),
            band: (3_000.0, 11_000.0),
            pan: 0.35,
            ..base
        },
        Drum::WoodBlock => Kind {
            pitch: (980.0, 900.0, 0.02),
            tone: (0.55, 0.11),
            noise: (0.08, 0.02),
            band: (1_000.0, 5_000.0),
            pan: -0.35,
            ..base
        },
        // The gong rings, so another voice plays it; this is the mallet on it.
        Drum::Gong => Kind {
            noise: (0.15, 0.2),
            band: (200.0, 2_000.0),
            ..base
        },
    }
}

/// Where a drum stands, -1 left to 1 right.
pub(super) fn pan(drum: Drum) -> f32 {
    kind(drum).pan
}

#[derive(Debug, Clone)]
pub(super) struct DrumStroke {
    phase: f64,
    settled: f64,
    /// Hertz above the settled pitch.
    above: f64,
    falling: f64,
    /// Level and factor of tone and noise.
    tone: [f32; 2],
    noise: [f32; 2],
    struck: f32,
    strokes: usize,
    age: usize,
    /// Of the two high-passes and the low-pass.
    filter: [f32; 3],
    passes: [f32; 2],
    source: Noise,
}

impl DrumStroke {
    pub(super) fn new(drum: Drum, seed: u32) -> Self {
        let kind = kind(drum);
        let (start, settled, falling) = kind.pitch;
        Self {
            phase: 0.0,
            settled,
            above: start - settled,
            falling: decay(falling, RATE),
            tone: [kind.tone.0, decay(kind.tone.1, RATE) as f32],
            noise: [kind.noise.0, decay(kind.noise.1, RATE) as f32],
            struck: kind.noise.0,
            strokes: kind.strokes,
            age: 0,
            filter: [0.0; 3],
            passes: [
                low_pass(kind.band.0, RATE) as f32,
                low_pass(kind.band.1, RATE) as f32,
            ],
            source: Noise::new(seed),
        }
    }

    /// Adds the next samples; false when there is nothing more to hear.
    pub(super) fn render(&mut self, waves: &Waves, out: &mut [Frame], gain: Frame) -> bool {
        let sine = waves.table(Wave::Sine, self.settled);
        for frame in out.iter_mut() {
            let heard = read(sine, self.phase) * self.tone[0] + self.hiss() * self.noise[0];
            self.phase = advance(self.phase, (self.settled + self.above) / RATE);
            self.above *= self.falling;
            self.tone[0] *= self.tone[1];
            self.noise[0] *= self.noise[1];
            self.age += 1;
            if self.age.is_multiple_of(FLAM) && self.age / FLAM < self.strokes {
                self.noise[0] = self.struck;
            }
            frame[0] += heard * gain[0];
            frame[1] += heard * gain[1];
        }
        self.tone[0] > SILENCE || self.noise[0] > SILENCE || self.age < FLAM * self.strokes
    }

    /// Noise within the drum's band.
    fn hiss(&mut self) -> f32 {
        let [first, second, smooth] = &mut self.filter;
        let raw = self.source.next();
        *first += (raw - *first) * self.passes[0];
        let high = raw - *first;
        *second += (high - *second) * self.passes[0];
        let higher = high - *second;
        *smooth += (higher - *smooth) * self.passes[1];
        *smooth
    }
}
