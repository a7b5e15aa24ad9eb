//! What lets somebody put one file: who it is for, and what it must be, signed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use codec::Format;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{Announced, KEY_BYTES, Keyring, Unverified};

/// Sets these signatures apart from any other use of the same key.
const PURPOSE: &str = "atelier upload ticket v1";
/// How long after it expires whoever has put a file may still ask for its upload.
const COMPLETION: TimeDelta = TimeDelta::hours(1);

/// Leave to put one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Told apart by this from every other.
    pub id: Uuid,
    /// What the file must be. Its size is always said.
    pub announced: Announced,
    /// The format of the media type that it is put with.
    pub format: Format,
    /// From when on it cannot be put.
    pub expires_at: DateTime<Utc>,
}

/// Why a ticket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Nobody who has a key that counts made it.
    #[error("the upload token is not genuine")]
    Forged,
    /// The keys were not read yet.
    #[error("the upload token cannot be verified right now")]
    Unverifiable,
}

/// As it stands in a token, with short names: it is part of a URL.
#[derive(Deserialize, Serialize)]
struct Written {
    i: Uuid,
    u: i64,
    s: u64,
    f: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    n: String,
    e: i64,
}

impl Ticket {
    /// The ticket as text that may stand in a URL: `{base64url of JSON}.{key}.{base64url of the tag}`; `None` as long as there is no
    /// key.
    pub fn sign(&self, keys: &Keyring) -> Option<String> {
        let announced = &self.announced;
        let written = Written {
            i: self.id,
            u: announced.user_id,
            s: announced.file_size?,
            f: self.format.as_str().to_owned(),
            d: announced.sha256.clone(),
            n: announced.file_name.clone(),
            e: self.expires_at.timestamp(),
        };
        let said = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).ok()?);
        let (key, tag) = keys.sign(message(&said).as_bytes())?;
        let tag = BASE64_URL_SAFE_NO_PAD.encode(tag);
        Some(format!("{said}.{key}.{tag}"))
    }

    /// Reads a token, expired or not.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn verify(keys: &Keyring, token: &str) -> Result<Self, TicketError> {
        let mut parts = token.split('.');
        let (said, key, tag) = (parts.next(), parts.next(), parts.next());
        let key = key.and_then(|key| key.parse().ok());
        let tag = tag.and_then(|tag| BASE64_URL_SAFE_NO_PAD.decode(tag).ok());
        // A part of a tag verifies as well, but no token has only a part.
        let tag = tag.filter(|tag| tag.len() == KEY_BYTES && parts.next().is_none());
        let (Some(said), Some(key), Some(tag)) = (said, key, tag) else {
            return Err(TicketError::Forged);
        };
        let verified = keys.verify(key, message(said).as_bytes(), &tag);
        verified.map_err(|error| match error {
            Unverified::NoKeys => TicketError::Unverifiable,
            Unverified::UnknownKey | Unverified::Retired | Unverified::Forged => {
                TicketError::Forged
            }
        })?;
        read(said).ok_or(TicketError::Forged)
    }

    /// Until when whoever has put the file may ask for its upload.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.expires_at + COMPLETION
    }
}

fn read(said: &str) -> Option<Ticket> {
    let written = BASE64_URL_SAFE_NO_PAD.decode(said).ok()?;
    let written: Written = serde_json::from_slice(&written).ok()?;
    Some(Ticket {
        id: written.i,
        announced: Announced {
            user_id: written.u,
            file_name: written.n,
            file_size: Some(written.s),
            sha256: written.d,
        },
        format: written.f.parse().ok()?,
        expires_at: DateTime::from_timestamp(written.e, 0)?,
    })
}

fn message(said: &str) -> String {
    format!("{PURPOSE}\n{said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Purpose;

    fn keys(fill: u8) -> Keyring {
        Keyring::new(Purpose::DownloadLinks).with_configured(Some(&[fill; KEY_BYTES]))
    }

    fn ticket() -> Ticket {
        Ticket {
            id: Uuid::from_u128(7),
            announced: Announced {
                user_id: 3,
                file_name: "phở.jpg".to_owned(),
                file_size: Some(900),
                sha256: Some("ab".repeat(32)),
            },
            format: Format::Jpg,
            expires_at: DateTime::from_timestamp(1_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_token_reads_back_as_its_ticket_by_its_own_key_alone() {
        let token = ticket().sign(&keys(1)).unwrap();
        assert_eq!(Ticket::verify(&keys(1), &token), Ok(ticket()));
        assert_eq!(Ticket::verify(&keys(2), &token), Err(TicketError::Forged));
        let unread = Keyring::new(Purpose::DownloadLinks);
        assert_eq!(
            Ticket::verify(&unread, &token),
            Err(TicketError::Unverifiable)
        );
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_refused() {
        let token = ticket().sign(&keys(1)).unwrap();
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last digit of a tag has bits that do not count.
            if let Ok(read) = Ticket::verify(&keys(1), &changed) {
                assert_eq!((read, at), (ticket(), token.len() - 1));
            }
        }
        for cut in 0..token.len() {
            assert!(Ticket::verify(&keys(1), &token[..cut]).is_err());
        }
    }
}
