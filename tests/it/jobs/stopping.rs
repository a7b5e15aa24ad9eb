//! What runs is stopped by a deletion, and by a trusted caller who says so.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{
    CancelJobRequest, CancelRequestRequest, DeleteJobRequest, DeleteRequestRequest, ErrorReason,
    Job, JobEventCause, JobStatus, ListJobEventsRequest, RequestStatus, RetryJobRequest,
    UndeleteJobRequest,
};
use atelier::server::Role;
use tonic::Code;

use crate::support::client::{Client, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const CANCELLED: JobStatus = JobStatus::Cancelled;
const PENDING: JobStatus = JobStatus::Pending;
const PROCESSING: JobStatus = JobStatus::Processing;

/// How something that runs is stopped.
#[derive(Clone, Copy, Debug)]
enum Stop {
    CancelJob,
    CancelRequest,
    DeleteJob,
    DeleteRequest,
}

impl Stop {
    async fn stop(self, client: &Client, job: &Job) {
        let (id, request, stop_processing) = (job.id, job.request_id, true);
        match self {
            Self::CancelJob => {
                let cancel = CancelJobRequest {
                    id,
                    stop_processing,
                };
                within(client.jobs().cancel_job(cancel)).await.map(drop)
            }
            Self::CancelRequest => {
                let cancel = CancelRequestRequest {
                    id: request,
                    stop_processing,
                };
                let answer = within(client.requests().cancel_request(cancel)).await;
                answer.map(|answer| {
                    let answer = answer.into_inner();
                    assert_eq!(answer.uncancelled_jobs, []);
                    assert!(
                        answer
                            .cancelled_jobs
                            .iter()
                            .any(|cancelled| cancelled.id == id)
                    );
                })
            }
            Self::DeleteJob => within(client.jobs().delete_job(DeleteJobRequest { id }))
                .await
                .map(drop),
            Self::DeleteRequest => {
                let delete = DeleteRequestRequest {
                    id: request,
                    ..Default::default()
                };
                within(client.requests().delete_request(delete))
                    .await
                    .map(drop)
            }
        }
        .unwrap();
    }

    fn cause(self) -> JobEventCause {
        match self {
            Self::CancelJob | Self::CancelRequest => JobEventCause::Stopped,
            Self::DeleteJob | Self::DeleteRequest => JobEventCause::Deleted,
        }
    }
}

on_both_databases! {
    async fn what_is_stopped_ends_cancelled_and_its_slot_and_task_are_given_up(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |_| ()).await;
        // Nothing but the stop itself tells this one that the lease is gone.
        let worker = server.beside(Role::Worker, &db, one_slot_and_rare_heartbeats).await;
        let feature = server.scripted_feature().await;
        for stop in [Stop::CancelJob, Stop::CancelRequest, Stop::DeleteJob, Stop::DeleteRequest] {
            let script = Script::new(&["hang"]).with_task().gated();
            let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
            script.wait_until(|calls| calls.iter().any(|call| call.name == "poll")).await;
            stop.stop(&server, &job).await;
            let ended = server.ended(job.id).await;
            assert_eq!(ended.statuses(), [PENDING, PROCESSING, CANCELLED], "{stop:?}");
            assert_eq!((ended.job.attempt, ended.code()), (1, ""), "{stop:?}");
            assert_eq!(last_cause(&server, job.id).await, stop.cause(), "{stop:?}");

            let next = Script::new(&["succeed"]);
            let next = server.create(scripted_request(feature, &next)).await.1.remove(0);
            assert_eq!(server.ended(next.id).await.job.status(), JobStatus::Completed, "{stop:?}");
            script.wait_until(|calls| calls.iter().any(|call| call.name == "cancel")).await;
        }
        worker.stop().await;
    }

    async fn a_stopped_job_comes_back_cancelled_and_may_be_retried(db: TestDatabase) {
        let server = TestServer::start_with(&db, one_slot_and_rare_heartbeats).await;
        let script = Script::new(&["hang"]);
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        Stop::DeleteJob.stop(&server, &job).await;
        let undelete = UndeleteJobRequest { id: job.id };
        let back = within(server.jobs().undelete_job(undelete)).await.unwrap();
        assert_eq!(back.into_inner().job.unwrap().status(), CANCELLED);
        assert_eq!(server.request(job.request_id).await.status(), RequestStatus::Cancelled);
        let retry = within(server.jobs().retry_job(RetryJobRequest { id: job.id })).await.unwrap();
        let successor = retry.into_inner().job.unwrap();
        script.wait_until_submitted(2).await;
        Stop::CancelJob.stop(&server, &successor).await;
    }

    async fn what_runs_goes_on_unless_the_stop_is_asked_for(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let cancel = CancelJobRequest { id: job.id, stop_processing: false };
        refusal(within(server.jobs().cancel_job(cancel)).await)
            .is(Code::FailedPrecondition, ErrorReason::JobAlreadyProcessing);
        let cancel = CancelRequestRequest { id: job.request_id, stop_processing: false };
        let answer = within(server.requests().cancel_request(cancel)).await.unwrap().into_inner();
        assert_eq!(answer.uncancelled_jobs[0].status(), PROCESSING);
        script.open_gate();
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
        let cancel = CancelJobRequest { id: job.id, stop_processing: true };
        refusal(within(server.jobs().cancel_job(cancel)).await)
            .is(Code::FailedPrecondition, ErrorReason::JobAlreadyFinished);
    }
}

fn one_slot_and_rare_heartbeats(config: &mut Config) {
    config.executor.concurrency = 1;
    config.executor.lease = Duration::from_secs(3600);
    config.executor.heartbeat = Duration::from_secs(1800);
}

async fn last_cause(client: &Client, job_id: i64) -> JobEventCause {
    let list = ListJobEventsRequest {
        job_id,
        ..Default::default()
    };
    let events = within(client.jobs().list_job_events(list)).await.unwrap();
    events.into_inner().events.last().unwrap().cause()
}
