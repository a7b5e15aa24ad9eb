//! Digests of content.

pub(super) use crate::domain::sha256_hex;
