//! Composes posters, clips and music: from a brief (words, a style and a seed) to a picture, frames or samples. The same brief
//! always gives the same work.
//!
//! Everything here keeps a core busy; a report that the caller gives is told how far it is, and may stop it.

pub mod animation;
mod dice;
pub mod drawing;
pub mod music;
mod style;

#[cfg(test)]
extern crate self as studio;
