//! The real length of a WAV file's samples.

use crate::CodecError;

use super::decode::MAX_CHANNELS;

/// Sizes from here on stand for "not known yet" when the file does not hold as much: writers to a pipe leave 0xFFFFFFFF
/// (FFmpeg) or about 2 GiB (SoX, eSpeak NG) behind, since they cannot go back.
const STREAMED: u32 = 0x7FFF_F000;

/// The head of the file up to its first sample, with its sizes put right, and the samples' bytes.
///
/// A declared size of 0 or of a streaming writer is replaced by what is there. Any other size that does not end with a
/// chunk or with the file is a lie, and the file is damaged. Samples without end marker are taken as they are: only whole
/// ones count.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(super) fn samples(content: &[u8]) -> Result<(Vec<u8>, &[u8]), CodecError> {
    let start = data_start(content)?;
    let (head, rest) = content.split_at(start);
    let declared = size_at(content, start - 4)?;
    let samples = match usize::try_from(declared)
        .ok()
        .and_then(|size| rest.get(..size))
    {
        Some([]) if !ends_in_chunks(rest) => rest,
        Some(samples) if ends_in_chunks(padded(&rest[samples.len()..], samples.len())) => samples,
        Some(samples) => {
            let found = samples.len();
            return Err(CodecError::corrupt(format!(
                "{found} bytes of samples are declared, but the file goes on"
            )));
        }
        None if declared >= STREAMED => rest,
        None => {
            let found = rest.len();
            return Err(CodecError::corrupt(format!(
                "{declared} bytes of samples are declared, {found} are there"
            )));
        }
    };
    Ok((corrected(head, samples.len())?, samples))
}

/// `head` with the sizes of a file whose last chunk are `length` bytes of samples.
fn corrected(head: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    let too_large = |_| CodecError::corrupt("more samples than the format can hold");
    let data = u32::try_from(length).map_err(too_large)?;
    let whole = u32::try_from(head.len() - 8 + length).map_err(too_large)?;
    let mut head = head.to_vec();
    let data_size = head.len() - 4;
    head[4..8].copy_from_slice(&whole.to_le_bytes());
    head[data_size..].copy_from_slice(&data.to_le_bytes());
    Ok(head)
}

/// Where the samples start: behind the head of the chunk "data".
fn data_start(content: &[u8]) -> Result<usize, CodecError> {
    let mut at = 12_usize;
    while let Some(kind) = content.get(at..at.saturating_add(4)) {
        if kind == b"data" && content.len() >= at + 8 {
            return Ok(at + 8);
        }
        if kind == b"fmt " {
            check_channels(content.get(at + 10..))?;
        }
        let size = size_at(content, at + 4)? as usize;
        at = at
            .saturating_add(8)
            .saturating_add(size)
            .saturating_add(size & 1);
    }
    Err(CodecError::corrupt("there is no chunk of samples"))
}

/// The reader multiplies the number of channels before it looks at it.
fn check_channels(number: Option<&[u8]>) -> Result<(), CodecError> {
    let number = number.and_then(|bytes| bytes.first_chunk::<2>());
    match number.map(|bytes| u16::from_le_bytes(*bytes)) {
        Some(1..=MAX_CHANNELS) => Ok(()),
        _ => Err(CodecError::corrupt("a sound of too many channels, or none")),
    }
}

fn size_at(content: &[u8], at: usize) -> Result<u32, CodecError> {
    content
        .get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or_else(|| CodecError::corrupt("a chunk is cut off"))
}

/// What follows a chunk of `length` bytes: chunks start at even places, but not all writers care.
fn padded(rest: &[u8], length: usize) -> &[u8] {
    match rest {
        [0, rest @ ..] if length % 2 == 1 => rest,
        rest => rest,
    }
}

/// Whether nothing but whole chunks follows, or nothing.
fn ends_in_chunks(mut rest: &[u8]) -> bool {
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, size @ ..] = *head;
        let named = [a, b, c, d]
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let size = u32::from_le_bytes(size) as usize;
        match body.get(size..) {
            Some(next) if named => rest = padded(next, size),
            _ => return false,
        }
    }
    rest.iter().all(|byte| *byte == 0)
}
