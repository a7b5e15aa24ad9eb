//! Tests of whole files.

use image::{AnimationDecoder, Rgb, codecs::gif::GifDecoder};
use mp4_atom::{Decode, Moov};
use openh264::{decoder::Decoder, formats::YUVSource};

use super::*;

const COLOURS: [[u8; 3]; 4] = [[200, 30, 40], [20, 120, 210], [250, 240, 220], [10, 16, 24]];

/// A picture whose left half has one colour and whose right half has another.
fn halves((width, height): (u32, u32), left: [u8; 3], right: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| {
        Rgb(if x < width / 2 { left } else { right })
    })
}

fn written(format: Format, size: (u32, u32), rate: u32, count: usize) -> Bytes {
    let mut writer = writer(format, size, rate).unwrap();
    for index in 0..count {
        let left = COLOURS[index % 4];
        writer.push(&halves(size, left, COLOURS[3])).unwrap();
    }
    writer.finish().unwrap()
}

/// The boxes at the top of an MP4 file: type and content.
fn boxes(file: &[u8]) -> Vec<(String, &[u8])> {
    let mut rest = file;
    let mut found = Vec::new();
    while rest.len() >= 8 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let kind = String::from_utf8(rest[4..8].to_vec()).unwrap();
        found.push((kind, &rest[8..length]));
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    found
}

fn movie(file: &[u8]) -> Moov {
    let start = file.windows(4).position(|four| four == b"moov").unwrap() - 4;
    Moov::decode(&mut &file[start..]).unwrap()
}

/// The frames of the track, with start codes, as decoders read them.
fn frames(file: &[u8], moov: &Moov) -> Vec<Vec<u8>> {
    let table = &moov.trak[0].mdia.minf.stbl;
    let mp4_atom::StszSamples::Different { sizes } = &table.stsz.samples else {
        panic!("frames of one length");
    };
    let mp4_atom::Codec::Avc1(avc) = &table.stsd.codecs[0] else {
        panic!("no H.264");
    };
    let mut at = table.stco.as_ref().unwrap().entries[0] as usize;
    let mut head = Vec::new();
    for unit in [
        &avc.avcc.sequence_parameter_sets[0],
        &avc.avcc.picture_parameter_sets[0],
    ] {
        head.extend([0, 0, 0, 1]);
        head.extend(unit);
    }
    let mut frames = Vec::new();
    for size in sizes {
        let mut rest = &file[at..at + *size as usize];
        let mut frame = std::mem::take(&mut head);
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            frame.extend([0, 0, 0, 1]);
            frame.extend(&rest[4..4 + length]);
            rest = &rest[4 + length..];
        }
        at += *size as usize;
        frames.push(frame);
    }
    assert_eq!(at, file.len(), "the frames fill the file to its end");
    frames
}

#[test]
fn an_mp4_begins_with_its_index_and_lasts_exactly_its_frames() {
    let file = written(Format::Mp4, (64, 48), 30, 75);
    let kinds: Vec<String> = boxes(&file).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["ftyp", "moov", "mdat"]);
    assert_eq!(&file[8..12], b"isom");

    let moov = movie(&file);
    let media = &moov.trak[0].mdia;
    let table = &media.minf.stbl;
    assert_eq!(u64::from(moov.mvhd.timescale) * 75, moov.mvhd.duration * 30);
    assert_eq!(
        (media.mdhd.timescale, media.mdhd.duration),
        (30_000, 75_000)
    );
    assert_eq!(table.stts.entries.len(), 1, "all frames last equally long");
    assert_eq!(table.stss.as_ref().unwrap().entries, [1, 61]);
    assert_eq!(frames(&file, &moov).len(), 75);
}

#[test]
fn the_frames_of_an_mp4_decode_to_their_colours() {
    let size = (66, 38);
    let file = written(Format::Mp4, size, 10, 3);
    let moov = movie(&file);
    let mut decoder = Decoder::new().unwrap();
    for (index, frame) in frames(&file, &moov).iter().enumerate() {
        let picture = decoder.decode(frame).unwrap().unwrap();
        assert_eq!(picture.dimensions(), (66, 38));
        for (x, expected) in [(8, COLOURS[index]), (57, COLOURS[3])] {
            let found = bt_709(&picture, x, 19);
            let worst = found
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - f64::from(b)).abs());
            let worst = worst.fold(0.0, f64::max);
            assert!(
                worst < 6.0,
                "frame {index} at {x}: {found:?}, not {expected:?}"
            );
        }
    }
}

/// The pixel by the equations of ITU-R BT.709 in floating point, apart from the program's own.
fn bt_709(picture: &impl YUVSource, x: usize, y: usize) -> [f64; 3] {
    let (ys, us, vs) = picture.strides();
    let luma = (f64::from(picture.y()[y * ys + x]) - 16.0) * 255.0 / 219.0;
    let blue = (f64::from(picture.u()[y / 2 * us + x / 2]) - 128.0) * 255.0 / 224.0;
    let red = (f64::from(picture.v()[y / 2 * vs + x / 2]) - 128.0) * 255.0 / 224.0;
    let (r, b) = (luma + 1.5748 * red, luma + 1.8556 * blue);
    [r, (luma - 0.2126 * r - 0.0722 * b) / 0.7152, b]
}

#[test]
fn an_odd_side_is_made_even() {
    let file = written(Format::Mp4, (65, 49), 10, 2);
    let moov = movie(&file);
    let mut decoder = Decoder::new().unwrap();
    let frame = &frames(&file, &moov)[0];
    let picture = decoder.decode(frame).unwrap().unwrap();
    assert_eq!(picture.dimensions(), (66, 50));
    assert_eq!(moov.trak[0].tkhd.width.integer(), 66);
}

#[test]
fn what_cannot_be_written_is_refused() {
    for (format, size, rate) in [
        (Format::Webm, (64, 64), 30),
        (Format::Mp4, (4096, 64), 30),
        (Format::Mp4, (64, 64), 0),
        (Format::Gif, (64, 8), 30),
        (Format::Gif, (70_000, 64), 30),
    ] {
        assert!(
            writer(format, size, rate).is_err(),
            "{format} {size:?} {rate}"
        );
    }
    for format in [Format::Mp4, Format::Gif] {
        assert!(writer(format, (64, 64), 10).unwrap().finish().is_err());
        let mut writer = writer(format, (64, 64), 10).unwrap();
        assert!(writer.push(&RgbImage::new(64, 62)).is_err());
    }
}

/// Each frame of a GIF as a player shows it, with its delay in milliseconds.
fn played(file: &[u8]) -> Vec<(RgbImage, u32)> {
    let frames = GifDecoder::new(std::io::Cursor::new(file))
        .unwrap()
        .into_frames();
    frames
        .map(|frame| {
            let frame = frame.unwrap();
            let (delay, of) = frame.delay().numer_denom_ms();
            let picture = image::DynamicImage::ImageRgba8(frame.into_buffer()).into_rgb8();
            (picture, delay / of)
        })
        .collect()
}

#[test]
fn a_gif_shows_its_frames_in_their_colours_and_time() {
    // 30 a second are thinned out to 15; 24 a second need delays of 40 and 50 ms.
    for (rate, count, kept) in [(30, 30, 15), (24, 12, 12)] {
        let size = (40, 30);
        let file = written(Format::Gif, size, rate, count);
        let played = played(&file);
        assert_eq!(played.len(), kept, "{rate} a second");
        let whole: u32 = played.iter().map(|(_, delay)| delay).sum();
        assert_eq!(whole, 1000 * count as u32 / rate);
        for (index, (picture, _)) in played.iter().enumerate() {
            let left = COLOURS[(index * count / kept) % 4];
            assert_eq!(*picture, halves(size, left, COLOURS[3]), "frame {index}");
        }
    }
}

#[test]
fn a_gif_says_that_it_repeats_and_spares_what_stands_still() {
    let picture = halves((40, 30), COLOURS[0], COLOURS[1]);
    let mut writer = writer(Format::Gif, (40, 30), 10).unwrap();
    for _ in 0..20 {
        writer.push(&picture).unwrap();
    }
    let file = writer.finish().unwrap();
    assert!(file.windows(11).any(|part| part == b"NETSCAPE2.0"));
    let played = played(&file);
    assert_eq!(played.len(), 1);
    assert_eq!(played[0].1, 2000);
}

#[test]
fn many_colours_of_a_gif_come_near_theirs() {
    let size = (64, 64);
    let mut writer = writer(Format::Gif, size, 10).unwrap();
    let picture = |shift: u32| {
        RgbImage::from_fn(size.0, size.1, |x, y| {
            Rgb([(x * 4) as u8, (y * 4) as u8, (shift * 60) as u8])
        })
    };
    for shift in 0..4 {
        writer.push(&picture(shift)).unwrap();
    }
    for (shift, (found, _)) in (0..).zip(played(&writer.finish().unwrap())) {
        let expected = picture(shift);
        let apart = found.iter().zip(expected.iter());
        let worst = apart.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst < 24, "frame {shift} is {worst} away");
    }
}
