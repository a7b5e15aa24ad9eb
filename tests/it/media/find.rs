//! From a file to the media, jobs and requests that made it.

use std::fs;

use atelier::domain::Caller;
use atelier::rpc::proto::{
    DeleteMediaRequest, ErrorReason, FindMediaRequest, FindMediaResponse, FoundMedia, JobStatus,
    UndeleteMediaRequest, find_media_request::Subject,
};
use atelier::server::open_app;
use atelier::store::PageRequest;
use tonic::{Code, Status};

use crate::support::client::{Client, USER, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration, within};

on_both_databases! {
    async fn the_same_bytes_find_all_that_made_them_newest_first(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]);
        let jobs = same_jobs(&server, &script, 2).await;
        let media = server.media_of(jobs[0]).await.remove(0);

        let found = find(&server, sha256(&media.sha256)).await.found;
        assert_eq!(jobs_of(&found), [jobs[1], jobs[0]]);
        for FoundMedia { media, job, request } in &found {
            let (media, job, request) = (media.as_ref().unwrap(), job.as_ref().unwrap(), request.as_ref().unwrap());
            assert_eq!((media.job_id, media.request_id), (Some(job.id), request.id));
            assert_eq!((job.status(), request.user_prompt.as_str()), (JobStatus::Completed, "Xin chào"));
            assert_eq!(request.job_counts.as_ref().unwrap().completed, 1);
            assert!(job.input.is_none(), "as in other lists");
            assert!(media.download_url.starts_with("http://"));
        }
        assert_eq!(jobs_of(&find(&server, sha256(&media.sha256.to_uppercase())).await.found), [jobs[1], jobs[0]]);
        let key = media.media_url.strip_prefix(&format!("{}/media/", server.url())).unwrap();
        let content = fs::read(server.media_folder().join(key)).unwrap();
        assert_eq!(jobs_of(&find(&server, Subject::Content(content)).await.found), [jobs[1], jobs[0]]);
        let other = find(&server, Subject::Content(b"another file".to_vec())).await;
        assert_eq!(other, FindMediaResponse::default());
    }

    async fn deleted_media_are_not_found_and_come_back(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]);
        let jobs = same_jobs(&server, &script, 2).await;
        let media = server.media_of(jobs[0]).await.remove(0);
        let id = media.id;
        server.media().delete_media(DeleteMediaRequest { id }).await.unwrap();
        assert_eq!(jobs_of(&find(&server, sha256(&media.sha256)).await.found), [jobs[1]]);
        server.media().undelete_media(UndeleteMediaRequest { id }).await.unwrap();
        assert_eq!(jobs_of(&find(&server, sha256(&media.sha256)).await.found), [jobs[1], jobs[0]]);
    }

    async fn pages_follow_each_other_and_their_tokens_belong_to_the_file(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]);
        let mut jobs = same_jobs(&server, &script, 3).await;
        jobs.reverse();
        let hash = server.media_of(jobs[0]).await.remove(0).sha256;
        let (mut paged, mut token) = (Vec::new(), String::new());
        loop {
            let page = find_page(&server, Some(sha256(&hash)), 2, &token).await.unwrap();
            paged.extend(jobs_of(&page.found));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
            let upper = find_page(&server, Some(sha256(&hash.to_uppercase())), 2, &token).await;
            assert_eq!(jobs_of(&upper.unwrap().found), jobs[2..], "the same file");
            let other = find_page(&server, Some(sha256(&"0".repeat(64))), 2, &token).await;
            refusal(other).is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        }
        assert_eq!(paged, jobs);
    }

    async fn what_is_no_file_is_refused_by_its_field(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for (subject, field) in [
            (None, "subject"),
            (Some(Subject::Content(Vec::new())), "content"),
            (Some(sha256("")), "sha256"),
            (Some(sha256(&"0".repeat(63))), "sha256"),
            (Some(sha256(&"g".repeat(64))), "sha256"),
            (Some(sha256(&"ế".repeat(64))), "sha256"),
        ] {
            refusal(find_page(&server, subject, 0, "").await).of_fields([field]);
        }
        refusal(find_page(&server, None, -1, "").await).of_fields(["subject", "page_size"]);
        let long = Subject::Content(vec![0; 4 << 20]);
        refusal(find_page(&server, Some(long), 0, "").await)
            .is(Code::ResourceExhausted, ErrorReason::MessageTooLarge);
    }

    async fn a_file_is_found_among_one_s_own_media_only(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let media = tempfile::tempdir().unwrap();
        let app = open_app(&configuration(&db, media.path())).await.unwrap();
        let script = Script::new(&["succeed"]);
        let job = same_jobs(&server, &script, 1).await[0];
        let hash = server.media_of(job).await.remove(0).sha256;
        for (caller, found) in [(USER, 1), (USER + 1, 0)] {
            let (caller, page) = (Caller::User(caller), PageRequest { size: 50, token: String::new(), sealer: app.sealer(Caller::User(caller)) });
            let page = app.find_media(caller, &hash, &page).await.unwrap();
            let jobs = page.items.iter().filter_map(|found| found.job.as_ref().map(|job| job.id));
            assert_eq!(jobs.collect::<Vec<_>>(), vec![job; found], "{caller:?}");
        }
    }
}

/// Jobs of a request each, with the same seed and so with the same output, which have ended.
async fn same_jobs(server: &TestServer, script: &Script, count: usize) -> Vec<i64> {
    let feature = server.scripted_feature().await;
    let mut jobs = Vec::new();
    for _ in 0..count {
        let mut asked = scripted_request(feature, script);
        asked.input.as_mut().unwrap().seed = Some(7);
        let job = server.create(asked).await.1.remove(0).id;
        assert_eq!(server.ended(job).await.job.status(), JobStatus::Completed);
        jobs.push(job);
    }
    jobs
}

fn sha256(digits: &str) -> Subject {
    Subject::Sha256(digits.to_owned())
}

fn jobs_of(found: &[FoundMedia]) -> Vec<i64> {
    found
        .iter()
        .map(|found| found.job.as_ref().unwrap().id)
        .collect()
}

async fn find(client: &Client, subject: Subject) -> FindMediaResponse {
    find_page(client, Some(subject), 0, "").await.unwrap()
}

async fn find_page(
    client: &Client,
    subject: Option<Subject>,
    page_size: i32,
    token: &str,
) -> Result<FindMediaResponse, Status> {
    let request = FindMediaRequest {
        subject,
        page_size,
        page_token: token.to_owned(),
        ..Default::default()
    };
    let found = within(client.media().find_media(request)).await?;
    Ok(found.into_inner())
}
