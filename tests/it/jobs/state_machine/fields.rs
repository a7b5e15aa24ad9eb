//! The database refuses every row whose status and fields the state machine does not give.

use atelier::domain::JobStatus;
use atelier::domain::job::Transition;
use sea_orm::ConnectionTrait;

use crate::support::bench::Bench;
use crate::support::database::on_both_databases;

const STATUSES: [JobStatus; 5] = [
    JobStatus::Pending,
    JobStatus::Processing,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
];
const FIELDS: [&str; 5] = [
    "started_at",
    "completed_at",
    "lease_token",
    "lease_expires_at",
    "error_code",
];
const TIME: &str = "'2026-01-01T00:00:00.000+00:00'";

/// Whether some transition leads to the status with these fields set; the other fields may be either.
fn is_allowed(status: JobStatus, set: impl Fn(&str) -> bool) -> bool {
    let rules = Transition::ALL.map(Transition::rule);
    let held = rules
        .iter()
        .any(|rule| rule.to == status && rule.begins_attempt());
    let ended = rules
        .iter()
        .any(|rule| rule.to == status && rule.ends_job());
    set("completed_at") == ended
        && set("lease_token") == held
        && set("lease_expires_at") == held
        && (!held || set("started_at"))
        && (status != JobStatus::Failed || set("error_code"))
}

on_both_databases! {
    async fn exactly_the_fields_that_belong_to_a_status_are_accepted(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let id = bench.request(1, 0).await[0].id;
        let connection = db.connect().await;
        for status in STATUSES {
            for combination in 0..1 << FIELDS.len() {
                let is_set = |index: usize| combination & (1 << index) != 0;
                let fields = FIELDS.iter().enumerate().map(|(index, field)| match *field {
                    _ if !is_set(index) => format!("{field} = NULL"),
                    "lease_token" | "error_code" => format!("{field} = 'x'"),
                    _ => format!("{field} = {TIME}"),
                });
                let fields: Vec<String> = fields.collect();
                let change = format!("status = '{}', {}", status.as_str(), fields.join(", "));
                let update = format!("UPDATE generation_jobs SET {change} WHERE id = {id}");
                let accepted = connection.execute_unprepared(&update).await.is_ok();
                let set = |name: &str| is_set(FIELDS.iter().position(|field| *field == name).unwrap());
                assert_eq!(accepted, is_allowed(status, set), "{change}");
            }
        }
    }
}
