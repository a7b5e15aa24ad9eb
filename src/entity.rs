//! The records of the database, one file a table: those of docs/domain.md#tables, with what execution needs beside them.

pub mod feature;
pub mod idempotency_key;
pub mod installation;
pub mod job;
pub mod job_event;
pub mod media;
mod named;
pub mod request;
pub mod template;
pub mod template_tally;
pub mod template_view;
mod text_list;

pub use text_list::TextList;
