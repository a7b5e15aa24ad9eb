//! FLAC: all blocks but those that a decoder goes by (RFC 9639, section 8).

use super::Cut;
use crate::provenance::flac::blocks;

const STREAM_INFO: u8 = 0;
const SEEK_TABLE: u8 = 3;
const LAST: u8 = 0x80;

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    blocks(content).next().filter(|it| it.kind == STREAM_INFO)?;
    blocks(content).last().filter(|block| block.is_last)?;
    let is_kept = |kind| matches!(kind, STREAM_INFO | SEEK_TABLE);
    let last = blocks(content).filter(|it| is_kept(it.kind)).last()?;
    let mut cuts = Vec::new();
    for block in blocks(content) {
        if !is_kept(block.kind) {
            cuts.push(Cut::out(block.at..block.end()));
        } else if block.at == last.at && !last.is_last {
            cuts.push(Cut::replace(block.at..block.at + 1, vec![last.kind | LAST]));
        }
    }
    Some(cuts)
}
