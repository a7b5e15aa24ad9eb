//! Links to stored files that expire: what they name, and what their signature is over.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::key::StorageKey;
use crate::domain::{KEY_BYTES, Keyring, Purpose, Unverified};

/// Sets these signatures apart from any other use of the same key.
const PURPOSE: &str = "atelier media link v2";
/// The same of links that name an object instead of its media and no key, as they were made before keys had ids.
const OBJECT_PURPOSE: &str = "atelier media link v1";

/// What the name of an upload begins with.
const UPLOAD: &str = "upload-";

/// How links to objects are made.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Where clients reach this server; links to objects in a local folder start with it.
    pub server_url: Url,
    /// Where the objects are published, for example behind a CDN; absent where they are not.
    pub public_url: Option<Url>,
    /// The key that signs links to a local folder, at least 32 bytes; absent: the installation's own does.
    pub signing_key: Option<SecretString>,
    /// How long a download link works at least: a second or more and, because S3 allows no more, at
    /// most seven days.
    pub lifetime: Duration,
}

impl LinkSettings {
    /// The keys that links are signed by; `None` if the configured one is too short to resist guessing.
    pub(super) fn keyring(&self) -> Option<Keyring> {
        let configured = self.signing_key.as_ref();
        let configured = configured.map(|secret| secret.expose_secret().as_bytes());
        let is_long = configured.is_none_or(|secret| secret.len() >= KEY_BYTES);
        is_long.then(|| Keyring::new(Purpose::DownloadLinks).with_configured(configured))
    }
}

/// A link that works until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadUrl {
    /// The whole URL, signature included: whoever holds it can download.
    pub url: String,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

/// The parts of a signed link to this server, as they came.
#[derive(Clone, Copy, Debug)]
pub struct SignedLink<'a> {
    /// What follows `/media/`. Another spelling of a path is another path.
    pub path: &'a str,
    /// Seconds since 1970.
    pub expires: i64,
    /// The key that signed it; none in links of before.
    pub key: Option<i32>,
    /// The tag as unpadded base64url.
    pub signature: &'a str,
}

/// What a genuine link names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The media of this id.
    Media(i64),
    /// The upload of this id.
    Upload(i64),
    /// The media whose file is this object: a link of before.
    Object(StorageKey),
}

/// Why a link is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The signature is genuine and its time is over.
    #[error("the link has expired")]
    Expired,
    /// Nobody who has a key that counts made this link.
    #[error("the link is not genuine")]
    Forged,
    /// The keys were not read yet.
    #[error("the link cannot be verified right now")]
    Unverifiable,
}

/// `{server_url}/media/{id}.{extension}?expires={UNIX seconds}&key={id}&signature={base64url}`, of an upload with `upload-` before
/// its id; `None` as long as there is no key.
pub(super) fn sign(
    keys: &Keyring,
    server_url: &Url,
    (linked, object): (&Linked, &StorageKey),
    expires_at: DateTime<Utc>,
) -> Option<String> {
    let (path, expires) = (link_path(linked, object), expires_at.timestamp());
    let (key, tag) = keys.sign(message(PURPOSE, &path, expires).as_bytes())?;
    let signature = BASE64_URL_SAFE_NO_PAD.encode(tag);
    let base = server_url.as_str().trim_end_matches('/');
    Some(format!(
        "{base}/media/{path}?expires={expires}&key={key}&signature={signature}"
    ))
}

/// Checks a link in constant time: the signature first, so that a forger learns nothing about expiry.
pub(super) fn verify(
    keys: &Keyring,
    link: SignedLink<'_>,
    now: DateTime<Utc>,
) -> Result<Linked, LinkError> {
    let SignedLink { path, expires, .. } = link;
    let tag = BASE64_URL_SAFE_NO_PAD.decode(link.signature);
    // A part of a tag verifies as well, but no link has only a part.
    let tag = tag.ok().filter(|tag| tag.len() == KEY_BYTES);
    let tag = tag.ok_or(LinkError::Forged)?;
    let verified = match link.key {
        Some(key) => keys.verify(key, message(PURPOSE, path, expires).as_bytes(), &tag),
        None => keys.verify_by_any(message(OBJECT_PURPOSE, path, expires).as_bytes(), &tag),
    };
    verified.map_err(|error| match error {
        Unverified::NoKeys => LinkError::Unverifiable,
        Unverified::UnknownKey | Unverified::Retired | Unverified::Forged => LinkError::Forged,
    })?;
    if now.timestamp() >= expires {
        return Err(LinkError::Expired);
    }
    let linked = match link.key {
        Some(_) => linked_by(path),
        None => StorageKey::from_path(path).ok().map(Linked::Object),
    };
    linked.ok_or(LinkError::Forged)
}

/// The extension is for programs that tell by it what a file is.
fn link_path(linked: &Linked, object: &StorageKey) -> String {
    let extension = object.format().as_str();
    match linked {
        Linked::Media(id) => format!("{id}.{extension}"),
        Linked::Upload(id) => format!("{UPLOAD}{id}.{extension}"),
        Linked::Object(key) => key.path().to_owned(),
    }
}

fn linked_by(path: &str) -> Option<Linked> {
    let (name, _) = path.split_once('.')?;
    match name.strip_prefix(UPLOAD) {
        Some(id) => id.parse().ok().map(Linked::Upload),
        None => name.parse().ok().map(Linked::Media),
    }
}

fn message(purpose: &str, path: &str, expires: i64) -> String {
    format!("{purpose}\n{path}\n{expires}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use codec::Format;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone)]
    struct Link {
        path: String,
        expires: i64,
        key: Option<i32>,
        signature: String,
    }

    impl Link {
        fn verify(&self, keys: &Keyring, now: i64) -> Result<Linked, LinkError> {
            let link = SignedLink {
                path: &self.path,
                expires: self.expires,
                key: self.key,
                signature: &self.signature,
            };
            verify(keys, link, at(now))
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn settings(key: &str) -> LinkSettings {
        LinkSettings {
            server_url: Url::parse("http://localhost:50051/").unwrap(),
            public_url: None,
            signing_key: Some(SecretString::from(key)),
            lifetime: Duration::from_secs(60),
        }
    }

    fn keys(fill: char) -> Keyring {
        let settings = settings(&fill.to_string().repeat(KEY_BYTES));
        settings.keyring().unwrap()
    }

    fn object() -> StorageKey {
        StorageKey::for_output(7, "a lease", 0, Format::Png)
    }

    fn link(keys: &Keyring, expires: i64) -> Link {
        let base = Url::parse("http://localhost:50051/").unwrap();
        let url = sign(keys, &base, (&Linked::Media(12), &object()), at(expires)).unwrap();
        let url = Url::parse(&url).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        Link {
            path: url.path().strip_prefix("/media/").unwrap().to_owned(),
            expires: query["expires"].parse().unwrap(),
            key: Some(query["key"].parse().unwrap()),
            signature: query["signature"].clone(),
        }
    }

    fn link_of_before(keys: &Keyring, expires: i64) -> Link {
        let path = object().path().to_owned();
        let (_, tag) = keys
            .sign(message(OBJECT_PURPOSE, &path, expires).as_bytes())
            .unwrap();
        Link {
            path,
            expires,
            key: None,
            signature: BASE64_URL_SAFE_NO_PAD.encode(tag),
        }
    }

    #[test]
    fn a_link_names_its_media_and_works_until_it_expires() {
        let keys = keys('k');
        let link = link(&keys, 1000);
        assert_eq!(link.path, "12.png");
        assert_eq!(link.verify(&keys, 999), Ok(Linked::Media(12)));
        assert_eq!(link.verify(&keys, 1000), Err(LinkError::Expired));
    }

    #[test]
    fn a_link_to_an_upload_opens_no_media_of_that_id() {
        let keys = keys('k');
        let base = Url::parse("http://localhost:50051/").unwrap();
        let url = sign(&keys, &base, (&Linked::Upload(12), &object()), at(1000)).unwrap();
        assert!(url.contains("/media/upload-12.png?"), "{url}");
        let mut changed = link(&keys, 1000);
        let url = Url::parse(&url).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        changed.signature = query["signature"].clone();
        assert_eq!(changed.verify(&keys, 999), Err(LinkError::Forged));
        changed.path = "upload-12.png".to_owned();
        assert_eq!(changed.verify(&keys, 999), Ok(Linked::Upload(12)));
    }

    #[test]
    fn a_link_of_before_names_its_object_and_works_until_it_expires() {
        let keys = keys('k');
        let link = link_of_before(&keys, 1000);
        assert_eq!(link.verify(&keys, 999), Ok(Linked::Object(object())));
        assert_eq!(link.verify(&keys, 1000), Err(LinkError::Expired));
        let mixed = Link {
            key: Some(0),
            ..link
        };
        assert_eq!(mixed.verify(&keys, 0), Err(LinkError::Forged));
    }

    #[test]
    fn a_link_with_another_path_expiry_or_key_is_forged() {
        let keys = keys('k');
        let link = link(&keys, 1000);
        let forged = Err(LinkError::Forged);
        for path in [
            "13.png", "12.jpg", "012.png", "%312.png", "/12.png", "./12.png", "12.PNG", "12", "",
        ] {
            let path = path.to_owned();
            assert_eq!(
                Link {
                    path,
                    ..link.clone()
                }
                .verify(&keys, 0),
                forged
            );
        }
        for (expires, now) in [(1001, 0), (1001, 5000), (999, 0)] {
            assert_eq!(
                Link {
                    expires,
                    ..link.clone()
                }
                .verify(&keys, now),
                forged
            );
        }
        for key in [None, Some(1), Some(-1)] {
            assert_eq!(
                Link {
                    key,
                    ..link.clone()
                }
                .verify(&keys, 0),
                forged
            );
        }
    }

    #[test]
    fn a_link_made_with_another_key_is_forged() {
        let link = link(&keys('k'), 1000);
        assert_eq!(link.verify(&keys('x'), 0), Err(LinkError::Forged));
        let none = Keyring::new(Purpose::DownloadLinks);
        assert_eq!(link.verify(&none, 0), Err(LinkError::Unverifiable));
    }

    proptest! {
        #[test]
        fn no_other_signature_is_taken(forged in "\\PC*|[A-Za-z0-9_-]{22,43}") {
            let keys = keys('k');
            let link = link(&keys, 1000);
            prop_assume!(forged != link.signature);
            let forged = Link { signature: forged, ..link };
            prop_assert_eq!(forged.verify(&keys, 0), Err(LinkError::Forged));
        }
    }

    #[test]
    fn a_short_configured_key_is_refused() {
        assert!(settings(&"k".repeat(KEY_BYTES - 1)).keyring().is_none());
    }
}
