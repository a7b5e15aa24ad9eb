//! A catalogue as a TOML file lists it: features by name, and their templates by name within each.
//!
//! `read` makes drafts of a file and tells everything that is wrong with it, `table` makes tables of drafts, to write and to
//! compare, `value` says how open-ended JSON is written in TOML.

mod read;
mod table;
mod value;

use super::{FeatureDraft, TemplateDraft};

pub use table::{changed_feature_fields, changed_template_fields};

/// Features and templates that may come from a file or go into one.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub features: Vec<CatalogueFeature>,
}

/// A feature and its templates. These belong to it, whatever their `feature_id`.
#[derive(Clone, Debug)]
pub struct CatalogueFeature {
    pub feature: FeatureDraft,
    pub templates: Vec<TemplateDraft>,
}
