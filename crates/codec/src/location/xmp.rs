//! XMP: the properties of Exif's GPS and of those who name theirs alike, as drones do, and those of places by their names (IPTC Photo
//! Metadata Standard 2023.1, with Photoshop's), as attributes and as elements of a packet in UTF-8.

use std::ops::Range;

/// How the names of properties of a place begin, behind their prefix: `LocationShown`, `CountryCode` and `CityName` are meant, too.
pub(super) const NAMES: [&[u8]; 11] = [
    b":GPS",
    b":Gps",
    b":gps",
    b":City",
    b":Country",
    b":Location",
    b":ProvinceState",
    b":State",
    b":Sublocation",
    b":WorldRegion",
    b":shotLocation",
];
/// Bytes of the shortest of them.
const LEAST: usize = 4;
/// Longer than what a property says.
const MOST: usize = 4096;

/// Puts spaces in the place of such properties, wherever a packet is.
pub(super) fn blank(content: &mut [u8]) -> bool {
    let (mut changed, mut from) = (false, 0);
    while let Some(found) = next(&content[from..]) {
        let at = from + found;
        from = at + LEAST;
        if let Some(property) = property(content, at) {
            from = property.end;
            content[property].fill(b' ');
            changed = true;
        }
    }
    changed
}

fn next(content: &[u8]) -> Option<usize> {
    let begins = |at: &usize| NAMES.iter().any(|name| content[*at..].starts_with(name));
    (0..content.len()).find(|at| content[*at] == b':' && begins(at))
}

/// The property whose name has its colon here.
fn property(content: &[u8], colon: usize) -> Option<Range<usize>> {
    let prefix = content[..colon].iter().rev();
    let prefix = prefix.take_while(|byte| is_of_name(**byte)).count();
    let begin = colon - prefix;
    let rest = &content[colon + 1..content.len().min(colon + 1 + MOST)];
    let name_end = colon + 1 + rest.iter().take_while(|byte| is_of_name(**byte)).count();
    if prefix == 0 {
        return None;
    }
    match content[..begin].last() {
        Some(b'<') => element(content, begin, name_end),
        Some(b'/') => None,
        _ => attribute(content, begin, name_end),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn attribute(content: &[u8], begin: usize, name_end: usize) -> Option<Range<usize>> {
    let rest = content.get(name_end..content.len().min(name_end + MOST))?;
    let mut rest = rest
        .iter()
        .enumerate()
        .skip_while(|(_, byte)| byte.is_ascii_whitespace());
    rest.next().filter(|(_, byte)| **byte == b'=')?;
    let mut rest = rest.skip_while(|(_, byte)| byte.is_ascii_whitespace());
    let (_, quote) = rest
        .next()
        .filter(|(_, byte)| matches!(byte, b'"' | b'\''))?;
    let (end, _) = rest.find(|(_, byte)| *byte == quote)?;
    Some(begin..name_end + end + 1)
}

fn element(content: &[u8], begin: usize, name_end: usize) -> Option<Range<usize>> {
    let window = content.get(name_end..content.len().min(name_end + MOST))?;
    let tag_end = window.iter().position(|byte| *byte == b'>')?;
    if tag_end > 0 && window[tag_end - 1] == b'/' {
        return Some(begin - 1..name_end + tag_end + 1);
    }
    let closing = [b"</", &content[begin..name_end], b">"].concat();
    let end = super::find(&window[tag_end..], &closing)?;
    Some(begin - 1..name_end + tag_end + end + closing.len())
}
