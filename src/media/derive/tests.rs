//! Derived files are decoded again, to see that they show what the original shows.

use std::io::Cursor;
use std::ops::ControlFlow;

use codec::sound::{self, Sound};
use codec::{Stop, video};
use hound::{SampleFormat, WavSpec, WavWriter};
use image::{Rgb, RgbImage};

use super::*;
use crate::media::inspect_with_still;

const AMPLE: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1_000_000,
    max_frames: 1_000,
    max_length: AMPLE,
    max_duration: AMPLE,
};

async fn original(content: impl Into<Bytes>) -> Original {
    let content = content.into();
    let (inspected, still) = inspect_with_still(content.clone(), &LIMITS).await.unwrap();
    Original::new(content, &inspected, still, LIMITS, AMPLE)
}

async fn derived(content: impl Into<Bytes>, derivation: Derivation) -> (Bytes, Facts) {
    let made = original(content)
        .await
        .derive(derivation, AMPLE)
        .await
        .unwrap();
    let (inspected, _) = inspect_with_still(made.clone(), &LIMITS).await.unwrap();
    assert_eq!(inspected.undecoded, None);
    (made, inspected.facts)
}

/// The colour of frame `index` of a [`video`].
fn shade(index: u32) -> u8 {
    40 + (index * 10 % 200) as u8
}

/// A video whose frames get brighter one by one.
fn video(format: Format, size: (u32, u32), rate: u32, frames: u32) -> Bytes {
    let mut writer = video::writer(format, size, rate).unwrap();
    for index in 0..frames {
        let frame = RgbImage::from_fn(size.0, size.1, |x, _| {
            Rgb([shade(index), 90, if x < size.0 / 2 { 20 } else { 200 }])
        });
        writer.push(&frame).unwrap();
    }
    writer.finish().unwrap()
}

/// When each frame is shown, in milliseconds, and its shade.
fn frames(content: &[u8], format: Format) -> Vec<(u128, u8)> {
    let mut seen = Vec::new();
    let bounds = LIMITS.bounds(Stop::default());
    video::frames(content, format, &bounds, &mut |frame| {
        let (x, y) = (frame.picture.width() / 4, frame.picture.height() / 2);
        seen.push((frame.time.as_millis(), frame.picture.get_pixel(x, y).0[0]));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    seen
}

/// A tone of half a second.
fn tone(channels: u16) -> Sound {
    let samples =
        (0..4_000_i32).flat_map(|at| (0..channels).map(move |_| (at % 100 * 200 - 10_000) as i16));
    Sound {
        sample_rate: 8_000,
        channels,
        samples: samples.collect(),
    }
}

#[tokio::test]
async fn a_video_keeps_its_size_its_length_and_its_frames_in_the_other_format() {
    for (from, to, rate) in [
        (Format::Mp4, Format::Gif, 20.0),
        (Format::Gif, Format::Mp4, 20.0),
    ] {
        let (content, facts) = derived(video(from, (96, 64), 20, 30), Derivation::Format(to)).await;
        assert_eq!((facts.format, facts.size), (to, Some((96, 64))));
        assert_eq!(facts.duration, Some(Duration::from_millis(1_500)), "{to}");
        assert_eq!(facts.frame_rate.map(f64::round), Some(rate), "{to}");
        let seen = frames(&content, to);
        assert_eq!(seen.len(), 30);
        for (index, (time, red)) in seen.into_iter().enumerate() {
            assert_eq!(time, index as u128 * 50, "{to}");
            let expected = shade(index as u32);
            assert!(
                red.abs_diff(expected) <= 12,
                "{to}, frame {index}: {red}, not {expected}"
            );
        }
    }
}

#[tokio::test]
async fn frames_that_come_unevenly_are_shown_as_long_as_before() {
    // Delays in 1/100 s.
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, 64, 64, &[0, 0, 0, 255, 255, 255]).unwrap();
    for (colour, delay) in [(0, 8), (1, 40), (0, 8)] {
        encoder
            .write_frame(&gif::Frame {
                delay,
                width: 64,
                height: 64,
                buffer: vec![colour; 64 * 64].into(),
                ..gif::Frame::default()
            })
            .unwrap();
    }
    drop(encoder);
    let (content, facts) = derived(file, Derivation::Format(Format::Mp4)).await;
    assert_eq!(facts.duration, Some(Duration::from_millis(560)));
    let seen = frames(&content, Format::Mp4).into_iter();
    let bright = seen.filter(|(_, red)| *red > 128);
    let bright: Vec<_> = bright.map(|(time, _)| time).collect();
    assert_eq!((bright[0], bright.last()), (80, Some(&460)));
}

#[tokio::test]
async fn a_preview_is_the_small_slow_beginning() {
    for from in [Format::Mp4, Format::Gif] {
        let (_, facts) = derived(video(from, (400, 48), 15, 60), Derivation::Preview).await;
        assert_eq!(
            (facts.format, facts.size),
            (Format::Gif, Some((320, 38))),
            "{from}"
        );
        assert_eq!(facts.duration, Some(Duration::from_secs(3)));
        assert_eq!(facts.frame_rate, Some(10.0));
        let (content, facts) = derived(video(from, (64, 48), 10, 7), Derivation::Preview).await;
        assert_eq!(
            (facts.size, facts.duration),
            (Some((64, 48)), Some(Duration::from_millis(700)))
        );
        assert_eq!(frames(&content, Format::Gif).len(), 7, "{from}");
    }
}

#[tokio::test]
async fn a_video_has_a_poster_of_its_size_and_thumbnails_of_it() {
    let content = video(Format::Mp4, (96, 64), 10, 10);
    let (_, poster) = derived(content.clone(), Derivation::Poster).await;
    assert_eq!((poster.format, poster.size), (Format::Jpg, Some((96, 64))));
    let (_, thumbnail) = derived(content, Derivation::Thumbnail(48)).await;
    assert_eq!(
        (thumbnail.format, thumbnail.size),
        (Format::Jpg, Some((48, 32)))
    );
}

#[tokio::test]
async fn a_sound_has_the_same_samples_in_the_other_format() {
    let bounds = LIMITS.bounds(Stop::default());
    for (channels, from, to) in [
        (1, Format::Wav, Format::Flac),
        (2, Format::Flac, Format::Wav),
    ] {
        let sound = tone(channels);
        let content = sound::encode(&sound, from).unwrap();
        let (made, facts) = derived(content, Derivation::Format(to)).await;
        assert_eq!(facts.format, to);
        assert_eq!(sound::read(&made, to, 0, &bounds).unwrap(), sound);
    }
}

#[tokio::test]
async fn a_sound_is_seen_by_its_waveform() {
    let content = sound::encode(&tone(1), Format::Wav).unwrap();
    let (_, poster) = derived(content.clone(), Derivation::Poster).await;
    assert_eq!(
        (poster.format, poster.size),
        (Format::Png, Some((1_280, 320)))
    );
    let (_, thumbnail) = derived(content, Derivation::Thumbnail(64)).await;
    assert_eq!(
        (thumbnail.format, thumbnail.size),
        (Format::Jpg, Some((64, 16)))
    );
}

#[tokio::test]
async fn what_cannot_be_made_is_said() {
    let mut file = Cursor::new(Vec::new());
    let surround = WavSpec {
        channels: 3,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::new(&mut file, surround).unwrap();
    (0..3_000).for_each(|sample| writer.write_sample(sample as i16).unwrap());
    writer.finalize().unwrap();
    let surround = original(file.into_inner()).await;
    let error = surround
        .derive(Derivation::Format(Format::Flac), AMPLE)
        .await
        .unwrap_err();
    assert!(matches!(error, DeriveError::Unsupported(_)), "{error}");
    let error = surround
        .derive(Derivation::Preview, AMPLE)
        .await
        .unwrap_err();
    assert!(matches!(error, DeriveError::Unsupported(_)), "{error}");

    let mut narrow = original(sound::encode(&tone(1), Format::Flac).unwrap()).await;
    narrow.limits.max_bytes = 7_999;
    let error = narrow
        .derive(Derivation::Format(Format::Wav), AMPLE)
        .await
        .unwrap_err();
    assert_eq!(error, DeriveError::TooLarge);

    let mut narrow = original(video(Format::Mp4, (64, 64), 20, 10)).await;
    narrow.limits.max_bytes = 500;
    let error = narrow
        .derive(Derivation::Format(Format::Gif), AMPLE)
        .await
        .unwrap_err();
    assert_eq!(error, DeriveError::TooLarge);
}

#[tokio::test]
async fn a_conversion_ends_when_its_time_is_up() {
    // Long enough to outlast the shortest wait that a timer can tell.
    let content = video(Format::Gif, (128, 128), 10, 100);
    let mut hurried = original(content).await;
    let gif = Derivation::Format(Format::Mp4);
    assert_eq!(
        hurried.derive(gif, Duration::ZERO).await,
        Err(DeriveError::TimedOut)
    );
    hurried.conversion_time = Duration::from_nanos(1);
    let error = hurried.derive(gif, AMPLE).await.unwrap_err();
    assert!(
        matches!(error, DeriveError::TimedOut | DeriveError::Busy),
        "{error}"
    );
    hurried.conversion_time = AMPLE;
    assert!(hurried.derive(gif, AMPLE).await.is_ok());
}
