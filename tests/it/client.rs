//! The clients that Atelier comes with.

pub(crate) mod browser;
mod generate;
mod library;
mod node;
mod openai;
mod pictures;
