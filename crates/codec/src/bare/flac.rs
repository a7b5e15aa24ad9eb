//! FLAC: all blocks but those that a decoder goes by (RFC 9639, section 8), and the tags of MP3 files around them.

use super::{Cut, rest};
use crate::provenance::flac::blocks;
use crate::signature::id3_length;
use crate::sound::end_of_flac_frames;

const STREAM_INFO: u8 = 0;
const SEEK_TABLE: u8 = 3;
const LAST: u8 = 0x80;

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    blocks(content).next().filter(|it| it.kind == STREAM_INFO)?;
    let frames = blocks(content).last().filter(|block| block.is_last)?.end();
    let is_kept = |kind| matches!(kind, STREAM_INFO | SEEK_TABLE);
    let last = blocks(content).filter(|it| is_kept(it.kind)).last()?;
    let mut cuts = vec![Cut::out(0..id3_length(content))];
    for block in blocks(content) {
        if !is_kept(block.kind) {
            cuts.push(Cut::out(block.at..block.end()));
        } else if block.at == last.at && !last.is_last {
            cuts.push(Cut::replace(block.at..block.at + 1, vec![last.kind | LAST]));
        }
    }
    cuts.push(rest(content, end_of_flac_frames(content, frames)));
    Some(cuts)
}
