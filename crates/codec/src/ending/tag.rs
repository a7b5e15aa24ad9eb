//! What programs and cameras put behind a file: tags of sounds, the clip of a motion photo.

const ID3V1: usize = 128;
/// Zeros and spaces that a tag may end with: an ID3v1 tag of no words.
pub(super) const MOST_PADDING: usize = 125;
/// The header or the footer of an ID3v2 tag.
const ID3V2_HEADER: usize = 10;
const APE_FOOTER: usize = 32;
/// Digits of the length, and the marker, that end a Lyrics3v2 tag.
const LYRICS_FOOTER: usize = 6 + 9;
/// What ends Samsung's trailer, with the length before it; an entry of its list.
const TRAILER_END: usize = 8;
const TRAILER_ENTRY: usize = 12;

/// The length of the tag that the content ends with: ID3v1, APEv2, Lyrics3v2, or ID3v2.4 with a footer.
pub(super) fn length(content: &[u8]) -> Option<usize> {
    let tail = |size| content.get(content.len().checked_sub(size)?..);
    if tail(ID3V1).is_some_and(|tail| tail.starts_with(b"TAG")) {
        return Some(ID3V1);
    }
    let length = ape(tail(APE_FOOTER))
        .or_else(|| lyrics(tail(LYRICS_FOOTER)))
        .or_else(|| id3v2(tail(ID3V2_HEADER)))?;
    (length <= content.len()).then_some(length)
}

/// APEv2: the footer tells the length with itself, and whether there is a header.
fn ape(footer: Option<&[u8]>) -> Option<usize> {
    let footer = footer.filter(|it| it.starts_with(b"APETAGEX"))?;
    let number = |at: usize| footer[at..].first_chunk().map(|it| u32::from_le_bytes(*it));
    let length = usize::try_from(number(12)?).ok()?.max(APE_FOOTER);
    let header = if number(20)? >> 31 == 0 {
        0
    } else {
        APE_FOOTER
    };
    length.checked_add(header)
}

/// Lyrics3 v2.00: six digits tell the length without themselves and the marker behind them.
fn lyrics(footer: Option<&[u8]>) -> Option<usize> {
    let digits = footer?.strip_suffix(b"LYRICS200")?;
    let length: usize = str::from_utf8(digits).ok()?.parse().ok()?;
    Some(length + LYRICS_FOOTER)
}

/// ID3v2.4.0 structure, section 3.4.
fn id3v2(footer: Option<&[u8]>) -> Option<usize> {
    let footer = footer.filter(|it| it.starts_with(b"3DI"))?;
    let size = footer[6..].iter();
    let size = size.fold(0, |size, byte| size << 7 | usize::from(byte & 0x7F));
    Some(size + 2 * ID3V2_HEADER)
}

/// Whether a video follows, as cameras put it behind a photo, perhaps with a name before it: the size of its first box, which
/// begins with zeros and so with what may be padding, and the kind.
pub(super) fn is_clip(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"MotionPhoto_Data").unwrap_or(rest);
    rest.windows(4).take(5).any(|kind| kind == b"ftyp")
}

/// Whether all that follows is what Samsung's cameras put behind a photo: blocks of data, among them perhaps a clip, then the list
/// of them, its length and a marker.
pub(super) fn is_trailer_of_camera(rest: &[u8]) -> bool {
    begin_of_trailer(rest) == Some(0)
}

fn begin_of_trailer(rest: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let bytes = rest.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    rest.strip_suffix(b"SEFT")?;
    let end = rest.len().checked_sub(TRAILER_END)?;
    let list = end.checked_sub(number(end)?)?;
    let entries = rest[list..end].strip_prefix(b"SEFH")?.get(8..)?;
    // How far before the list each block begins stands behind its kind.
    let entries = entries.chunks_exact(TRAILER_ENTRY);
    let offsets = entries.filter_map(|entry| entry[4..].first_chunk());
    let first = offsets.map(|bytes| u32::from_le_bytes(*bytes)).max()?;
    list.checked_sub(usize::try_from(first).ok()?)
}
