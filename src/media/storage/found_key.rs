//! The key that signed links before the database kept it: it lay in the folder of media, which others may publish.

use std::{fs, io, path::PathBuf};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

use super::Storage;
use crate::domain::KEY_BYTES;

/// No [`StorageKey`](crate::media::StorageKey) can name it.
const KEY_FILE: &str = ".signing-key";

/// A key that lies in the folder.
pub struct FoundKey {
    /// The key.
    pub secret: Vec<u8>,
    /// When it was put there.
    pub made_at: DateTime<Utc>,
    file: PathBuf,
}

impl Storage {
    /// The key that an earlier version has left in the folder, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn find_key(&self) -> io::Result<Option<FoundKey>> {
        let Some(folder) = self.folder() else {
            return Ok(None);
        };
        let file = folder.join(KEY_FILE);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let secret = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end()).ok();
        let secret = secret.filter(|secret| secret.len() == KEY_BYTES);
        let no_key = || io::Error::new(io::ErrorKind::InvalidData, "it holds no signing key");
        Ok(Some(FoundKey {
            secret: secret.ok_or_else(no_key)?,
            made_at: fs::metadata(&file)?.modified()?.into(),
            file,
        }))
    }
}

impl FoundKey {
    /// Removes it from the folder; another process may have been faster.
    ///
    /// # Errors
    /// If it is still there.
    pub fn remove(self) -> io::Result<()> {
        match fs::remove_file(self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
