//! Every instrument is heard, in tune, and dies away.

use super::*;

const ALL: [Instrument; 19] = [
    Instrument::Piano,
    Instrument::ElectricPiano,
    Instrument::MusicBox,
    Instrument::Vibraphone,
    Instrument::Marimba,
    Instrument::Guitar,
    Instrument::Zither,
    Instrument::Harp,
    Instrument::Pizzicato,
    Instrument::Strings,
    Instrument::WarmPad,
    Instrument::SawPad,
    Instrument::SynthPluck,
    Instrument::SquareLead,
    Instrument::Horn,
    Instrument::BambooFlute,
    Instrument::RoundBass,
    Instrument::SynthBass,
    Instrument::CelloBass,
];
const DRUMS: [Drum; 13] = [
    Drum::Kick,
    Drum::Snare,
    Drum::Rim,
    Drum::Clap,
    Drum::ClosedHat,
    Drum::OpenHat,
    Drum::Shaker,
    Drum::Crash,
    Drum::Taiko,
    Drum::Tom,
    Drum::Cymbals,
    Drum::WoodBlock,
    Drum::Gong,
];
/// Half a second.
const HALF: usize = SAMPLE_RATE as usize / 2;
/// What a listener does not notice, in cents.
const IN_TUNE: i32 = 8;
/// The same for two oscillators that beat against each other, where half a second shows no single peak.
const CHORUS: i32 = 20;

/// Both channels together.
fn sound(instrument: Instrument, strike: Strike, frames: usize) -> Vec<f32> {
    let mut voice = Voice::new(instrument, strike, 0.8, 7, (0, frames));
    let mut out = vec![[0.0; 2]; frames];
    voice.render(&Waves::new(), &mut out);
    out.iter().map(|frame| frame[0] + frame[1]).collect()
}

/// Under a Hann window, so that a frequency has one peak.
fn windowed(samples: &[f32]) -> Vec<f64> {
    let window = |index: usize| 0.5 - 0.5 * maths::cosine(index as f64 / samples.len() as f64);
    let indices = samples.iter().enumerate();
    indices
        .map(|(index, sample)| f64::from(*sample) * window(index))
        .collect()
}

/// The power of one frequency (Goertzel's algorithm).
fn power(windowed: &[f64], hertz: f64) -> f64 {
    let feedback = 2.0 * maths::cosine(hertz / RATE);
    let (mut last, mut before) = (0.0, 0.0);
    for sample in windowed {
        let next = sample + feedback * last - before;
        (last, before) = (next, last);
    }
    last * last + before * before - feedback * last * before
}

#[test]
fn every_instrument_is_in_tune() {
    for instrument in ALL {
        let tolerance = match instrument.making() {
            Making::Sustained(_) => CHORUS,
            Making::Struck(_) | Making::Plucked(_) => IN_TUNE,
        };
        for pitch in [45, 64, 81] {
            let samples = windowed(&sound(instrument, Strike::Pitch(pitch), HALF));
            let at = |cents: i32| power(&samples, hertz(pitch) * exp2(f64::from(cents) / 1_200.0));
            let powers = (-40..=40).step_by(4).map(|cents| (cents, at(cents)));
            let loudest = powers.max_by(|a, b| a.1.total_cmp(&b.1));
            let cents = loudest.map(|(cents, _)| cents);
            let heard = cents.map_or(i32::MAX, i32::abs);
            assert!(
                heard <= tolerance,
                "{instrument:?} {pitch}: {cents:?} cents"
            );
        }
    }
}

#[test]
fn every_voice_is_heard_and_dies_away() {
    let strikes = ALL
        .into_iter()
        .map(|instrument| (instrument, Strike::Pitch(64)));
    let drums = DRUMS
        .into_iter()
        .map(|drum| (Instrument::Gong, Strike::Drum(drum)));
    let waves = Waves::new();
    for (instrument, strike) in strikes.chain(drums) {
        let mut voice = Voice::new(instrument, strike, 0.8, 3, (100, 4_000));
        let mut peak: f32 = 0.0;
        let mut blocks = 0;
        let mut out = [[0.0; 2]; 512];
        loop {
            out.fill([0.0; 2]);
            let sounds = voice.render(&waves, &mut out);
            let first = if blocks == 0 {
                out[..100].iter().flatten().sum()
            } else {
                0.0
            };
            assert!(first == 0.0, "{instrument:?} {strike:?} came too soon");
            peak = out
                .iter()
                .flatten()
                .fold(peak, |peak, sample| peak.max(sample.abs()));
            blocks += 1;
            if !sounds {
                break;
            }
            assert!(blocks < 1_200, "{instrument:?} {strike:?} never ends");
        }
        assert!(
            (0.05..4.0).contains(&peak),
            "{instrument:?} {strike:?}: {peak}"
        );
    }
}

#[test]
fn a_harder_stroke_is_louder_and_brighter() {
    let play = |velocity| {
        let mut voice = Voice::new(Instrument::Piano, Strike::Pitch(60), velocity, 1, (0, HALF));
        let mut out = vec![[0.0; 2]; HALF];
        voice.render(&Waves::new(), &mut out);
        let left: Vec<f32> = out.iter().map(|frame| frame[0]).collect();
        let samples = windowed(&left);
        let (low, high) = (
            power(&samples, hertz(60)),
            power(&samples, 4.01 * hertz(60)),
        );
        (low, high / low)
    };
    let (soft, hard) = (play(0.3), play(0.9));
    assert!(
        hard.0 > soft.0 * 4.0 && hard.1 > soft.1 * 2.0,
        "{soft:?} {hard:?}"
    );
}
