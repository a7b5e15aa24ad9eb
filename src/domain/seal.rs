//! Texts that a client keeps and hands back as they are: page tokens and cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Error;

const SEAL_BYTES: usize = 12;

/// Binds such texts to what they were made for.
///
/// Not a secret: a forged text shows nothing that the caller may not see anyway. It finds mistakes.
pub(super) struct Seal {
    /// What the texts are bound to, as JSON.
    binding: Vec<u8>,
}

impl Seal {
    pub(super) fn of(purpose: &str, subject: &impl Serialize) -> Result<Self, Error> {
        let binding = serde_json::to_vec(&(purpose, subject)).map_err(Error::internal)?;
        Ok(Self { binding })
    }

    /// The content as a sealed text of letters, digits, "-" and "_".
    pub(super) fn close(&self, content: &[u8]) -> String {
        let mut bytes = self.digest(content);
        bytes.extend_from_slice(content);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The content again; `None` if the text was changed or made for something else.
    pub(super) fn open(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seal, content) = bytes.split_at_checked(SEAL_BYTES)?;
        (seal == self.digest(content)).then(|| content.to_vec())
    }

    fn digest(&self, content: &[u8]) -> Vec<u8> {
        let digest = Sha256::new()
            .chain_update(&self.binding)
            .chain_update(content)
            .finalize();
        digest[..SEAL_BYTES].to_vec()
    }
}
