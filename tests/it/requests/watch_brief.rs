//! Brief watches: what stays the same is told once.

use atelier::rpc::proto::{
    CancelRequestRequest, RetryRequestRequest, WatchJobRequest, WatchRequestEvent,
    WatchRequestRequest, WatchUserRequest,
};

use crate::support::client::{USER, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_brief_watch_tells_what_a_request_was_made_of_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let asked = scripted_request(feature, &Script::new(&[]));
        let (request, _) = server.create(asked.clone()).await;
        let watch = WatchRequestRequest { id: request.id, brief: true, ..Default::default() };
        let mut watch = within(server.requests().watch_request(watch)).await.unwrap().into_inner();
        let first = within(watch.message()).await.unwrap().unwrap().request.unwrap();
        assert_eq!(first.user_prompt, asked.user_prompt);
        assert!(first.input.is_some());

        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().cancel_request(cancel)).await.unwrap();
        let later = within(watch.message()).await.unwrap().unwrap();
        let brief = later.request.unwrap();
        assert_eq!((brief.user_prompt.as_str(), brief.input.as_ref(), brief.metadata.as_ref()), ("", None, None));
        assert_eq!((brief.system_prompt.as_str(), brief.template_prompt.as_str()), ("", ""));
        assert!(brief.user_media_urls.is_empty());
        // All the rest is there.
        let whole = server.request(request.id).await;
        assert_eq!((brief.id, brief.status, brief.job_counts, &brief.etag), (whole.id, whole.status, whole.job_counts, &whole.etag));
        assert_eq!(brief.update_time, whole.update_time);
    }

    async fn a_brief_watch_of_a_user_tells_each_request_whole_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let watch = WatchUserRequest { user_id: USER, brief: true, ..Default::default() };
        let mut watch = within(server.requests().watch_user(watch)).await.unwrap().into_inner();
        let opened = within(watch.message()).await.unwrap().unwrap();
        assert_eq!(opened.event(), WatchRequestEvent::Opened);
        let script = Script::new(&[]);
        for _ in 0..2 {
            let (request, _) = server.create(scripted_request(feature, &script)).await;
            let told = within(watch.message()).await.unwrap().unwrap().request.unwrap();
            assert_eq!((told.id, told.input.is_some()), (request.id, true));
            let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
            within(server.requests().cancel_request(cancel)).await.unwrap();
            let told = within(watch.message()).await.unwrap().unwrap().request.unwrap();
            assert_eq!((told.id, told.input.is_some()), (request.id, false));
        }
    }

    async fn a_brief_watch_of_a_job_tells_its_input_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        for brief in [true, false] {
            let watch = WatchJobRequest { id: job.id, brief, ..Default::default() };
            let mut watch = within(server.jobs().watch_job(watch)).await.unwrap().into_inner();
            let first = within(watch.message()).await.unwrap().unwrap().job.unwrap();
            assert!(first.input.is_some());
            if brief {
                let cancel = CancelRequestRequest { id: job.request_id, ..Default::default() };
                within(server.requests().cancel_request(cancel)).await.unwrap();
            }
            let later = within(watch.message()).await.unwrap().unwrap().job.unwrap();
            assert_eq!(later.input.is_some(), !brief);
            assert!(within(watch.message()).await.unwrap().is_none());
        }
    }

    async fn the_cursor_of_a_request_that_is_retried_often_stays_short(db: TestDatabase) {
        const JOBS: i32 = 16;
        const RETRIES: usize = 60;
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let mut asked = scripted_request(feature, &Script::new(&[]));
        asked.input.get_or_insert_default().variations = JOBS;
        let (request, _) = server.create(asked).await;
        for _ in 0..RETRIES {
            let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
            within(server.requests().cancel_request(cancel)).await.unwrap();
            let retry = RetryRequestRequest { id: request.id };
            within(server.requests().retry_request(retry)).await.unwrap();
        }
        let transitions = JOBS as usize * (2 * RETRIES + 1);
        let mut watch = server.watch_request(request.id).await;
        let mut last = None;
        for _ in 0..transitions {
            last = watch.transition().await;
        }
        let cursor = last.unwrap().cursor;
        assert!(cursor.len() < 2_048, "{} characters for {transitions} transitions", cursor.len());

        // It says as much as a longer one.
        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        within(server.requests().cancel_request(cancel)).await.unwrap();
        let rest = server.watch_request_after(request.id, &cursor).await.transitions().await;
        assert_eq!(rest.len(), JOBS as usize);
    }
}
