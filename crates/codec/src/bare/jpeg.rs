//! JPEG: the segments of applications and the comments (ITU-T T.81, section B.2.4), and what follows the picture.

use super::{Cut, rest, upright};
use crate::provenance::jpeg::Segment;

const EXIF: &[u8] = b"Exif\0\0";
const COMMENT: u8 = 0xFE;
const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut at = content.starts_with(&[0xFF, 0xD8]).then_some(2)?;
    loop {
        match content.get(at..at + 2)? {
            // A marker may have any number of these before it.
            [0xFF, 0xFF] => at += 1,
            [0xFF, END_OF_IMAGE] => break,
            [0xFF, marker] => {
                let segment = Segment::read(content, at)?;
                if tells(&segment) {
                    cuts.push(Cut::replace(at..segment.end(), instead(&segment)));
                }
                at = match *marker {
                    START_OF_SCAN => end_of_scan(content, segment.end())?,
                    _ => segment.end(),
                };
            }
            _ => return None,
        }
    }
    cuts.push(rest(content, at + 2));
    Some(cuts)
}

/// Whether the segment is none that a decoder draws by: JFIF's own, a colour profile, and how colours are transformed.
fn tells(segment: &Segment<'_>) -> bool {
    match segment.marker {
        0xE0 => !segment.data.starts_with(b"JFIF\0"),
        0xE2 => !segment.data.starts_with(b"ICC_PROFILE\0"),
        0xEE => !segment.data.starts_with(b"Adobe"),
        0xE1..=0xEF | COMMENT => true,
        _ => false,
    }
}

fn instead(segment: &Segment<'_>) -> Vec<u8> {
    let exif = (segment.marker == 0xE1)
        .then(|| segment.data.strip_prefix(EXIF))
        .flatten();
    let Some(exif) = exif.and_then(upright) else {
        return Vec::new();
    };
    // 26 bytes of Exif.
    let mut segment = vec![0xFF, 0xE1, 0, (2 + EXIF.len() + exif.len()) as u8];
    segment.extend(EXIF);
    segment.extend(exif);
    segment
}

/// Where the next marker is that is no part of the scan's own data.
fn end_of_scan(content: &[u8], from: usize) -> Option<usize> {
    let pairs = content.get(from..)?.windows(2);
    let found = pairs
        .into_iter()
        .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF));
    found.map(|at| from + at)
}
