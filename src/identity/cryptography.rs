//! What tokens are signed and checked with: `ring`, in the shape that the library of tokens asks for.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    jwk::ThumbprintHash,
    signature::{self, Signer, Verifier},
};
use ring::{
    digest::{self, digest},
    error::Unspecified,
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents, UnparsedPublicKey,
    },
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Of keys of our own nobody asks for the public part.
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| unsupported(),
        rsa_pub_components_from_public_key: |_| unsupported(),
        ec_pub_components_from_private_key: |_, _| unsupported(),
        ed_pub_components_from_private_key: |_, _| unsupported(),
        compute_digest,
    },
};

/// Must be called before a token is signed or checked. Where the process has brought another provider, that one stays.
pub(super) fn install() {
    let _ = RING.install_default();
}

type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Unspecified>>;
type Verify = Box<dyn Fn(&[u8], &[u8]) -> Result<(), Unspecified>>;

struct Signing {
    algorithm: Algorithm,
    sign: Sign,
}

struct Checking {
    algorithm: Algorithm,
    verify: Verify,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    require(*algorithm, key.family())?;
    let bytes = key.as_bytes();
    let sign: Sign = match algorithm {
        Algorithm::HS256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
            Box::new(move |message| Ok(hmac::sign(&key, message).as_ref().to_vec()))
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes);
            let pair = pair.map_err(|_| ErrorKind::InvalidEddsaKey)?;
            Box::new(move |message| Ok(pair.sign(message).as_ref().to_vec()))
        }
        Algorithm::ES256 => {
            let random = SystemRandom::new();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &random);
            let pair = pair.map_err(|_| ErrorKind::InvalidEcdsaKey)?;
            Box::new(move |message| Ok(pair.sign(&random, message)?.as_ref().to_vec()))
        }
        Algorithm::RS256 => {
            let pair = RsaKeyPair::from_der(bytes);
            let pair = pair.map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()))?;
            Box::new(move |message| {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )?;
                Ok(signature)
            })
        }
        _ => return unsupported(),
    };
    let algorithm = *algorithm;
    Ok(Box::new(Signing { algorithm, sign }))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    require(*algorithm, key.family())?;
    let verify: Verify = match (algorithm, key.kind()) {
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            Box::new(move |message, signature| hmac::verify(&key, message, signature))
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => {
            let key = UnparsedPublicKey::new(&ED25519, key.clone());
            Box::new(move |message, signature| key.verify(message, signature))
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.clone());
            Box::new(move |message, signature| key.verify(message, signature))
        }
        (Algorithm::RS256, DecodingKeyKind::SecretOrDer(key)) => {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.clone());
            Box::new(move |message, signature| key.verify(message, signature))
        }
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let key = RsaPublicKeyComponents {
                n: n.clone(),
                e: e.clone(),
            };
            let parameters = &RSA_PKCS1_2048_8192_SHA256;
            Box::new(move |message, signature| key.verify(parameters, message, signature))
        }
        _ => return unsupported(),
    };
    let algorithm = *algorithm;
    Ok(Box::new(Checking { algorithm, verify }))
}

fn require(algorithm: Algorithm, family: AlgorithmFamily) -> Result<(), Error> {
    match algorithm.family() == family {
        true => Ok(()),
        false => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn compute_digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>, Error> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &digest::SHA256,
        ThumbprintHash::SHA384 => &digest::SHA384,
        ThumbprintHash::SHA512 => &digest::SHA512,
        _ => return unsupported(),
    };
    Ok(digest(algorithm, data).as_ref().to_vec())
}

impl Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        (self.sign)(message).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Checking {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        (self.verify)(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Checking {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
