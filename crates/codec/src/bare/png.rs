//! PNG: all chunks but those that a decoder draws by (PNG specification, section 5.6).

use super::{Cut, rest, upright};
use crate::provenance::png::{Chunk, chunks, crc32};

/// Those that tell how to draw, beside the critical ones.
const DRAWN_BY: [&[u8; 4]; 16] = [
    b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD",
    b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    let last = chunks(content).last().filter(|it| it.kind == *b"IEND")?;
    let cuts = chunks(content).filter(|chunk| !is_drawn_by(chunk.kind));
    let cuts = cuts.map(|chunk| Cut::replace(chunk.at..chunk.end(), instead(&chunk)));
    Some(cuts.chain([rest(content, last.end())]).collect())
}

fn is_drawn_by(kind: [u8; 4]) -> bool {
    kind[0].is_ascii_uppercase() || DRAWN_BY.contains(&&kind)
}

fn instead(chunk: &Chunk<'_>) -> Vec<u8> {
    let exif = (chunk.kind == *b"eXIf").then(|| upright(chunk.data));
    let Some(exif) = exif.flatten() else {
        return Vec::new();
    };
    // 26 bytes.
    let mut chunk = vec![0, 0, 0, exif.len() as u8];
    chunk.extend(b"eXIf");
    chunk.extend(exif);
    let checksum = crc32(&chunk[4..]);
    chunk.extend(checksum.to_be_bytes());
    chunk
}
