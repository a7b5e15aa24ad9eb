//! Photos without the clip that a camera has taken with them.

use bytes::Bytes;

use super::sniff;

/// The photo alone, and whether a clip was cut off behind it, see docs/media.md#behind-the-end. Every file that comes is looked at
/// before it is kept.
pub fn without_clip(content: Bytes) -> (Bytes, bool) {
    let end = sniff(&content).and_then(|format| codec::without_clip(&content, format));
    match end {
        Some(end) => (content.slice(..end), true),
        None => (content, false),
    }
}
