use std::time::Duration;

use crate::Format;
use crate::samples::{ample, ffmpeg, run};
use crate::{Bounds, CodecError};

use super::*;

mod wild;

const TONE: &str = "-f lavfi -i sine=frequency=440:duration=1.5:sample_rate=44100";

fn decoded(content: &[u8], format: Format) -> Result<Track, CodecError> {
    decode(content, format, &ample(), &mut |_| Ok(()))
}

fn is_corrupt(content: &[u8], format: Format) -> bool {
    matches!(decoded(content, format), Err(CodecError::Corrupt(_)))
}

#[test]
fn each_kind_of_sound_file_is_read_to_the_exact_sample() {
    let cases = [
        ("-ac 2", "wav", Format::Wav, "pcm_s16le", 2, 44_100),
        ("-c:a pcm_s24le", "wav", Format::Wav, "pcm_s24le", 1, 44_100),
        (
            "-c:a pcm_f32le -ar 48000",
            "wav",
            Format::Wav,
            "pcm_f32le",
            1,
            48_000,
        ),
        (
            "-c:a pcm_u8 -ar 8000",
            "wav",
            Format::Wav,
            "pcm_u8",
            1,
            8_000,
        ),
        (
            "-c:a pcm_mulaw -ar 8000",
            "wav",
            Format::Wav,
            "pcm_mulaw",
            1,
            8_000,
        ),
        ("-ac 2", "flac", Format::Flac, "flac", 2, 44_100),
        ("-ac 2", "mp3", Format::Mp3, "mp3", 2, 44_100),
        (
            "-c:a libvorbis -ac 2",
            "ogg",
            Format::Ogg,
            "vorbis",
            2,
            44_100,
        ),
    ];
    for (options, extension, format, codec, channels, sample_rate) in cases {
        let content = ffmpeg(&format!("{TONE} {options}"), extension);
        let mut samples = 0;
        let track = decode(&content, format, &ample(), &mut |block| {
            samples += block.samples.len();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{options} {extension}: {error}"));
        assert_eq!(track.facts.codec, codec);
        assert_eq!(
            (track.facts.channels, track.facts.sample_rate),
            (channels, sample_rate)
        );
        assert_eq!(
            track.frames,
            u64::from(sample_rate) * 3 / 2,
            "{options} {extension}"
        );
        assert_eq!(samples as u64, track.frames * u64::from(channels));
        assert_eq!(track.duration(), Duration::from_millis(1500));
    }
}

#[test]
fn the_samples_are_those_that_were_written() {
    let written: Vec<i16> = (0..4000)
        .map(|at| (at * 37 % 65_521 - 32_760) as i16)
        .collect();
    let bytes: Vec<u8> = written
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("samples.raw");
    std::fs::write(&raw, bytes).unwrap();
    let source = format!("-f s16le -ar 32000 -ac 2 -i {}", raw.display());
    for (extension, format) in [("wav", Format::Wav), ("flac", Format::Flac)] {
        let sound = read(&ffmpeg(&source, extension), format, 0, &ample()).unwrap();
        assert_eq!((sound.sample_rate, sound.channels), (32_000, 2));
        assert!(sound.samples == written, "{extension}");
    }
}

#[test]
fn a_wav_of_a_streaming_writer_has_the_length_of_its_samples() {
    let speech = run("espeak-ng", &["--stdout", "hello"]).stdout;
    let arguments = format!("-v error {TONE} -f wav pipe:1");
    let piped = run("ffmpeg", &arguments.split_whitespace().collect::<Vec<_>>()).stdout;
    for (content, head) in [(speech, 44), (piped, 78)] {
        let track = decoded(&content, Format::Wav).unwrap();
        assert_eq!(track.frames, (content.len() - head) as u64 / 2);
    }
    let mut zero = ffmpeg(TONE, "wav");
    let size = zero.windows(4).position(|name| name == b"data").unwrap() + 4;
    zero[size..size + 4].fill(0);
    assert_eq!(decoded(&zero, Format::Wav).unwrap().frames, 66_150);
}

#[test]
fn a_wav_that_lies_about_its_length_is_damaged() {
    let content = ffmpeg(TONE, "wav");
    let size = content.windows(4).position(|name| name == b"data").unwrap() + 4;
    for lie in [2_u32, 1000, 132_298, 132_302, 1_000_000, 0x7000_0000] {
        let mut content = content.clone();
        content[size..size + 4].copy_from_slice(&lie.to_le_bytes());
        assert!(is_corrupt(&content, Format::Wav), "{lie}");
    }
    assert!(is_corrupt(&content[..content.len() - 1000], Format::Wav));
}

#[test]
fn a_wav_of_any_number_of_channels_is_read_or_damaged() {
    let mut content = ffmpeg(TONE, "wav");
    for channels in [0, 9, 0x7FFF, 0xFFFF_u16] {
        content[22..24].copy_from_slice(&channels.to_le_bytes());
        assert!(is_corrupt(&content, Format::Wav), "{channels}");
    }
}

#[test]
fn chunks_behind_the_samples_are_no_samples() {
    let mut content = ffmpeg(TONE, "wav");
    content.extend(b"LIST\x05\0\0\0INFO!\0note\x02\0\0\0ab");
    assert_eq!(decoded(&content, Format::Wav).unwrap().frames, 66_150);
    content.extend(b"<html>");
    assert!(is_corrupt(&content, Format::Wav));
}

#[test]
fn a_sound_that_breaks_off_is_damaged() {
    let cases = [
        ("", "flac", Format::Flac),
        ("", "mp3", Format::Mp3),
        ("-c:a libvorbis", "ogg", Format::Ogg),
        ("-c:a libopus", "ogg", Format::Ogg),
        ("-c:a libopus", "webm", Format::Weba),
        ("-c:a aac", "m4a", Format::M4a),
    ];
    for (options, extension, format) in cases {
        let content = ffmpeg(&format!("{TONE} {options}"), extension);
        for kept in [10, 100, content.len() / 2, content.len() * 4 / 5] {
            assert!(
                is_corrupt(&content[..kept], format),
                "{kept} bytes of {extension}"
            );
        }
    }
}

#[test]
fn a_sound_longer_than_allowed_is_refused_before_it_has_been_read() {
    let bounds = Bounds {
        max_length: Duration::from_secs(1),
        ..ample()
    };
    let content = ffmpeg(TONE, "flac");
    let mut frames = 0;
    let refused = decode(&content, Format::Flac, &bounds, &mut |block| {
        frames += block.samples.len();
        Ok(())
    });
    assert_eq!(
        refused,
        Err(CodecError::TooLong {
            max: Duration::from_secs(1)
        })
    );
    assert!(frames <= 44_100, "{frames}");
}

#[test]
fn reading_ends_when_the_caller_asks_or_fails() {
    let content = ffmpeg(TONE, "wav");
    let bounds = ample();
    let mut blocks = 0;
    let stopped = decode(&content, Format::Wav, &bounds, &mut |_| {
        blocks += 1;
        bounds.stop.set();
        Ok(())
    });
    assert_eq!((stopped, blocks), (Err(CodecError::Stopped), 1));
    let own = CodecError::Unsupported("enough".to_owned());
    let failed = decode(&content, Format::Wav, &ample(), &mut |_| Err(own.clone()));
    assert_eq!(failed, Err(own));
}
