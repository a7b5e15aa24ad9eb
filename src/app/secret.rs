//! The keys of the installation: made once, taken over from where they were before, read anew as long as the process lives.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    app::{Acting, App},
    domain::{
        AuditAction, Caller, Deed, Error, KEY_BYTES, Keyring, Purpose, Sealer, StoredKey,
        with_causes,
    },
    media::FoundKey,
    store::{self, Transaction},
};

/// How long the folder of media may take to tell whether a key lies there.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(2);

impl App {
    /// Seals the page tokens and cursors that the caller gets.
    pub fn sealer(&self, caller: Caller) -> Sealer {
        Sealer::new(&self.token_keys, caller)
    }

    /// Reads the keys of every purpose, and makes one where there is none.
    pub async fn read_keys(&self) -> Result<(), Error> {
        self.take_over_key().await?;
        for ring in [self.storage.keys(), &self.token_keys, &self.api_keys.ring] {
            self.read_into(ring).await?;
        }
        Ok(())
    }

    async fn read_into(&self, ring: &Keyring) -> Result<(), Error> {
        let (purpose, now) = (ring.purpose(), self.clock.now());
        let mut keys = store::secret::keys(self.store.reader(), purpose).await?;
        if keys.is_empty() {
            let first = async |tx: &_| {
                store::secret::begin(tx, purpose, random(), now).await?;
                store::secret::keys(tx, purpose).await
            };
            keys = self.store.write(first).await?;
        }
        ring.read(&keys, now);
        Ok(())
    }

    /// Moves a key from the folder of media to the database, so that links made with it still work.
    async fn take_over_key(&self) -> Result<(), Error> {
        let storage = self.storage.clone();
        let looked = tokio::task::spawn_blocking(move || storage.find_key());
        // A folder that does not answer is told of by others.
        let Ok(Ok(found)) = tokio::time::timeout(FOLDER_TIMEOUT, looked).await else {
            return Ok(());
        };
        let Some(found) = found.unwrap_or_else(unusable) else {
            return Ok(());
        };
        let (purpose, secret, made_at) = (
            Purpose::DownloadLinks,
            found.secret.clone(),
            found.made_at.min(self.clock.now()),
        );
        let add = async |tx: &_| store::secret::add(tx, purpose, secret, made_at).await;
        let key_id = self.store.write(add).await?;
        match found.remove() {
            Ok(()) => tracing::info!(key_id, "the key that signs links is in the database now"),
            Err(error) => tracing::warn!(
                %error,
                "the key that signs links is in the database now, but cannot be removed from the folder of media: \
                 remove .signing-key there"
            ),
        }
        Ok(())
    }

    /// The keys of a purpose, oldest id first.
    pub async fn list_keys(&self, purpose: Purpose) -> Result<Vec<StoredKey>, Error> {
        store::secret::keys(self.store.reader(), purpose).await
    }
}

impl Acting<'_> {
    /// Adds a key that signs from now on, and returns its id. Those of before verify for so long.
    pub async fn rotate_key(&self, purpose: Purpose, retire_after: Duration) -> Result<i32, Error> {
        let now = self.app.clock.now();
        let retire_after = TimeDelta::from_std(retire_after).unwrap_or(TimeDelta::MAX);
        let retired_at = now.checked_add_signed(retire_after);
        let rotate = async |tx: &Transaction| {
            let id = store::secret::add(tx, purpose, random(), now).await?;
            if let Some(at) = retired_at {
                store::secret::retire_others(tx, purpose, id, at).await?;
            }
            let rotated = Deed::to(AuditAction::RotateSecret, id.into())
                .with("purpose", purpose.name())
                .at("others_retire_time", retired_at);
            Ok((id, vec![rotated]))
        };
        self.write(rotate).await
    }
}

fn random() -> Vec<u8> {
    rand::random::<[u8; KEY_BYTES]>().to_vec()
}

fn unusable(error: std::io::Error) -> Option<FoundKey> {
    tracing::debug!(
        error = with_causes(&error),
        "cannot take over the key that signs links"
    );
    None
}
