//! Loudness as ITU-R BS.1770-4 measures it, and what brings a sound to it.

use std::collections::VecDeque;

use ebur128::{EbuR128, Mode};

use super::Sound;
use crate::CodecError;

/// Samples by which the limiter sees ahead: 2 ms of most sounds.
const AHEAD: usize = 96;
/// The share of the way to its target that the limiter's gain goes in each sample, down and up again.
const ATTACK: f32 = 0.06;
const RELEASE: f32 = 0.000_15;
/// Half of the least difference of loudness that anybody hears, in LU.
const CLOSE: f64 = 0.25;
/// How often loudness is measured again: what a limiter takes away has to be made up for.
const ROUNDS: usize = 4;
/// Below this a sample is silence: -54 dB of full scale.
const SILENCE: u16 = 65;

/// How loud a sound is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS; minus infinity for silence, and for less than 0.4 seconds.
    pub integrated: f64,
    /// The highest peak between the samples of any channel, in dB of full scale (dBTP).
    pub true_peak: f64,
}

impl Sound {
    /// How loud it is.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] for a sample rate or a number of channels that has no measure.
    pub fn loudness(&self) -> Result<Loudness, CodecError> {
        let unmeasured = |error: ebur128::Error| CodecError::Unsupported(error.to_string());
        let channels = u32::from(self.channels);
        let mode = Mode::I | Mode::TRUE_PEAK;
        let mut meter = EbuR128::new(channels, self.sample_rate, mode).map_err(unmeasured)?;
        meter.add_frames_i16(&self.samples).map_err(unmeasured)?;
        let mut peak = 0.0_f64;
        for channel in 0..channels {
            peak = peak.max(meter.true_peak(channel).map_err(unmeasured)?);
        }
        Ok(Loudness {
            integrated: meter.loudness_global().map_err(unmeasured)?,
            true_peak: 20.0 * peak.log10(),
        })
    }

    /// Brings it to an integrated loudness (LUFS) without peaks above a ceiling (dBTP). Silence stays as it is.
    ///
    /// # Errors
    /// Those of [`Sound::loudness`].
    pub fn normalise(&mut self, integrated: f64, ceiling: f64) -> Result<(), CodecError> {
        for _ in 0..ROUNDS {
            let missing = integrated - self.loudness()?.integrated;
            if !missing.is_finite() || missing.abs() < CLOSE {
                break;
            }
            self.amplify(missing, ceiling);
        }
        self.limit(ceiling)
    }

    /// Takes peaks above a ceiling (dBTP) down to it, and leaves what is softer alone.
    ///
    /// # Errors
    /// Those of [`Sound::loudness`].
    pub fn limit(&mut self, ceiling: f64) -> Result<(), CodecError> {
        let mut aim = ceiling;
        for _ in 0..ROUNDS {
            let over = self.loudness()?.true_peak - ceiling;
            if over <= 0.0 {
                break;
            }
            // What lies between samples rises above those that are limited.
            aim -= over + 0.05;
            self.amplify(0.0, aim.max(ceiling - 6.0));
        }
        Ok(())
    }

    /// Makes it louder by so many dB, with no sample above a ceiling in dB of full scale.
    fn amplify(&mut self, decibels: f64, ceiling: f64) {
        let linear = |decibels: f64| 10_f64.powf(decibels / 20.0) as f32;
        let (gain, ceiling) = (linear(decibels), linear(ceiling) * 32_768.0);
        let channels = usize::from(self.channels.max(1));
        let frames = self.samples.len() / channels;
        let allowed = |samples: &[i16], frame: usize| {
            let own = &samples[frame * channels..][..channels];
            let peak = own.iter().map(|sample| sample.unsigned_abs()).max();
            let peak = f32::from(peak.unwrap_or(0)) * gain;
            ceiling / peak.max(ceiling)
        };
        // The least gain that the frames ahead allow, each with its place, rising.
        let mut ahead: VecDeque<(usize, f32)> = VecDeque::with_capacity(AHEAD);
        let (mut seen, mut level) = (0, 1.0_f32);
        for frame in 0..frames {
            while seen < frames.min(frame + AHEAD) {
                let own = allowed(&self.samples, seen);
                while ahead.back().is_some_and(|(_, least)| *least >= own) {
                    ahead.pop_back();
                }
                ahead.push_back((seen, own));
                seen += 1;
            }
            while ahead.front().is_some_and(|(at, _)| *at < frame) {
                ahead.pop_front();
            }
            let wanted = ahead.front().map_or(1.0, |(_, least)| *least);
            let turn = if wanted < level { ATTACK } else { RELEASE };
            level += (wanted - level) * turn;
            let used = level.min(allowed(&self.samples, frame)) * gain;
            for sample in &mut self.samples[frame * channels..][..channels] {
                *sample = (f32::from(*sample) * used).round() as i16;
            }
        }
    }

    /// Cuts silence off its end, but for so many seconds. A sound that is silent throughout stays as it is.
    pub fn trim_end(&mut self, kept: f64) {
        let channels = usize::from(self.channels.max(1));
        let is_heard = |sample: &i16| sample.unsigned_abs() > SILENCE;
        let Some(last) = self.samples.iter().rposition(is_heard) else {
            return;
        };
        let kept = (kept * f64::from(self.sample_rate)) as usize;
        let frames = last / channels + 1 + kept;
        self.samples.truncate(frames * channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 44_100;

    /// A tone whose level is that of full scale times each of these for a second, on two channels.
    fn tone(levels: &[f32]) -> Sound {
        let seconds = levels.iter().flat_map(|level| {
            (0..RATE).flat_map(move |at| {
                let wave = (at as f32 * std::f32::consts::TAU * 997.0 / RATE as f32).sin();
                [(wave * level * 32_767.0) as i16; 2]
            })
        });
        Sound {
            sample_rate: RATE,
            channels: 2,
            samples: seconds.collect(),
        }
    }

    #[test]
    fn a_full_tone_on_both_channels_has_the_loudness_of_the_standard() {
        // BS.1770: a sine of 997 Hz at full scale on one channel has -3.01 LUFS, on two 3 more.
        let loudness = tone(&[1.0, 1.0]).loudness().expect("measured");
        assert!(loudness.integrated.abs() < 0.1, "{loudness:?}");
        assert!(loudness.true_peak.abs() < 0.1, "{loudness:?}");
    }

    #[test]
    fn soft_and_loud_sounds_come_to_the_same_loudness_below_the_ceiling() {
        for levels in [[0.01, 0.02, 0.01], [1.0, 0.9, 1.0], [0.05, 0.9, 0.05]] {
            let mut sound = tone(&levels);
            sound.normalise(-16.0, -1.0).expect("measured");
            let loudness = sound.loudness().expect("measured");
            assert!(
                (loudness.integrated + 16.0).abs() < 0.5,
                "{levels:?}: {loudness:?}"
            );
            assert!(loudness.true_peak <= -1.0, "{levels:?}: {loudness:?}");
        }
    }

    #[test]
    fn a_limit_takes_peaks_down_and_leaves_the_rest_alone() {
        let mut loud = tone(&[0.2, 1.0, 0.2]);
        let soft = loud.samples[..20_000].to_vec();
        loud.limit(-1.0).expect("measured");
        assert!(loud.loudness().expect("measured").true_peak <= -1.0);
        assert_eq!(loud.samples[..20_000], soft);
    }

    #[test]
    fn silence_at_the_end_is_cut_and_silence_alone_is_kept() {
        let mut sound = tone(&[0.5]);
        sound.samples.extend([7; 80_000]);
        sound.trim_end(0.05);
        let seconds = sound.samples.len() as f64 / 2.0 / f64::from(RATE);
        assert!((1.04..1.06).contains(&seconds), "{seconds}");
        let mut silent = tone(&[0.0]);
        silent.trim_end(0.05);
        silent.normalise(-16.0, -1.0).expect("measured");
        assert_eq!(silent, tone(&[0.0]));
    }
}
