//! GIF: comments, and the extensions of applications that change nothing that is seen (GIF89a specification, sections 24 and 26).

use super::{Cut, rest};
use crate::provenance::gif::{Block, blocks};

/// How often an animation runs, and a colour profile.
const SEEN: [&[u8]; 3] = [b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    if content.starts_with(b"GIF87a") {
        // It has no extensions.
        return Some(Vec::new());
    }
    let last = blocks(content).last().filter(Block::is_trailer)?;
    let cuts = blocks(content).filter(|block| tells(block.bytes));
    let cuts = cuts.map(|block| Cut::out(block.at..block.end));
    Some(cuts.chain([rest(content, last.end)]).collect())
}

fn tells(block: &[u8]) -> bool {
    match block {
        [0x21, 0xFE, ..] => true,
        [0x21, 0xFF, 11, rest @ ..] => !SEEN.iter().any(|name| rest.starts_with(name)),
        [0x21, 0xFF, ..] => true,
        _ => false,
    }
}
