//! Deleting and undeleting single media, and lists by role.

use atelier::domain;
use atelier::entity::{media, request};
use atelier::rpc::proto::{
    DeleteMediaRequest, DownloadMediaRequest, ErrorReason, GetMediaRequest, ListMediaRequest,
    Media, MediaRole, MediaType, UndeleteMediaRequest,
};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait};
use tonic::{Code, Status};

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

on_both_databases! {
    async fn deleted_media_are_hidden_and_come_back_as_they_were(db: TestDatabase) {
        let (server, media) = with_three_pictures(&db).await;
        let [first, second, third] = &media[..] else { panic!("{media:?}") };

        let deleted = delete(&server, second.id).await.unwrap();
        assert!(deleted.delete_time.is_some());
        assert_eq!(deleted.update_time, deleted.delete_time);
        assert_eq!((deleted.download_url.as_str(), deleted.download_url_expire_time), ("", None));
        assert_eq!(get(&server, second.id).await, deleted);
        let all = ListMediaRequest::default;
        assert_eq!(list(&server, all()).await, [third.id, first.id]);
        assert_eq!(list(&server, ListMediaRequest { show_deleted: true, ..all() }).await, [third.id, second.id, first.id]);
        assert_eq!(delete(&server, second.id).await.unwrap(), deleted, "deleting again changes it");

        let live = undelete(&server, second.id).await.unwrap();
        assert_eq!((live.delete_time, live.sha256.as_str()), (None, second.sha256.as_str()));
        assert!(!live.download_url.is_empty());
        assert_eq!(list(&server, all()).await, [third.id, second.id, first.id]);
        let again = undelete(&server, second.id).await.unwrap();
        assert_eq!(again.update_time, live.update_time, "undeleting again changes it");
    }

    async fn deleted_media_are_not_downloaded(db: TestDatabase) {
        let (server, media) = with_three_pictures(&db).await;
        let id = media[0].id;
        delete(&server, id).await.unwrap();
        let request = DownloadMediaRequest { id, offset: 0 };
        refusal(server.media().download_media(request).await.map(|_| ()))
            .is(Code::NotFound, ErrorReason::MediaNotFound)
            .with("media_id", id);
        undelete(&server, id).await.unwrap();
        server.media().download_media(request).await.unwrap();
    }

    async fn media_of_a_deleted_request_stay_deleted(db: TestDatabase) {
        let (server, media) = with_three_pictures(&db).await;
        let (id, request_id) = (media[0].id, media[0].request_id);
        delete(&server, id).await.unwrap();
        set_request_deleted(&db, request_id, Some(DateTime::UNIX_EPOCH)).await;
        refusal(undelete(&server, id).await)
            .is(Code::FailedPrecondition, ErrorReason::RequestDeleted)
            .with("request_id", request_id);
        assert!(get(&server, id).await.delete_time.is_some());
        set_request_deleted(&db, request_id, None).await;
        assert_eq!(undelete(&server, id).await.unwrap().delete_time, None);
    }

    async fn only_media_that_exist_can_be_deleted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for refused in [refusal(delete(&server, 4_711).await), refusal(undelete(&server, 4_711).await)] {
            refused.is(Code::NotFound, ErrorReason::MediaNotFound).with("media_id", 4_711);
        }
        for id in [0, -1] {
            refusal(delete(&server, id).await).of_fields(["id"]);
            refusal(undelete(&server, id).await).of_fields(["id"]);
        }
    }

    async fn two_who_delete_at_once_both_succeed(db: TestDatabase) {
        let (server, media) = with_three_pictures(&db).await;
        let (one, other) = tokio::join!(delete(&server, media[0].id), delete(&server, media[0].id));
        assert_eq!(one.unwrap(), other.unwrap());
    }

    async fn a_role_shows_the_media_that_have_it(db: TestDatabase) {
        let (server, media) = with_three_pictures(&db).await;
        let thumbnail = media::ActiveModel {
            id: Set(media[1].id),
            role: Set(domain::MediaRole::Thumbnail),
            ..Default::default()
        };
        media::Entity::update(thumbnail).exec(&db.connect().await).await.unwrap();
        let with = |role: MediaRole| ListMediaRequest { roles: vec![role.into()], ..Default::default() };
        assert_eq!(list(&server, with(MediaRole::Original)).await, [media[2].id, media[0].id]);
        assert_eq!(list(&server, with(MediaRole::Thumbnail)).await, [media[1].id]);
        assert!(list(&server, with(MediaRole::Poster)).await.is_empty());
        let pictures = ListMediaRequest { media_type: MediaType::Image.into(), ..with(MediaRole::Thumbnail) };
        assert_eq!(list(&server, pictures).await, [media[1].id]);
        assert_eq!(get(&server, media[1].id).await.role(), MediaRole::Thumbnail);

        let wrong = ListMediaRequest {
            roles: vec![99], media_type: 99, request_id: -1, job_id: -1, user_id: -1, page_size: -1, ..Default::default()
        };
        refusal(server.media().list_media(wrong).await)
            .of_fields(["page_size", "request_id", "job_id", "user_id", "media_type", "roles[0]"]);
    }
}

/// A server with one job that made three files; they come in order of id.
async fn with_three_pictures(db: &TestDatabase) -> (TestServer, Vec<Media>) {
    let server = TestServer::start(db).await;
    let script = Script::new(&["several"]);
    let job = server.create_scripted(&script).await;
    let media = server.ended(job.id).await.transitions.remove(2).media;
    assert_eq!(media.len(), 3);
    (server, media)
}

async fn set_request_deleted(db: &TestDatabase, id: i64, at: Option<DateTime<Utc>>) {
    let deleted = request::ActiveModel {
        id: Set(id),
        deleted_at: Set(at),
        ..Default::default()
    };
    let connection = db.connect().await;
    let updated = request::Entity::update(deleted).exec(&connection).await;
    updated.unwrap();
}

async fn delete(server: &TestServer, id: i64) -> Result<Media, Status> {
    let deleted = server.media().delete_media(DeleteMediaRequest { id }).await;
    Ok(deleted?.into_inner().media.unwrap())
}

async fn undelete(server: &TestServer, id: i64) -> Result<Media, Status> {
    let request = UndeleteMediaRequest { id };
    let undeleted = server.media().undelete_media(request).await;
    Ok(undeleted?.into_inner().media.unwrap())
}

async fn get(server: &TestServer, id: i64) -> Media {
    let found = server
        .media()
        .get_media(GetMediaRequest {
            id,
            ..Default::default()
        })
        .await;
    found.unwrap().into_inner().media.unwrap()
}

async fn list(server: &TestServer, filter: ListMediaRequest) -> Vec<i64> {
    let listed = server.media().list_media(filter).await;
    let listed = listed.unwrap().into_inner();
    listed.media.iter().map(|media| media.id).collect()
}
