//! Animated GIF.

use std::io::Cursor;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder};

use crate::picture::{MEMORY_PER_PIXEL, on_white};
use crate::{Bounds, CodecError};

use super::{EachFrame, Facts, Frame, rate};

/// Shorter delays are shown as the longer one, by all browsers, in units of 10 ms.
const SHORTEST_DELAY: u64 = 2;
const DELAY_INSTEAD: u64 = 10;

/// Walks over the blocks of the file, without unpacking a picture (GIF89a specification, appendix A).
///
/// Bytes after the trailer make it another file: [`CodecError::Corrupt`].
pub(super) fn facts(content: &[u8], bounds: &Bounds) -> Result<Facts, CodecError> {
    let mut blocks = Blocks { content, at: 6 };
    let (width, height) = (blocks.number()?, blocks.number()?);
    let flags = blocks.byte()?;
    blocks.skip(2)?; // background colour, aspect ratio
    blocks.skip(palette(flags))?;
    let (mut frames, mut hundredths, mut delay) = (0_u64, 0_u64, 0);
    loop {
        match blocks.byte()? {
            0x3B => break,
            0x21 => delay = blocks.extension()?.unwrap_or(delay),
            0x2C => {
                blocks.skip(8)?; // place and size
                let flags = blocks.byte()?;
                blocks.skip(palette(flags))?;
                blocks.skip(1)?; // size of the codes
                blocks.sub_blocks()?;
                frames += 1;
                bounds.check_frames(frames)?;
                hundredths += shown(std::mem::take(&mut delay));
            }
            other => {
                return Err(CodecError::corrupt(format!(
                    "a block of the kind {other:#x}"
                )));
            }
        }
    }
    if content[blocks.at..].iter().any(|byte| *byte != 0) {
        return Err(CodecError::corrupt("the file goes on after its end"));
    }
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
    let mut decoder = GifDecoder::new(Cursor::new(content)).map_err(corrupt)?;
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

/// How long a frame with this delay is shown, both in 10 ms.
fn shown(delay: u64) -> u64 {
    if delay < SHORTEST_DELAY {
        DELAY_INSTEAD
    } else {
        delay
    }
}

/// Bytes of the palette that these flags announce.
fn palette(flags: u8) -> usize {
    match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    }
}

fn corrupt(error: image::ImageError) -> CodecError {
    CodecError::Corrupt(error.to_string())
}

struct Blocks<'a> {
    content: &'a [u8],
    at: usize,
}

impl Blocks<'_> {
    fn byte(&mut self) -> Result<u8, CodecError> {
        let byte = self.content.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(cut_off)
    }

    fn number(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, count: usize) -> Result<(), CodecError> {
        self.at += count;
        if self.at > self.content.len() {
            Err(cut_off())
        } else {
            Ok(())
        }
    }

    fn sub_blocks(&mut self) -> Result<(), CodecError> {
        loop {
            match self.byte()? {
                0 => return Ok(()),
                size => self.skip(size.into())?,
            }
        }
    }

    /// The delay if it is a graphic control extension, in 10 ms.
    fn extension(&mut self) -> Result<Option<u64>, CodecError> {
        const GRAPHIC_CONTROL: u8 = 0xF9;
        let kind = self.byte()?;
        let start = self.at;
        self.sub_blocks()?;
        let delay = match self.content.get(start..self.at) {
            Some([size, _, low, high, ..]) if kind == GRAPHIC_CONTROL && *size >= 4 => {
                Some(u64::from(u16::from_le_bytes([*low, *high])))
            }
            _ => None,
        };
        Ok(delay)
    }
}

fn cut_off() -> CodecError {
    CodecError::corrupt("the end of the file is missing")
}
