//! MP4: boxes of metadata become free space of the same size, so that nothing moves that the file names the place of; what
//! stands at its end goes. When it was made is set to the beginning of time.

use std::ops::Range;

use super::Cut;
use crate::ending::is_harmless;
use crate::provenance::mp4::{Atom, atoms};

/// Boxes that hold others, in which there may be metadata.
const HOLDERS: [&[u8; 4]; 3] = [b"moov", b"trak", b"mdia"];
/// Boxes that tell something, or may.
const TELLING: [&[u8; 4]; 5] = [b"udta", b"meta", b"uuid", b"free", b"skip"];
/// Boxes that tell when they were made and changed.
const DATED: [&[u8; 4]; 3] = [b"mvhd", b"tkhd", b"mdhd"];
/// Boxes within boxes that are looked into.
const MAX_DEPTH: usize = 4;

pub(super) fn cuts(content: &[u8]) -> Option<Vec<Cut>> {
    let last = atoms(content).last()?;
    if !is_harmless(&content[last.end..]) {
        return None;
    }
    let kept = atoms(content).filter(|atom| !TELLING.contains(&&atom.kind));
    let end = kept.last()?.end;
    let mut cuts = Vec::new();
    for atom in atoms(content).take_while(|atom| atom.at < end) {
        visit(&atom, 0, 0, &mut cuts)?;
    }
    cuts.push(Cut::out(end..content.len()));
    Some(cuts)
}

/// `base`: where in the file that begins which the box's place is told in.
fn visit(atom: &Atom<'_>, base: usize, depth: usize, cuts: &mut Vec<Cut>) -> Option<()> {
    let content = atom.end - atom.data.len() + base;
    if TELLING.contains(&&atom.kind) {
        let kind = base + atom.at + 4;
        cuts.push(Cut::replace(kind..kind + 4, b"free".to_vec()));
        cuts.push(Cut::blank(content..base + atom.end));
    } else if DATED.contains(&&atom.kind) {
        cuts.push(Cut::blank(dates(atom.data, content)?));
    } else if HOLDERS.contains(&&atom.kind) && depth < MAX_DEPTH {
        let mut at = 0;
        while at < atom.data.len() {
            let inner = Atom::read(atom.data, at).filter(|inner| inner.end > at)?;
            visit(&inner, content, depth + 1, cuts)?;
            at = inner.end;
        }
    }
    Some(())
}

/// Where they stand in the box whose content begins there: two numbers behind version and flags.
fn dates(data: &[u8], begin: usize) -> Option<Range<usize>> {
    let each = if *data.first()? == 1 { 8 } else { 4 };
    let dates = begin + 4..begin + 4 + 2 * each;
    (data.len() >= 4 + 2 * each).then_some(dates)
}
