//! FLAC: a field of the Vorbis comment (RFC 9639, section 8.6).

use super::{
    NotEmbedded,
    edit::{Edit, bytes_at},
};
use crate::signature::id3_length;

const SIGNATURE: &[u8] = b"fLaC";
/// The field's name; its case does not matter.
const FIELD: &str = "ATELIER_RECIPE=";
const HEADER: usize = 4;
const LAST: u8 = 0x80;
const STREAM_INFO: u8 = 0;
const VORBIS_COMMENT: u8 = 4;
/// Largest block in bytes: its size has 24 bits.
const MAX_BLOCK: usize = 0xFF_FFFF;

/// A metadata block's place in the file.
pub(crate) struct Block<'a> {
    pub(crate) at: usize,
    pub(crate) kind: u8,
    pub(crate) is_last: bool,
    pub(crate) data: &'a [u8],
}

impl<'a> Block<'a> {
    fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let [first, size @ ..] = bytes_at::<HEADER>(content, at)?;
        let size = size
            .iter()
            .fold(0, |size, byte| size << 8 | usize::from(*byte));
        Some(Self {
            at,
            kind: first & !LAST,
            is_last: first & LAST != 0,
            data: content.get(at + HEADER..)?.get(..size)?,
        })
    }

    pub(crate) fn end(&self) -> usize {
        self.at + HEADER + self.data.len()
    }
}

/// The blocks before the sound, behind a tag of MP3 files if there is one, or up to where the file is damaged.
pub(crate) fn blocks(content: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let begin = id3_length(content);
    let is_flac = content
        .get(begin..)
        .is_some_and(|it| it.starts_with(SIGNATURE));
    let first = is_flac.then(|| Block::read(content, begin + SIGNATURE.len()));
    let first = first.flatten();
    std::iter::successors(first, |block| {
        (!block.is_last)
            .then(|| Block::read(content, block.end()))
            .flatten()
    })
}

/// A Vorbis comment: who wrote it, and its fields.
struct Comment<'a> {
    vendor: &'a [u8],
    fields: Vec<&'a [u8]>,
}

impl<'a> Comment<'a> {
    fn read(mut data: &'a [u8]) -> Option<Self> {
        let vendor = counted(&mut data)?;
        let mut fields = Vec::new();
        for _ in 0..number(&mut data)? {
            fields.push(counted(&mut data)?);
        }
        Some(Self { vendor, fields })
    }

    fn recipe(&self) -> Option<&'a str> {
        let field = self.fields.iter().find(|field| is_recipe(field))?;
        std::str::from_utf8(&field[FIELD.len()..]).ok()
    }

    fn write(&self) -> Vec<u8> {
        // What does not fit into 32 bits does not fit into the block, which is checked when that is made.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let mut data = number(self.vendor.len()).to_vec();
        data.extend(self.vendor);
        data.extend(number(self.fields.len()));
        for field in &self.fields {
            data.extend(number(field.len()));
            data.extend(*field);
        }
        data
    }
}

fn number(data: &mut &[u8]) -> Option<u32> {
    let (number, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(u32::from_le_bytes(*number))
}

fn counted<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = usize::try_from(number(data)?).ok()?;
    let (counted, rest) = data.split_at_checked(size)?;
    *data = rest;
    Some(counted)
}

fn is_recipe(field: &[u8]) -> bool {
    let name = field.get(..FIELD.len());
    name.is_some_and(|name| name.eq_ignore_ascii_case(FIELD.as_bytes()))
}

pub(super) fn recipe(content: &[u8]) -> Option<&str> {
    let comment = blocks(content).find(|block| block.kind == VORBIS_COMMENT)?;
    Comment::read(comment.data)?.recipe()
}

pub(super) fn edits(content: &[u8], recipe: &str) -> Result<Vec<Edit>, NotEmbedded> {
    let damaged = NotEmbedded::Unfit("its metadata cannot be followed to the sound");
    let first = blocks(content)
        .next()
        .filter(|block| block.kind == STREAM_INFO);
    let last = blocks(content).last().filter(|block| block.is_last);
    let (Some(first), Some(_)) = (first, last) else {
        return Err(damaged);
    };
    let field = [FIELD.as_bytes(), recipe.as_bytes()].concat();
    if let Some(former) = blocks(content).find(|block| block.kind == VORBIS_COMMENT) {
        let mut comment = Comment::read(former.data).ok_or(damaged)?;
        comment.fields.retain(|field| !is_recipe(field));
        comment.fields.push(&field);
        let block = block(former.is_last, &comment)?;
        return Ok(vec![Edit::replace(former.at..former.end(), block)]);
    }
    let comment = Comment {
        vendor: b"",
        fields: vec![&field],
    };
    let not_last = Edit::replace(first.at..first.at + 1, vec![STREAM_INFO]);
    let block = block(first.is_last, &comment)?;
    Ok(vec![not_last, Edit::insert(first.end(), block)])
}

fn block(is_last: bool, comment: &Comment<'_>) -> Result<Vec<u8>, NotEmbedded> {
    let data = comment.write();
    let (size, max) = (data.len(), MAX_BLOCK);
    let header = u32::try_from(size).ok().filter(|_| size <= max);
    let header = header.ok_or(NotEmbedded::TooLong { size, max })?;
    let kind = if is_last {
        LAST | VORBIS_COMMENT
    } else {
        VORBIS_COMMENT
    };
    let mut block = (u32::from(kind) << 24 | header).to_be_bytes().to_vec();
    block.extend(data);
    Ok(block)
}
