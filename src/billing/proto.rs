//! The generated messages, client and server of package `billing.v1`. We call it, and stand in for who serves it in tests.

#![expect(clippy::allow_attributes, unused_qualifications, reason = "generated")]

tonic::include_proto!("billing.v1");
