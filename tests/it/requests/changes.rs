//! What is found and changed among a user's requests: bounded scans, the order of changes, titles, collections, batches.

use atelier::rpc::proto::{
    BatchDeleteMediaRequest, BatchDeleteRequestsRequest, BatchUndeleteMediaRequest,
    BatchUndeleteRequestsRequest, CreateRequestRequest, DeleteRequestRequest, ErrorReason,
    ListJobsRequest, ListRequestsRequest, Request, RequestOrder, UpdateRequestRequest,
    UpdateRequestsRequest, VersionedId,
};
use prost_types::FieldMask;
use tonic::Code;

use crate::support::client::{USER, request_for, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;
use crate::support::structure::structure;

on_both_databases! {
    async fn what_no_index_finds_is_found_by_a_scan_of_500_requests_a_page(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let create = |prompt: &str, order: serde_json::Value| CreateRequestRequest {
            user_prompt: prompt.to_owned(),
            metadata: Some(structure(&serde_json::json!({ "order": order }))),
            ..request_for(feature)
        };
        let (old, jobs) = server.create(create("Một tô PHỞ nóng", "17".into())).await;
        let (number, _) = server.create(create("pho", 17.into())).await;
        db.execute(&format!(
            "UPDATE generation_jobs SET status = 'failed', completed_at = created_at, error_code = 'X', error_message = 'x' WHERE id = {}", jobs[0].id
        )).await;
        let mine = || ListRequestsRequest { user_id: USER, ..Default::default() };
        let text = ListRequestsRequest { text: "pho\u{31b}\u{309}".to_owned(), ..mine() };
        let metadata = ListRequestsRequest {
            metadata_key: "order".to_owned(), metadata_value: "17".to_owned(), ..mine()
        };
        for (filter, expected) in [
            (text.clone(), vec![old.id]),
            (ListRequestsRequest { text: "PHO".to_owned(), ..mine() }, vec![number.id]),
            (metadata.clone(), vec![old.id]),
            (ListRequestsRequest { has_failed_jobs: Some(true), ..Default::default() }, vec![old.id]),
            (ListRequestsRequest { has_failed_jobs: Some(false), ..mine() }, vec![number.id]),
            (ListRequestsRequest { text: "pho".to_owned(), metadata_key: "order".to_owned(), ..mine() }, vec![]),
        ] {
            assert_eq!(ids(&server, filter.clone()).await, (expected, String::new()), "{filter:?}");
        }
        for (filter, field) in [
            (ListRequestsRequest { user_id: 0, ..text.clone() }, "text"),
            (ListRequestsRequest { user_id: 0, ..metadata }, "metadata_key"),
            (ListRequestsRequest { metadata_value: "x".to_owned(), ..mine() }, "metadata_value"),
            (ListRequestsRequest { order: RequestOrder::Updated.into(), ..Default::default() }, "order"),
        ] {
            refusal(server.requests().list_requests(filter).await).of_fields([field]);
        }
        db.execute(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 600)
             INSERT INTO generation_requests (user_id, feature_id, user_prompt)
             SELECT {USER}, {feature}, 'other' FROM numbers"
        )).await;
        let (none, token) = ids(&server, text.clone()).await;
        assert_eq!(none, [0_i64; 0]);
        let rest = ids(&server, ListRequestsRequest { page_token: token, ..text }).await;
        assert_eq!(rest, (vec![old.id], String::new()));
    }

    async fn an_update_changes_what_the_mask_names_and_moves_the_jobs_along(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (first, _) = server.create(CreateRequestRequest { project_id: Some(3), ..request_for(feature) }).await;
        let (second, _) = server.create(CreateRequestRequest { project_id: Some(3), ..request_for(feature) }).await;
        let update = |etag: &str, project_id, paths: &[&str]| UpdateRequestRequest {
            request: Some(Request {
                id: first.id, etag: etag.to_owned(), title: "Khai trương".to_owned(), project_id, ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        };
        let updated = server.requests().update_request(update(&first.etag, Some(4), &["title", "project_id"])).await;
        let updated = updated.unwrap().into_inner().request.unwrap();
        assert_eq!((updated.title.as_str(), updated.project_id), ("Khai trương", Some(4)));
        assert_ne!(updated.etag, first.etag);
        let again = server.requests().update_request(update(&updated.etag, Some(4), &["title"])).await;
        assert_eq!(again.unwrap().into_inner().request.unwrap(), updated);
        refusal(server.requests().update_request(update(&first.etag, None, &["title"])).await)
            .is(Code::Aborted, ErrorReason::EtagMismatch);
        refusal(server.requests().update_request(update("", Some(-1), &["status", "project_id"])).await)
            .of_fields(["update_mask.paths[0]", "request.project_id"]);
        assert_eq!(jobs_of_project(&server, 4).await, [first.id]);

        let by_update = ListRequestsRequest {
            user_id: USER, order: RequestOrder::Updated.into(), page_size: 1, ..Default::default()
        };
        let (changed, token) = ids(&server, by_update.clone()).await;
        let (rest, _) = ids(&server, ListRequestsRequest { page_token: token, ..by_update }).await;
        assert_eq!((changed, rest), (vec![first.id], vec![second.id]));

        let move_all = UpdateRequestsRequest { user_id: USER, project_id: 4, new_project_id: Some(3) };
        for moved in [1, 0] {
            let told = server.requests().update_requests(move_all).await.unwrap().into_inner();
            assert_eq!(told.updated_count, moved);
        }
        assert_eq!(jobs_of_project(&server, 3).await, [second.id, first.id]);
        let clear = UpdateRequestsRequest { user_id: USER, project_id: 3, new_project_id: None };
        assert_eq!(server.requests().update_requests(clear).await.unwrap().into_inner().updated_count, 2);
        assert_eq!(jobs_of_project(&server, 3).await, [0_i64; 0]);
    }

    async fn a_batch_is_deleted_and_brought_back_as_a_whole_and_its_error_names_the_entry(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        let made = server.made(scripted_request(feature, &script)).await;
        let (waiting, _) = server.create(request_for(feature)).await;
        let request = server.request(made.job.request_id).await;
        let entry = |id, etag: &str| VersionedId { id, etag: etag.to_owned() };
        let stale = vec![entry(request.id, ""), entry(waiting.id, "stale")];
        refusal(server.requests().batch_delete_requests(BatchDeleteRequestsRequest { entries: stale }).await)
            .is(Code::Aborted, ErrorReason::EtagMismatch)
            .with("entry", "entries[1].etag");
        assert_eq!(server.request(request.id).await, request);
        let entries = vec![entry(waiting.id, ""), entry(request.id, &request.etag)];
        let deleted = server.requests().batch_delete_requests(BatchDeleteRequestsRequest { entries: entries.clone() }).await;
        let deleted = deleted.unwrap().into_inner().requests;
        assert_eq!(deleted.iter().map(|it| it.id).collect::<Vec<_>>(), [waiting.id, request.id]);
        let trash = ListRequestsRequest { user_id: USER, show_only_deleted: true, ..Default::default() };
        assert_eq!(ids(&server, trash.clone()).await.0, [waiting.id, request.id]);
        let entries = vec![entry(request.id, ""), entry(waiting.id, "")];
        server.requests().batch_undelete_requests(BatchUndeleteRequestsRequest { entries }).await.unwrap();
        assert_eq!(ids(&server, trash).await.0, [0_i64; 0]);

        let media = &made.media()[0];
        assert_eq!((media.user_id, media.feature_id, media.variation), (USER, feature, Some(0)));
        assert!(request.user_prompt.starts_with(&media.prompt_start) && !media.prompt_start.is_empty());
        let unknown = vec![entry(media.id, ""), entry(999_999, "")];
        refusal(server.media().batch_delete_media(BatchDeleteMediaRequest { entries: unknown }).await)
            .is(Code::NotFound, ErrorReason::MediaNotFound)
            .with("entry", "entries[1].id");
        let entries = vec![entry(media.id, "")];
        let deleted = server.media().batch_delete_media(BatchDeleteMediaRequest { entries: entries.clone() }).await;
        assert!(deleted.unwrap().into_inner().media[0].delete_time.is_some());
        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        refusal(server.media().batch_undelete_media(BatchUndeleteMediaRequest { entries }).await)
            .is(Code::FailedPrecondition, ErrorReason::RequestDeleted);
    }
}

async fn ids(server: &TestServer, filter: ListRequestsRequest) -> (Vec<i64>, String) {
    let listed = server.requests().list_requests(filter).await.unwrap();
    let listed = listed.into_inner();
    let ids = listed.requests.iter().map(|request| request.id);
    (ids.collect(), listed.next_page_token)
}

async fn jobs_of_project(server: &TestServer, project_id: i64) -> Vec<i64> {
    let request = ListJobsRequest {
        project_id,
        ..Default::default()
    };
    let listed = server.jobs().list_jobs(request).await.unwrap();
    let jobs = listed.into_inner().jobs;
    jobs.iter().map(|job| job.request_id).collect()
}
