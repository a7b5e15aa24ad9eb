//! Videos as people and services produce them.

use super::*;

/// Two frames of 100 ms, red and blue, with these blocks before each; without a table of colours of its own if so wanted.
fn gif(screen: [u8; 2], frame: [u8; 2], table: bool, before: &[u8]) -> Vec<u8> {
    let mut content = b"GIF89a".to_vec();
    content.extend([
        screen[0],
        0,
        screen[1],
        0,
        if table { 0x80 } else { 0 },
        0,
        0,
    ]);
    if table {
        content.extend([255, 0, 0, 0, 0, 255]);
    }
    for colour in 0..2_u8 {
        content.extend(before);
        content.extend([0x21, 0xF9, 4, 4, 10, 0, 0, 0, 0x2C, 0, 0, 0, 0]);
        content.extend([frame[0], 0, frame[1], 0, 0, 2]);
        // A clear code before each pixel keeps the codes at 3 bits.
        let codes = (0..frame[0] as usize * frame[1] as usize).flat_map(|_| [4, colour]);
        let mut bits: Vec<bool> = Vec::new();
        for code in codes.chain([5]) {
            bits.extend((0..3).map(|bit| code >> bit & 1 == 1));
        }
        let byte = |bits: &[bool]| {
            bits.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        };
        let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
        for part in bytes.chunks(255) {
            content.push(part.len() as u8);
            content.extend(part);
        }
        content.push(0);
    }
    content.push(0x3B);
    content
}

#[test]
fn a_gif_is_read_whatever_stands_between_its_frames_as_browsers_do() {
    let odd_control = b"\x21\xf9\x05\x04\x0a\0\0\0\0";
    for before in [
        b"".as_slice(),
        b"\0",
        b"\0\0\0",
        b"\x21\x77\x02ab\0",
        b"\x21\xfe\0",
        odd_control,
    ] {
        let content = gif([6, 4], [6, 4], true, before);
        let facts = known(&content, Format::Gif);
        let name = before.escape_ascii();
        assert_eq!(
            (facts.frames, facts.duration.as_millis()),
            (2, 200),
            "{name}"
        );
        let frames = all_frames(&content, Format::Gif);
        let colours: Vec<_> = frames
            .iter()
            .map(|it| it.picture.get_pixel(3, 2).0)
            .collect();
        assert_eq!(colours, [[255, 0, 0], [0, 0, 255]], "{name}");
    }
    let damaged = facts(&gif([6, 4], [6, 4], true, b"x"), Format::Gif, &ample());
    assert!(
        matches!(damaged, Err(CodecError::Corrupt(_))),
        "{damaged:?}"
    );
}

#[test]
fn a_gif_without_a_table_of_colours_is_shown_in_shades_of_grey() {
    let frames = all_frames(&gif([6, 4], [6, 4], false, b""), Format::Gif);
    let shades: Vec<_> = frames
        .iter()
        .map(|it| it.picture.get_pixel(3, 2).0)
        .collect();
    assert_eq!(shades, [[0; 3], [1; 3]]);
}

#[test]
fn frames_of_a_gif_that_reach_beyond_the_screen_are_cut_to_it() {
    let clear_red = b"\x21\xf9\x04\x05\x0a\0\0\0";
    let mut content = gif([4, 4], [7, 9], true, b"");
    // The first colour of the first frame is clear.
    content[22] = 5;
    assert_eq!(content[19..22], clear_red[..3]);
    let facts = known(&content, Format::Gif);
    assert_eq!((facts.size, facts.frames), ((4, 4), 2));
    let frames = all_frames(&content, Format::Gif);
    assert_eq!(frames[0].picture.get_pixel(3, 3).0, [255; 3]);
    assert_eq!(frames[1].picture.get_pixel(3, 3).0, [0, 0, 255]);
    assert_eq!(frames[1].picture.dimensions(), (4, 4));
}

#[test]
fn what_the_sound_s_own_parameters_say_counts_more_than_the_sample_entry() {
    for (options, channels, sample_rate) in [
        ("-ac 1 -ar 44100", 1, 44_100),
        ("-ac 2 -ar 96000", 2, 96_000),
        ("-ac 6 -ar 48000", 6, 48_000),
    ] {
        let tone = "-f lavfi -i sine=duration=1";
        let content = ffmpeg(
            &format!("{BARS} {tone} -c:v libx264 -c:a aac {options}"),
            "mp4",
        );
        let sound = known(&content, Format::Mp4).sound.unwrap();
        assert_eq!((sound.channels, sound.sample_rate), (channels, sample_rate));
    }
}

#[test]
fn a_video_of_pixels_that_are_not_square_is_shown_in_its_shape() {
    let stretched = format!("{BARS} -vf setsar=64/45");
    let content = ffmpeg(&format!("{stretched} -c:v libx264"), "mp4");
    // 96 x 64 / 45, and the bars are as wide as ever.
    assert_eq!(known(&content, Format::Mp4).size, (137, 64));
    let frames = all_frames(&content, Format::Mp4);
    assert_eq!(frames[0].picture.dimensions(), (137, 64));
    let tall = ffmpeg(&format!("{BARS} -vf setsar=1/2 -c:v libx264"), "mp4");
    assert_eq!(known(&tall, Format::Mp4).size, (96, 128));
    let nonsense = ffmpeg(&format!("{BARS} -vf setsar=100/1 -c:v libx264"), "mp4");
    assert_eq!(known(&nonsense, Format::Mp4).size, (96, 64));
    let webm = ffmpeg(&format!("{stretched} -c:v libvpx"), "webm");
    assert_eq!(known(&webm, Format::Webm).size, (137, 64));
}

#[test]
fn a_webm_that_was_written_to_a_pipe_is_read_until_it_breaks_off() {
    let arguments = format!("-v error {BARS} -c:v libvpx -f webm pipe:1");
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let content = crate::samples::run("ffmpeg", &arguments).stdout;
    let found = known(&content, Format::Webm);
    assert_eq!((found.codec.as_str(), found.frames), ("vp8", 25));
    assert!(found.duration.abs_diff(Duration::from_secs(1)) < Duration::from_millis(45));
    let cut = facts(&content[..content.len() - 40], Format::Webm, &ample());
    assert!(matches!(cut, Err(CodecError::Corrupt(_))), "{cut:?}");
    for (rest, is_taken) in [
        ("\n", true),
        ("\0\0\0", true),
        ("<html>", false),
        ("PK\x03\x04", false),
    ] {
        let content = [&content, rest.as_bytes()].concat();
        assert_eq!(
            facts(&content, Format::Webm, &ample()).is_ok(),
            is_taken,
            "{rest:?}"
        );
    }
}

#[test]
fn what_is_harmless_may_stand_behind_a_video_and_no_document() {
    for (options, extension, format) in [
        ("-c:v libx264", "mp4", Format::Mp4),
        ("", "gif", Format::Gif),
        ("-c:v libvpx", "webm", Format::Webm),
    ] {
        let content = ffmpeg(&format!("{BARS} {options}"), extension);
        let whole = known(&content, format);
        for rest in ["\n", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", " \r\n"] {
            let content = [&content, rest.as_bytes()].concat();
            assert_eq!(known(&content, format), whole, "{extension} {rest:?}");
        }
        for rest in ["<html>", "\n<script>", "PK\x03\x04", "#!/bin/sh\n"] {
            let content = [&content, rest.as_bytes()].concat();
            let refused = facts(&content, format, &ample());
            assert!(
                matches!(refused, Err(CodecError::Corrupt(_))),
                "{extension} {rest:?}"
            );
        }
    }
}
