//! Features and templates.

mod acceptance;
mod defaults;
mod feature_updates;
mod features;
mod file;
mod galleries;
mod looks;
mod names;
mod previews;
mod saved;
mod template_lists;
mod template_updates;
mod templates;
mod trends;
mod views;
