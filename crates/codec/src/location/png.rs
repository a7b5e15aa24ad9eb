//! PNG: the chunk of Exif, that of XMP, and what older programs wrote of both and of IPTC as text.

use crate::provenance::png::{Chunk, chunk_of, chunks};

use super::{EXIF, find, tiff, xmp};

const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// What text says in hexadecimal digits, mostly compressed: copies of Exif, XMP and IPTC, which go as they are.
const PROFILES: [&[u8]; 5] = [
    b"Raw profile type exif\0",
    b"Raw profile type APP1\0",
    b"Raw profile type xmp\0",
    b"Raw profile type iptc\0",
    b"Raw profile type 8bim\0",
];

/// What becomes of a chunk.
enum Fate {
    Stays,
    Becomes(Vec<u8>),
    Goes,
}

pub(super) fn without(content: &[u8]) -> Option<Vec<u8>> {
    let (mut file, mut done, mut changed) = (Vec::new(), 0, false);
    for chunk in chunks(content) {
        let fate = fate(&chunk);
        if let Fate::Stays = fate {
            continue;
        }
        changed = true;
        file.extend_from_slice(&content[done..chunk.at]);
        done = chunk.end();
        if let Fate::Becomes(data) = fate {
            file.extend(chunk_of(chunk.kind, &data));
        }
    }
    file.extend_from_slice(&content[done..]);
    changed.then_some(file)
}

fn fate(chunk: &Chunk<'_>) -> Fate {
    let mut data = chunk.data.to_vec();
    let changed = match &chunk.kind {
        b"eXIf" => {
            let begin = if data.starts_with(EXIF) {
                EXIF.len()
            } else {
                0
            };
            tiff::blank(&mut data[begin..])
        }
        b"tEXt" | b"zTXt" | b"iTXt" if PROFILES.iter().any(|name| data.starts_with(name)) => {
            return Fate::Goes;
        }
        // As ImageMagick writes each property that it has read.
        b"tEXt" | b"zTXt" | b"iTXt" if is_named_place(&data) => return Fate::Goes,
        // Where the packet is compressed, which nobody does, nothing here can tell what it says.
        b"iTXt" if data.starts_with(XMP) && data.get(XMP.len()) != Some(&0) => return Fate::Goes,
        b"iTXt" if data.starts_with(XMP) => xmp::blank(&mut data),
        _ => false,
    };
    match changed {
        true => Fate::Becomes(data),
        false => Fate::Stays,
    }
}

/// Whether a text's keyword is that of a property of a place, such as `exif:GPSLatitude`.
fn is_named_place(data: &[u8]) -> bool {
    let keyword = data.split(|byte| *byte == 0).next().unwrap_or_default();
    let has = |name: &&[u8]| find(keyword, name).is_some();
    xmp::NAMES.iter().any(has)
}
