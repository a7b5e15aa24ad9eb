//! MP3: the tags before and behind the sound (ID3v2 4.0, section 3; ID3v1; APEv2).

use super::Cut;

const ID3V1: usize = 128;
const HEADER: usize = 10;
const APE_FOOTER: usize = 32;

pub(super) fn cuts(content: &[u8]) -> Vec<Cut> {
    let mut begin = 0;
    while let Some(size) = id3v2(&content[begin..]) {
        begin += size;
    }
    let mut end = content.len();
    while let Some(size) = at_end(&content[begin..end]) {
        end -= size;
    }
    vec![Cut::out(0..begin), Cut::out(end..content.len())]
}

/// The size of the tag that the content begins with.
fn id3v2(content: &[u8]) -> Option<usize> {
    let header = content.get(..HEADER).filter(|it| it.starts_with(b"ID3"))?;
    let size = header[6..].iter();
    let size = size.fold(0, |size, byte| size << 7 | usize::from(byte & 0x7F));
    let footer = if header[5] & 0x10 == 0 { 0 } else { HEADER };
    Some((HEADER + size + footer).min(content.len()))
}

/// The size of the tag that the content ends with.
fn at_end(content: &[u8]) -> Option<usize> {
    let tail = |size| content.get(content.len().checked_sub(size)?..);
    if tail(ID3V1).is_some_and(|tail| tail.starts_with(b"TAG")) {
        return Some(ID3V1);
    }
    let footer = tail(APE_FOOTER).filter(|tail| tail.starts_with(b"APETAGEX"))?;
    let number = |at: usize| footer[at..].first_chunk().map(|it| u32::from_le_bytes(*it));
    let size = usize::try_from(number(12)?).ok()?;
    let header = if number(20)? >> 31 == 0 {
        0
    } else {
        APE_FOOTER
    };
    Some((size.max(APE_FOOTER) + header).min(content.len()))
}
