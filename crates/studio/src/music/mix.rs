//! From notes to a finished recording, in blocks, so that a long piece takes no more memory than its samples.

mod echo;
mod master;
mod reverb;

use super::mood::Ensemble;
use super::score::{Note, Part, Score};
use super::synth::{Frame, Instrument, RATE, Voice, Waves};
use super::{MusicError, SAMPLE_RATE};
use codec::sound::Sound;
use echo::Echo;
use master::Master;
use reverb::Reverb;

/// Frames that are rendered together.
const BLOCK: usize = 512;
/// The share of the last chord that is still at full level, before it fades away.
const HELD: f64 = 0.3;
/// Seconds of the fade at the beginning, which only keeps the first sample from clicking.
const FADE_IN: f64 = 0.004;

/// How a part stands in the room.
#[derive(Debug, Clone, Copy)]
struct Strip {
    instrument: Instrument,
    gain: f32,
    /// -1 left to 1 right.
    pan: f32,
    /// How much of it the room and the echo hear.
    room: f32,
    echo: f32,
}

/// The strips of an ensemble in the order of [`Part::ALL`], and the seconds that its room rings.
fn desk(ensemble: Ensemble) -> ([Strip; 5], f64) {
    let strip = |instrument, gain, pan, room, echo| Strip {
        instrument,
        gain,
        pan,
        room,
        echo,
    };
    let drums = strip(Instrument::Gong, 0.5, 0.0, 0.12, 0.0);
    match ensemble {
        Ensemble::Piano => (
            [
                strip(Instrument::RoundBass, 0.3, 0.0, 0.1, 0.0),
                strip(Instrument::Strings, 0.14, 0.1, 0.5, 0.0),
                strip(Instrument::Piano, 0.17, -0.15, 0.3, 0.0),
                strip(Instrument::Piano, 0.26, 0.05, 0.35, 0.05),
                drums,
            ],
            2.4,
        ),
        Ensemble::Acoustic => (
            [
                strip(Instrument::RoundBass, 0.42, 0.0, 0.06, 0.0),
                strip(Instrument::WarmPad, 0.1, 0.1, 0.4, 0.0),
                strip(Instrument::Guitar, 0.2, -0.3, 0.22, 0.05),
                strip(Instrument::Marimba, 0.32, 0.25, 0.28, 0.1),
                drums,
            ],
            1.6,
        ),
        Ensemble::Orchestra => (
            [
                strip(Instrument::CelloBass, 0.34, 0.05, 0.3, 0.0),
                strip(Instrument::Strings, 0.19, 0.0, 0.5, 0.0),
                strip(Instrument::Pizzicato, 0.2, 0.3, 0.4, 0.0),
                strip(Instrument::Horn, 0.32, -0.2, 0.5, 0.0),
                strip(Instrument::Gong, 0.55, 0.0, 0.35, 0.0),
            ],
            3.0,
        ),
        Ensemble::Synth => (
            [
                strip(Instrument::SynthBass, 0.4, 0.0, 0.03, 0.0),
                strip(Instrument::SawPad, 0.12, 0.0, 0.35, 0.0),
                strip(Instrument::SynthPluck, 0.2, -0.25, 0.25, 0.3),
                strip(Instrument::SquareLead, 0.17, 0.15, 0.3, 0.3),
                drums,
            ],
            1.8,
        ),
        Ensemble::Lounge => (
            [
                strip(Instrument::RoundBass, 0.46, 0.0, 0.04, 0.0),
                strip(Instrument::ElectricPiano, 0.14, -0.1, 0.25, 0.0),
                strip(Instrument::Guitar, 0.1, 0.35, 0.25, 0.1),
                strip(Instrument::Vibraphone, 0.2, 0.2, 0.35, 0.25),
                strip(Instrument::Gong, 0.4, 0.0, 0.1, 0.0),
            ],
            1.4,
        ),
        Ensemble::Folk => (
            [
                strip(Instrument::Guitar, 0.42, -0.1, 0.12, 0.0),
                strip(Instrument::WarmPad, 0.08, 0.0, 0.4, 0.0),
                strip(Instrument::Zither, 0.19, -0.35, 0.25, 0.1),
                strip(Instrument::BambooFlute, 0.3, 0.25, 0.35, 0.12),
                drums,
            ],
            1.8,
        ),
        Ensemble::MusicBox => (
            [
                strip(Instrument::RoundBass, 0.3, 0.0, 0.1, 0.0),
                strip(Instrument::WarmPad, 0.13, 0.0, 0.5, 0.0),
                strip(Instrument::Harp, 0.2, -0.3, 0.35, 0.1),
                strip(Instrument::MusicBox, 0.22, 0.2, 0.4, 0.15),
                drums,
            ],
            2.6,
        ),
    }
}

/// Plays a score. `report` is called with the share that is done, and stops the playing by returning false.
pub(super) fn render(
    score: &Score,
    report: &mut dyn FnMut(f32) -> bool,
) -> Result<Sound, MusicError> {
    let total = score.seconds as usize * SAMPLE_RATE as usize;
    let mut samples = Vec::with_capacity(total * 2);
    let mut band = Band::new(score);
    let mut master = Master::new();
    let mut frames = [[0.0; 2]; BLOCK];
    let mut done = 0;
    // The master is late: what it holds back at the beginning is silence, and is left out.
    while samples.len() < total * 2 {
        if done % (BLOCK * 64) == 0 && !report(done as f32 / total as f32) {
            return Err(MusicError::Stopped);
        }
        band.block(score, done, &mut frames);
        for (index, frame) in frames.iter().enumerate() {
            let out = master.next(*frame);
            let Some(at) = (done + index).checked_sub(Master::LATENCY) else {
                continue;
            };
            if at < total {
                let level = fade(score, at, total);
                samples.extend(out.map(|sample| (sample * level * 32_767.0).round() as i16));
            }
        }
        done += BLOCK;
    }
    Ok(Sound {
        sample_rate: SAMPLE_RATE,
        channels: 2,
        samples,
    })
}

/// The level at a frame: rising at once, falling to nothing over the last chord.
fn fade(score: &Score, at: usize, total: usize) -> f32 {
    let seconds = at as f64 / RATE;
    let end = total as f64 / RATE;
    let begins = score.home + (end - score.home) * HELD;
    let left = ((end - seconds) / (end - begins)).clamp(0.0, 1.0);
    let rising = (seconds / FADE_IN).min(1.0);
    (left * left * (3.0 - 2.0 * left) * rising) as f32
}

/// Everyone who plays, and the room.
struct Band {
    waves: Waves,
    strips: [Strip; 5],
    voices: [Vec<Voice>; 5],
    room: Reverb,
    echo: Echo,
    /// The next note of the score.
    next: usize,
}

impl Band {
    fn new(score: &Score) -> Self {
        let (strips, ring) = desk(score.ensemble);
        Self {
            waves: Waves::new(),
            strips,
            voices: Default::default(),
            room: Reverb::new(ring),
            echo: Echo::new(score.tempo),
            next: 0,
        }
    }

    /// Plays the block of frames that begins at frame `from`.
    fn block(&mut self, score: &Score, from: usize, out: &mut [Frame; BLOCK]) {
        self.begin_notes(score, from);
        let mut room = [[0.0; 2]; BLOCK];
        let mut echo = [[0.0; 2]; BLOCK];
        *out = [[0.0; 2]; BLOCK];
        for (strip, voices) in self.strips.iter().zip(&mut self.voices) {
            let mut own = [[0.0; 2]; BLOCK];
            voices.retain_mut(|voice| voice.render(&self.waves, &mut own));
            let gain = [
                strip.gain * (1.0 - strip.pan),
                strip.gain * (1.0 + strip.pan),
            ];
            for (index, frame) in own.iter().enumerate() {
                for side in 0..2 {
                    let sample = frame[side] * gain[side];
                    out[index][side] += sample;
                    room[index][side] += sample * strip.room;
                    echo[index][side] += sample * strip.echo;
                }
            }
        }
        for (index, frame) in out.iter_mut().enumerate() {
            let repeated = self.echo.next(echo[index]);
            let [left, right] = room[index];
            let input = [left + repeated[0] * 0.3, right + repeated[1] * 0.3];
            let back = self.room.next(input);
            frame[0] += repeated[0] + back[0];
            frame[1] += repeated[1] + back[1];
        }
    }

    fn begin_notes(&mut self, score: &Score, from: usize) {
        let frame = |seconds: f64| (seconds * RATE) as usize;
        while let Some(note) = score.notes.get(self.next) {
            let start = frame(note.start);
            if start >= from + BLOCK {
                break;
            }
            self.begin(
                note,
                (start.saturating_sub(from), frame(note.length).max(1)),
            );
            self.next += 1;
        }
    }

    fn begin(&mut self, note: &Note, times: (usize, usize)) {
        let place = Part::ALL.iter().position(|part| *part == note.part);
        let place = place.unwrap_or_default();
        let instrument = self.strips[place].instrument;
        let seed = self.next as u32 + 1;
        let voice = Voice::new(instrument, note.strike, note.velocity, seed, times);
        self.voices[place].push(voice);
    }
}
