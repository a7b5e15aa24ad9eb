//! The records of the database, one file a table: those of docs/domain.md#tables, with what execution needs beside them.

pub mod api_key;
pub mod audit_entry;
pub mod credit_grant;
pub mod credit_transaction;
pub mod erasure;
pub mod feature;
pub mod idempotency_key;
pub mod installation;
pub mod job;
pub mod job_answer;
pub mod job_event;
pub mod media;
mod named;
pub mod pause;
pub mod plan_retry;
pub mod rate;
pub mod request;
pub mod request_upload;
pub mod reservation;
pub mod retention_step;
pub mod secret;
pub mod share;
pub mod template;
pub mod template_tally;
pub mod template_version;
pub mod template_view;
mod text_list;
pub mod upload;
pub mod upload_ticket;
pub mod worker;

use sea_orm::{EntityTrait, IdenStatic, Iterable};

pub use text_list::TextList;

/// Every table that this program works with, other than Identity's, by its name and its columns.
pub fn tables() -> Vec<(String, Vec<String>)> {
    let bare = |table: &str, columns: &[&str]| {
        let columns = columns.iter().map(|&column| column.to_owned());
        (table.to_owned(), columns.collect())
    };
    vec![
        described::<api_key::Entity>(),
        described::<audit_entry::Entity>(),
        described::<credit_grant::Entity>(),
        described::<credit_transaction::Entity>(),
        described::<erasure::Entity>(),
        described::<feature::Entity>(),
        described::<idempotency_key::Entity>(),
        described::<installation::Entity>(),
        described::<job::Entity>(),
        described::<job_answer::Entity>(),
        described::<job_event::Entity>(),
        described::<media::Entity>(),
        described::<pause::Entity>(),
        described::<plan_retry::Entity>(),
        described::<rate::Entity>(),
        described::<request::Entity>(),
        described::<request_upload::Entity>(),
        described::<reservation::Entity>(),
        described::<retention_step::Entity>(),
        described::<secret::Entity>(),
        described::<share::Entity>(),
        described::<template::Entity>(),
        described::<template_tally::Entity>(),
        described::<template_version::Entity>(),
        described::<template_view::Entity>(),
        described::<upload::Entity>(),
        described::<upload_ticket::Entity>(),
        described::<worker::Entity>(),
        bare(
            "generation_capabilities",
            &["provider", "category", "seen_at", "missing"],
        ),
        bare("seaql_migrations", &["version", "applied_at"]),
        bare("atelier_migrations", &["version", "least_program"]),
    ]
}

fn described<E: EntityTrait>() -> (String, Vec<String>) {
    let columns = E::Column::iter().map(|column| column.as_str().to_owned());
    (E::default().table_name().to_owned(), columns.collect())
}
