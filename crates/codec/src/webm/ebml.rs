//! The elements of which WebM files are made (RFC 8794).

use crate::CodecError;

/// Elements that hold others and are gone through as if these stood in their place: their size may be unknown, as of recorders
/// that write to a pipe.
pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const CLUSTER: u32 = 0x1F43_B675;
/// What there is in a segment and in a cluster, beside those (RFC 9559, section 5.1).
const KNOWN: [u32; 15] = [
    0x114D_9B74,
    0x1549_A966,
    0x1654_AE6B,
    0x1C53_BB6B,
    0x1254_C367,
    0x1043_A770,
    0x1941_A469,
    0xEC,
    0xBF,
    0xE7,
    0xA3,
    0xA0,
    0xA7,
    0xAB,
    0x5854,
];

/// An element, borrowed from its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) id: u32,
    pub(crate) body: &'a [u8],
}

impl Element<'_> {
    /// A number without a sign.
    pub(crate) fn number(&self) -> u64 {
        let bytes = self.body.iter().take(8);
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number with a point; 0 for what is none.
    pub(crate) fn float(&self) -> f64 {
        match self.body.len() {
            4 => f64::from(f32::from_bits(self.number() as u32)),
            8 => f64::from_bits(self.number()),
            _ => 0.0,
        }
    }

    /// A text, which zeros may fill up.
    pub(crate) fn text(&self) -> &str {
        let text = str::from_utf8(self.body).unwrap_or_default();
        text.trim_end_matches('\0')
    }
}

/// What stands before an element's body.
struct Head {
    id: u32,
    /// Where in what was searched the body begins.
    body: usize,
    /// `None` where it is not known.
    size: Option<usize>,
}

impl Head {
    fn read(content: &[u8], at: usize) -> Option<Self> {
        let first = *content.get(at)?;
        let id_length = first.leading_zeros() as usize + 1;
        let id = content.get(at..at + id_length).filter(|id| id.len() <= 4)?;
        let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let (size, length) = length(content.get(at + id_length..)?)?;
        Some(Self {
            id,
            body: at + id_length + length,
            size,
        })
    }
}

/// A number whose first bits tell how many bytes it has, and how many those are. The number is `None` if all its bits are set,
/// which means that it is not known.
pub(crate) fn length(content: &[u8]) -> Option<(Option<usize>, usize)> {
    let length = content.first()?.leading_zeros() as usize + 1;
    let bytes = content.get(..length).filter(|bytes| bytes.len() <= 8)?;
    let bits = 7 * length as u32;
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    let number = number & ((1 << bits) - 1);
    let is_known = number != (1 << bits) - 1;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    Some((is_known.then_some(number), length))
}

/// The elements within another, up to where that is damaged.
pub(crate) fn children(content: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = Head::read(content, at)?;
        let end = head.body.checked_add(head.size?)?;
        let body = content.get(head.body..end)?;
        at = end;
        Some(Element { id: head.id, body })
    })
}

/// The elements of a file, from the start, with those of segment and clusters in their place.
#[derive(Clone)]
pub(crate) struct Elements<'a> {
    content: &'a [u8],
    at: usize,
    /// Where the segment ends, if it says so.
    end: Option<usize>,
}

impl<'a> Elements<'a> {
    pub(crate) fn of(content: &'a [u8]) -> Self {
        Self {
            content,
            at: 0,
            end: None,
        }
    }

    /// Where the next element begins; behind the last one, where the file ends.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next element, `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, CodecError> {
        let cut_off = || CodecError::corrupt("the end of the file is missing");
        loop {
            if self.end.is_some_and(|end| self.at >= end) {
                return Ok(None);
            }
            // Behind a segment of unknown size there may be something else.
            let Some(head) = Head::read(self.content, self.at) else {
                return Ok(None);
            };
            let end = head.size.map(|size| head.body.saturating_add(size));
            let is_there = end.is_none_or(|end| end <= self.content.len());
            match head.id {
                SEGMENT | CLUSTER if !is_there => return Err(cut_off()),
                SEGMENT => (self.at, self.end) = (head.body, end),
                CLUSTER => self.at = head.body,
                id if self.end.is_none() && self.at > 0 && !KNOWN.contains(&id) => return Ok(None),
                id => {
                    let end = end.filter(|_| is_there).ok_or_else(cut_off)?;
                    let body = &self.content[head.body..end];
                    self.at = end;
                    return Ok(Some(Element { id, body }));
                }
            }
        }
    }
}
