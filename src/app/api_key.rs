//! The keys of services: made, taken back, and who shows one.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    app::{Acting, App},
    domain::{AuditAction, Checks, Deed, Error, Flaw, with_causes},
    entity::api_key::Model,
    identity::{ApiKey, ApiKeys, Principal, READING_PAUSE, Role, ShownKey},
    store::{self, Transaction, api_key::NewKey},
};

/// Most keys that are not revoked: every server holds them all.
const MOST_KEYS: u64 = 1_000;
/// How long a stream may still go on with a key that this process knows to be revoked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Acting<'_> {
    /// Makes a key for a client of this name, and returns it with its record. It cannot be shown again.
    pub async fn create_api_key(
        &self,
        name: &str,
        role: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(String, Model), Error> {
        let made = self.app.api_keys.make();
        let (secret, tag) = made.ok_or_else(|| Error::internal("an installation has no keys"))?;
        let key = NewKey {
            name,
            role,
            tag,
            created_at: self.app.clock.now(),
            expires_at,
        };
        let add = async |tx: &Transaction| {
            let mut checks = Checks::default();
            let count = store::api_key::count_unrevoked(tx).await?;
            checks.require(count < MOST_KEYS, "name", || {
                Flaw::TooMany.says(format!(
                    "{MOST_KEYS} keys are in use, and no more may be: revoke some"
                ))
            });
            checks.finish(())?;
            let kept = store::api_key::add(tx, key).await?;
            let created = about(AuditAction::CreateApiKey, &kept);
            Ok((kept, vec![created]))
        };
        let kept = self.write(add).await?;
        Ok((ApiKeys::written(kept.id, &secret), kept))
    }

    /// Takes a key back, unless that is done; `None` where there is no such key.
    pub async fn revoke_api_key(&self, id: i64) -> Result<Option<Model>, Error> {
        let now = self.app.clock.now();
        let revoke = async |tx: &Transaction| {
            let revoked = store::api_key::revoke(tx, id, now).await?;
            let done = revoked.iter().filter(|(_, is_new)| *is_new);
            let deeds = done.map(|(key, _)| about(AuditAction::RevokeApiKey, key));
            let deeds = deeds.collect();
            Ok((revoked.map(|(key, _)| key), deeds))
        };
        self.write(revoke).await
    }
}

impl App {
    /// All keys there ever were, oldest first.
    pub async fn list_api_keys(&self) -> Result<Vec<Model>, Error> {
        store::api_key::all(self.store.reader()).await
    }

    /// Who has shown this key. One that is not known is looked for.
    pub async fn key_holder(&self, shown: ShownKey<'_>) -> Result<Principal, Error> {
        // The first look may be from just before the key was made.
        for pause in [Duration::ZERO, READING_PAUSE] {
            if self.api_keys.knows(shown.id) {
                break;
            }
            tokio::time::sleep(pause).await;
            self.read_api_keys().await?;
        }
        self.api_keys.verify(shown, self.clock.now())
    }

    /// Reads the keys anew, unless that was done or has failed just now.
    pub async fn read_api_keys(&self) -> Result<(), Error> {
        let get = async || {
            let kept = store::api_key::unrevoked(self.store.reader()).await;
            let kept = kept.map_err(|error| with_causes(&error))?;
            Ok(kept.into_iter().filter_map(known).collect())
        };
        self.api_keys.renew(get).await
    }

    /// Keeps when keys were last used.
    pub async fn note_key_uses(&self) -> Result<(), Error> {
        let (used, now) = (self.api_keys.take_used(), self.clock.now());
        if used.is_empty() {
            return Ok(());
        }
        let note = async |tx: &_| store::api_key::note_use(tx, &used, now).await;
        let noted = self.store.write(note).await;
        if noted.is_err() {
            self.api_keys.put_back_used(used);
        }
        noted
    }

    /// Comes when a key that was believed is not to be any more, and says why.
    pub async fn end_of_key(&self, id: i64) -> Error {
        loop {
            if let Err(end) = self.api_keys.check(id) {
                return end;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn about(action: AuditAction, key: &Model) -> Deed {
    Deed::to(action, key.id)
        .with("name", key.name.as_str())
        .with("scope", key.role.as_str())
        .at("expire_time", key.expires_at)
}

/// `None` for a role that this program does not know: nobody has it.
fn known(key: Model) -> Option<ApiKey> {
    let role = match key.role.as_str() {
        "service" => Role::Service,
        "admin" => Role::Admin,
        _ => return None,
    };
    Some(ApiKey {
        id: key.id,
        name: key.name,
        role,
        expires_at: key.expires_at,
        tag: (key.secret_id, key.tag),
    })
}
