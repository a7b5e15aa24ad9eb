//! Animated GIF (the GIF89a specification, with the looping extension of Netscape).

use std::ops::Range;

use bytes::Bytes;
use gif::{DisposalMethod, Encoder, Frame, Repeat};
use image::RgbImage;

use super::palette::Palette;
use super::{CodecError, VideoWriter, check_size, no_frames};

/// More frames a second than this are thinned out: players show a frame for 1/10 s whose delay is below 2/100 s, and files
/// grow with each.
const MOST_FRAME_RATE: u32 = 25;
/// Hundredths of a second: the unit of delays.
const HUNDREDTHS: u64 = 100;
/// One index of the 256 is transparent: what lies there stays as it was.
const COLOURS: usize = 255;
/// Changes of a channel up to this are not worth a pixel.
const UNSEEN: u8 = 2;
/// A palette serves the next frames until they are this much farther from it than what it was made for (squared distance).
const WORN: f64 = 12.0;
/// The palette is made for every so many pixels, and judged by them.
const SAMPLED: usize = 5;

/// Writes GIF files.
pub(super) struct GifWriter {
    size: (u16, u16),
    frame_rate: u32,
    /// One frame of so many is kept.
    step: u32,
    pushed: u32,
    file: Option<Encoder<Vec<u8>>>,
    chosen: Option<Chosen>,
    /// What a player shows by now, before its colours are reduced.
    shown: RgbImage,
    /// The last change, which waits for its delay: how long it is seen.
    pending: Option<Pending>,
}

/// The colours by now.
struct Chosen {
    palette: Palette,
    /// What the palette's own pixels lose by it.
    error: f64,
    /// The colours as the file holds them, with a spare one at the end.
    table: Vec<u8>,
    /// The index of the spare one.
    transparent: u8,
    /// Whether the file's own table has them, so that a frame need not bring them.
    is_global: bool,
}

/// A frame, and when it begins.
struct Pending {
    frame: Frame<'static>,
    from: u64,
}

/// The part of a picture that changed.
#[derive(Clone, Copy)]
struct Changed {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl GifWriter {
    pub(super) fn new((width, height): (u32, u32), frame_rate: u32) -> Result<Self, CodecError> {
        let side = |pixels: u32| u16::try_from(pixels).map_err(failed);
        Ok(Self {
            size: (side(width)?, side(height)?),
            frame_rate,
            step: frame_rate.div_ceil(MOST_FRAME_RATE),
            pushed: 0,
            file: None,
            chosen: None,
            shown: RgbImage::new(width, height),
            pending: None,
        })
    }

    /// When a frame begins, in hundredths of a second: rounded each for itself, so that nothing adds up.
    fn begins(&self, frame: u32) -> u64 {
        let rate = u64::from(self.frame_rate);
        (u64::from(frame) * HUNDREDTHS + rate / 2) / rate
    }

    /// Writes the frame that waits: it is seen until `until`.
    fn flush(&mut self, until: u64) -> Result<(), CodecError> {
        let Some(Pending { mut frame, from }) = self.pending.take() else {
            return Ok(());
        };
        frame.delay = u16::try_from(until.saturating_sub(from)).unwrap_or(u16::MAX);
        let file = self.file.as_mut().ok_or_else(no_frames)?;
        file.write_frame(&frame).map_err(failed)
    }

    /// The changed pixels as a frame; in all frames but the first, unchanged ones are transparent.
    fn reduce(&mut self, picture: &RgbImage, area: Changed) -> Result<Frame<'static>, CodecError> {
        let first = self.file.is_none();
        self.renew(picture, area);
        let Some(chosen) = self.chosen.as_mut() else {
            return Err(failed("there is no palette"));
        };
        if first {
            let (width, height) = self.size;
            let mut file =
                Encoder::new(Vec::new(), width, height, &chosen.table).map_err(failed)?;
            file.set_repeat(Repeat::Infinite).map_err(failed)?;
            self.file = Some(file);
        }
        let shown: &mut [u8] = &mut self.shown;
        let mut buffer = Vec::with_capacity((area.width * area.height) as usize);
        for row in area.top..area.top + area.height {
            let range = area.row(row, picture.width());
            let now = picture.as_raw()[range.clone()].chunks_exact(3);
            let before = shown[range].chunks_exact_mut(3);
            for (now, before) in now.zip(before) {
                if first || differs(now, before) {
                    before.copy_from_slice(now);
                    buffer.push(chosen.palette.index_of(now));
                } else {
                    buffer.push(chosen.transparent);
                }
            }
        }
        // Sides fit into 16 bits, as `new` has seen.
        Ok(Frame {
            left: area.left as u16,
            top: area.top as u16,
            width: area.width as u16,
            height: area.height as u16,
            dispose: DisposalMethod::Keep,
            transparent: (!first).then_some(chosen.transparent),
            palette: (!chosen.is_global).then(|| chosen.table.clone()),
            buffer: buffer.into(),
            ..Frame::default()
        })
    }

    /// Chooses colours anew where the present ones do not do.
    fn renew(&mut self, picture: &RgbImage, area: Changed) {
        let sampled = || {
            (area.top..area.top + area.height).flat_map(move |row| {
                let pixels = picture.as_raw()[area.row(row, picture.width())].chunks_exact(3);
                pixels.skip(row as usize % SAMPLED).step_by(SAMPLED)
            })
        };
        if let Some(chosen) = &mut self.chosen
            && chosen.palette.error(sampled()) <= chosen.error + WORN
        {
            return;
        }
        let mut palette = Palette::for_pixels(sampled(), COLOURS);
        let mut table = palette.bytes();
        // 255 at most.
        let transparent = (table.len() / 3) as u8;
        table.extend([0; 3]);
        self.chosen = Some(Chosen {
            error: palette.error(sampled()),
            palette,
            table,
            transparent,
            is_global: self.file.is_none(),
        });
    }
}

impl VideoWriter for GifWriter {
    fn push(&mut self, frame: &RgbImage) -> Result<(), CodecError> {
        check_size(frame, (self.shown.width(), self.shown.height()))?;
        let number = self.pushed;
        self.pushed += 1;
        if !number.is_multiple_of(self.step) {
            return Ok(());
        }
        let area = if number == 0 {
            Changed::whole(frame)
        } else if let Some(area) = Changed::between(&self.shown, frame) {
            area
        } else {
            return Ok(());
        };
        let from = self.begins(number);
        self.flush(from)?;
        let frame = self.reduce(frame, area)?;
        self.pending = Some(Pending { frame, from });
        Ok(())
    }

    fn written(&self) -> u64 {
        self.file
            .as_ref()
            .map_or(0, |file| file.get_ref().len() as u64)
    }

    fn finish(mut self: Box<Self>) -> Result<Bytes, CodecError> {
        self.flush(self.begins(self.pushed))?;
        let file = self.file.ok_or_else(no_frames)?;
        Ok(file.into_inner().map_err(failed)?.into())
    }
}

impl Changed {
    fn whole(picture: &RgbImage) -> Self {
        Self {
            left: 0,
            top: 0,
            width: picture.width(),
            height: picture.height(),
        }
    }

    /// The smallest rectangle with all pixels that differ; none if no pixel does.
    fn between(before: &RgbImage, now: &RgbImage) -> Option<Self> {
        let (mut left, mut right) = (u32::MAX, 0);
        let (mut top, mut bottom) = (u32::MAX, 0);
        let stride = now.width() as usize * 3;
        let rows = before
            .as_raw()
            .chunks_exact(stride)
            .zip(now.as_raw().chunks_exact(stride));
        for ((before, now), row) in rows.zip(0_u32..) {
            if before == now {
                continue;
            }
            let mut columns = before
                .chunks_exact(3)
                .zip(now.chunks_exact(3))
                .zip(0_u32..)
                .filter(|((before, now), _)| differs(now, before))
                .map(|(_, column)| column);
            let Some(first) = columns.next() else {
                continue;
            };
            left = left.min(first);
            right = right.max(columns.last().unwrap_or(first));
            top = top.min(row);
            bottom = row;
        }
        (left <= right).then(|| Self {
            left,
            top,
            width: right - left + 1,
            height: bottom - top + 1,
        })
    }

    /// Where a row of it lies among the bytes of a picture.
    fn row(self, row: u32, picture_width: u32) -> Range<usize> {
        let start = (row as usize * picture_width as usize + self.left as usize) * 3;
        start..start + self.width as usize * 3
    }
}

fn differs(now: &[u8], before: &[u8]) -> bool {
    now.iter().zip(before).any(|(a, b)| a.abs_diff(*b) > UNSEEN)
}

fn failed(error: impl std::fmt::Display) -> CodecError {
    CodecError::Unsupported(format!("GIF writing failed: {error}"))
}
