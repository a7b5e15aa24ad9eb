//! What sounds as long as it is held: strings, pads, winds, basses. Two oscillators a little apart, a low-pass that opens
//! with the stroke, an envelope.

use super::maths::{decay, exp2, low_pass, sine};
use super::noise::Noise;
use super::wave::{Wave, Waves, advance, read};
use super::{Frame, RATE};

/// Samples between two settings of filter and vibrato.
const CONTROL: usize = 32;
/// Below this level a note is over.
const SILENCE: f32 = 1e-4;

/// A kind of voice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tone {
    pub(super) wave: Wave,
    /// Seconds until full, and the time of 60 dB towards `sustain` and, once let go, to nothing.
    pub(super) attack: f64,
    pub(super) decay: f64,
    pub(super) sustain: f32,
    pub(super) release: f64,
    /// Where the low-pass rests, in Hertz, and how far above it begins at full velocity.
    pub(super) cutoff: f64,
    pub(super) sweep: f64,
    /// Seconds in which the sweep falls by 60 dB.
    pub(super) closing: f64,
    /// Cents between the oscillators.
    pub(super) detune: f64,
    /// Cents of vibrato, which sets in late.
    pub(super) vibrato: f64,
    /// Noise of breath or bow.
    pub(super) breath: f32,
}

pub(super) const STRINGS: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.28,
    decay: 4.0,
    sustain: 0.85,
    release: 0.9,
    cutoff: 1_500.0,
    sweep: 900.0,
    closing: 3.0,
    detune: 11.0,
    vibrato: 5.0,
    breath: 0.006,
};

pub(super) const WARM_PAD: Tone = Tone {
    wave: Wave::Round,
    attack: 0.4,
    decay: 4.0,
    sustain: 0.8,
    release: 1.2,
    cutoff: 1_400.0,
    sweep: 400.0,
    closing: 3.0,
    detune: 9.0,
    vibrato: 2.0,
    breath: 0.0,
};

pub(super) const SAW_PAD: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.05,
    decay: 3.0,
    sustain: 0.75,
    release: 0.5,
    cutoff: 1_300.0,
    sweep: 1_600.0,
    closing: 1.6,
    detune: 16.0,
    vibrato: 0.0,
    breath: 0.0,
};

pub(super) const SYNTH_PLUCK: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.003,
    decay: 0.7,
    sustain: 0.0,
    release: 0.35,
    cutoff: 500.0,
    sweep: 4_200.0,
    closing: 0.45,
    detune: 8.0,
    vibrato: 0.0,
    breath: 0.0,
};

pub(super) const SQUARE_LEAD: Tone = Tone {
    wave: Wave::Square,
    attack: 0.012,
    decay: 1.5,
    sustain: 0.6,
    release: 0.3,
    cutoff: 1_800.0,
    sweep: 2_200.0,
    closing: 0.9,
    detune: 6.0,
    vibrato: 7.0,
    breath: 0.0,
};

pub(super) const HORN: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.09,
    decay: 2.5,
    sustain: 0.85,
    release: 0.4,
    cutoff: 750.0,
    sweep: 900.0,
    closing: 2.5,
    detune: 5.0,
    vibrato: 6.0,
    breath: 0.004,
};

pub(super) const BAMBOO_FLUTE: Tone = Tone {
    wave: Wave::Round,
    attack: 0.045,
    decay: 2.0,
    sustain: 0.85,
    release: 0.2,
    cutoff: 3_200.0,
    sweep: 1_500.0,
    closing: 0.5,
    detune: 2.0,
    vibrato: 18.0,
    breath: 0.035,
};

pub(super) const ROUND_BASS: Tone = Tone {
    wave: Wave::Round,
    attack: 0.006,
    decay: 2.2,
    sustain: 0.45,
    release: 0.16,
    cutoff: 420.0,
    sweep: 900.0,
    closing: 0.5,
    detune: 2.0,
    vibrato: 0.0,
    breath: 0.0,
};

pub(super) const SYNTH_BASS: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.004,
    decay: 1.2,
    sustain: 0.5,
    release: 0.08,
    cutoff: 260.0,
    sweep: 1_500.0,
    closing: 0.4,
    detune: 5.0,
    vibrato: 0.0,
    breath: 0.0,
};

pub(super) const CELLO_BASS: Tone = Tone {
    wave: Wave::Saw,
    attack: 0.07,
    decay: 3.0,
    sustain: 0.8,
    release: 0.35,
    cutoff: 520.0,
    sweep: 700.0,
    closing: 1.5,
    detune: 4.0,
    vibrato: 4.0,
    breath: 0.006,
};

/// A note that is held.
#[derive(Debug, Clone)]
pub(super) struct Sustained {
    tone: &'static Tone,
    hertz: f64,
    phases: [f64; 2],
    steps: [f64; 2],
    /// Level of the envelope, and its factors and step.
    level: f32,
    rise: f32,
    fall: f32,
    fade: f32,
    rising: bool,
    released: bool,
    /// Of the low-pass: two poles for each side.
    filter: [[f32; 2]; 2],
    pass: f32,
    sweep: f64,
    closing: f64,
    age: usize,
    noise: Noise,
}

impl Sustained {
    pub(super) fn new(tone: &'static Tone, hertz: f64, velocity: f32, seed: u32) -> Self {
        let mut noise = Noise::new(seed);
        let phase = f64::from(noise.next() + 1.0) / 2.0;
        Self {
            tone,
            hertz,
            phases: [phase, (phase + 0.37) % 1.0],
            steps: [0.0; 2],
            level: 0.0,
            rise: (1.0 / (tone.attack * RATE)) as f32,
            fall: (1.0 - decay(tone.decay, RATE)) as f32,
            fade: decay(tone.release, RATE) as f32,
            rising: true,
            released: false,
            filter: [[0.0; 2]; 2],
            pass: 0.0,
            sweep: tone.sweep * f64::from(velocity),
            closing: decay(tone.closing, RATE / CONTROL as f64),
            age: 0,
            noise,
        }
    }

    pub(super) fn release(&mut self) {
        self.released = true;
    }

    /// Adds the next samples; false when there is nothing more to hear.
    pub(super) fn render(&mut self, waves: &Waves, out: &mut [Frame], gain: Frame) -> bool {
        let table = waves.table(self.tone.wave, self.hertz);
        for frame in out.iter_mut() {
            if self.age.is_multiple_of(CONTROL) {
                self.control();
            }
            self.age += 1;
            self.envelope();
            let breath = self.tone.breath * self.noise.next();
            let waves = [read(table, self.phases[0]), read(table, self.phases[1])];
            self.phases = [
                advance(self.phases[0], self.steps[0]),
                advance(self.phases[1], self.steps[1]),
            ];
            // Each oscillator leans to its side.
            let sides = [
                0.7 * waves[0] + 0.3 * waves[1],
                0.3 * waves[0] + 0.7 * waves[1],
            ];
            for side in 0..2 {
                let poles = &mut self.filter[side];
                poles[0] += (sides[side] + breath - poles[0]) * self.pass;
                poles[1] += (poles[0] - poles[1]) * self.pass;
                frame[side] += poles[1] * self.level * gain[side];
            }
        }
        let falling_to_nothing = self.released || (!self.rising && self.tone.sustain == 0.0);
        !falling_to_nothing || self.level > SILENCE
    }

    fn envelope(&mut self) {
        if self.released {
            self.level *= self.fade;
        } else if self.rising {
            self.level = (self.level + self.rise).min(1.0);
            self.rising = self.level < 1.0;
        } else {
            self.level += (self.tone.sustain - self.level) * self.fall;
        }
    }

    /// Sets what changes slowly.
    fn control(&mut self) {
        let seconds = self.age as f64 / RATE;
        // Players settle on a note before they shake it.
        let depth = self.tone.vibrato * ((seconds - 0.2) * 2.5).clamp(0.0, 1.0);
        let vibrato = depth * sine(seconds * 5.2);
        let cents = [
            vibrato - self.tone.detune / 2.0,
            vibrato + self.tone.detune / 2.0,
        ];
        self.steps = cents.map(|cents| self.hertz * exp2(cents / 1_200.0) / RATE);
        // High notes would vanish behind a filter that stood still.
        let cutoff = self.tone.cutoff + self.hertz + self.sweep;
        self.pass = low_pass(cutoff.min(15_000.0), RATE) as f32;
        self.sweep *= self.closing;
    }
}
