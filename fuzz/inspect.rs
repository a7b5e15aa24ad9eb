//! Everything that parses media, fed with what the fuzzer makes up: the signatures, every reader, the recipes in files.
//! Nothing may panic, hang, or take more memory than the bounds allow.
#![no_main]

use std::ops::ControlFlow;
use std::time::Duration;

use codec::{Bounds, Format, Kind, Stop, bare, location, picture, provenance, sniff, sound, video};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let _ = provenance::read(content);
    let Some(format) = sniff(content) else {
        return;
    };
    // Small, so that each run is quick.
    let bounds = Bounds {
        max_pixels: 1 << 16,
        max_frames: 100,
        max_length: Duration::from_secs(20),
        stop: Stop::default(),
    };
    match format.kind() {
        Kind::Image => {
            let _ = picture::decode_telling(content, format, bounds.max_pixels);
            if let Ok(picture) = picture::decode(content, format, bounds.max_pixels) {
                assert!(u64::from(picture.width()) * u64::from(picture.height()) <= bounds.max_pixels);
            }
        }
        Kind::Video => watch(content, format, &bounds),
        Kind::Audio => {
            if let Ok(track) = sound::measure(content, format, &bounds) {
                assert!(track.duration() <= bounds.max_length);
            }
            if let Ok(sound) = sound::read(content, format, 0, &bounds) {
                assert_eq!(sound.samples.len() % usize::from(sound.channels), 0);
            }
        }
    }
    if let Some(without) = location::without(content, format) {
        assert_ne!(without, content);
    }
    if let Some(end) = codec::without_clip(content, format) {
        assert!(end < content.len());
    }
    if let Ok(with) = provenance::embed(content, format, r#"{"made":"up"}"#) {
        assert!(provenance::read(&with).is_some());
    }
    if let Ok(cuts) = bare::cuts(content, format) {
        assert!(bare::apply(content, &cuts).is_some());
    }
});

fn watch(content: &[u8], format: Format, bounds: &Bounds) {
    let Ok(facts) = video::facts(content, format, bounds) else {
        return;
    };
    assert!(facts.duration <= bounds.max_length && facts.frames <= bounds.max_frames);
    let times = [10, 50].map(|place| facts.duration * place / 100);
    let mut stills = 0;
    let _ = video::stills(content, format, bounds, &times, &mut |_| stills += 1);
    assert!(stills <= times.len());
    let mut frames = 0;
    let _ = video::frames(content, format, bounds, &mut |_| {
        frames += 1;
        Ok(ControlFlow::Continue(()))
    });
    assert!(frames <= bounds.max_frames);
}
