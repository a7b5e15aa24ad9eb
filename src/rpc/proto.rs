//! The generated messages, services and clients of package `generation.v1`.

#![expect(clippy::allow_attributes, unused_qualifications, reason = "generated")]

tonic::include_proto!("generation.v1");

/// Every contract with its comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
