use image::Rgb;

use crate::samples::{ample, ffmpeg};

use super::*;

mod wild;

const BARS: &str = "-f lavfi -i smptebars=size=96x64:rate=25:duration=1";

fn known(content: &[u8], format: Format) -> Facts {
    facts(content, format, &ample()).unwrap()
}

fn all_frames(content: &[u8], format: Format) -> Vec<Frame> {
    let mut found = Vec::new();
    frames(content, format, &ample(), &mut |frame| {
        found.push(frame);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

#[test]
fn the_facts_of_an_mp4_are_those_of_its_track() {
    let tone = "-f lavfi -i sine=duration=1:sample_rate=48000";
    let content = ffmpeg(&format!("{BARS} {tone} -c:v libx264 -c:a aac -ac 2"), "mp4");
    let facts = known(&content, Format::Mp4);
    assert_eq!(facts.size, (96, 64));
    assert_eq!(facts.frames, 25);
    assert_eq!(facts.frame_rate, Some(25.0));
    assert_eq!(facts.codec, "h264");
    let sound = facts.sound.unwrap();
    assert_eq!(
        (sound.codec.as_str(), sound.channels, sound.sample_rate),
        ("aac", 2, 48_000)
    );
    assert!(facts.duration.abs_diff(Duration::from_secs(1)) < Duration::from_millis(50));
}

#[test]
fn a_video_without_sound_lasts_as_long_as_its_frames() {
    for (rate, timescale) in [
        ("25", ""),
        ("30000/1001", ""),
        ("24", "-video_track_timescale 600"),
    ] {
        let source = "-f lavfi -i smptebars=size=96x64:duration=1.2:rate=";
        let content = ffmpeg(&format!("{source}{rate} -c:v libx264 {timescale}"), "mp4");
        let facts = known(&content, Format::Mp4);
        let per_second = match rate.split_once('/') {
            Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
            None => rate.parse().unwrap(),
        };
        let expected = Duration::from_secs_f64(facts.frames as f64 / per_second);
        assert!(
            facts.duration.abs_diff(expected) < Duration::from_micros(10),
            "{facts:?}"
        );
        assert!((facts.frame_rate.unwrap() - per_second).abs() < 1e-4);
    }
}

#[test]
fn all_frames_come_in_the_order_in_which_they_are_shown() {
    let counter = "-f lavfi -i color=black:size=64x64:rate=10:duration=3,\
        geq=lum='16+N*7':cb=128:cr=128";
    for options in [
        "-bf 3 -g 12 -preset medium",
        "-preset ultrafast",
        "-profile:v baseline",
    ] {
        let content = ffmpeg(&format!("{counter} -c:v libx264 -qp 10 {options}"), "mp4");
        let frames = all_frames(&content, Format::Mp4);
        assert_eq!(frames.len(), 30, "{options}");
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(
                frame.time,
                Duration::from_millis(100 * index as u64),
                "{options}"
            );
            let expected = (index as f64 * 7.0 * 255.0 / 219.0) as i32;
            let Rgb([red, ..]) = *frame.picture.get_pixel(32, 32);
            assert!(
                (i32::from(red) - expected).abs() < 6,
                "{index}: {red}, not {expected}"
            );
        }
    }
}

#[test]
fn colours_are_mixed_as_the_stream_says() {
    let red = "-f lavfi -i color=0xC83214:size=64x64:rate=5:duration=1";
    let cases = [
        "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p -colorspace bt709 -color_range tv",
        "-vf scale=out_color_matrix=bt601:out_range=tv,format=yuv420p -colorspace smpte170m",
        "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuv420p -colorspace bt709 -color_range pc",
    ];
    for options in cases {
        let content = ffmpeg(&format!("{red} -c:v libx264 -qp 5 {options}"), "mp4");
        let frames = all_frames(&content, Format::Mp4);
        let Rgb(shown) = *frames[0].picture.get_pixel(30, 30);
        for (shown, wanted) in shown.into_iter().zip([0xC8_u8, 0x32, 0x14]) {
            assert!(
                shown.abs_diff(wanted) <= 4,
                "{options}: {shown} is not {wanted}"
            );
        }
    }
}

#[test]
fn a_video_that_was_filmed_upright_is_shown_upright() {
    let plain = ffmpeg(&format!("{BARS} -c:v libx264"), "mp4");
    let mut turned = plain.clone();
    // The matrix of the track header: a quarter turn clockwise, in 1/65536.
    let matrix = plain.windows(4).position(|name| name == b"tkhd").unwrap() + 44;
    let quarter = [0_i32, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30];
    let bytes = quarter.into_iter().flat_map(i32::to_be_bytes);
    turned.splice(matrix..matrix + 36, bytes);
    assert_eq!(known(&turned, Format::Mp4).size, (64, 96));
    let (plain, turned) = (
        all_frames(&plain, Format::Mp4),
        all_frames(&turned, Format::Mp4),
    );
    let expected = image::imageops::rotate90(&plain[3].picture);
    assert!(turned[3].picture == expected);
}

#[test]
fn a_movie_in_fragments_is_read_like_any_other() {
    let whole = ffmpeg(&format!("{BARS} -c:v libx264 -g 5"), "mp4");
    let options = "-movflags frag_keyframe+empty_moov+default_base_moof";
    let parts = ffmpeg(&format!("{BARS} -c:v libx264 -g 5 {options}"), "mp4");
    let (a, b) = (known(&whole, Format::Mp4), known(&parts, Format::Mp4));
    assert_eq!(
        (a.frames, a.frame_rate, a.size),
        (b.frames, b.frame_rate, b.size)
    );
    assert_eq!(a.duration, b.duration);
    assert!(all_frames(&whole, Format::Mp4) == all_frames(&parts, Format::Mp4));
}

#[test]
fn of_other_codecs_the_facts_are_known() {
    let cases = [
        (
            "-c:v libx265 -x265-params log-level=error",
            "mp4",
            Format::Mp4,
            "hevc",
        ),
        ("-c:v mpeg4", "mp4", Format::Mp4, "mpeg4"),
        ("-c:v libvpx", "webm", Format::Webm, "vp8"),
        ("-c:v libvpx-vp9", "webm", Format::Webm, "vp9"),
    ];
    for (options, extension, format, codec) in cases {
        let content = ffmpeg(&format!("{BARS} {options}"), extension);
        let facts = known(&content, format);
        assert_eq!(
            (facts.codec.as_str(), facts.size, facts.frames),
            (codec, (96, 64), 25)
        );
        assert!(
            facts.duration.abs_diff(Duration::from_secs(1)) < Duration::from_millis(2),
            "{codec}"
        );
        assert!((facts.frame_rate.unwrap() - 25.0).abs() < 0.05);
        let decoded = stills(&content, format, &ample(), &[Duration::ZERO], &mut drop);
        assert!(
            matches!(decoded, Err(CodecError::Unsupported(_))),
            "{codec}"
        );
    }
    let interlaced = ffmpeg(&format!("{BARS} -c:v libx264 -flags +ilme+ildct"), "mp4");
    let decoded = stills(
        &interlaced,
        Format::Mp4,
        &ample(),
        &[Duration::ZERO],
        &mut drop,
    );
    assert!(matches!(decoded, Err(CodecError::Unsupported(_))));
    let fine = ffmpeg(&format!("{BARS} -c:v libx264 -pix_fmt yuv444p"), "mp4");
    let decoded = stills(&fine, Format::Mp4, &ample(), &[Duration::ZERO], &mut drop);
    assert!(matches!(decoded, Err(CodecError::Unsupported(_))));
}

#[test]
fn a_webm_with_sound_says_so() {
    let tone = "-f lavfi -i sine=duration=1";
    let content = ffmpeg(
        &format!("{BARS} {tone} -c:v libvpx -c:a libopus -ac 2"),
        "webm",
    );
    let sound = known(&content, Format::Webm).sound.unwrap();
    assert_eq!(
        (sound.codec.as_str(), sound.channels, sound.sample_rate),
        ("opus", 2, 48_000)
    );
}

#[test]
fn a_gif_is_read_frame_by_frame() {
    let content = ffmpeg(
        "-f lavfi -i smptebars=size=96x64:rate=10:duration=1.5",
        "gif",
    );
    let facts = known(&content, Format::Gif);
    assert_eq!(
        (facts.size, facts.frames, facts.codec.as_str()),
        ((96, 64), 15, "gif")
    );
    assert_eq!(facts.duration, Duration::from_millis(1500));
    assert_eq!(facts.frame_rate, Some(10.0));
    let frames = all_frames(&content, Format::Gif);
    assert_eq!(frames.len(), 15);
    assert_eq!(frames[7].time, Duration::from_millis(700));
    let Rgb([red, green, blue]) = *frames[7].picture.get_pixel(5, 5);
    assert!(
        [red, green, blue]
            .into_iter()
            .all(|value| value.abs_diff(180) < 40)
    );
}

#[test]
fn stills_are_the_frames_at_their_times() {
    let counter = "-f lavfi -i color=black:size=64x64:rate=10:duration=3,\
        geq=lum='16+N*7':cb=128:cr=128";
    let times = [0, 300, 1500, 2700].map(Duration::from_millis);
    let cases = [
        ("-c:v libx264 -qp 10 -g 10", "mp4", Format::Mp4),
        ("-c:v libx264 -qp 10 -g 100", "mp4", Format::Mp4),
        ("-pix_fmt gray", "gif", Format::Gif),
    ];
    for (options, extension, format) in cases {
        let content = ffmpeg(&format!("{counter} {options}"), extension);
        let mut found = Vec::new();
        stills(&content, format, &ample(), &times, &mut |still| {
            found.push(still);
        })
        .unwrap();
        assert_eq!(found.len(), 4, "{extension}");
        for (still, frame) in found.iter().zip([0, 3, 15, 27]) {
            let Rgb([red, ..]) = *still.get_pixel(32, 32);
            let expected = frame * 7 * 255 / 219;
            assert!(
                (i32::from(red) - expected).abs() < 9,
                "{extension}: {red}, not {expected}"
            );
        }
    }
}

#[test]
fn a_video_that_breaks_off_is_damaged() {
    let cases = [
        ("-c:v libx264", "mp4", Format::Mp4),
        ("-c:v libx264 -movflags +faststart", "mp4", Format::Mp4),
        ("", "gif", Format::Gif),
        ("-c:v libvpx", "webm", Format::Webm),
    ];
    for (options, extension, format) in cases {
        let source = "-f lavfi -i testsrc=size=96x64:rate=5:duration=5";
        let content = ffmpeg(&format!("{source} {options}"), extension);
        for kept in [16, 100, content.len() / 2, content.len() * 3 / 4] {
            let refused = facts(&content[..kept], format, &ample());
            assert!(
                matches!(refused, Err(CodecError::Corrupt(_))),
                "{kept} of {extension}: {refused:?}"
            );
        }
    }
}

#[test]
fn a_video_beyond_the_bounds_is_refused() {
    let content = ffmpeg(&format!("{BARS} -c:v libx264"), "mp4");
    let refused = |bounds: Bounds| facts(&content, Format::Mp4, &bounds).unwrap_err();
    let pixels = Bounds {
        max_pixels: 6000,
        ..ample()
    };
    assert!(matches!(
        refused(pixels),
        CodecError::TooManyPixels { width: 96, .. }
    ));
    let frames = Bounds {
        max_frames: 24,
        ..ample()
    };
    assert_eq!(
        refused(frames),
        CodecError::TooManyFrames {
            frames: 25,
            max: 24
        }
    );
    let max = Duration::from_millis(999);
    let length = Bounds {
        max_length: max,
        ..ample()
    };
    assert_eq!(refused(length), CodecError::TooLong { max });
}
