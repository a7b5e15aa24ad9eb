//! Everything that parses media, fed with what the fuzzer makes up: the signatures, every reader, the recipes in files.
//! Nothing may panic, hang, or take more memory than the bounds allow.
//!
//! The readers are a layer of their own that needs next to nothing of the others, so it is compiled here by itself: with
//! the whole crate, the fuzzer's instruments would go into a database and a web server too.
#![no_main]
#![allow(dead_code, reason = "what writes files is not fuzzed")]

use std::ops::ControlFlow;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;

use codec::{Bounds, Stop, picture, provenance, sniff, sound, video};
use entity::MediaType;

#[path = "../src/codec/mod.rs"]
mod codec;

#[path = "../src/domain/format.rs"]
mod format;

/// What the readers know of the domain.
mod domain {
    pub use crate::format::Format;

    pub type JsonMap = serde_json::Map<String, serde_json::Value>;
}

mod entity {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum MediaType {
        Image,
        Video,
        Audio,
    }
}

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
    match format.media_type() {
        MediaType::Image => {
            if let Ok(picture) = picture::decode(content, format, bounds.max_pixels) {
                assert!(u64::from(picture.width()) * u64::from(picture.height()) <= bounds.max_pixels);
            }
        }
        MediaType::Video => watch(content, format, &bounds),
        MediaType::Audio => {
            if let Ok(track) = sound::measure(content, format, &bounds) {
                assert!(track.duration() <= bounds.max_length);
            }
            if let Ok(sound) = sound::read(content, format, &bounds) {
                assert_eq!(sound.samples.len() % usize::from(sound.channels), 0);
            }
        }
    }
    if let Ok(with) = provenance::embed(content, format, r#"{"made":"up"}"#) {
        assert!(provenance::read(&with).is_some());
    }
});

fn watch(content: &[u8], format: domain::Format, bounds: &Bounds) {
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
