//! What makes media: the services that a feature can name.

pub mod builtin;
