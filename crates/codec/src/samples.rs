//! Sample files of tests, made by other programs than ours; bounds to read them in.

#![expect(clippy::unwrap_used, reason = "only tests are built with it")]

use std::process::{Command, Output};
use std::time::Duration;

use super::{Bounds, Stop};

/// Runs a program that the tests need.
///
/// # Panics
///
/// If it is missing or fails.
pub fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed for the tests: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}"
    );
    output
}

/// What FFmpeg makes of these arguments, as a file with this extension.
pub fn ffmpeg(arguments: &str, extension: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("made.{extension}"));
    let mut all = vec!["-v", "error", "-nostdin", "-y"];
    all.extend(arguments.split_whitespace());
    all.push(file.to_str().unwrap());
    run("ffmpeg", &all);
    std::fs::read(file).unwrap()
}

/// Bounds that no sample file comes near.
pub fn ample() -> Bounds {
    Bounds {
        max_pixels: 1 << 24,
        max_frames: 10_000,
        max_length: Duration::from_secs(600),
        stop: Stop::default(),
    }
}
