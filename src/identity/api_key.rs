//! Keys of services: random text that is shown once, and known afterwards by what a key of the installation makes of it.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    principal::{Principal, Proof, Role},
    published::{Pace, Published},
};
use crate::domain::{Error, KEY_BYTES, Keyring, Purpose, Unverified, hex};

/// What every key begins with, so that scanners of repositories and logs find one: `atk_<id>_<64 hexadecimal digits>`.
const PREFIX: &str = "atk_";
/// The keys are read once in so long, however many calls bring one that is not known.
pub const READING_PAUSE: Duration = Duration::from_millis(100);
const PACE: Pace = Pace {
    pause: READING_PAUSE,
    keep: Duration::ZERO,
};
/// Keys that were read hold for so long while they cannot be read again.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// A key that was made here and is not revoked.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Stands in the key.
    pub id: i64,
    /// The client's.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it is checked by, and the id of the key of the installation that has made that.
    pub tag: (i32, Vec<u8>),
}

/// The keys that are known, and what checks them. Clones share them.
#[derive(Clone)]
pub struct ApiKeys {
    /// What makes tags.
    pub ring: Keyring,
    known: Arc<Published<ApiKey>>,
    /// Calls came with these since that was last noted.
    used: Arc<Mutex<BTreeSet<i64>>>,
}

/// What somebody shows, in its parts.
#[derive(Clone, Copy)]
pub struct ShownKey<'a> {
    /// Which key it says that it is.
    pub id: i64,
    secret: &'a str,
}

impl<'a> ShownKey<'a> {
    /// The parts of a key; `None` where the text is another kind of token.
    ///
    /// # Errors
    /// It begins as a key and is none.
    pub fn read(token: &'a str) -> Result<Option<Self>, Error> {
        let Some(rest) = token.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let parts = rest.split_once('_');
        // A secret is as long as any other, so that what is checked costs the same.
        let parts = parts.filter(|(_, secret)| secret.len() == 2 * KEY_BYTES);
        let shown = parts.and_then(|(id, secret)| {
            let digits = id.bytes().all(|byte| byte.is_ascii_digit());
            let id = id.parse().ok().filter(|_| digits)?;
            Some(Self { id, secret })
        });
        let unreadable = Error::CredentialsInvalid("it begins as an API key and is none");
        shown.map(Some).ok_or(unreadable)
    }
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self {
            ring: Keyring::new(Purpose::ApiKeys),
            known: Arc::default(),
            used: Arc::default(),
        }
    }
}

impl ApiKeys {
    /// A new secret, and the tag that it is known by; `None` as long as the installation's keys are not read.
    pub fn make(&self) -> Option<(String, (i32, Vec<u8>))> {
        let secret = hex(&rand::random::<[u8; KEY_BYTES]>());
        let (secret_id, tag) = self.ring.sign(secret.as_bytes())?;
        Some((secret, (secret_id, tag.to_vec())))
    }

    /// The key with this secret, as its bearer has it.
    pub fn written(id: i64, secret: &str) -> String {
        format!("{PREFIX}{id}_{secret}")
    }

    /// Reads the keys anew, unless that was done or has failed just now.
    ///
    /// # Errors
    /// Why they cannot be had; those that were known are still.
    pub async fn renew<F>(&self, get: impl FnOnce() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Vec<ApiKey>, String>>,
    {
        let renewed = self.known.renew(PACE, get).await;
        renewed.map_err(Error::CredentialsUnverifiable)
    }

    /// Whether a key of this id is known, and not from too long ago.
    pub fn knows(&self, id: i64) -> bool {
        self.are_current() && self.find(id).is_some()
    }

    /// Who has shown this key.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(&self, shown: ShownKey<'_>, now: DateTime<Utc>) -> Result<Principal, Error> {
        let key = self.holding(shown.id)?;
        let (secret_id, tag) = &key.tag;
        let verified = self.ring.verify(*secret_id, shown.secret.as_bytes(), tag);
        verified.map_err(|why| match why {
            Unverified::NoKeys => {
                Error::CredentialsUnverifiable("the installation's keys are not read".to_owned())
            }
            Unverified::Retired => Error::CredentialsInvalid(
                "the secret that it was checked by is retired: make a new key",
            ),
            Unverified::UnknownKey | Unverified::Forged => {
                Error::CredentialsInvalid("it is no API key of this server")
            }
        })?;
        let (role, client) = (key.role, key.client());
        check_end(&key, now)?;
        self.used().insert(key.id);
        Ok(Principal {
            role,
            proof: Proof::ApiKey(key.id),
            until: key.expires_at,
            client: Some(client),
            ..Principal::local()
        })
    }

    /// Checks that a key that was believed is still to be.
    ///
    /// # Errors
    /// It is revoked, or has been out of sight for too long.
    pub fn check(&self, id: i64) -> Result<(), Error> {
        self.holding(id).map(|_| ())
    }

    /// The keys that calls came with since it was last asked.
    pub fn take_used(&self) -> Vec<i64> {
        mem::take(&mut *self.used()).into_iter().collect()
    }

    /// Puts back what could not be noted.
    pub fn put_back_used(&self, ids: Vec<i64>) {
        self.used().extend(ids);
    }

    fn holding(&self, id: i64) -> Result<ApiKey, Error> {
        if !self.are_current() {
            let words = "API keys were not read for too long".to_owned();
            return Err(Error::CredentialsUnverifiable(words));
        }
        let unknown = "it is no API key of this server, or is revoked";
        self.find(id).ok_or(Error::CredentialsInvalid(unknown))
    }

    fn are_current(&self) -> bool {
        self.known.age().is_some_and(|age| age < KEPT)
    }

    fn find(&self, id: i64) -> Option<ApiKey> {
        self.known.find(|key| key.id == id)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ApiKey {
    /// Whose idempotency keys its bearer's are: those of a token with the same name and role.
    fn client(&self) -> String {
        let role = match self.role {
            Role::Admin => "admin",
            _ => "service",
        };
        format!("{role}:{}", self.name)
    }
}

fn check_end(key: &ApiKey, now: DateTime<Utc>) -> Result<(), Error> {
    match key.expires_at.is_some_and(|end| end <= now) {
        true => Err(Error::CredentialsExpired),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::StoredKey;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// With a key of the installation of each id.
    fn keys(ids: &[i32]) -> ApiKeys {
        let keys = ApiKeys::default();
        read(&keys, ids);
        keys
    }

    fn read(keys: &ApiKeys, ids: &[i32]) {
        let stored = ids.iter().map(|&id| StoredKey {
            id,
            secret: vec![u8::try_from(id).unwrap(); KEY_BYTES],
            created_at: at(0),
            retired_at: None,
        });
        keys.ring.read(&stored.collect::<Vec<_>>(), at(100));
    }

    /// A key of this id, and what is known of it.
    fn made(keys: &ApiKeys, id: i64, expires_at: Option<DateTime<Utc>>) -> (String, ApiKey) {
        let (secret, tag) = keys.make().unwrap();
        let known = ApiKey {
            id,
            name: "shop".to_owned(),
            role: Role::Service,
            expires_at,
            tag,
        };
        (ApiKeys::written(id, &secret), known)
    }

    fn shown(key: &str) -> ShownKey<'_> {
        ShownKey::read(key).unwrap().unwrap()
    }

    async fn know(keys: &ApiKeys, known: Vec<ApiKey>) {
        keys.renew(async || Ok(known)).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_shows_who_its_client_is_until_it_expires() {
        let keys = keys(&[1]);
        let (key, known) = made(&keys, 7, Some(at(50)));
        know(&keys, vec![known]).await;
        let who = keys.verify(shown(&key), at(49)).unwrap();
        assert_eq!((who.role, who.proof), (Role::Service, Proof::ApiKey(7)));
        assert_eq!(who.client.as_deref(), Some("service:shop"));
        assert_eq!(who.left(at(49)), TimeDelta::seconds(1).to_std().ok());
        let late = keys.verify(shown(&key), at(50));
        assert!(matches!(late, Err(Error::CredentialsExpired)));
        assert_eq!(keys.take_used(), [7]);
        assert!(keys.take_used().is_empty());
    }

    #[tokio::test]
    async fn no_other_secret_is_believed_nor_the_same_as_another_key() {
        let keys = keys(&[1]);
        let (first, known) = made(&keys, 1, None);
        let (second, other) = made(&keys, 2, None);
        know(&keys, vec![known, other]).await;
        let secret = |key: &str| key.rsplit_once('_').unwrap().1.to_owned();
        let swapped = ApiKeys::written(1, &secret(&second));
        let upper = ApiKeys::written(1, &secret(&first).to_uppercase());
        let unknown = ApiKeys::written(3, &secret(&first));
        for wrong in [swapped, upper, unknown] {
            let refused = keys.verify(shown(&wrong), at(0));
            assert!(
                matches!(refused, Err(Error::CredentialsInvalid(_))),
                "{wrong}"
            );
        }
        assert!(keys.take_used().is_empty());
    }

    #[tokio::test]
    async fn a_key_is_nobodys_before_keys_are_read_and_when_the_secret_behind_it_is_retired() {
        let unread = keys(&[1]);
        let (key, known) = made(&unread, 1, None);
        let early = unread.verify(shown(&key), at(0));
        assert!(matches!(early, Err(Error::CredentialsUnverifiable(_))));
        know(&unread, vec![known]).await;
        assert!(unread.check(1).is_ok());
        read(&unread, &[2]);
        let retired = unread.verify(shown(&key), at(0));
        assert!(matches!(retired, Err(Error::CredentialsInvalid(_))));
    }

    #[test]
    fn what_does_not_begin_as_a_key_is_another_token_and_what_is_none_is_refused() {
        for other in ["", "a.b.c", "ATK_1_00", "atk"] {
            assert!(ShownKey::read(other).unwrap().is_none(), "{other}");
        }
        let secret = "0".repeat(2 * KEY_BYTES);
        for wrong in [
            "atk_".to_owned(),
            "atk_1".to_owned(),
            format!("atk_1_{}", &secret[1..]),
            format!("atk_1_{secret}0"),
            format!("atk__{secret}"),
            format!("atk_-1_{secret}"),
            format!("atk_+1_{secret}"),
            format!("atk_99999999999999999999_{secret}"),
        ] {
            let refused = ShownKey::read(&wrong);
            assert!(
                matches!(refused, Err(Error::CredentialsInvalid(_))),
                "{wrong}"
            );
        }
        assert_eq!(shown(&format!("atk_12_{secret}")).id, 12);
    }
}
