//! Requests that nobody has touched for long: hidden from lists, and back once somebody does.

use atelier::domain::RetentionStep;
use atelier::rpc::proto::{
    CancelRequestRequest, CountRequestsRequest, DeleteRequestRequest, ListRequestsRequest,
    RetryRequestRequest, UndeleteRequestRequest, UpdateRequestRequest,
};
use prost_types::FieldMask;

use crate::support::client::{USER, request_for};
use crate::support::database::on_both_databases;

use super::*;

const STEP: RetentionStep = RetentionStep::ArchiveRequests;

fn after_ninety_days(config: &mut Config) {
    config.retention.archive_requests = DAY * 90;
}

async fn listed(server: &ClockedServer, show_archived: bool) -> Vec<i64> {
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let list = ListRequestsRequest {
            user_id: USER,
            page_size: 1,
            page_token: token,
            show_archived,
            ..Default::default()
        };
        let page = server
            .requests()
            .list_requests(list)
            .await
            .unwrap()
            .into_inner();
        ids.extend(page.requests.iter().map(|it| it.id));
        token = page.next_page_token;
        if token.is_empty() {
            return ids;
        }
    }
}

on_both_databases! {
    async fn a_request_that_has_ended_is_hidden_from_lists_and_still_readable(db: TestDatabase) {
        let server = keeping(&db, after_ninety_days).await;
        let feature = server.scripted_feature().await;
        let (old, _, media) = made(&server, feature).await;
        let waiting = server.create(request_for(feature)).await.0;
        pass(&server, 60);
        let (new, ..) = made(&server, feature).await;
        let before = server.request(old.id).await;
        pass(&server, 31);
        // The one that waited was run with the new one.
        assert_eq!(due_then_done(&server, STEP).await, 1);
        assert_eq!(listed(&server, false).await, [new.id, waiting.id]);
        assert_eq!(listed(&server, true).await, [new.id, waiting.id, old.id]);
        let count = |show_archived| {
            let count = CountRequestsRequest { show_archived, ..Default::default() };
            let mut requests = server.requests();
            async move { requests.count_requests(count).await.unwrap().into_inner().total }
        };
        assert_eq!((count(false).await, count(true).await), (2, 3));
        let archived = server.request(old.id).await;
        assert!(archived.archive_time.is_some());
        assert_eq!((archived.etag, archived.update_time), (before.etag, before.update_time), "nobody has changed it");
        assert!(server.listed_media().await.contains(&media.id), "galleries lose nothing");
        assert_eq!(server.listed_jobs().await.len(), 3);
    }

    async fn whoever_changes_an_archived_request_has_it_back(db: TestDatabase) {
        let server = keeping(&db, after_ninety_days).await;
        let feature = server.scripted_feature().await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let request = server.create(request_for(feature)).await.0;
            let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
            server.requests().cancel_request(cancel).await.unwrap();
            ids.push(request.id);
        }
        pass(&server, 91);
        assert_eq!(due_then_done(&server, STEP).await, 3);
        assert_eq!(listed(&server, false).await, [0_i64; 0]);
        let mut updated = server.request(ids[0]).await;
        updated.title = "kept".to_owned();
        let mask = FieldMask { paths: vec!["title".to_owned()] };
        let update = UpdateRequestRequest { request: Some(updated), update_mask: Some(mask) };
        server.requests().update_request(update).await.unwrap();
        server.requests().retry_request(RetryRequestRequest { id: ids[1] }).await.unwrap();
        let delete = DeleteRequestRequest { id: ids[2], ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        server.requests().undelete_request(UndeleteRequestRequest { id: ids[2] }).await.unwrap();
        ids.reverse();
        assert_eq!(listed(&server, false).await, ids);
        assert_eq!(due_then_done(&server, STEP).await, 0, "their time begins anew");
    }
}
