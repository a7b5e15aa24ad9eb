//! The pages of an Ogg file, and the packets in them (RFC 3533, section 6).

use std::borrow::Cow;

use crate::CodecError;

const HEADER: usize = 27;
const CHECKSUM: std::ops::Range<usize> = 22..26;
/// What a page says that finishes no packet.
const NO_POSITION: u64 = u64::MAX;
/// Of the flags.
const IS_CONTINUED: u8 = 1;
const IS_FIRST: u8 = 2;
const IS_LAST: u8 = 4;

/// A page, borrowed from its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    flags: u8,
    /// Where in its stream the last packet ends that it finishes.
    pub(super) position: Option<u64>,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// The lengths of its segments: a packet ends with one that is shorter than 255.
    segments: &'a [u8],
    pub(super) body: &'a [u8],
    /// Where in the file it ends.
    pub(super) end: usize,
}

impl<'a> Page<'a> {
    /// The page that begins there.
    pub(super) fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let rest = content.get(at..).filter(|it| it.starts_with(b"OggS\0"))?;
        let number = |at: usize| {
            rest.get(at..)?
                .first_chunk()
                .map(|it| u32::from_le_bytes(*it))
        };
        let position = rest
            .get(6..)?
            .first_chunk()
            .map(|it| u64::from_le_bytes(*it))?;
        let count = usize::from(*rest.get(HEADER - 1)?);
        let segments = rest.get(HEADER..HEADER + count)?;
        let length = segments.iter().map(|it| usize::from(*it)).sum::<usize>();
        let begin = HEADER + count;
        Some(Self {
            flags: rest[5],
            position: Some(position).filter(|it| *it != NO_POSITION),
            serial: number(14)?,
            sequence: number(18)?,
            segments,
            body: rest.get(begin..begin + length)?,
            end: at + begin + length,
        })
    }

    pub(super) fn is_first(&self) -> bool {
        self.flags & IS_FIRST != 0
    }

    pub(super) fn is_last(&self) -> bool {
        self.flags & IS_LAST != 0
    }
}

/// Whether the page from here to there is as it was written: its checksum has this place set to zero.
pub(super) fn is_whole(page: &[u8]) -> bool {
    let Some(said) = page.get(CHECKSUM).and_then(|it| it.first_chunk()) else {
        return false;
    };
    let (before, behind) = (&page[..CHECKSUM.start], &page[CHECKSUM.end..]);
    let bytes = before.iter().chain(&[0; 4]).chain(behind);
    let sum = bytes.fold(0_u32, |sum, byte| {
        (sum << 8) ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)]
    });
    sum == u32::from_le_bytes(*said)
}

/// Polynomial 0x04C11DB7, a byte at a time.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut sum, mut bit) = ((index as u32) << 24, 0);
        while bit < 8 {
            sum = (sum << 1) ^ if sum >> 31 == 0 { 0 } else { 0x04C1_1DB7 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
};

/// A packet, and where in the stream it ends, if it is the last that its page finishes.
pub(super) struct Packet<'a> {
    pub(super) data: Cow<'a, [u8]>,
    pub(super) position: Option<u64>,
}

/// The packets of one stream, in order.
#[derive(Clone)]
pub(super) struct Packets<'a> {
    content: &'a [u8],
    at: usize,
    serial: u32,
    page: Option<Page<'a>>,
    /// What of a packet the pages before have.
    begun: Vec<u8>,
}

impl<'a> Packets<'a> {
    pub(super) fn of(content: &'a [u8], serial: u32) -> Self {
        Self {
            content,
            at: 0,
            serial,
            page: None,
            begun: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Packet<'a>>, CodecError> {
        loop {
            if let Some(packet) = self.of_page() {
                return Ok(Some(packet));
            }
            let Some(page) = Page::read(self.content, self.at) else {
                return Ok(None);
            };
            self.at = page.end;
            if page.serial != self.serial {
                continue;
            }
            let is_continued = page.flags & IS_CONTINUED != 0;
            if is_continued == self.begun.is_empty() && !page.segments.is_empty() {
                self.skip_lost(page, is_continued)?;
            } else {
                self.page = Some(page);
            }
        }
    }

    /// A packet whose beginning or end stands on a page that is not there. Where a stream was cut, that is so at its start.
    fn skip_lost(&mut self, mut page: Page<'a>, is_continued: bool) -> Result<(), CodecError> {
        if !is_continued {
            return Err(CodecError::corrupt("a page is missing"));
        }
        let count = page.segments.iter().take_while(|it| **it == 255).count() + 1;
        let lost = &page.segments[..count.min(page.segments.len())];
        let length = lost.iter().map(|it| usize::from(*it)).sum::<usize>();
        page.segments = &page.segments[lost.len()..];
        page.body = &page.body[length..];
        self.page = Some(page);
        Ok(())
    }

    /// The next packet that the page finishes.
    fn of_page(&mut self) -> Option<Packet<'a>> {
        let page = self.page.as_mut()?;
        let full = page.segments.iter().take_while(|it| **it == 255).count();
        let is_finished = full < page.segments.len();
        let count = if is_finished { full + 1 } else { full };
        let (lengths, segments) = page.segments.split_at(count);
        let length = lengths.iter().map(|it| usize::from(*it)).sum();
        let (data, body) = page.body.split_at(length);
        (page.segments, page.body) = (segments, body);
        if !is_finished {
            self.begun.extend_from_slice(data);
            self.page = None;
            return None;
        }
        let is_last = !segments.iter().any(|it| *it < 255);
        let position = page.position.filter(|_| is_last);
        let data = match self.begun.is_empty() {
            true => Cow::Borrowed(data),
            false => {
                self.begun.extend_from_slice(data);
                Cow::Owned(std::mem::take(&mut self.begun))
            }
        };
        Some(Packet { data, position })
    }
}
