//! Files that were damaged on purpose, many of each kind, always the same: whatever is wrong with one, reading it ends soon
//! with facts or with a reason. scripts/fuzz looks further.

use std::time::Duration;

use atelier::media::{InspectError, Limits, inspect};
use codec::samples::ffmpeg;

/// Damaged copies of each sample.
const COPIES: u64 = 30;

const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 16,
    max_frames: 200,
    max_length: Duration::from_secs(20),
    max_duration: Duration::from_secs(30),
};

const BARS: &str = "-f lavfi -i testsrc=size=48x32:rate=5:duration=1";
const TONE: &str = "-f lavfi -i sine=duration=0.2:sample_rate=8000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_are_read_or_refused_but_never_break_the_reader() {
    let mut read = 0;
    for (name, sample) in samples() {
        let whole = inspect(sample.clone().into(), &LIMITS).await;
        assert!(whole.is_ok(), "{name}: {whole:?}");
        for seed in 0..COPIES {
            let mut dice = Dice(seed);
            let damaged = damage(sample.clone(), &mut dice);
            match inspect(damaged.into(), &LIMITS).await {
                Ok(inspected) => {
                    read += 1;
                    assert!(
                        inspected
                            .facts
                            .duration
                            .is_none_or(|length| length <= LIMITS.max_length)
                    );
                    let (width, height) = inspected.facts.size.unwrap_or((0, 0));
                    assert!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels);
                }
                Err(InspectError::TimedOut | InspectError::Busy) => panic!("{name} {seed} hangs"),
                Err(InspectError::Corrupt(why)) if why.contains("panicked") => {
                    panic!("{name} {seed}: {why}");
                }
                Err(_) => {}
            }
        }
    }
    assert!(
        read > 50,
        "nearly everything is refused at once, so little is tried: {read}"
    );
}

/// A small file of each kind, made by FFmpeg.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let made = |(name, arguments): (&'static str, String)| {
        let (_, extension) = name.split_once('.').unwrap();
        (name, ffmpeg(&arguments, extension))
    };
    let one = format!("{BARS} -frames:v 1");
    let samples = [
        ("picture.png", one.clone()),
        ("picture.jpg", one.clone()),
        ("picture.webp", one),
        ("animated.gif", BARS.to_owned()),
        (
            "plain.mp4",
            format!("{BARS} {TONE} -c:v libx264 -bf 2 -c:a aac"),
        ),
        (
            "parts.mp4",
            format!("{BARS} -c:v libx264 -g 2 -movflags frag_keyframe+empty_moov"),
        ),
        (
            "plain.webm",
            format!("{BARS} {TONE} -c:v libvpx -c:a libopus"),
        ),
        ("tone.wav", TONE.to_owned()),
        ("tone.flac", TONE.to_owned()),
        ("tone.mp3", TONE.to_owned()),
        ("vorbis.ogg", format!("{TONE} -c:a libvorbis")),
        ("opus.ogg", format!("{TONE} -c:a libopus")),
        ("speex.ogg", format!("{TONE} -c:a libspeex")),
        ("sound.webm", format!("{TONE} -c:a libopus")),
        ("tone.m4a", format!("{TONE} -c:a aac")),
        ("lossless.m4a", format!("{TONE} -c:a alac")),
        ("opus.mp4", format!("{TONE} -c:a libopus")),
        ("long.wav", format!("{TONE} -rf64 always")),
    ];
    samples.into_iter().map(made).collect()
}

/// Breaks a file in one to four ways.
fn damage(mut content: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(4) {
        if content.len() < 32 {
            break;
        }
        // Half of the time in the head, where the structure is.
        let reach = if dice.below(2) == 0 {
            content.len().min(512)
        } else {
            content.len()
        };
        let at = dice.below(reach - 8);
        match dice.below(6) {
            0 => content.truncate(at.max(16)),
            1 => content[at] ^= 1 << dice.below(8),
            2 => {
                const LIES: [u32; 6] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x0001_0000];
                let lie = LIES[dice.below(LIES.len())];
                let bytes = if dice.below(2) == 0 {
                    lie.to_be_bytes()
                } else {
                    lie.to_le_bytes()
                };
                content[at..at + 4].copy_from_slice(&bytes);
            }
            3 => {
                let length = dice.below(64).min(content.len() - at);
                content.drain(at..at + length);
            }
            4 => {
                let from = dice.below(content.len() - 8);
                let length = dice.below(256).min(content.len() - from);
                let part = content[from..from + length].to_vec();
                content.splice(at..at, part);
            }
            _ => content[at] = dice.below(256) as u8,
        }
    }
    content
}

/// Numbers that are the same on every machine (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}
