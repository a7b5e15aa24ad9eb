//! Animated GIF.

use std::io::Cursor;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder};

use crate::ending::check_rest;
use crate::picture::{MEMORY_PER_PIXEL, on_white};
use crate::provenance::gif::{Block, EXTENSION, HEADER, IMAGE, TRAILER, blocks, color_table};
use crate::{Bounds, CodecError};

use super::{EachFrame, Facts, Frame, rate};

/// Shorter delays are shown as the longer one, by all browsers, in units of 10 ms.
const SHORTEST_DELAY: u64 = 2;
const DELAY_INSTEAD: u64 = 10;
const GRAPHIC_CONTROL: u8 = 0xF9;
/// Of the descriptors of the screen and of an image: that a table of colours follows.
const HAS_TABLE: u8 = 0x80;
/// Where in the descriptor of an image the flags stand.
const IMAGE_FLAGS: usize = 9;

/// Walks over the blocks of the file, without unpacking a picture (GIF89a specification, appendix A).
pub(super) fn facts(content: &[u8], bounds: &Bounds) -> Result<Facts, CodecError> {
    let number = |at: usize| {
        let bytes = content.get(at..).and_then(|rest| rest.first_chunk());
        bytes
            .map(|bytes| u16::from_le_bytes(*bytes))
            .ok_or_else(cut_off)
    };
    let (width, height) = (number(6)?, number(8)?);
    let (mut frames, mut hundredths, mut delay) = (0_u64, 0_u64, 0);
    let mut end = Err(cut_off());
    for block in blocks(content) {
        match block.bytes {
            [TRAILER] => end = Ok(block.end),
            [IMAGE, ..] => {
                frames += 1;
                bounds.check_frames(frames)?;
                hundredths += shown(std::mem::take(&mut delay));
            }
            bytes => delay = control(bytes).map_or(delay, |control| delay_of(&control)),
        }
    }
    check_rest(content.get(end?..))?;
    bounds.check_frames(frames)?;
    let duration = Duration::from_millis(hundredths * 10);
    Ok(Facts {
        size: (width.into(), height.into()),
        duration,
        frames,
        frame_rate: rate(frames, duration),
        codec: "gif".to_owned(),
        sound: None,
    })
}

pub(super) fn frames(
    content: &[u8],
    bounds: &Bounds,
    each: EachFrame<'_>,
) -> Result<(), CodecError> {
    let known = facts(content, bounds)?;
    bounds.check_size(known.size.0, known.size.1)?;
    let mut decoder = GifDecoder::new(Cursor::new(plain(content))).map_err(corrupt)?;
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(bounds.max_pixels.saturating_mul(MEMORY_PER_PIXEL));
    decoder.set_limits(limits).map_err(corrupt)?;
    let mut time = Duration::ZERO;
    for frame in decoder.into_frames() {
        bounds.stop.check()?;
        let frame = frame.map_err(corrupt)?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let hundredths = u64::from(numerator) / u64::from(denominator.max(1)) / 10;
        let picture = on_white(frame.buffer());
        if each(Frame { time, picture })?.is_break() {
            return Ok(());
        }
        time += Duration::from_millis(shown(hundredths) * 10);
    }
    Ok(())
}

/// The same animation with nothing in it but what is drawn, since the decoder refuses a file for what others pass by: zeros
/// between the blocks, extensions that nobody knows or of an odd length, an image without a table of colours.
fn plain(content: &[u8]) -> Vec<u8> {
    let mut plain = content[..HEADER].to_vec();
    let flags = content[10];
    let tables = HEADER..HEADER + color_table(flags);
    plain.extend(content.get(tables).unwrap_or_default());
    if flags & HAS_TABLE == 0 && blocks(content).any(|block| lacks_colours(&block)) {
        // Shades of grey, as Pillow has it.
        plain[10] = flags | HAS_TABLE | 7;
        plain.extend((0..=u8::MAX).flat_map(|shade| [shade; 3]));
    }
    for block in blocks(content) {
        match block.bytes {
            [IMAGE | TRAILER, ..] => plain.extend(block.bytes),
            bytes => plain.extend(control(bytes).iter().flat_map(|control| {
                let [flags, low, high, clear] = *control;
                [EXTENSION, GRAPHIC_CONTROL, 4, flags, low, high, clear, 0]
            })),
        }
    }
    plain
}

fn lacks_colours(block: &Block<'_>) -> bool {
    let is_image = block.bytes.first() == Some(&IMAGE);
    is_image
        && block
            .bytes
            .get(IMAGE_FLAGS)
            .is_some_and(|flags| flags & HAS_TABLE == 0)
}

/// What a graphic control extension says of the next image: flags, delay, and which colour is clear.
fn control(block: &[u8]) -> Option<[u8; 4]> {
    match block {
        [EXTENSION, GRAPHIC_CONTROL, size, rest @ ..] if *size >= 4 => rest.first_chunk().copied(),
        _ => None,
    }
}

/// In 10 ms.
fn delay_of(control: &[u8; 4]) -> u64 {
    u64::from(u16::from_le_bytes([control[1], control[2]]))
}

/// How long a frame with this delay is shown, both in 10 ms.
fn shown(delay: u64) -> u64 {
    if delay < SHORTEST_DELAY {
        DELAY_INSTEAD
    } else {
        delay
    }
}

fn corrupt(error: image::ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}

fn cut_off() -> CodecError {
    CodecError::corrupt("the end of the file is missing")
}
