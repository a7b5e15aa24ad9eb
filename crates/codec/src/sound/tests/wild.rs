//! Sounds as people and services produce them.

use super::*;

#[test]
fn opus_and_aac_are_heard_in_every_container_without_what_the_encoder_added() {
    let cases = [
        ("-c:a libopus -ac 1", "ogg", Format::Ogg, "opus", 1, 48_000),
        (
            "-c:a libopus -ac 2",
            "webm",
            Format::Weba,
            "opus",
            2,
            48_000,
        ),
        (
            "-c:a libvorbis -ac 2",
            "webm",
            Format::Weba,
            "vorbis",
            2,
            44_100,
        ),
        (
            "-c:a libopus -ac 2 -f mp4",
            "m4a",
            Format::M4a,
            "opus",
            2,
            48_000,
        ),
        ("-c:a aac -ac 1", "m4a", Format::M4a, "aac", 1, 44_100),
        (
            "-c:a aac -ac 2 -ar 96000 -f mp4",
            "m4a",
            Format::M4a,
            "aac",
            2,
            96_000,
        ),
        (
            "-c:a aac -f mp4 -movflags frag_keyframe+empty_moov",
            "m4a",
            Format::M4a,
            "aac",
            1,
            44_100,
        ),
        ("-c:a alac -ac 2", "m4a", Format::M4a, "alac", 2, 44_100),
        ("-c:a flac -ac 2", "ogg", Format::Ogg, "flac", 2, 44_100),
    ];
    for (options, extension, format, codec, channels, sample_rate) in cases {
        let content = ffmpeg(&format!("{TONE} {options}"), extension);
        assert_eq!(crate::sniff(&content), Some(format), "{options}");
        let (mut loudest, mut samples) = (0, 0);
        let track = decode(&content, format, &ample(), &mut |block| {
            let peaks = block.samples.iter().map(|sample| sample.unsigned_abs());
            loudest = loudest.max(peaks.max().unwrap_or(0));
            samples += block.samples.len() as u64 / u64::from(block.channels);
            Ok(())
        });
        let track = track.unwrap_or_else(|error| panic!("{options} {extension}: {error}"));
        let SoundFacts { codec: found, .. } = &track.facts;
        let kind = (track.facts.channels, track.facts.sample_rate);
        assert_eq!(
            (found.as_str(), kind),
            (codec, (channels, sample_rate)),
            "{options}"
        );
        assert_eq!(samples, track.frames, "{options}");
        // A tone at an eighth of full scale, or less where it is spread over two channels.
        assert!((2_000..6_000).contains(&loudest), "{options}: {loudest}");
        let off = track.duration().abs_diff(Duration::from_millis(1500));
        assert!(
            off < Duration::from_millis(25),
            "{options}: {:?}",
            track.duration()
        );
    }
}

#[test]
fn of_what_nothing_decodes_the_facts_are_known_and_the_codec_has_its_name() {
    let cases = [
        (
            "-ar 16000 -c:a libspeex",
            "ogg",
            Format::Ogg,
            "speex",
            16_000,
        ),
        (
            "-c:a adpcm_ima_wav",
            "wav",
            Format::Wav,
            "adpcm_ima_wav",
            44_100,
        ),
        ("-c:a adpcm_ms", "wav", Format::Wav, "adpcm_ms", 44_100),
        ("-c:a libmp3lame -f wav", "wav", Format::Wav, "mp3", 44_100),
        ("-c:a ac3 -f mp4", "m4a", Format::M4a, "ac3", 44_100),
    ];
    for (options, extension, format, codec, sample_rate) in cases {
        let content = ffmpeg(&format!("{TONE} {options}"), extension);
        let refused = decoded(&content, format);
        assert!(
            matches!(refused, Err(CodecError::Unsupported(_))),
            "{options}: {refused:?}"
        );
        let track = measure(&content, format, &ample()).unwrap();
        let SoundFacts { codec: found, .. } = &track.facts;
        let kind = (track.facts.channels, track.facts.sample_rate);
        assert_eq!(
            (found.as_str(), kind),
            (codec, (1, sample_rate)),
            "{options}"
        );
        let off = track.duration().abs_diff(Duration::from_millis(1500));
        assert!(
            off < Duration::from_millis(60),
            "{options}: {:?}",
            track.duration()
        );
    }
}

/// ID3v1: a title.
fn id3v1() -> Vec<u8> {
    let mut tag = b"TAGWords".to_vec();
    tag.resize(128, 0);
    tag
}

#[test]
fn what_is_harmless_behind_a_sound_changes_nothing_and_a_document_is_refused() {
    let cases = [
        ("", "wav", Format::Wav),
        ("", "flac", Format::Flac),
        ("", "mp3", Format::Mp3),
        ("-c:a libvorbis", "ogg", Format::Ogg),
        ("-c:a libopus", "webm", Format::Weba),
        ("-c:a aac", "m4a", Format::M4a),
    ];
    for (options, extension, format) in cases {
        let content = ffmpeg(&format!("{TONE} {options}"), extension);
        let whole = decoded(&content, format);
        assert!(whole.is_ok(), "{extension}: {whole:?}");
        let with = |rest: &[u8]| decoded(&[&content, rest].concat(), format);
        for rest in [b"\n".to_vec(), vec![0; 16], b"\r\n\0 \0".to_vec(), id3v1()] {
            assert_eq!(with(&rest), whole, "{extension}: {}", rest.escape_ascii());
        }
        for rest in [
            b"<html>".as_slice(),
            b"PK\x03\x04",
            b"\n<script>",
            b"#!/bin/sh\n",
        ] {
            let refused = with(rest);
            let name = rest.escape_ascii();
            assert!(
                matches!(refused, Err(CodecError::Corrupt(_))),
                "{extension}: {name}"
            );
        }
    }
}

#[test]
fn a_flac_is_heard_whatever_is_odd_before_its_samples() {
    let plain = ffmpeg(&format!("{TONE} -ac 2"), "flac");
    let whole = decoded(&plain, Format::Flac).unwrap();
    // A block of the cue sheet's kind, behind the first one, with nothing in it that a cue sheet has.
    let odd = [&plain[..42], b"\x05\0\0\x08oddities", &plain[42..]].concat();
    assert_eq!(decoded(&odd, Format::Flac).unwrap(), whole);
    let tagged = [b"ID3\x04\0\0\0\0\0\x02ab".as_slice(), &plain].concat();
    assert_eq!(crate::sniff(&tagged), Some(Format::Flac));
    assert_eq!(decoded(&tagged, Format::Flac).unwrap(), whole);
    let cut = &plain[..plain.len() - 3];
    assert!(is_corrupt(cut, Format::Flac));
}

#[test]
fn all_sounds_of_an_mp3_that_was_glued_together_are_heard() {
    let one = |seconds: u32, options: &str| {
        let tone = format!("-f lavfi -i sine=frequency=440:duration={seconds}:sample_rate=24000");
        ffmpeg(&format!("{tone} {options}"), "mp3")
    };
    let (told, untold) = (
        one(2, "-id3v2_version 0"),
        one(3, "-id3v2_version 0 -write_xing 0"),
    );
    let tagged = one(1, "-metadata title=x -write_id3v1 1");
    let length = |content: &[u8]| decoded(content, Format::Mp3).unwrap().duration();
    assert_eq!(length(&told), Duration::from_secs(2));
    let near = |content: &[u8], millis: u64| {
        let off = length(content).abs_diff(Duration::from_millis(millis));
        assert!(
            off < Duration::from_millis(80),
            "{:?}, not {millis}",
            length(content)
        );
    };
    near(&[told.clone(), untold.clone()].concat(), 5_050);
    near(&[told.clone(), told.clone()].concat(), 4_000);
    near(&[untold.clone(), told.clone()].concat(), 5_050);
    near(&[tagged.clone(), tagged, told.clone()].concat(), 4_000);
    let other = ffmpeg("-f lavfi -i sine=duration=1:sample_rate=48000 -ac 2", "mp3");
    let refused = decoded(&[told, other].concat(), Format::Mp3);
    assert!(
        matches!(refused, Err(CodecError::Refused(_))),
        "{refused:?}"
    );
}

#[test]
fn all_sounds_of_a_chained_ogg_file_are_heard_if_they_are_of_one_kind() {
    let one = |options: &str| ffmpeg(&format!("{TONE} {options}"), "ogg");
    let vorbis = one("-c:a libvorbis");
    let chained = [vorbis.clone(), vorbis.clone()].concat();
    let track = decoded(&chained, Format::Ogg).unwrap();
    assert_eq!(track.duration(), Duration::from_secs(3));
    let mixed = [vorbis.clone(), one("-c:a libopus")].concat();
    let refused = decoded(&mixed, Format::Ogg);
    assert!(matches!(refused, Err(CodecError::Refused(why)) if why.contains("chained")));
    let mut damaged = vorbis;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(is_corrupt(&damaged, Format::Ogg));
}

#[test]
fn an_ogg_file_that_was_cut_out_of_a_longer_one_has_its_own_length() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ogg");
    for codec in ["libvorbis", "libopus"] {
        let long = format!("-f lavfi -i sine=duration=6:sample_rate=48000 -c:a {codec}");
        std::fs::write(&whole, ffmpeg(&long, "ogg")).unwrap();
        let cut = format!("-ss 2 -t 1.5 -i {} -c copy -copyts", whole.display());
        let content = ffmpeg(&cut, "ogg");
        let track = decoded(&content, Format::Ogg).unwrap();
        std::fs::write(&whole, content).unwrap();
        let samples = ffmpeg(&format!("-i {} -f s16le -ac 1", whole.display()), "raw");
        assert_eq!(track.frames, samples.len() as u64 / 2, "{codec}");
    }
}

#[test]
fn an_ogg_file_with_pictures_says_that_it_has_some() {
    let bars = "-f lavfi -i testsrc=size=64x48:rate=5:duration=1";
    let content = ffmpeg(
        &format!("{bars} {TONE} -c:v libtheora -c:a libvorbis"),
        "ogg",
    );
    let refused = decoded(&content, Format::Ogg);
    assert!(matches!(refused, Err(CodecError::Refused(why)) if why.contains("pictures")));
}

#[test]
fn a_wav_with_sizes_of_64_bits_is_read_like_any_other() {
    let plain = decoded(&ffmpeg(TONE, "wav"), Format::Wav).unwrap();
    let long = ffmpeg(&format!("{TONE} -rf64 always"), "wav");
    assert!(long.starts_with(b"RF64"));
    assert_eq!(crate::sniff(&long), Some(Format::Wav));
    assert_eq!(decoded(&long, Format::Wav).unwrap(), plain);
    assert!(is_corrupt(&long[..long.len() - 1000], Format::Wav));
}
