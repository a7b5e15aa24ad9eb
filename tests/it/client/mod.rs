//! The clients that Atelier comes with.

pub mod browser;
mod generate;
mod library;
