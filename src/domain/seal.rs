//! Texts that a client keeps and hands back as they are: page tokens and cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Caller, Error, Keyring, Unverified};

/// The first byte of a text: how the rest is made up.
const FORM: u8 = 1;
/// How much of its tag a text carries: more than can be guessed.
const TAG_BYTES: usize = 16;
/// Bytes of the digest that texts began with before there were keys.
const DIGEST_BYTES: usize = 12;

/// Seals what one caller gets, by the keys of the installation.
#[derive(Clone, Debug)]
pub struct Sealer {
    keys: Keyring,
    caller: Caller,
}

impl Sealer {
    /// What it seals opens for this caller alone.
    pub fn new(keys: &Keyring, caller: Caller) -> Self {
        Self {
            keys: keys.clone(),
            caller,
        }
    }

    /// Seals what is made for a purpose and a subject.
    pub(super) fn seal(&self, purpose: &str, subject: &impl Serialize) -> Result<Seal, Error> {
        let scope = serde_json::to_vec(&self.caller.scope()).map_err(Error::internal)?;
        let binding = serde_json::to_vec(&(purpose, subject)).map_err(Error::internal)?;
        Ok(Seal {
            keys: self.keys.clone(),
            binding,
            scope,
        })
    }
}

/// Binds texts to what they were made for, and for whom, both as JSON.
pub(super) struct Seal {
    keys: Keyring,
    binding: Vec<u8>,
    scope: Vec<u8>,
}

/// Why a text does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Its key is retired, or it is from before there were keys.
    Outdated,
    /// It was changed, or made for something or somebody else.
    Forged,
}

impl Seal {
    /// The content as a sealed text of letters, digits, "-" and "_".
    pub(super) fn close(&self, content: &[u8]) -> Result<String, Error> {
        let signed = self.keys.sign(&self.message(content));
        let (key, tag) = signed.ok_or_else(|| Error::internal("no key seals tokens yet"))?;
        let mut bytes = vec![FORM];
        bytes.extend(key.to_be_bytes());
        bytes.extend(&tag[..TAG_BYTES]);
        bytes.extend(content);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The content again.
    pub(super) fn open(&self, text: &str) -> Result<Vec<u8>, Unopened> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unopened::Forged)?;
        match self.verify(&bytes) {
            Some((Ok(()), content)) => Ok(content.to_vec()),
            Some((Err(Unverified::Retired), _)) => Err(Unopened::Outdated),
            _ if self.is_of_old(&bytes) => Err(Unopened::Outdated),
            _ => Err(Unopened::Forged),
        }
    }

    fn verify<'a>(&self, bytes: &'a [u8]) -> Option<(Result<(), Unverified>, &'a [u8])> {
        let bytes = bytes.strip_prefix(&[FORM])?;
        let (key, bytes) = bytes.split_first_chunk()?;
        let (tag, content) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let key = i32::from_be_bytes(*key);
        Some((self.keys.verify(key, &self.message(content), tag), content))
    }

    fn message(&self, content: &[u8]) -> Vec<u8> {
        [&self.binding, &self.scope, content].concat()
    }

    /// Whether the text was made for the same before there were keys.
    fn is_of_old(&self, bytes: &[u8]) -> bool {
        let Some((digest, content)) = bytes.split_at_checked(DIGEST_BYTES) else {
            return false;
        };
        let made = Sha256::new().chain_update(&self.binding);
        made.chain_update(content).finalize()[..DIGEST_BYTES] == *digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::keyring::tests::ring_of;

    fn seal(live: i32, caller: Caller, subject: i64) -> Seal {
        let sealer = Sealer::new(&ring_of(1..=live.max(2), live), caller);
        sealer.seal("jobs", &subject).unwrap()
    }

    proptest! {
        #[test]
        fn a_text_opens_for_its_caller_and_its_subject_alone(
            content in any::<Vec<u8>>(),
            owner in 1..9_i64,
            other in 1..9_i64,
            subject in 1..9_i64,
        ) {
            let text = seal(1, Caller::User(owner), 1).close(&content).unwrap();
            let opened = seal(1, Caller::User(other), subject).open(&text);
            match (owner, 1) == (other, subject) {
                true => prop_assert_eq!(opened, Ok(content)),
                false => prop_assert_eq!(opened, Err(Unopened::Forged)),
            }
            let opened = seal(1, Caller::TrustedService, 1).open(&text);
            prop_assert_eq!(opened, Err(Unopened::Forged));
        }

        #[test]
        fn what_no_key_has_sealed_never_opens_and_never_panics(bytes in any::<Vec<u8>>(), form in any::<bool>()) {
            let bytes = [if form { vec![FORM] } else { vec![] }, bytes].concat();
            prop_assert!(seal(1, Caller::User(7), 1).open(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }

    #[test]
    fn a_text_lasts_as_long_as_its_key() {
        let text = seal(1, Caller::User(7), 1).close(b"here").unwrap();
        let open = |live| seal(live, Caller::User(7), 1).open(&text);
        assert_eq!(open(2), Ok(b"here".to_vec()));
        assert_eq!(open(3), Err(Unopened::Outdated));
    }

    #[test]
    fn a_text_from_before_there_were_keys_is_known_for_what_it_is() {
        let old = |binding: &[u8]| {
            let digest = Sha256::new().chain_update(binding).chain_update(b"[7]");
            let bytes = [&digest.finalize()[..DIGEST_BYTES], b"[7]"].concat();
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let seal = seal(1, Caller::User(7), 1);
        assert_eq!(seal.open(&old(br#"["jobs",1]"#)), Err(Unopened::Outdated));
        assert_eq!(seal.open(&old(br#"["jobs",2]"#)), Err(Unopened::Forged));
    }
}
