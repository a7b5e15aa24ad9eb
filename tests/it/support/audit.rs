//! What always holds of requests and jobs, whatever has happened to the servers that ran them.

use std::collections::BTreeMap;

use atelier::domain::{JobStatus, RequestStatus};
use atelier::entity::{job, job_event, media, request};
use sea_orm::{EntityTrait, QueryOrder};

use crate::support::database::TestDatabase;
use crate::support::ledger::assert_balanced;

/// Asserts that every job has ended once, with all its events and with the files that it has made and no others, that its request
/// has ended with it, and that its credits are taken or given back. All jobs, by id.
pub(crate) async fn assert_ended_once(db: &TestDatabase) -> BTreeMap<i64, job::Model> {
    assert_balanced(db).await;
    let connection = db.connect().await;
    let jobs = job::Entity::find().all(&connection).await.unwrap();
    let events = job_event::Entity::find().order_by_asc(job_event::Column::Revision);
    let events = events.all(&connection).await.unwrap();
    let media = media::Entity::find().all(&connection).await.unwrap();
    for job in &jobs {
        let of_job = events.iter().filter(|event| event.job_id == job.id);
        assert_ended_with(job, &of_job.collect::<Vec<_>>());
        let made = media.iter().filter(|media| media.job_id == Some(job.id));
        let expected = usize::from(job.status == JobStatus::Completed);
        assert_eq!(made.count(), expected, "media of {job:?}");
    }
    for request in request::Entity::find().all(&connection).await.unwrap() {
        use RequestStatus::{Cancelled, Completed, Failed};
        let ended = matches!(request.status, Completed | Failed | Cancelled);
        assert!(ended, "{request:?}");
        assert!(jobs.iter().any(|job| job.request_id == request.id));
    }
    jobs.into_iter().map(|job| (job.id, job)).collect()
}

/// Its revisions are dense, and the last event alone is an end.
fn assert_ended_with(job: &job::Model, events: &[&job_event::Model]) {
    let revisions = events.iter().map(|event| event.revision);
    assert!(revisions.eq(1..=job.revision), "job {}: {events:?}", job.id);
    let ends = events.iter().filter(|event| event.status.is_terminal());
    assert_eq!(ends.count(), 1, "job {}: {events:?}", job.id);
    let last = events.last().unwrap();
    assert_eq!(
        (last.status, last.attempt),
        (job.status, job.attempt),
        "job {}",
        job.id
    );
}
