//! The keys of an installation for one purpose: the newest signs, and all that are not retired verify.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Least bytes of a tag that is looked at: a shorter one could be guessed.
const LEAST_TAG_BYTES: usize = 16;

/// By then every replica has read a new key, so that what it signs verifies wherever it is shown.
const TAKING_UP: TimeDelta = TimeDelta::seconds(6);

/// The id of a key that stands in the configuration.
const CONFIGURED: i32 = 0;

/// What keys are for. Each purpose has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs links to files that this server sends.
    DownloadLinks,
    /// Seals page tokens and cursors of watches.
    Tokens,
    /// Tells whether an API key that is shown is one that was made here.
    ApiKeys,
}

impl Purpose {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::DownloadLinks, Self::Tokens, Self::ApiKeys];

    /// As it stands in the database and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::DownloadLinks => "download-links",
            Self::Tokens => "tokens",
            Self::ApiKeys => "api-keys",
        }
    }
}

/// A key as it is stored. It has no debug output.
#[derive(Clone)]
pub struct StoredKey {
    /// Counts from 1 for each purpose.
    pub id: i32,
    /// [`KEY_BYTES`] random bytes.
    pub secret: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on nothing verifies by it.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Why something does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No key is at hand at all: they were not read yet.
    NoKeys,
    /// It names a key that there never was.
    UnknownKey,
    /// The key that it names has signed it, and is retired.
    Retired,
    /// The key that it names has not signed it.
    Forged,
}

/// The keys at hand. Clones share them, also when they are read anew.
#[derive(Clone)]
pub struct Keyring {
    purpose: Purpose,
    configured: Option<Key>,
    /// The first signs if it is not retired, unless one is configured.
    read: Arc<RwLock<Vec<Key>>>,
}

#[derive(Clone)]
struct Key {
    id: i32,
    mac: Hmac<Sha256>,
    is_retired: bool,
}

impl Keyring {
    /// Without keys, until they are read.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            configured: None,
            read: Arc::default(),
        }
    }

    /// The same with a key of the configuration, which signs.
    #[must_use]
    pub fn with_configured(self, secret: Option<&[u8]>) -> Self {
        Self {
            configured: secret.map(|secret| Key::new(CONFIGURED, secret, false)),
            ..self
        }
    }

    /// What the keys are for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Puts what is stored in the place of the keys read before.
    pub fn read(&self, stored: &[StoredKey], now: DateTime<Utc>) {
        let (retired, mut keys): (Vec<_>, Vec<_>) =
            stored.iter().partition(|key| key.is_retired(now));
        signing_first(&mut keys, now);
        let keys = keys.into_iter().chain(retired);
        let keys = keys.map(|key| Key::new(key.id, &key.secret, key.is_retired(now)));
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = keys.collect();
    }

    /// The id of the key that signs, and its tag; `None` as long as there is no key.
    pub fn sign(&self, message: &[u8]) -> Option<(i32, [u8; KEY_BYTES])> {
        let key = self.keys().into_iter().find(|key| !key.is_retired)?;
        let tag = key.mac.chain_update(message).finalize().into_bytes();
        Some((key.id, tag.into()))
    }

    /// Whether the key of this id gave the message this tag, or one that begins with it. It takes as long for any tag.
    ///
    /// # Errors
    /// See [`Unverified`].
    pub fn verify(&self, id: i32, message: &[u8], tag: &[u8]) -> Result<(), Unverified> {
        let keys = self.keys();
        if keys.is_empty() {
            return Err(Unverified::NoKeys);
        }
        let key = keys.into_iter().find(|key| key.id == id);
        key.ok_or(Unverified::UnknownKey)?.verify(message, tag)
    }

    /// The same for what names no key.
    ///
    /// # Errors
    /// See [`Unverified`].
    pub fn verify_by_any(&self, message: &[u8], tag: &[u8]) -> Result<(), Unverified> {
        let keys = self.keys().into_iter();
        let tried = keys.map(|key| key.verify(message, tag));
        tried.reduce(Result::or).unwrap_or(Err(Unverified::NoKeys))
    }

    fn keys(&self) -> Vec<Key> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        self.configured.iter().chain(read.iter()).cloned().collect()
    }
}

impl StoredKey {
    fn is_retired(&self, now: DateTime<Utc>) -> bool {
        self.retired_at.is_some_and(|end| end <= now)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.purpose.name())
    }
}

impl Key {
    fn new(id: i32, secret: &[u8], is_retired: bool) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self {
            id,
            mac,
            is_retired,
        }
    }

    fn verify(self, message: &[u8], tag: &[u8]) -> Result<(), Unverified> {
        let mac = self.mac.chain_update(message);
        let verified = tag.len() >= LEAST_TAG_BYTES && mac.verify_truncated_left(tag).is_ok();
        match (verified, self.is_retired) {
            (false, _) => Err(Unverified::Forged),
            (true, true) => Err(Unverified::Retired),
            (true, false) => Ok(()),
        }
    }
}

/// Puts the key first that signs: the newest that all replicas know.
fn signing_first(keys: &mut [&StoredKey], now: DateTime<Utc>) {
    keys.sort_by_key(|key| (key.created_at, key.id));
    let settled = keys
        .iter()
        .rposition(|key| key.created_at + TAKING_UP <= now);
    let signing = settled.unwrap_or(0);
    if signing < keys.len() {
        keys[..=signing].rotate_right(1);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::RangeInclusive;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn key(id: i32, created: i64, retired: Option<i64>) -> StoredKey {
        StoredKey {
            id,
            secret: vec![u8::try_from(id).unwrap(); KEY_BYTES],
            created_at: at(created),
            retired_at: retired.map(at),
        }
    }

    /// A ring with these keys, of which the last signs, and those before `live` are retired.
    pub(in crate::domain) fn ring_of(ids: RangeInclusive<i32>, live: i32) -> Keyring {
        let retired = |id| (id < live).then_some(100);
        let stored: Vec<_> = ids.map(|id| key(id, id.into(), retired(id))).collect();
        ring(&stored, 1_000)
    }

    fn ring(stored: &[StoredKey], now: i64) -> Keyring {
        let ring = Keyring::new(Purpose::Tokens);
        ring.read(stored, at(now));
        ring
    }

    #[test]
    fn the_newest_key_that_all_know_signs_and_older_ones_verify_until_they_are_retired() {
        let keys = [key(1, 0, Some(500)), key(2, 100, None), key(3, 200, None)];
        let signs = |now| ring(&keys, now).sign(b"text").unwrap().0;
        assert_eq!([0, 50, 105, 106, 205, 206].map(signs), [1, 1, 1, 2, 2, 3]);
        let (id, tag) = ring(&keys, 50).sign(b"text").unwrap();
        let verify = |now| ring(&keys, now).verify(id, b"text", &tag);
        assert_eq!(verify(499), Ok(()));
        assert_eq!(verify(500), Err(Unverified::Retired));
        let forged = ring(&keys, 500).verify(id, b"other", &tag);
        assert_eq!(forged, Err(Unverified::Forged));
        let unknown = ring(&keys, 500).verify(4, b"text", &tag);
        assert_eq!(unknown, Err(Unverified::UnknownKey));
    }

    #[test]
    fn a_key_taken_over_late_does_not_sign_in_the_place_of_a_newer_one() {
        let keys = [key(1, 100, None), key(2, 10, None)];
        assert_eq!(ring(&keys, 1_000).sign(b"text").unwrap().0, 1);
    }

    #[test]
    fn a_configured_key_signs_and_those_read_verify() {
        let read = ring(&[key(1, 0, None)], 10);
        let (id, tag) = read.sign(b"text").unwrap();
        let both = read.with_configured(Some(b"configured"));
        assert_eq!(both.sign(b"text").unwrap().0, CONFIGURED);
        assert_eq!(both.verify(id, b"text", &tag), Ok(()));
        assert_eq!(both.verify_by_any(b"text", &tag), Ok(()));
        assert_eq!(both.verify_by_any(b"texts", &tag), Err(Unverified::Forged));
    }

    #[test]
    fn nothing_is_signed_or_verified_without_keys() {
        let none = Keyring::new(Purpose::Tokens);
        assert_eq!(none.sign(b"text"), None);
        let tag = [0; KEY_BYTES];
        assert_eq!(none.verify(1, b"text", &tag), Err(Unverified::NoKeys));
        assert_eq!(none.verify_by_any(b"text", &tag), Err(Unverified::NoKeys));
    }

    proptest! {
        #[test]
        fn no_changed_byte_and_no_short_tag_verifies(message in "\\PC{1,40}", place in 0..KEY_BYTES, change in 1..=u8::MAX) {
            let ring = ring(&[key(1, 0, None)], 10);
            let (id, mut tag) = ring.sign(message.as_bytes()).unwrap();
            prop_assert_eq!(ring.verify(id, message.as_bytes(), &tag[..LEAST_TAG_BYTES]), Ok(()));
            for short in 0..LEAST_TAG_BYTES {
                prop_assert!(ring.verify(id, message.as_bytes(), &tag[..short]).is_err());
            }
            let mut other = message.clone().into_bytes();
            let at = place % other.len();
            other[at] ^= change;
            prop_assert_eq!(ring.verify(id, &other, &tag), Err(Unverified::Forged));
            tag[place] ^= change;
            prop_assert_eq!(ring.verify(id, message.as_bytes(), &tag), Err(Unverified::Forged));
        }
    }
}
