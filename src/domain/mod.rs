//! The rules of generation as pure functions and value types: no runtime, no transport, no database, no storage.

mod aspect_ratio;
pub mod backoff;
mod caller;
mod catalogue;
mod causes;
mod check;
mod deletion;
mod error;
mod etag;
mod feature;
mod format;
mod input;
pub mod job;
mod job_input;
mod output;
mod page;
mod prompt;
mod request;
mod resolution;
mod seal;
pub mod stored;
mod template;
mod time;
mod trend;
mod variable;
mod violation;
mod watch_cursor;

pub use aspect_ratio::AspectRatio;
pub use caller::Caller;
pub use catalogue::{Catalogue, CatalogueFeature, changed_feature_fields, changed_template_fields};
pub use causes::with_causes;
pub use check::Checks;
pub use deletion::deletion_time;
pub use error::{Error, Reason, Resource};
pub use etag::{check_etag, etag};
pub use feature::{FeatureDraft, FeatureProperties};
pub use format::Format;
pub use input::GenerationInput;
pub use job::{JobCounts, request_status};
pub use job_input::JobInput;
pub use output::{OutputForm, OutputSettings};
pub use page::{Page, PageToken, page_size};
pub use request::{IntakeLimits, Offer, RequestDraft, Resolved, check_prompt, resolve};
pub use resolution::{MIN_SIDE, Resolution};
pub use template::{TemplateData, TemplateDraft, check_tags};
pub use time::{SECONDS, storable_time};
pub use trend::{Tally, TrendWeight, in_window};
pub use variable::{Variable, VariableType};
pub use violation::{Violation, Violations};
pub use watch_cursor::WatchCursor;

/// A JSON object, as in the open-ended columns of the spec.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
