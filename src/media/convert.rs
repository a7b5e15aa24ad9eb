//! Whole files in other formats. Everything here keeps a core busy: call it within
//! [`run_bounded`](super::run_bounded).

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use codec::video::{Frame, VideoWriter};
use codec::{Bounds, CodecError, Format, Stop, picture, sound, video};
use image::RgbImage;

use super::Facts;
use super::derive::DeriveError;

/// Most pixels on the longest side of a preview.
const PREVIEW_SIDE: u32 = 320;
/// Frames a second of a preview.
const PREVIEW_RATE: u32 = 10;
/// Longest playing time of a preview.
const PREVIEW_LENGTH: Duration = Duration::from_secs(3);
/// A video is converted to at least so many frames a second: fewer are often the average of an uneven one.
const LEAST_RATE: u32 = 20;
const MOST_RATE: u32 = 60;
/// Frames a second of a video that comes unevenly: each is 2/100 s long, and a GIF counts in 1/100 s.
const UNEVEN_RATE: u32 = 50;
/// How far from a whole number a frame rate may be to count as one.
const NEARLY: f64 = 0.05;

/// A video in another format, without its sound. It keeps its size and playing time; frames are repeated or left out where
/// they come unevenly. It ends as soon as the file outgrows `max_bytes`.
pub(super) fn video(
    content: &[u8],
    facts: &Facts,
    format: Format,
    max_bytes: u64,
    bounds: &Bounds,
) -> Result<Bytes, DeriveError> {
    let rate = match even_rate(facts.frame_rate) {
        // Equal frames of a GIF are one that lasts, so the average tells little; its delays are whole hundredths.
        rate if facts.format == Format::Gif && 100 % rate != 0 => UNEVEN_RATE,
        rate => rate,
    };
    let size = facts.size.unwrap_or_default();
    let writer = video::writer(format, size, rate)?;
    let mut frames = Resampler::new(writer, rate, u32::MAX, max_bytes, bounds.stop.clone());
    video::frames(content, facts.format, bounds, &mut |frame| {
        frames.push(frame)
    })?;
    frames.finish(facts.duration.unwrap_or_default())
}

/// The beginning of a video as a small GIF.
pub(super) fn preview(
    content: &[u8],
    facts: &Facts,
    max_bytes: u64,
    bounds: &Bounds,
) -> Result<Bytes, DeriveError> {
    let (width, height) = facts.size.unwrap_or_default();
    let size = picture::scaled(width, height, PREVIEW_SIDE);
    let writer = video::writer(Format::Gif, size, PREVIEW_RATE)?;
    let stop = bounds.stop.clone();
    let mut frames = Resampler::new(writer, PREVIEW_RATE, PREVIEW_SIDE, max_bytes, stop);
    video::frames(content, facts.format, bounds, &mut |frame| {
        if frame.time >= PREVIEW_LENGTH {
            return Ok(ControlFlow::Break(()));
        }
        frames.push(frame)
    })?;
    frames.finish(facts.duration.unwrap_or_default().min(PREVIEW_LENGTH))
}

/// A sound in another format, with 16 bits a sample.
pub(super) fn sound(
    content: &[u8],
    facts: &Facts,
    format: Format,
    max_bytes: u64,
    bounds: &Bounds,
) -> Result<Bytes, DeriveError> {
    let samples = facts.sound.as_ref().map_or(0, |sound| {
        let rate = f64::from(sound.sample_rate) * f64::from(sound.channels);
        (rate * facts.duration.unwrap_or_default().as_secs_f64()).round() as usize
    });
    // All samples are held at once, so what would be too large as a WAV is not begun.
    if samples.saturating_mul(size_of::<i16>()) as u64 > max_bytes {
        return Err(DeriveError::TooLarge);
    }
    let decoded = sound::read(content, facts.format, samples, bounds)?;
    Ok(sound::encode(&decoded, format)?)
}

/// A whole number of frames a second at which each frame of an even video begins on time: the frame rate itself or a
/// multiple of it.
fn even_rate(frame_rate: Option<f64>) -> u32 {
    let rate = frame_rate.unwrap_or_default();
    let multiples = (1..=LEAST_RATE).map(|factor| rate * f64::from(factor));
    let even = multiples
        .filter(|rate| (rate - rate.round()).abs() < NEARLY)
        .map(|rate| rate.round() as u32)
        .find(|rate| (LEAST_RATE..=MOST_RATE).contains(rate));
    even.unwrap_or(match rate.round() as u32 {
        0..LEAST_RATE => UNEVEN_RATE,
        fluent => fluent.min(MOST_RATE),
    })
}

/// Writes frames that come at any times at an even rate: each is shown until the next one's time.
struct Resampler {
    writer: Box<dyn VideoWriter>,
    rate: u32,
    /// Most pixels on the longest side.
    side: u32,
    /// Most bytes of the file.
    max_bytes: u64,
    /// Asked before each frame: one that is shown for minutes is many.
    stop: Stop,
    written: u64,
    last: Option<RgbImage>,
}

impl Resampler {
    fn new(writer: Box<dyn VideoWriter>, rate: u32, side: u32, max_bytes: u64, stop: Stop) -> Self {
        Self {
            writer,
            rate,
            side,
            max_bytes,
            stop,
            written: 0,
            last: None,
        }
    }

    /// Takes the next frame, unless the file is too large already.
    fn push(&mut self, frame: Frame) -> Result<ControlFlow<()>, CodecError> {
        self.fill(beginning_before(frame.time, self.rate))?;
        self.last = Some(frame.picture);
        Ok(match self.is_too_large() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    fn is_too_large(&self) -> bool {
        self.writer.written() > self.max_bytes
    }

    /// Repeats the last frame until there are `frames`; before the first one there is nothing to repeat.
    fn fill(&mut self, frames: u64) -> Result<(), CodecError> {
        let Some(last) = self.last.take_if(|_| self.written < frames) else {
            return Ok(());
        };
        let shown = match last.width().max(last.height()) > self.side {
            true => picture::shrink(Cow::Owned(last), self.side),
            false => last,
        };
        while self.written < frames && !self.is_too_large() {
            self.stop.check()?;
            self.writer.push(&shown)?;
            self.written += 1;
        }
        self.last = Some(shown);
        Ok(())
    }

    /// The whole file; the last frame is shown until `end`.
    fn finish(mut self, end: Duration) -> Result<Bytes, DeriveError> {
        let frames = (end.as_secs_f64() * f64::from(self.rate)).round() as u64;
        self.fill(frames.max(1))?;
        if self.is_too_large() {
            return Err(DeriveError::TooLarge);
        }
        Ok(self.writer.finish()?)
    }
}

/// How many frames of an even rate begin before `time`. One that begins a hundredth of its length or less before counts as
/// beginning then: times are rounded.
fn beginning_before(time: Duration, rate: u32) -> u64 {
    const FRAME: u128 = 1_000_000_000;
    let parts = (time.as_nanos() * u128::from(rate)).saturating_sub(FRAME / 100);
    u64::try_from(parts.div_ceil(FRAME)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use image::Rgb;

    use super::*;

    /// Notes the first channel of each frame.
    struct Notes(Arc<Mutex<Vec<u8>>>);

    impl VideoWriter for Notes {
        fn push(&mut self, frame: &RgbImage) -> Result<(), CodecError> {
            self.0.lock().unwrap().push(frame.get_pixel(0, 0).0[0]);
            Ok(())
        }

        fn written(&self) -> u64 {
            0
        }

        fn finish(self: Box<Self>) -> Result<Bytes, CodecError> {
            Ok(Bytes::new())
        }
    }

    /// What a row of frames that begin at these milliseconds becomes.
    fn resampled(begins: &[u64], end: u64, rate: u32) -> Vec<u8> {
        let notes = Arc::default();
        let writer = Box::new(Notes(Arc::clone(&notes)));
        let mut frames = Resampler::new(writer, rate, 4, u64::MAX, Stop::default());
        for (index, time) in begins.iter().enumerate() {
            let picture = RgbImage::from_pixel(8, 8, Rgb([index as u8; 3]));
            let time = Duration::from_millis(*time);
            assert!(frames.push(Frame { time, picture }).unwrap().is_continue());
        }
        frames.finish(Duration::from_millis(end)).unwrap();
        notes.lock().unwrap().clone()
    }

    #[test]
    fn each_frame_is_shown_until_the_next_one() {
        assert_eq!(resampled(&[0, 100, 200], 300, 10), [0, 1, 2]);
        assert_eq!(resampled(&[0, 100, 200], 300, 20), [0, 0, 1, 1, 2, 2]);
        assert_eq!(resampled(&[0, 50, 100, 150], 200, 10), [0, 2]);
        assert_eq!(resampled(&[0, 100, 400], 500, 10), [0, 1, 1, 1, 2]);
        assert_eq!(resampled(&[0], 0, 10), [0], "a still");
        assert_eq!(
            resampled(&[40, 100], 200, 10),
            [0, 1],
            "the first frame comes late"
        );
    }

    #[test]
    fn a_frame_that_is_shown_for_ever_ends_when_it_is_asked_to_or_fills_the_file() {
        let picture = || RgbImage::new(16, 16);
        let frames = |max_bytes, stop: &Stop| {
            let writer = video::writer(Format::Mp4, (16, 16), 50).unwrap();
            let mut frames = Resampler::new(writer, 50, u32::MAX, max_bytes, stop.clone());
            let time = Duration::ZERO;
            frames
                .push(Frame {
                    time,
                    picture: picture(),
                })
                .map(|_| frames)
        };
        let stop = Stop::default();
        let endless = Duration::from_secs(100 * 365 * 86_400);
        let full = frames(1_000, &stop).unwrap().finish(endless);
        assert_eq!(full, Err(DeriveError::TooLarge));
        let stopped = frames(u64::MAX, &stop).unwrap();
        stop.set();
        assert_eq!(stopped.finish(endless), Err(DeriveError::TimedOut));
    }

    #[test]
    fn rounded_times_neither_add_nor_lose_a_frame() {
        for rate in [24, 25, 30, 60] {
            let nanos = |frame: u64| {
                Duration::from_nanos((frame * 1_000_000_000).div_ceil(u64::from(rate)))
            };
            for frame in 0..1_000 {
                assert_eq!(beginning_before(nanos(frame), rate), frame);
                let early = nanos(frame).saturating_sub(Duration::from_nanos(2));
                assert_eq!(beginning_before(early, rate), frame);
            }
        }
    }

    #[test]
    fn a_rate_is_kept_or_multiplied_until_it_is_whole_and_fluent() {
        for (rate, even) in [
            (30.0, 30),
            (23.976, 24),
            (12.5, 25),
            (10.0, 20),
            (100.0 / 6.0, 50),
            (100.0 / 3.0, 33),
            (1.337, 50),
            (59.94, 60),
            (240.0, 60),
            (0.0, 50),
        ] {
            assert_eq!(even_rate(Some(rate)), even, "{rate}");
        }
        assert_eq!(even_rate(None), UNEVEN_RATE);
    }
}
