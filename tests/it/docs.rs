//! What the documents, the files of `deploy/` and the layers of the source promise.

mod claims;
mod deployment;
mod layers;
mod pages;
mod session;
