//! One period of each waveform, with no harmonics above what a sample rate can carry.

use super::super::SAMPLE_RATE;
use super::maths::sine;

/// Samples of a period.
const LENGTH: usize = 2_048;
/// The lowest note's octave begins here, in Hertz; each further table is for the next octave.
const LOWEST: f64 = 27.5;
const OCTAVES: usize = 8;
/// Above this frequency harmonics are left out, in Hertz.
const BRIGHTEST: f64 = 15_000.0;
/// More are hidden by every filter here.
const MOST_HARMONICS: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wave {
    Sine,
    /// Harmonics that fall with their square: a flute.
    Round,
    /// Odd harmonics: a clarinet.
    Square,
    /// All harmonics: bowed strings, brass.
    Saw,
}

type Table = Box<[f32]>;

/// The tables that all voices read.
pub(in super::super) struct Waves {
    sine: Table,
    round: Vec<Table>,
    square: Vec<Table>,
    saw: Vec<Table>,
}

impl Waves {
    pub(in super::super) fn new() -> Self {
        let sine = table(&base(), &[1.0]);
        let base = base();
        let octaves = |amplitude: fn(usize) -> f32| -> Vec<Table> {
            (0..OCTAVES)
                .map(|octave| {
                    let amplitudes: Vec<f32> = (1..=harmonics(octave)).map(amplitude).collect();
                    table(&base, &amplitudes)
                })
                .collect()
        };
        Self {
            sine,
            round: octaves(|k| 1.0 / (k * k) as f32),
            square: octaves(|k| if k % 2 == 1 { 1.0 / k as f32 } else { 0.0 }),
            saw: octaves(|k| 0.6 / k as f32),
        }
    }

    /// The table for a note of this frequency.
    pub(super) fn table(&self, wave: Wave, hertz: f64) -> &[f32] {
        let tables = match wave {
            Wave::Sine => return &self.sine,
            Wave::Round => &self.round,
            Wave::Square => &self.square,
            Wave::Saw => &self.saw,
        };
        let (mut octave, mut top) = (0, LOWEST * 2.0);
        while hertz > top && octave + 1 < tables.len() {
            octave += 1;
            top *= 2.0;
        }
        &tables[octave]
    }
}

/// How many harmonics the highest note of an octave may have.
fn harmonics(octave: usize) -> usize {
    let top = LOWEST * (2_u32 << octave) as f64;
    let brightest = BRIGHTEST.min(f64::from(SAMPLE_RATE) / 2.0);
    ((brightest / top) as usize).clamp(1, MOST_HARMONICS)
}

/// A period of the sine.
fn base() -> Vec<f32> {
    (0..LENGTH)
        .map(|index| sine(index as f64 / LENGTH as f64) as f32)
        .collect()
}

/// The sum of harmonics, its first sample repeated at its end for interpolation. A harmonic is the base read in strides.
fn table(base: &[f32], amplitudes: &[f32]) -> Table {
    let mut table = vec![0.0; LENGTH + 1];
    for (harmonic, amplitude) in amplitudes.iter().enumerate() {
        let mut at = 0;
        for sample in &mut table {
            *sample += amplitude * base[at];
            at = (at + harmonic + 1) % LENGTH;
        }
    }
    table.into()
}

/// The value at a phase of 0 to 1, between two samples.
pub(super) fn read(table: &[f32], phase: f64) -> f32 {
    let at = phase * LENGTH as f64;
    let index = at as usize;
    let part = (at - index as f64) as f32;
    let (a, b) = (table[index], table[index + 1]);
    a + (b - a) * part
}

/// The next phase.
pub(super) fn advance(phase: f64, step: f64) -> f64 {
    let next = phase + step;
    if next >= 1.0 { next - 1.0 } else { next }
}
