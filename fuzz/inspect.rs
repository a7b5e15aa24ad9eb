//! Everything that parses media, fed with what the fuzzer makes up: the signatures, every reader, stills and previews.
//! Nothing may panic, hang, or take more memory than the bounds allow.
#![no_main]

use std::ops::ControlFlow;
use std::time::Duration;

use atelier::codec::{Stop, sound, video};
use atelier::media::{Limits, examine};
use libfuzzer_sys::fuzz_target;

/// Small, so that each run is quick.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 16,
    max_frames: 200,
    max_length: Duration::from_secs(20),
    max_duration: Duration::from_secs(5),
};

fuzz_target!(|content: &[u8]| {
    let Ok((inspected, _)) = examine(content, &LIMITS, Stop::default()) else {
        return;
    };
    let (format, bounds) = (inspected.facts.format, LIMITS.bounds(Stop::default()));
    let mut frames = 0;
    let _ = video::frames(content, format, &bounds, &mut |_| {
        frames += 1;
        Ok(ControlFlow::Continue(()))
    });
    assert!(frames <= LIMITS.max_frames);
    if let Ok(sound) = sound::read(content, format, &bounds) {
        assert_eq!(sound.samples.len() % usize::from(sound.channels), 0);
    }
});
