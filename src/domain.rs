//! The rules of generation as pure functions and value types: no runtime, no transport, no database, no storage.

mod address;
mod aspect_ratio;
mod audit;
pub mod backoff;
mod batch;
mod caller;
mod canonical_json;
mod catalogue;
mod causes;
mod certificate;
mod check;
pub mod command;
mod credit;
mod deletion;
mod derivatives;
mod digest;
mod error;
mod error_wording;
mod etag;
mod fallback;
mod feature;
mod file_name;
mod flaw;
mod folded;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod input;
mod installation;
pub mod job;
mod job_input;
mod keyring;
mod language;
mod media_metadata;
mod media_role;
mod media_type;
mod names;
mod origin;
mod output;
mod page;
mod plan;
mod price;
mod printable;
pub mod profile;
mod prompt;
mod recipe;
mod request;
mod request_notes;
mod resolution;
mod seal;
pub mod spelling;
pub mod stored;
mod table_name;
mod template;
mod time;
mod trace;
mod trend;
mod variable;
mod view;
mod violation;
mod watch_cursor;

pub use address::{AddressRules, HostRule, is_loopback_host, is_public};
pub use aspect_ratio::AspectRatio;
pub use audit::{Actor, AuditAction, AuditSubject, Deed};
pub use batch::{Entry, by_id, check_entries};
pub use caller::Caller;
pub use canonical_json::canonical_json;
pub use catalogue::{
    Catalogue, CatalogueFeature, changed_feature_fields, changed_template_fields, tell_in_file,
};
pub use causes::with_causes;
pub use certificate::CertificateRule;
pub use check::{Checks, is_name};
pub use credit::{
    Account, Balance, Billing, CreditKind, GrantDraft, OpenGrant, Share, Shortage, take,
};
pub use deletion::deletion_time;
pub use derivatives::Derivatives;
pub use digest::{hex, sha256_hex};
pub use error::{Error, Hindrance, KnownOutage, Reason, Resource};
pub use etag::{check_etag, etag};
pub use fallback::Fallback;
pub use feature::{FeatureDraft, FeatureProperties};
pub use file_name::{FileName, Place};
pub use flaw::{Flaw, Number, Problem};
pub use folded::{folded, folded_lines};
pub use input::GenerationInput;
pub use installation::{Doubt, Installation, Ownership, ownership};
pub use job::{JobCounts, JobStatus, request_status};
pub use job_input::JobInput;
pub use keyring::{KEY_BYTES, Keyring, Purpose, StoredKey, Unverified};
pub use language::{Language, by_quality};
pub use media_metadata::{MediaMetadata, MediaNotes, Omission, to_map};
pub use media_role::MediaRole;
pub use media_type::MediaType;
pub use names::{Named, Names, Translation, VariableTranslation, is_language};
pub use origin::{Origin, Versioned};
pub use output::{OutputSettings, further_formats};
pub use page::{Page, PageToken, page_size};
pub use plan::{Exceeded, Plan, Plans, Quota, Spent, Use};
pub use price::Price;
pub use printable::{is_printable, printable};
pub use recipe::Recipe;
pub use request::{
    IntakeLimits, Offer, Preview, RequestDraft, RequestStatus, Resolved, check_prompt,
    refuse_without_feature, resolve,
};
pub use request_notes::RequestNotes;
pub use resolution::{MIN_SIDE, Resolution};
pub use seal::Sealer;
pub use table_name::TableName;
pub use template::{MAX_VARIABLES, TemplateData, TemplateDraft, check_tags};
pub use time::{SECONDS, storable_time};
pub use trace::Trace;
pub use trend::{Tally, TrendWeight, in_window};
pub use variable::{Choice, Variable, VariableType, media_id};
pub use view::View;
pub use violation::{Violation, Violations};
pub use watch_cursor::{CursorOf, Settling, UserCursor, WatchCursor};

/// A JSON object, as in the open-ended columns of docs/domain.md#tables.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
