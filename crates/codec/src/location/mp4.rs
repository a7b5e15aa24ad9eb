//! MP4: the user data that phones write the place of a recording to: `©xyz` (QuickTime), `loci` (3GPP TS 26.244, section 8.8),
//! and the item that QuickTime's metadata keys call a location. Each becomes free space.

use std::ops::Range;

const HEADER: usize = 8;
/// What holds boxes that may hold them.
const CONTAINERS: [&[u8; 4]; 3] = [b"moov", b"trak", b"udta"];
const PLACES: [&[u8; 4]; 2] = [b"\xa9xyz", b"loci"];
const LOCATION_KEY: &[u8] = b".location.";
const MOST_DEPTH: usize = 4;

struct Atom {
    at: usize,
    kind: [u8; 4],
    data: Range<usize>,
}

pub(super) fn blank(file: &mut [u8]) -> bool {
    let mut free = Vec::new();
    gather(file, 0..file.len(), 0, &mut free);
    for atom in &free {
        file[atom.at + 4..atom.at + HEADER].copy_from_slice(b"free");
        file[atom.data.clone()].fill(0);
    }
    !free.is_empty()
}

fn gather(file: &[u8], within: Range<usize>, depth: usize, free: &mut Vec<Atom>) {
    for atom in atoms(file, within) {
        if PLACES.contains(&&atom.kind) {
            free.push(atom);
        } else if &atom.kind == b"meta" {
            gather_items(file, atom.data, free);
        } else if CONTAINERS.contains(&&atom.kind) && depth < MOST_DEPTH {
            gather(file, atom.data, depth + 1, free);
        }
    }
}

/// The items of a `meta` box whose keys are locations.
fn gather_items(file: &[u8], meta: Range<usize>, free: &mut Vec<Atom>) {
    // QuickTime's has boxes at once, that of ISO a version before.
    let is_quicktime = file.get(meta.start + 4..meta.start + HEADER) == Some(b"hdlr");
    let begin = if is_quicktime {
        meta.start
    } else {
        meta.start + 4
    };
    let inside = || atoms(file, begin..meta.end);
    let keys = inside().find(|atom| &atom.kind == b"keys");
    let places = keys.map_or_else(Vec::new, |keys| places(file, keys.data));
    let items = inside().find(|atom| &atom.kind == b"ilst");
    let Some(items) = items.filter(|_| !places.is_empty()) else {
        return;
    };
    let is_place = |atom: &Atom| places.contains(&u32::from_be_bytes(atom.kind));
    free.extend(atoms(file, items.data).filter(is_place));
}

/// The numbers, from 1, of the keys that are locations.
fn places(file: &[u8], keys: Range<usize>) -> Vec<u32> {
    // Behind a version and how many there are.
    let entries = atoms(file, (keys.start + HEADER).min(keys.end)..keys.end);
    let numbered = (1..).zip(entries);
    let places = numbered
        .filter(|(_, key)| super::find(&file[key.data.clone()], LOCATION_KEY).is_some())
        .map(|(number, _)| number);
    places.collect()
}

fn atoms(file: &[u8], within: Range<usize>) -> impl Iterator<Item = Atom> {
    let end = within.end;
    let first = read(file, within.start, end);
    std::iter::successors(first, move |atom| read(file, atom.data.end, end))
}

fn read(file: &[u8], at: usize, end: usize) -> Option<Atom> {
    let header = file.get(at..end)?.first_chunk::<HEADER>()?;
    let kind = [header[4], header[5], header[6], header[7]];
    let size = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let (begin, size) = match size {
        0 => (at + HEADER, end - at),
        1 => {
            let long = *file.get(at + HEADER..end)?.first_chunk()?;
            (
                at + 2 * HEADER,
                usize::try_from(u64::from_be_bytes(long)).ok()?,
            )
        }
        size => (at + HEADER, size as usize),
    };
    let data = begin..at.checked_add(size)?;
    (data.start <= data.end && data.end <= end).then_some(Atom { at, kind, data })
}
