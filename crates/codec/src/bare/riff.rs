//! WebP and WAV: all chunks but those of the picture and of the sound.

use super::{Cut, rest, upright};
use crate::provenance::riff::{Chunk, Form, chunks, file};

const OF_PICTURE: [&[u8; 4]; 7] = [
    b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP",
];
const OF_SOUND: [&[u8; 4]; 3] = [b"fmt ", b"fact", b"data"];
const CHUNK_HEADER: usize = 8;
/// Of WebP's VP8X chunk: that there is XMP, and that there is Exif.
const HAS_XMP: u8 = 0x04;
const HAS_EXIF: u8 = 0x08;

pub(super) fn cuts(content: &[u8], form: Form) -> Option<Vec<Cut>> {
    let file = file(content, form)?;
    let last = chunks(file).last()?;
    if last.end() != file.len() {
        return None;
    }
    let is_kept = |chunk: &Chunk<'_>| match form {
        Form::Webp => OF_PICTURE.contains(&&chunk.kind),
        Form::Wav => OF_SOUND.contains(&&chunk.kind),
    };
    let told = chunks(file).filter(|chunk| !is_kept(chunk));
    let mut cuts: Vec<Cut> = told
        .map(|chunk| Cut::replace(chunk.at..chunk.end(), instead(&chunk)))
        .collect();
    let has_exif = cuts.iter().any(|cut| !cut.with.is_empty());
    if !cuts.is_empty() {
        let size = file.len() + added(&cuts) - removed(&cuts) - CHUNK_HEADER;
        let size = u32::try_from(size).ok()?.to_le_bytes();
        cuts.insert(0, Cut::replace(4..8, size.to_vec()));
    }
    if let Some(flags) = flags(file, has_exif) {
        cuts.insert(1.min(cuts.len()), flags);
    }
    cuts.push(rest(content, file.len()));
    Some(cuts)
}

fn added(cuts: &[Cut]) -> usize {
    cuts.iter().map(|cut| cut.with.len()).sum()
}

fn removed(cuts: &[Cut]) -> usize {
    cuts.iter().map(|cut| cut.range.len()).sum()
}

fn instead(chunk: &Chunk<'_>) -> Vec<u8> {
    let exif = (chunk.kind == *b"EXIF").then(|| upright(chunk.data));
    let Some(exif) = exif.flatten() else {
        return Vec::new();
    };
    // 26 bytes.
    let mut chunk = b"EXIF".to_vec();
    chunk.extend([exif.len() as u8, 0, 0, 0]);
    chunk.extend(exif);
    chunk
}

/// What the extended header of a WebP file says of what is there, if it says what is not any more.
fn flags(file: &[u8], has_exif: bool) -> Option<Cut> {
    let first = chunks(file).next().filter(|it| it.kind == *b"VP8X")?;
    let said = *first.data.first()?;
    let mut flags = said & !(HAS_XMP | HAS_EXIF);
    if has_exif {
        flags |= HAS_EXIF;
    }
    let at = first.at + CHUNK_HEADER;
    (flags != said).then(|| Cut::replace(at..at + 1, vec![flags]))
}
