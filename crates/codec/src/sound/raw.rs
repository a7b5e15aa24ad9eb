//! Raw samples at a rate of one's own, for those who play them as they come.

use std::f64::consts::PI;

use bytes::Bytes;

use crate::{Bounds, CodecError, Format};

use super::{Block, decode};

/// How far the filter reaches to each side, in samples of the lower of the two rates.
const REACH: usize = 24;
/// Values of the filter for each of these samples; those between are interpolated.
const FINENESS: usize = 512;
/// How much of the lower rate's band is kept: a filter that ends at a sharp edge would ring.
const KEPT: f64 = 0.95;

/// Decodes a whole file of sound to 16-bit samples of one channel, little-endian and without a header, at this many a second.
///
/// # Errors
///
/// As [`decode`].
pub fn raw(
    content: &[u8],
    format: Format,
    sample_rate: u32,
    bounds: &Bounds,
) -> Result<Bytes, CodecError> {
    let mut resampler: Option<Resampler> = None;
    decode(content, format, bounds, &mut |block| {
        let resampler =
            resampler.get_or_insert_with(|| Resampler::new(block.sample_rate, sample_rate));
        resampler.push(&block);
        Ok(())
    })?;
    Ok(resampler.map(Resampler::finish).unwrap_or_default())
}

/// Brings samples from one rate to another, block after block, by a windowed sinc.
struct Resampler {
    from: u64,
    to: u64,
    /// The filter's values from its middle to its end.
    filter: Vec<f32>,
    /// Values of the filter for each sample that comes.
    step: f64,
    /// Samples that the filter reaches to each side.
    half: u64,
    /// What is still needed of the samples that came, behind as much silence as the filter reaches to.
    window: Vec<f32>,
    /// How many came before those, the silence included.
    dropped: u64,
    came: u64,
    made: u64,
    file: Vec<u8>,
}

impl Resampler {
    fn new(from: u32, to: u32) -> Self {
        // Where samples are told at a lower rate, what is too high for it would come back as something else.
        let band = KEPT * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (REACH as f64 / band).ceil();
        Self {
            from: from.into(),
            to: to.into(),
            filter: filter(band),
            step: FINENESS as f64 * band,
            half: half as u64,
            window: vec![0.0; half as usize],
            dropped: 0,
            came: 0,
            made: 0,
            file: Vec::new(),
        }
    }

    fn push(&mut self, block: &Block<'_>) {
        let channels = usize::from(block.channels.max(1));
        let mixed =
            |frame: &[i16]| frame.iter().map(|it| f32::from(*it)).sum::<f32>() / frame.len() as f32;
        let frames = block.samples.chunks_exact(channels).map(mixed);
        let before = self.window.len();
        self.window.extend(frames);
        self.came += (self.window.len() - before) as u64;
        self.make(u64::MAX);
    }

    /// The rest, which ends in silence.
    fn finish(mut self) -> Bytes {
        let all = (u128::from(self.came) * u128::from(self.to)).div_ceil(self.from.into());
        let silence = self.window.len() + 2 * self.half as usize;
        self.window.resize(silence, 0.0);
        self.make(u64::try_from(all).unwrap_or(u64::MAX));
        self.file.into()
    }

    /// Makes what the samples in the window are enough for, and forgets those that nothing needs any more.
    fn make(&mut self, most: u64) {
        while self.made < most {
            let place = u128::from(self.made) * u128::from(self.from);
            let whole = (place / u128::from(self.to)) as u64;
            let part = (place % u128::from(self.to)) as f64 / self.to as f64;
            let first = (whole - self.dropped) as usize;
            let reached = first + 2 * self.half as usize + 1;
            let Some(heard) = self.window.get(first..reached) else {
                // At once for a block, since what stays is moved.
                self.window.drain(..first.min(self.window.len()));
                self.dropped = whole;
                return;
            };
            let sample = match self.from == self.to {
                true => heard[self.half as usize],
                false => self.filtered(heard, part),
            };
            let sample = sample.round() as i16;
            self.file.extend_from_slice(&sample.to_le_bytes());
            self.made += 1;
        }
    }

    /// The sound between two samples, the first of which is in the middle of those that are heard.
    fn filtered(&self, heard: &[f32], part: f64) -> f32 {
        let middle = self.half as f64 + part;
        let weighed = heard.iter().enumerate().map(|(index, sample)| {
            let place = (index as f64 - middle).abs() * self.step;
            let (whole, between) = (place as usize, place.fract() as f32);
            let [near, far] =
                [whole, whole + 1].map(|place| self.filter.get(place).copied().unwrap_or_default());
            sample * (near + (far - near) * between)
        });
        weighed.sum()
    }
}

/// A sinc in a Blackman window, so loud that a constant stays what it is.
fn filter(band: f64) -> Vec<f32> {
    let values = (0..=REACH * FINENESS).map(|place| {
        let at = place as f64 / FINENESS as f64;
        let sinc = match place {
            0 => 1.0,
            _ => (PI * at).sin() / (PI * at),
        };
        let turn = PI * at / REACH as f64;
        let window = 0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
        (band * sinc * window) as f32
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 24_000;

    /// What becomes of a tone, block after block.
    fn resampled(frequency: f64, rate: u32, channels: u16) -> Vec<i16> {
        let mut resampler = Resampler::new(rate, RATE);
        let samples: Vec<i16> = tone(frequency, rate)
            .flat_map(|sample| vec![sample as i16; channels.into()])
            .collect();
        for part in samples.chunks(usize::from(channels) * 1_000) {
            resampler.push(&Block {
                channels,
                sample_rate: rate,
                samples: part,
            });
        }
        let file = resampler.finish();
        let samples = file.chunks_exact(2);
        samples
            .map(|it| i16::from_le_bytes([it[0], it[1]]))
            .collect()
    }

    /// A second of it.
    fn tone(frequency: f64, rate: u32) -> impl Iterator<Item = f64> {
        let turn = 2.0 * PI * frequency / f64::from(rate);
        (0..rate).map(move |index| (f64::from(index) * turn).cos() * 20_000.0)
    }

    #[test]
    fn a_tone_is_the_same_at_another_rate() {
        for (rate, channels) in [
            (22_050, 1),
            (44_100, 2),
            (48_000, 2),
            (16_000, 1),
            (24_000, 1),
            (8_001, 1),
        ] {
            for frequency in [0.0, 440.0, 3_000.0] {
                let made = resampled(frequency, rate, channels);
                assert_eq!(made.len(), RATE as usize, "{rate}");
                let expected = tone(frequency, RATE).enumerate().skip(100).take(23_800);
                for (index, expected) in expected {
                    let off = (f64::from(made[index]) - expected).abs();
                    assert!(off < 40.0, "{frequency} at {rate}: {off} at {index}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_high_for_the_rate_is_not_heard() {
        for frequency in [13_000.0, 18_000.0, 22_000.0] {
            let made = resampled(frequency, 48_000, 1);
            let loudest = made[100..23_900].iter().map(|it| it.unsigned_abs()).max();
            assert!(loudest < Some(40), "{frequency}: {loudest:?}");
        }
    }

    #[test]
    fn no_sound_and_a_short_one_have_their_length() {
        let of = |frames: usize, from, to| {
            let mut resampler = Resampler::new(from, to);
            resampler.push(&Block {
                channels: 1,
                sample_rate: from,
                samples: &vec![i16::MAX; frames],
            });
            resampler.finish().len() / 2
        };
        assert_eq!(
            [
                of(0, 44_100, RATE),
                of(1, 24_000, RATE),
                of(3, 48_000, RATE)
            ],
            [0, 1, 2]
        );
        assert_eq!(
            [of(1, 1, RATE), of(768_000, 768_000, RATE)],
            [24_000, 24_000]
        );
    }
}
