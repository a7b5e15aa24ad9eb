//! Deleted requests, templates and features that are removed for good, which nobody does unless told to.

use atelier::domain::RetentionStep;
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteFeatureRequest, DeleteRequestRequest, DeleteTemplateRequest,
    ErrorReason, GetFeatureRequest, GetMediaRequest, GetRequestRequest, GetTemplateRequest,
};
use tonic::Code;

use crate::support::client::{plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;

use super::*;

fn after_a_month(config: &mut Config) {
    let retention = &mut config.retention;
    retention.deleted_media = DAY * 10;
    retention.purge_requests = DAY * 30;
    retention.purge_catalogue = DAY * 30;
}

async fn delete_request(server: &ClockedServer, id: i64) -> Request {
    let delete = DeleteRequestRequest {
        id,
        ..Default::default()
    };
    let deleted = server.requests().delete_request(delete).await.unwrap();
    deleted.into_inner().request.unwrap()
}

async fn delete_feature(server: &ClockedServer, id: i64) -> Option<i64> {
    let delete = DeleteFeatureRequest {
        id,
        ..Default::default()
    };
    let deleted = server.features().delete_feature(delete).await.unwrap();
    let deleted = deleted.into_inner().feature.unwrap();
    Some(deleted.purge_time?.seconds - deleted.delete_time?.seconds)
}

async fn delete_template(server: &ClockedServer, id: i64) -> Option<i64> {
    let delete = DeleteTemplateRequest {
        id,
        ..Default::default()
    };
    let deleted = server.templates().delete_template(delete).await.unwrap();
    let deleted = deleted.into_inner().template.unwrap();
    Some(deleted.purge_time?.seconds - deleted.delete_time?.seconds)
}

async fn template_is_there(server: &ClockedServer, id: i64) -> bool {
    let get = GetTemplateRequest {
        id,
        ..Default::default()
    };
    server.templates().get_template(get).await.is_ok()
}

async fn feature_is_there(server: &ClockedServer, id: i64) -> bool {
    let get = GetFeatureRequest {
        id,
        ..Default::default()
    };
    server.features().get_feature(get).await.is_ok()
}

on_both_databases! {
    async fn nothing_is_removed_by_default(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let (request, job, media) = made(&server, feature).await;
        let deleted = delete_request(&server, request.id).await;
        assert_eq!(deleted.purge_time, None);
        let (kept, kept_job, kept_media) = made(&server, feature).await;
        pass(&server, 5_000);
        run(&server).await;
        for id in [job.id, kept_job.id] {
            server.job(id).await;
        }
        assert!(server.request(request.id).await.delete_time.is_some());
        assert!(server.request(kept.id).await.archive_time.is_some());
        assert!(server.media_row(media.id).await.content_delete_time.is_some(), "only files of what was deleted go");
        assert_eq!(server.content_of(&kept_media).await, b"x");
    }

    async fn a_deleted_request_goes_with_all_that_is_of_it_once_its_files_are_gone(db: TestDatabase) {
        let server = keeping(&db, after_a_month).await;
        let feature = server.scripted_feature().await;
        let asked = CreateRequestRequest { idempotency_key: "a".to_owned(), ..request_for(feature) };
        let (request, jobs) = server.create(asked).await;
        run_all(&server).await;
        let media = server.media_of(jobs[0].id).await.remove(0);
        let (kept, ..) = made(&server, feature).await;
        let deleted = delete_request(&server, request.id).await;
        assert_eq!(deleted.purge_time.unwrap().seconds - deleted.delete_time.unwrap().seconds, 30 * 86_400);
        pass(&server, 31);
        let step = RetentionStep::PurgeRequests;
        assert_eq!(run(&server).await.into_iter().find(|(it, _)| *it == step), Some((step, 0)), "its file was still there");
        assert_eq!(due_then_done(&server, step).await, 1);
        let get = GetRequestRequest { id: request.id, ..Default::default() };
        refusal(server.requests().get_request(get).await).is(Code::NotFound, ErrorReason::RequestNotFound);
        let get = GetMediaRequest { id: media.id, ..Default::default() };
        refusal(server.media().get_media(get).await).is(Code::NotFound, ErrorReason::MediaNotFound);
        assert_eq!(server.listed_jobs().await.len(), 1);
        for table in ["generation_jobs", "generation_media", "generation_requests"] {
            assert_eq!(db.texts(&format!("SELECT 'x' FROM {table}")).await.len(), 1, "{table}");
        }
        assert_eq!(db.texts("SELECT key FROM generation_idempotency_keys").await.len(), 0);
        assert_eq!(server.request(kept.id).await.purge_time, None);
    }

    async fn requests_forget_a_template_that_goes_and_keep_what_it_has_said(db: TestDatabase) {
        let server = keeping(&db, after_a_month).await;
        let feature = server.scripted_feature().await;
        let [old, new] = [server.add_template(plain_template(feature, "old")).await.id, server.add_template(plain_template(feature, "new")).await.id];
        let asked = |template: i64| CreateRequestRequest { template_id: Some(template), ..request_for(feature) };
        let (of_old, of_new) = (server.create(asked(old)).await.0, server.create(asked(new)).await.0);
        assert_eq!(delete_template(&server, old).await, Some(30 * 86_400));
        pass(&server, 29);
        assert_eq!(due_then_done(&server, RetentionStep::PurgeTemplates).await, 0);
        pass(&server, 2);
        assert_eq!(due_then_done(&server, RetentionStep::PurgeTemplates).await, 1);
        let after = server.request(of_old.id).await;
        assert_eq!((after.template_id, after.template_prompt, after.etag), (None, of_old.template_prompt, of_old.etag));
        assert_eq!(server.request(of_new.id).await.template_id, Some(new));
        assert!(!template_is_there(&server, old).await && template_is_there(&server, new).await);
    }

    async fn a_feature_goes_with_its_templates_when_no_request_is_of_it(db: TestDatabase) {
        let server = keeping(&db, after_a_month).await;
        let used = server.scripted_feature().await;
        let unused = server.add_feature(crate::support::client::scripted_feature("unused")).await.id;
        let template = server.add_template(plain_template(unused, "t")).await.id;
        let (request, ..) = made(&server, used).await;
        delete_request(&server, request.id).await;
        for feature in [used, unused] {
            assert_eq!(delete_feature(&server, feature).await, Some(30 * 86_400));
        }
        pass(&server, 31);
        assert_eq!(due_then_done(&server, RetentionStep::PurgeFeatures).await, 1, "the other has a request, deleted as it is");
        assert!(!feature_is_there(&server, unused).await && !template_is_there(&server, template).await);
        assert!(feature_is_there(&server, used).await);
        run(&server).await;
        assert!(!feature_is_there(&server, used).await, "its last request went with the run before");
    }
}
