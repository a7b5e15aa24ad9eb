//! A bucket that counts from another time than this machine takes no call: that is not a right that is missing, and is told as
//! what it is.

use atelier::rpc::proto::{CreateRequestRequest, DownloadMediaRequest, ErrorReason, JobStatus};
use atelier::server::{Role, Server, StartError};
use codec::Format;
use tonic::Code;

use super::uploads::take_pictures;
use crate::support::bucket::{keep_media_in, s3_settings, serve_bucket_with_outages};
use crate::support::client::{USER, request_for};
use crate::support::database::on_both_databases;
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration};
use crate::support::uploads::picture;

const CLOCK: &str = "clock of this machine is off";

on_both_databases! {
    async fn a_start_with_a_clock_that_is_off_fails_for_that(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let mut config = configuration(&db, root.path());
        keep_media_in(&bucket, &mut config);
        outage.skew();
        let Err(StartError::Storage(error)) = Server::start(config, Role::Api).await else {
            panic!("it has started, or failed for something else");
        };
        let told = error.to_string();
        assert!(told.contains(CLOCK), "{told}");
        assert!(!told.contains("privileges"), "{told}");
    }

    async fn a_clock_that_goes_wrong_costs_no_output_and_stands_in_the_log(db: TestDatabase) {
        let (root, media) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let settings = s3_settings(&bucket);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let server = Process::serve(&db, media.path(), &settings).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        outage.skew();
        script.open_gate();
        server.until_logged("cannot store an output yet").await;
        server.until_logged("storage_away").await;
        let log = server.log();
        let lines = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
        assert!(lines("cannot store an output yet")[0].contains("the clock of the worker is off"), "{log}");
        assert!(lines("storage_away")[0].contains(CLOCK), "{log}");
        assert!(!log.contains("privileges"), "{log}");

        // A process that starts meanwhile serves what needs no media, and says what ails it.
        let other = Process::serve(&db, media.path(), &settings).await;
        other.until_logged("starting without the media storage").await;
        let log = other.log();
        let line = log.lines().find(|line| line.contains("starting without the media storage"));
        assert!(line.unwrap().contains(CLOCK), "{log}");
        outage.end();
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!(script.calls_of("submit").len(), 1);
        let id = server.media_of(job.id).await.remove(0).id;
        outage.skew();
        let refused = server.media().download_media(DownloadMediaRequest { id, offset: 0 }).await;
        refusal(refused.map(|_| ())).is(Code::Unavailable, ErrorReason::StorageUnavailable);
    }

    async fn a_job_that_cannot_read_its_pictures_for_that_says_so_in_its_detail(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outage) = serve_bucket_with_outages(&root).await;
        let server = TestServer::start_with(&db, |config| {
            keep_media_in(&bucket, config);
            take_pictures(config);
            config.executor.max_attempts = 1;
        }).await;
        let feature = server.scripted_feature().await;
        let upload = server.upload(USER, &picture([200, 20, 20], Format::Png)).await;
        outage.skew();
        let asked = CreateRequestRequest {
            user_media_urls: vec![upload.url],
            ..request_for(feature)
        };
        let (_, jobs) = server.create(asked).await;
        let error = server.ended(jobs[0].id).await.job.error.unwrap();
        assert_eq!(error.code, "STORAGE_UNAVAILABLE", "{error:?}");
        assert_eq!(error.message, "The media storage cannot be reached right now.");
        assert!(error.detail.contains("the clock of the worker is off"), "{error:?}");
    }
}
