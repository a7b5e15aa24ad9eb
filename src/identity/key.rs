//! One key, and the one algorithm that it is for: what a token says of its algorithm chooses among keys and nothing else.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

/// Least bytes of a shared secret.
pub(super) const SECRET_BYTES: usize = 32;
/// Most keys of a set: a token that names none is tried with each.
const MOST_KEYS: usize = 64;

/// A key to check tokens by.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    /// As it was written, to know it again.
    written: String,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// Names the key and tells nothing of it.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} {:?}", self.algorithm, self.id)
    }
}

impl Key {
    /// One that two sides share.
    pub(super) fn shared(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("a shared secret has at least {SECRET_BYTES} bytes"));
        }
        let decoding = DecodingKey::from_secret(secret).map_err(|error| error.to_string())?;
        Ok(Self {
            id: None,
            algorithm: Algorithm::HS256,
            decoding,
            written: String::new(),
        })
    }

    /// Whether a token with this header may be signed by it.
    pub(super) fn suits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let is_named = match (&self.id, id) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        };
        self.algorithm == algorithm && is_named
    }

    fn of_pem(block: &str) -> Result<Self, String> {
        let bytes = block.as_bytes();
        let rsa = || Some((Algorithm::RS256, DecodingKey::from_rsa_pem(bytes).ok()?));
        let ec = || Some((Algorithm::ES256, DecodingKey::from_ec_pem(bytes).ok()?));
        let ed = || Some((Algorithm::EdDSA, DecodingKey::from_ed_pem(bytes).ok()?));
        let is_public = [
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN RSA PUBLIC KEY-----",
        ]
        .iter()
        .any(|head| block.starts_with(head));
        let read = is_public.then(|| ed().or_else(ec).or_else(rsa)).flatten();
        let (algorithm, decoding) =
            read.filter(|(algorithm, key)| has_size(*algorithm, key)).ok_or(
                "a PEM block is no public key of RSA, P-256 or Ed25519; private keys and certificates are not taken",
            )?;
        Ok(Self {
            id: None,
            algorithm,
            decoding,
            written: block.to_owned(),
        })
    }

    /// Of what a set has for other purposes or algorithms, nothing.
    fn of_jwk(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let common = &jwk.common;
        let is_named = common.key_algorithm.is_none_or(|it| it == named);
        let usage = common.public_key_use.as_ref();
        let signs = usage.is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let operations = common.key_operations.as_ref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        (is_named && signs && verifies && has_size(algorithm, &decoding)).then(|| Self {
            id: common.key_id.clone(),
            algorithm,
            decoding,
            written: value.to_string(),
        })
    }
}

/// What the library does not look at: a key of another size could check nothing.
fn has_size(algorithm: Algorithm, key: &DecodingKey) -> bool {
    let bytes = key.try_get_as_bytes().map_or(0, <[u8]>::len);
    match algorithm {
        Algorithm::ES256 => bytes == 65,
        Algorithm::EdDSA => bytes == 32,
        _ => true,
    }
}

/// The keys of a file: PEM blocks, or a JWK set.
pub(super) fn of_file(text: &str) -> Result<Vec<Key>, String> {
    let text = text.trim_start();
    if text.starts_with('{') {
        return of_set(text.as_bytes());
    }
    let begin = "-----BEGIN ";
    let blocks = text.match_indices(begin).map(|(at, _)| at);
    let ends = blocks.clone().skip(1).chain([text.len()]);
    let keys = blocks
        .zip(ends)
        .map(|(from, to)| Key::of_pem(text[from..to].trim_end()));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    match keys.is_empty() {
        true => Err("there is neither a PEM block nor a JWK set in it".to_owned()),
        false => Ok(keys),
    }
}

/// The keys of a JWK set (RFC 7517) that tokens can be signed with.
pub(super) fn of_set(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: Value = serde_json::from_slice(bytes).map_err(|_| "it is no JSON".to_owned())?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("it is no JWK set: it has no list of keys")?;
    let keys: Vec<_> = keys
        .iter()
        .filter_map(Key::of_jwk)
        .take(MOST_KEYS)
        .collect();
    match keys.is_empty() {
        true => Err("it has no key for RS256, ES256 or EdDSA".to_owned()),
        false => Ok(keys),
    }
}
