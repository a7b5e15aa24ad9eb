//! Files that users give over gRPC, and what becomes of them in requests, in the storage and in time.

use std::path::Path;
use std::time::Duration;

use atelier::app::{Removal, RemovalMode};
use atelier::config::{Config, ProviderConfig, ScriptedConfig};
use atelier::domain::MediaType;
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteRequestRequest, DeleteUploadRequest, ErrorReason, GenerationInput,
    GetUploadRequest, ListUploadsRequest, Upload, UploadHead, UploadMediaRequest, ViolationReason,
    upload_media_request::Part,
};
use atelier::server::Role;
use chrono::TimeDelta;
use codec::Format;
use sha2::{Digest, Sha256};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::support::bucket::{keep_media_in, serve_bucket, serve_bucket_refusing};
use crate::support::client::{Client, USER, request_for, scripted_feature};
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::http::browser;
use crate::support::identity::{asks, by, token};
use crate::support::refusal::{Refusal, of_status, refusal};
use crate::support::server::{TestServer, within};
use crate::support::uploads::{head, parts, picture, picture_named, plain_picture};

const RED: [u8; 3] = [200, 20, 20];
const STRANGER: i64 = 8;

on_both_databases! {
    async fn an_upload_is_what_was_sent_and_its_owner_can_open_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture(RED, Format::Png);
        let named = UploadHead {
            file_size: file.len() as i64,
            sha256: Some(digest(&file).to_uppercase()),
            file_name: "phở.png".to_owned(),
            ..head(USER)
        };
        let upload = server.try_upload(named, &file).await.unwrap();
        assert_eq!((upload.user_id, upload.file_size), (USER, file.len() as i64));
        assert_eq!((upload.format.as_str(), upload.content_type.as_str()), ("png", "image/png"));
        assert_eq!((upload.width, upload.height, upload.duration_ms), (64, 48, None));
        assert_eq!((upload.sha256.as_str(), upload.file_name.as_str()), (digest(&file).as_str(), "phở.png"));
        assert!(upload.url.starts_with(&format!("{}/media/uploads/000/000/007/", server.url())), "{}", upload.url);
        assert_eq!(server.find_upload(upload.id).await.unwrap(), upload);

        let answer = browser().get(&upload.download_url).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert_eq!(answer.headers()["etag"], format!("\"{}\"", upload.sha256));
        assert_eq!(answer.bytes().await.unwrap(), file);
        assert_eq!(browser().get(&upload.url).send().await.unwrap().status(), 403, "unsigned");
    }

    async fn a_bucket_keeps_uploads_as_a_folder_does(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let file = picture(RED, Format::Jpg);
        let upload = server.upload(USER, &file).await;
        assert!(upload.url.starts_with(&format!("{}{}/uploads/", bucket.endpoint.unwrap(), bucket.bucket)), "{}", upload.url);
        let answer = browser().get(&upload.download_url).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), file);
        let feature = picture_taking_feature(&server).await;
        let (_, jobs) = server.create(bringing(feature, &upload)).await;
        server.completed(jobs[0].id).await;
        server.delete_upload(upload.id).await.unwrap();
        assert_eq!(browser().get(&upload.download_url).send().await.unwrap().status(), 404);
    }

    async fn the_same_file_is_the_same_upload_of_a_user_and_another_of_another(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let file = picture(RED, Format::Png);
        let first = server.upload(USER, &file).await;
        server.pass(TimeDelta::hours(2));
        let again = server.upload(USER, &file).await;
        assert_eq!((again.id, &again.url, again.create_time), (first.id, &first.url, first.create_time));
        let later = |upload: &Upload| upload.update_time.unwrap().seconds;
        assert_eq!(later(&again) - later(&first), 2 * 60 * 60);
        let theirs = server.upload(STRANGER, &file).await;
        assert_ne!(theirs.id, first.id);
        assert_eq!(theirs.sha256, first.sha256);
        let name = |upload: &Upload| upload.url.rsplit('/').next().unwrap().to_owned();
        assert_ne!(name(&theirs), name(&first), "a URL tells nobody who else has the file");
        let listed = server.media().list_uploads(ListUploadsRequest { user_id: USER, ..Default::default() }).await;
        assert_eq!(listed.unwrap().into_inner().uploads.len(), 1);
        let all = server.media().list_uploads(ListUploadsRequest { page_size: 1, ..Default::default() }).await;
        let all = all.unwrap().into_inner();
        assert_eq!((all.uploads[0].id, all.next_page_token.is_empty()), (theirs.id, false));
    }

    async fn equal_uploads_at_once_are_one(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture(RED, Format::Png);
        let uploads = (0..8).map(|_| server.upload(USER, &file));
        let uploads = futures::future::join_all(uploads).await;
        assert!(uploads.iter().all(|upload| upload.id == uploads[0].id), "{uploads:?}");
        assert_eq!(objects_below(&server.media_folder().join("uploads")), 1);
    }

    async fn what_is_no_file_of_a_type_that_is_taken_is_refused_whatever_it_is_called(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.uploads.types = vec![MediaType::Image]).await;
        let page = b"<!DOCTYPE html><script>alert(1)</script>".to_vec();
        let mut damaged = picture(RED, Format::Png);
        damaged.truncate(damaged.len() / 2);
        let silence = codec::sound::Sound { sample_rate: 8_000, channels: 1, samples: vec![0; 800] };
        let wave = codec::sound::encode(&silence, Format::Wav).unwrap().to_vec();
        for file in [page, Vec::new(), damaged, wave] {
            let named = UploadHead { file_name: "a.png".to_owned(), ..head(USER) };
            let refused = refusal(server.try_upload(named, &file).await);
            refused.is(Code::InvalidArgument, ErrorReason::UploadUnsupported);
        }
        assert_eq!(objects_below(&server.media_folder().join("uploads")), 0);
    }

    async fn what_came_otherwise_than_it_was_said_is_not_kept(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let file = picture(RED, Format::Png);
        let size = file.len() as i64;
        for (file_size, sha256, field) in [
            (size - 1, None, "file_size"),
            (size + 1, None, "file_size"),
            (size, Some("0".repeat(64)), "sha256"),
        ] {
            let said = UploadHead { file_size, sha256, ..head(USER) };
            let refused = refusal(server.try_upload(said, &file).await);
            refused.is(Code::InvalidArgument, ErrorReason::UploadMismatch);
            assert_eq!(refused.metadata["field"], field);
        }
        let mut out_of_turn = parts(head(USER), &file);
        out_of_turn.rotate_left(1);
        let refused = server.send(out_of_turn).await;
        assert_eq!(refused.fields, ["head"]);
        let mut twice = parts(head(USER), &file);
        twice.push(twice[0].clone());
        assert_eq!(server.send(twice).await.fields, ["head"]);
        let empty = vec![parts(head(USER), b"").remove(0), UploadMediaRequest { part: Some(Part::Chunk(Vec::new())) }];
        assert_eq!(server.send(empty).await.fields, ["chunk"]);
        assert_eq!(db.texts("SELECT CAST(id AS TEXT) FROM generation_uploads").await.len(), 0);
        assert_eq!(objects_below(&server.media_folder().join("uploads")), 0);
    }

    async fn a_stream_that_is_cut_leaves_nothing(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let mut client = server.media();
        let call = tokio::spawn(async move {
            client.upload_media(tokio_stream::wrappers::ReceiverStream::new(receiver)).await
        });
        let mut messages = parts(head(USER), &picture(RED, Format::Png)).into_iter();
        sender.send(messages.next().unwrap()).await.unwrap();
        sender.send(messages.next().unwrap()).await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // Its place is free for the next, and nothing of it is there.
        server.upload(USER, &picture_named("next")).await;
        assert_eq!(db.texts("SELECT CAST(id AS TEXT) FROM generation_uploads").await.len(), 1);
        assert_eq!(objects_below(&server.media_folder().join("uploads")), 1);
    }

    async fn a_user_keeps_no_more_than_he_may_and_no_file_that_is_too_large(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.uploads.max_files = 2;
            config.uploads.max_bytes = 4_096;
        })
        .await;
        let first = server.upload(USER, &picture_named("a")).await;
        server.upload(USER, &picture_named("b")).await;
        let refused = refusal(server.try_upload(head(USER), &picture_named("c")).await);
        refused.is(Code::ResourceExhausted, ErrorReason::UploadsFull);
        assert_eq!((refused.metadata["limit"].as_str(), refused.metadata["value"].as_str()), ("files", "2"));
        assert_eq!(server.upload(USER, &picture_named("a")).await.id, first.id, "it is there already");
        server.upload(STRANGER, &picture_named("c")).await;
        server.delete_upload(first.id).await.unwrap();
        server.upload(USER, &picture_named("c")).await;

        for said in [0, 4_097] {
            let large = UploadHead { file_size: said, ..head(USER) };
            let refused = refusal(server.try_upload(large, &[0; 4_097]).await);
            refused.is(Code::InvalidArgument, ErrorReason::UploadTooLarge);
            assert_eq!(refused.metadata["max_bytes"], "4096");
        }
    }

    async fn users_have_what_is_their_own_and_services_what_they_say(db: TestDatabase) {
        let server = TestServer::start_with(&db, asks).await;
        let file = picture(RED, Format::Png);
        let user = token("user", &USER.to_string());
        let stranger = token("user", &STRANGER.to_string());
        let send = async |token: &str, user_id| {
            let call = by(token, tokio_stream::iter(parts(head(user_id), &file)));
            within(server.media().upload_media(call)).await
        };
        let upload = send(&user, 0).await.unwrap().into_inner().upload.unwrap();
        assert_eq!(upload.user_id, USER);
        refusal(send(&user, STRANGER).await).is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        let service = token("service", "shop");
        assert_eq!(send(&service, USER).await.unwrap().into_inner().upload.unwrap().id, upload.id);
        assert_eq!(refusal(send(&service, 0).await).fields, ["head.user_id"]);

        let find = |token: &str| by(token, GetUploadRequest { id: upload.id });
        assert!(server.media().get_upload(find(&user)).await.is_ok());
        let delete = |token: &str| by(token, DeleteUploadRequest { id: upload.id });
        for refused in [
            server.media().get_upload(find(&stranger)).await.map(drop),
            server.media().delete_upload(delete(&stranger)).await.map(drop),
        ] {
            refusal(refused).is(Code::NotFound, ErrorReason::UploadNotFound);
        }
        let listed = server.media().list_uploads(by(&stranger, ListUploadsRequest::default())).await;
        assert!(listed.unwrap().into_inner().uploads.is_empty());
    }

    async fn a_request_works_from_an_upload_where_links_are_not_followed(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            take_pictures(config);
            config.fetch.enabled = Some(false);
        })
        .await;
        let upload = server.upload(USER, &picture(RED, Format::Png)).await;
        let feature = server.scripted_feature().await;
        let (request, jobs) = server.create(bringing(feature, &upload)).await;
        server.completed(jobs[0].id).await;
        let media = server.media_of(jobs[0].id).await.remove(0);
        assert_eq!((media.width, media.height), (64, 48), "it delivers the picture that it was handed");
        assert_eq!(request.user_media_urls, [upload.url]);
    }

    async fn the_built_in_provider_shows_an_upload_and_moves_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let upload = server.upload(USER, &plain_picture(RED, Format::Png)).await;
        let picturing = picture_taking_feature(&server).await;
        let asked = CreateRequestRequest {
            input: Some(GenerationInput { seed: Some(3), ..Default::default() }),
            ..bringing(picturing, &upload)
        };
        let mut made = Vec::new();
        for urls in [asked.user_media_urls.clone(), Vec::new()] {
            let asked = CreateRequestRequest { user_media_urls: urls, ..asked.clone() };
            let (_, jobs) = server.create(asked).await;
            server.completed(jobs[0].id).await;
            let media = server.media_of(jobs[0].id).await.remove(0);
            made.push(image::load_from_memory(&server.content_of(&media).await).unwrap().into_rgb8());
        }
        // Where the picture is, or is behind a veil, another colour is than without it, and a red one.
        let both = made[0].pixels().zip(made[1].pixels());
        let other = both.filter(|(with, without)| (0..3).any(|it| with.0[it].abs_diff(without.0[it]) > 40));
        let red = other.filter(|(with, _)| with.0[0] > with.0[1].saturating_add(30)).count();
        assert!(red * 20 > made[0].pixels().len(), "{red} of {}", made[0].pixels().len());

        let mut film = scripted_feature("film");
        film.category = atelier::rpc::proto::MediaType::Video.into();
        film.properties.as_mut().unwrap().provider = "builtin".to_owned();
        let film = server.add_feature(film).await.id;
        let mut asked = bringing(film, &upload);
        asked.input.get_or_insert_default().output.get_or_insert_default().duration_seconds = Some(1);
        let (_, jobs) = server.create(asked).await;
        server.completed(jobs[0].id).await;
    }

    async fn only_the_user_s_own_uploads_can_be_named(db: TestDatabase) {
        let server = TestServer::start_with(&db, take_pictures).await;
        let feature = server.scripted_feature().await;
        let (own, theirs) = (picture_named("own"), picture_named("theirs"));
        let (own, theirs) = (server.upload(USER, &own).await, server.upload(STRANGER, &theirs).await);
        let removed = server.upload(USER, &picture_named("removed")).await;
        server.delete_upload(removed.id).await.unwrap();
        let never = removed.url.replace("/007/", "/009/");
        let odd = format!("{}/media/uploads/odd", server.url());
        let asked = CreateRequestRequest {
            user_media_urls: vec![own.url.clone(), theirs.url.clone(), removed.url.clone(), never, odd, "no link".to_owned()],
            input: Some(GenerationInput { mask_url: Some(theirs.url.clone()), ..Default::default() }),
            ..request_for(feature)
        };
        let status = server.requests().create_request(asked).await.unwrap_err();
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        let not_found: Vec<_> = violations.iter().filter(|it| it.reason == "UPLOAD_NOT_FOUND").collect();
        assert_eq!(format!("VIOLATION_REASON_{}", not_found[0].reason), ViolationReason::UploadNotFound.as_str_name());
        let fields: Vec<_> = not_found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["user_media_urls[1]", "user_media_urls[2]", "user_media_urls[3]", "user_media_urls[4]", "input.mask_url"]);
        let one = &not_found[0].description;
        assert!(not_found.iter().all(|it| it.description == *one), "they are all the same");
        assert!(of_status(&status).fields.contains(&"user_media_urls[5]".to_owned()), "told with all others");
        assert_eq!(db.texts("SELECT CAST(request_id AS TEXT) FROM generation_request_uploads").await.len(), 0);
    }

    async fn a_job_whose_upload_is_removed_fails_and_says_so(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, take_pictures).await;
        let upload = server.upload(USER, &picture(RED, Format::Png)).await;
        let feature = server.scripted_feature().await;
        let (_, jobs) = server.create(bringing(feature, &upload)).await;
        server.delete_upload(upload.id).await.unwrap();
        let _worker = server.beside(Role::Worker, &db, take_pictures).await;
        let ended = server.ended(jobs[0].id).await;
        let error = ended.job.error.unwrap();
        assert_eq!(error.code, "INPUT_UNREADABLE");
        assert_eq!(error.message, "user_media_urls[0]: the upload is not there any more.");
        refusal(server.delete_upload(upload.id).await).is(Code::NotFound, ErrorReason::UploadNotFound);
    }

    async fn an_upload_is_found_by_a_worker_that_is_reached_by_another_url(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |config| {
            take_pictures(config);
            config.server.public_url = Some("https://atelier.example".parse().unwrap());
        })
        .await;
        let upload = server.upload(USER, &picture(RED, Format::Png)).await;
        assert!(upload.url.starts_with("https://atelier.example/media/uploads/"), "{}", upload.url);
        let feature = server.scripted_feature().await;
        let (_, jobs) = server.create(bringing(feature, &upload)).await;
        let _worker = server.beside(Role::Worker, &db, take_pictures).await;
        server.completed(jobs[0].id).await;
    }

    async fn what_nothing_uses_goes_after_a_day_and_what_is_used_stays(db: TestDatabase) {
        let server = ClockedServer::start_with(&db, take_pictures).await;
        let feature = server.scripted_feature().await;
        let unused = server.upload(USER, &picture_named("unused")).await;
        let used = server.upload(USER, &picture_named("used")).await;
        let (request, _) = server.create(bringing(feature, &used)).await;
        server.app.claim_empty_storage().await.unwrap();
        let tidy = async || server.app.remove_idle_uploads(RemovalMode::On).await.unwrap();

        server.pass(TimeDelta::hours(23));
        assert_eq!(tidy().await, 0);
        server.pass(TimeDelta::hours(2));
        assert_eq!(tidy().await, 1);
        refusal(server.find_upload(unused.id).await).is(Code::NotFound, ErrorReason::UploadNotFound);
        server.pass(TimeDelta::days(30));
        assert_eq!((tidy().await, tidy().await), (0, 0));

        let deleted = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(deleted).await.unwrap();
        server.pass(TimeDelta::hours(23));
        assert_eq!(tidy().await, 0, "the request may come back for as long");
        server.pass(TimeDelta::hours(26));
        assert_eq!(tidy().await, 1);
        refusal(server.find_upload(used.id).await).is(Code::NotFound, ErrorReason::UploadNotFound);
    }

    async fn the_sweep_removes_what_no_upload_names_and_never_an_upload_s_own(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let uploads = server.media_folder().join("uploads");
        let upload = server.upload(USER, &picture(RED, Format::Png)).await;
        let lost = server.upload(USER, &picture_named("lost")).await;
        db.execute(&format!("DELETE FROM generation_uploads WHERE id = {}", lost.id)).await;
        assert_eq!(objects_below(&uploads), 2);
        let all = Removal { age: Duration::ZERO, mode: RemovalMode::On, share: None };
        let swept = server.app().sweep_storage(&all).await.unwrap();
        assert_eq!((swept.objects, swept.removed), (2, 1), "{swept:?}");
        assert_eq!(browser().get(&upload.download_url).send().await.unwrap().status(), 200);
        db.execute(&format!("DELETE FROM users WHERE id = {USER}")).await;
        let swept = server.app().sweep_storage(&all).await.unwrap();
        assert_eq!((swept.removed, objects_below(&uploads)), (1, 0), "uploads go with their user");
    }

    async fn while_the_storage_is_away_nothing_is_said_to_be_kept(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, refusing) = serve_bucket_refusing(&root, ".png").await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let refused = refusal(server.try_upload(head(USER), &picture(RED, Format::Png)).await);
        refused.is(Code::Unavailable, ErrorReason::StorageUnavailable);
        assert_eq!(db.texts("SELECT CAST(id AS TEXT) FROM generation_uploads").await.len(), 0);
        refusing.lift();
        server.upload(USER, &picture(RED, Format::Png)).await;
    }

    async fn where_a_picture_was_taken_is_not_kept_and_how_it_is_turned_is(db: TestDatabase) {
        let file = taken_somewhere();
        let server = TestServer::start(&db).await;
        let said = UploadHead { sha256: Some(digest(&file)), file_size: file.len() as i64, ..head(USER) };
        let upload = server.try_upload(said, &file).await.unwrap();
        let stored = browser().get(&upload.download_url).send().await.unwrap().bytes().await.unwrap();
        assert!(find(&file, b"N10 46 37") && !find(&stored, b"N10 46 37"));
        assert_eq!((upload.width, upload.height), (48, 64), "turned as the camera was");
        assert_eq!(upload.sha256, digest(&stored), "of what is stored");
        assert_ne!(upload.sha256, digest(&file));

        let keeping = server.beside(Role::Api, &db, |config| config.uploads.keep_location = true).await;
        let kept = keeping.upload(STRANGER, &file).await;
        assert_eq!(kept.sha256, digest(&file));
    }
}

/// A picture of a camera that was turned, and knew where it was.
fn taken_somewhere() -> Vec<u8> {
    let plain = picture(RED, Format::Jpg);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
    // Orientation 6, and the directory of GPS at 38, with a text at 56.
    exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\0\0\0\0");
    exif.extend(b"\0\x01\0\x02\0\x02\0\0\0\x0a\0\0\0\x38\0\0\0\0N10 46 37\0");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&plain[..2], &[0xFF, 0xE1], &length, &exif, &plain[2..]].concat()
}

fn find(content: &[u8], what: &[u8]) -> bool {
    content.windows(what.len()).any(|part| part == what)
}

fn digest(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The scripted provider delivers the pictures that it is handed.
pub(super) fn take_pictures(config: &mut Config) {
    let scripted = ScriptedConfig {
        folder: std::env::temp_dir(),
        pictures: true,
        limits: Default::default(),
    };
    config
        .providers
        .insert("scripted".to_owned(), ProviderConfig::Scripted(scripted));
}

/// A feature whose provider draws with the pictures that it is handed.
async fn picture_taking_feature(server: &TestServer) -> i64 {
    let mut feature = scripted_feature("drawn");
    feature.properties.as_mut().unwrap().provider = "builtin".to_owned();
    server.add_feature(feature).await.id
}

pub(super) fn bringing(feature_id: i64, upload: &Upload) -> CreateRequestRequest {
    CreateRequestRequest {
        user_media_urls: vec![upload.url.clone()],
        ..request_for(feature_id)
    }
}

/// Files below a folder.
pub(super) fn objects_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                objects_below(&path)
            } else {
                1
            }
        })
        .sum()
}

impl Client {
    pub(super) async fn find_upload(&self, id: i64) -> Result<Upload, Status> {
        let found = self.media().get_upload(GetUploadRequest { id }).await?;
        Ok(found.into_inner().upload.unwrap())
    }

    async fn delete_upload(&self, id: i64) -> Result<(), Status> {
        let mut media = self.media();
        let deleted = media.delete_upload(DeleteUploadRequest { id });
        deleted.await.map(drop)
    }

    async fn send(&self, messages: Vec<UploadMediaRequest>) -> Refusal {
        let call = Request::new(tokio_stream::iter(messages));
        refusal(within(self.media().upload_media(call)).await)
    }
}
