//! What of this layer reads bytes from outside, see [`crate::fuzzing`]. What reads files is fed by a fuzzer of its own.

use chrono::DateTime;
use headers::{Header, HeaderValue};

use super::{
    Owner, SignedLink, Ticket,
    key::StorageKey,
    link::verify,
    range::{ByteRangeSelection, select},
};
use crate::domain::{Keyring, Purpose, fuzz::Target};

pub(crate) const TARGETS: &[Target] = &[
    (
        "link",
        &[
            "7.png c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmE",
            "image/2026/01/1/2-0-0.png _____",
        ],
        link,
    ),
    (
        "upload-token",
        &[
            "eyJpIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDA3IiwidSI6M30.0.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmE",
        ],
        upload_token,
    ),
    (
        "upload-link",
        &[
            "https://a.vn/media/uploads/000/000/007/0000000000000000000000000000000000000000000000000000000000000000-0123456789abcde.png",
        ],
        upload_link,
    ),
    (
        "range",
        &["bytes=0-0", "bytes=5-", "bytes=-5", "bytes=0-1,3-4"],
        range,
    ),
    (
        "storage-key",
        &["image/2026/01/02/1/3/0-0123456789abcdef.png", "../a.png"],
        storage_key,
    ),
];

/// Nobody but us has the key.
fn link(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let keys = Keyring::new(Purpose::DownloadLinks).with_configured(Some(&[7; 32]));
    let (path, signature) = text.split_once(' ').unwrap_or((text, ""));
    for key in [None, Some(0), Some(1)] {
        let link = SignedLink {
            path,
            expires: i64::MAX,
            key,
            signature,
        };
        let linked = verify(&keys, link, DateTime::UNIX_EPOCH);
        assert!(linked.is_err(), "{text:?} is believed");
    }
}

/// Nobody but us has the key.
fn upload_token(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let keys = Keyring::new(Purpose::DownloadLinks).with_configured(Some(&[7; 32]));
        assert!(Ticket::verify(&keys, text).is_err(), "{text:?} is believed");
    }
}

/// What it finds is an upload's, and ends the link.
fn upload_link(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Some(key) = StorageKey::of_upload(text)
    {
        assert!(text.ends_with(key.path()) && matches!(key.owner(), Owner::User(_)));
    }
}

fn range(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let Ok(range) = headers::Range::decode(&mut std::iter::once(&value)) else {
        return;
    };
    for total in [0, 1, 10, u64::MAX] {
        if let ByteRangeSelection::Part(part) = select(&range, total) {
            assert!(
                part.start < part.end && part.end <= total,
                "{part:?} of {total}"
            );
        }
    }
}

/// What it takes is one way to write one object, and within the storage.
fn storage_key(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(key) = StorageKey::from_path(text)
    {
        assert_eq!(key.to_string(), text);
        assert!(
            !text.starts_with('/') && text.split('/').all(|part| !["", ".", ".."].contains(&part))
        );
    }
}
