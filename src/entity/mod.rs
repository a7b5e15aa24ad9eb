//! The records of the database, one file a table, and the two enums of docs/domain.md#enums.
//!
//! Source: `generation-domain` spec, section 2, plus the columns that execution needs.

pub mod feature;
pub mod idempotency_key;
pub mod installation;
pub mod job;
pub mod job_event;
pub mod media;
mod media_role;
mod media_type;
pub mod request;
mod status;
pub mod template;
pub mod template_tally;
pub mod template_view;
mod text_list;

pub use media_role::MediaRole;
pub use media_type::MediaType;
pub use status::{JobStatus, RequestStatus};
pub use text_list::TextList;
