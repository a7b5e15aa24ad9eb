//! Instruments: from a note to samples.

mod drum;
pub(super) mod maths;
mod noise;
mod plucked;
mod struck;
mod sustained;
#[cfg(test)]
mod tests;
mod wave;

use super::SAMPLE_RATE;
use super::score::{Drum, Strike};
use drum::DrumStroke;
use maths::exp2;
use plucked::{Plucked, StringKind};
use struck::{Body, Struck};
use sustained::{Sustained, Tone};

pub(super) use wave::Waves;

/// Left and right.
pub(super) type Frame = [f32; 2];

pub(super) const RATE: f64 = SAMPLE_RATE as f64;
/// MIDI's note 69 is the A of 440 Hz.
const CONCERT_A: (i32, f64) = (69, 440.0);
/// The gong's lowest partial, in Hertz.
const GONG: f64 = 92.0;

/// An instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instrument {
    Piano,
    ElectricPiano,
    MusicBox,
    Vibraphone,
    Marimba,
    Guitar,
    Zither,
    Harp,
    Pizzicato,
    Strings,
    WarmPad,
    SawPad,
    SynthPluck,
    SquareLead,
    Horn,
    BambooFlute,
    RoundBass,
    SynthBass,
    CelloBass,
    /// The only one among the drums that rings.
    Gong,
}

/// How an instrument makes its sound.
enum Making {
    Struck(&'static Body),
    Plucked(&'static StringKind),
    Sustained(&'static Tone),
}

impl Instrument {
    fn making(self) -> Making {
        match self {
            Self::Piano => Making::Struck(&struck::PIANO),
            Self::ElectricPiano => Making::Struck(&struck::ELECTRIC_PIANO),
            Self::MusicBox => Making::Struck(&struck::MUSIC_BOX),
            Self::Vibraphone => Making::Struck(&struck::VIBRAPHONE),
            Self::Marimba => Making::Struck(&struck::MARIMBA),
            Self::Guitar => Making::Plucked(&plucked::GUITAR),
            Self::Zither => Making::Plucked(&plucked::ZITHER),
            Self::Harp => Making::Plucked(&plucked::HARP),
            Self::Pizzicato => Making::Plucked(&plucked::PIZZICATO),
            Self::Strings => Making::Sustained(&sustained::STRINGS),
            Self::WarmPad => Making::Sustained(&sustained::WARM_PAD),
            Self::SawPad => Making::Sustained(&sustained::SAW_PAD),
            Self::SynthPluck => Making::Sustained(&sustained::SYNTH_PLUCK),
            Self::SquareLead => Making::Sustained(&sustained::SQUARE_LEAD),
            Self::Horn => Making::Sustained(&sustained::HORN),
            Self::BambooFlute => Making::Sustained(&sustained::BAMBOO_FLUTE),
            Self::RoundBass => Making::Sustained(&sustained::ROUND_BASS),
            Self::SynthBass => Making::Sustained(&sustained::SYNTH_BASS),
            Self::CelloBass => Making::Sustained(&sustained::CELLO_BASS),
            Self::Gong => Making::Struck(&struck::GONG),
        }
    }
}

enum Source {
    Struck(Struck),
    Plucked(Plucked),
    Sustained(Sustained),
    Drum(DrumStroke),
}

/// A note as it sounds.
pub(super) struct Voice {
    source: Source,
    gain: Frame,
    /// Samples until it begins.
    wait: usize,
    /// Samples from there until it is let go.
    hold: usize,
}

impl Voice {
    /// `seed` is the note's own, for noise and phases; `wait` and `hold` count samples.
    pub(super) fn new(
        instrument: Instrument,
        strike: Strike,
        velocity: f32,
        seed: u32,
        (wait, hold): (usize, usize),
    ) -> Self {
        let (source, pan) = match strike {
            Strike::Drum(Drum::Gong) => (tuned(Instrument::Gong, GONG, velocity, seed), 0.0),
            Strike::Drum(drum) => (Source::Drum(DrumStroke::new(drum, seed)), drum::pan(drum)),
            Strike::Pitch(pitch) => (
                tuned(instrument, hertz(pitch), velocity, seed),
                // High notes to the right, as on a keyboard.
                (pitch - 64) as f32 * 0.012,
            ),
        };
        // Loudness grows faster than the stroke.
        let gain = velocity * velocity.sqrt();
        Self {
            source,
            gain: [gain * (1.0 - pan), gain * (1.0 + pan)],
            wait,
            hold,
        }
    }

    /// Adds the next samples; false when there is nothing more to hear.
    pub(super) fn render(&mut self, waves: &Waves, out: &mut [Frame]) -> bool {
        let waited = self.wait.min(out.len());
        self.wait -= waited;
        let (held, rest) = {
            let out = &mut out[waited..];
            let held = self.hold.min(out.len());
            out.split_at_mut(held)
        };
        self.hold -= held.len();
        let mut sounds = self.part(waves, held);
        if self.wait == 0 && self.hold == 0 {
            match &mut self.source {
                Source::Struck(voice) => voice.release(),
                Source::Plucked(voice) => voice.release(),
                Source::Sustained(voice) => voice.release(),
                Source::Drum(_) => {}
            }
            sounds = self.part(waves, rest);
        }
        sounds || self.wait > 0
    }

    fn part(&mut self, waves: &Waves, out: &mut [Frame]) -> bool {
        match &mut self.source {
            Source::Struck(voice) => voice.render(out, self.gain),
            Source::Plucked(voice) => voice.render(out, self.gain),
            Source::Sustained(voice) => voice.render(waves, out, self.gain),
            Source::Drum(voice) => voice.render(waves, out, self.gain),
        }
    }
}

fn tuned(instrument: Instrument, hertz: f64, velocity: f32, seed: u32) -> Source {
    match instrument.making() {
        Making::Struck(body) => Source::Struck(Struck::new(body, hertz, velocity)),
        Making::Plucked(kind) => Source::Plucked(Plucked::new(kind, hertz, velocity, seed)),
        Making::Sustained(tone) => Source::Sustained(Sustained::new(tone, hertz, velocity, seed)),
    }
}

/// Equal temperament.
fn hertz(pitch: i32) -> f64 {
    let (note, concert) = CONCERT_A;
    concert * exp2(f64::from(pitch - note) / 12.0)
}

/// Notices that a voice has died away.
#[derive(Debug, Clone, Default)]
struct TooSoft {
    samples: u32,
}

impl TooSoft {
    /// About -84 dB.
    const LEVEL: f32 = 6e-5;
    /// Samples without anything louder: longer than half a period of the lowest note.
    const PATIENCE: u32 = 2_048;

    fn hear(&mut self, frame: Frame) {
        if frame[0].abs().max(frame[1].abs()) > Self::LEVEL {
            self.samples = 0;
        } else {
            self.samples = self.samples.saturating_add(1);
        }
    }

    fn is_over(&self) -> bool {
        self.samples > Self::PATIENCE
    }
}
