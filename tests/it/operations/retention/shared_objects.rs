//! Equal files of a user are one object, which goes with the last media that has it and never before.

use std::collections::BTreeSet;
use std::fs;

use atelier::domain::RetentionStep;
use atelier::media::StorageKey;
use atelier::rpc::proto::{
    CreateRequestRequest, DownloadMediaRequest, EraseUserRequest, Erasure, FeatureProperties,
    ShareMediaRequest, UndeleteMediaRequest,
};
use futures::StreamExt;
use tempfile::TempDir;
use tonic::Code;

use crate::support::bucket::{keep_media_in, serve_bucket};
use crate::support::client::{USER, scripted_feature, scripted_request};
use crate::support::database::{Backend, on_both_databases};
use crate::support::http::get;
use crate::support::script::Script;
use crate::support::server::TestServer;

use super::*;

const STEP: RetentionStep = RetentionStep::DeletedMedia;
const OTHER: i64 = USER + 1;
const ROUNDS: usize = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

fn for_ten_days(config: &mut Config) {
    config.retention.deleted_media = DAY * 10;
}

/// A file that is equal to all others of the test.
fn equal(lease: &Lease) -> StoredOutput {
    let mut output = output(lease);
    output.file.inspected.facts.sha256 = "e".repeat(64);
    output
}

/// A media of the user, whose file is equal to all others.
async fn equal_media(server: &ClockedServer, feature_id: i64, user_id: i64) -> Media {
    let asked = CreateRequestRequest {
        user_id,
        ..request_for(feature_id)
    };
    let (_, jobs) = server.create(asked).await;
    run_all_making(server, equal).await;
    server.media_of(jobs[0].id).await.remove(0)
}

async fn objects(server: &ClockedServer) -> usize {
    server.app.storage.list().count().await
}

/// Every file that a media promises is there, and no other one is.
async fn assert_agreed(server: &ClockedServer, rows: usize) {
    let check = server.app.check_storage().await.unwrap();
    assert_eq!((check.rows, check.amiss), (rows, Vec::new()));
    let survey = server.app.survey_storage(Duration::ZERO).await.unwrap();
    assert_eq!(survey.orphans, 0, "{survey:?}");
}

async fn assert_gone(server: &ClockedServer, media: &Media) {
    let download = DownloadMediaRequest {
        id: media.id,
        ..Default::default()
    };
    let gone = server.media().download_media(download).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

fn key_of(media: &Media) -> StorageKey {
    let at = media.media_url.find("jobs/").unwrap();
    StorageKey::from_path(&media.media_url[at..]).unwrap()
}

async fn erase(server: &ClockedServer, user_id: i64) -> Erasure {
    let mut admin = server.admin();
    let erased = within(admin.erase_user(EraseUserRequest { user_id })).await;
    erased.unwrap().into_inner().erasure.unwrap()
}

on_both_databases! {
    async fn equal_files_of_a_user_are_one_object_until_the_last_media_of_it_goes(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let one = equal_media(&server, feature, USER).await;
        let two = equal_media(&server, feature, USER).await;
        assert_eq!(one.media_url, two.media_url);
        assert_eq!(objects(&server).await, 1);
        assert_agreed(&server, 2).await;

        server.delete_one_media(one.id).await;
        assert_gone(&server, &one).await;
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        assert!(server.media_row(one.id).await.content_delete_time.is_some());
        assert_eq!(server.content_of(&two).await, b"x");
        assert_agreed(&server, 1).await;

        server.delete_one_media(two.id).await;
        pass(&server, 9);
        assert_eq!((due_then_done(&server, STEP).await, objects(&server).await), (0, 1));
        pass(&server, 2);
        assert_eq!((due_then_done(&server, STEP).await, objects(&server).await), (1, 0));
        assert_agreed(&server, 0).await;
    }

    async fn media_that_end_together_take_their_object_along_once(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        for _ in 0..3 {
            let media = equal_media(&server, feature, USER).await;
            equal_media(&server, feature, USER).await;
            server.delete_one_media(media.id).await;
        }
        for id in server.listed_media().await {
            server.delete_one_media(id).await;
        }
        pass(&server, 11);
        assert_eq!((due_then_done(&server, STEP).await, objects(&server).await), (6, 0));
    }

    async fn the_files_of_another_user_are_his_own(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let mine = equal_media(&server, feature, USER).await;
        let theirs = equal_media(&server, feature, OTHER).await;
        assert_ne!(mine.media_url, theirs.media_url);
        assert_eq!(objects(&server).await, 2);
        let erased = erase(&server, USER).await;
        assert_eq!((erased.media, erased.objects), (1, 1));
        assert_eq!(server.content_of(&theirs).await, b"x");
        assert_agreed(&server, 1).await;
    }

    async fn an_erasure_removes_what_many_requests_share_once_and_with_the_last(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        // More than one step of an erasure removes.
        for _ in 0..25 {
            server.create(request_for(feature)).await;
        }
        run_all_making(&server, equal).await;
        assert_eq!(objects(&server).await, 1);
        let erased = erase(&server, USER).await;
        assert_eq!((erased.media, erased.objects, objects(&server).await), (25, 1, 0));
    }

    async fn what_is_deleted_is_taken_up_by_nothing_and_comes_back_as_it_was(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let deleted = equal_media(&server, feature, USER).await;
        server.delete_one_media(deleted.id).await;
        let given_up = equal_media(&server, feature, USER).await;
        server.delete_one_media(given_up.id).await;
        db.execute(&format!("UPDATE generation_media SET content_deleted_at = deleted_at WHERE id = {}", given_up.id)).await;
        let live = equal_media(&server, feature, USER).await;
        let mut places = [&deleted, &given_up, &live].map(|media| &media.media_url);
        places.sort();
        assert!(places.windows(2).all(|two| two[0] != two[1]), "{places:?}");
        server.media().undelete_media(UndeleteMediaRequest { id: deleted.id }).await.unwrap();
        assert_eq!(due_then_done(&server, STEP).await, 1);
        for media in [&deleted, &live] {
            assert_eq!(server.content_of(media).await, b"x");
        }
        assert_agreed(&server, 2).await;
    }

    async fn a_file_that_was_lost_is_there_again_with_the_next_equal_one(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let first = equal_media(&server, feature, USER).await;
        let place = server.media_folder().join(key_of(&first).path());
        for damage in ["it is gone", "it is cut off"] {
            match damage {
                "it is gone" => fs::remove_file(&place).unwrap(),
                _ => fs::write(&place, "").unwrap(),
            }
            assert!(!server.app.check_storage().await.unwrap().amiss.is_empty());
            let next = equal_media(&server, feature, USER).await;
            for media in [&first, &next] {
                assert_eq!(server.content_of(media).await, b"x", "{damage}");
            }
            assert_eq!(objects(&server).await, 1);
        }
        assert_agreed(&server, 3).await;
    }

    async fn whoever_is_faster_no_media_is_left_without_its_file(db: TestDatabase) {
        let server = keeping(&db, |config| config.retention.deleted_media = Duration::from_secs(1)).await;
        let feature = server.scripted_feature().await;
        let mut live = equal_media(&server, feature, USER).await;
        for round in 1..=ROUNDS {
            let end = async {
                server.delete_one_media(live.id).await;
                server.pass(TimeDelta::seconds(2));
                for run in server.app.run_retention(None).await {
                    assert!(matches!(run.end, RunEnd::Finished), "{run:?}");
                }
            };
            let (next, ()) = tokio::join!(equal_media(&server, feature, USER), end);
            assert_eq!(server.content_of(&next).await, b"x", "round {round}");
            run(&server).await;
            assert_agreed(&server, 1).await;
            live = next;
        }
    }

    async fn a_copy_of_an_object_is_kept_when_the_schema_goes_back(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let deleted = equal_media(&server, feature, USER).await;
        let live = equal_media(&server, feature, USER).await;
        let later = equal_media(&server, feature, USER).await;
        server.delete_one_media(deleted.id).await;
        let database = db.connect().await;
        let status = migration::status(&database).await.unwrap();
        let before = status.iter().rev().position(|it| it.name == "m0028_shared_objects").unwrap();
        migration::down(&database, u32::try_from(before + 1).unwrap()).await.unwrap();
        let kept = "SELECT CAST(id AS TEXT) FROM generation_media WHERE storage_key IS NOT NULL";
        assert_eq!(db.texts(kept).await, [live.id.to_string()]);
        let given_up = "SELECT CAST(id AS TEXT) FROM generation_media
            WHERE content_deleted_at IS NOT NULL AND deleted_at IS NOT NULL ORDER BY id";
        assert_eq!(db.texts(given_up).await, [deleted.id, later.id].map(|id| id.to_string()));
    }

    async fn what_is_made_of_the_variations_of_a_request_is_shared_and_each_link_is_its_own(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature_with_thumbnails(&server).await;
        let media = four_variations(&server, feature, 5).await;
        let [one, two, ..] = &media[..] else { panic!("{media:?}") };
        let share = |media: &Media| server.share(media.id);
        let (shared, other) = (share(one).await, share(two).await);
        server.delete_one_media(one.id).await;
        for (link, status) in [(&one.download_url, 404), (&shared, 404), (&two.download_url, 200), (&other, 200)] {
            assert_eq!(get(link.parse().unwrap()).await.status(), status, "{link}");
        }
        let check = server.app().check_storage().await.unwrap();
        assert_eq!((check.rows, check.amiss), (8, Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_that_is_just_being_deleted_lends_its_object_to_no_other_and_holds_nobody_up() {
    use sea_orm::{ConnectionTrait, TransactionTrait};
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = keeping(&db, for_ten_days).await;
    let feature = server.scripted_feature().await;
    let deleted = equal_media(&server, feature, USER).await;
    let database = db.connect().await;
    let deletion = database.begin().await.unwrap();
    let delete = "UPDATE generation_media SET deleted_at = now()";
    deletion.execute_unprepared(delete).await.unwrap();
    let live = within(equal_media(&server, feature, USER)).await;
    deletion.commit().await.unwrap();
    assert_ne!(live.media_url, deleted.media_url);
    assert_agreed(&server, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_equal_files_once_too_and_has_a_lost_one_again() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = TempDir::new().unwrap();
    let bucket = serve_bucket(&root).await;
    let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
    let feature = feature_with_thumbnails(&server).await;
    let media = four_variations(&server, feature, 5).await;
    let storage = &server.app().storage;
    let content = storage.read(&key_of(&media[0])).await.unwrap();
    storage.delete(&key_of(&media[0])).await.unwrap();
    let more = four_variations(&server, feature, 9).await;
    assert_eq!(more[0].media_url, media[0].media_url);
    assert_eq!(storage.read(&key_of(&media[0])).await.unwrap(), content);
}

async fn feature_with_thumbnails(server: &TestServer) -> i64 {
    let mut feature = scripted_feature("with_thumbnails");
    let properties: &mut FeatureProperties = feature.properties.as_mut().unwrap();
    properties.omit_thumbnails = false;
    server.add_feature(feature).await.id
}

/// The thumbnails of four variations, after which there are so many objects. The originals tell their seeds, and so they differ.
async fn four_variations(server: &TestServer, feature: i64, objects: usize) -> Vec<Media> {
    let script = Script::new(&["succeed"]);
    let mut asked = scripted_request(feature, &script);
    asked.input.as_mut().unwrap().variations = 4;
    let (_, jobs) = server.create(asked).await;
    let mut thumbnails = Vec::new();
    for job in &jobs {
        server.completed(job.id).await;
        let media = server.media_of(job.id).await.into_iter();
        thumbnails.extend(media.filter(|media| media.role() == proto::MediaRole::Thumbnail));
    }
    assert_eq!(thumbnails.len(), 4);
    let urls: BTreeSet<_> = thumbnails.iter().map(|media| &media.media_url).collect();
    assert_eq!(urls.len(), 1, "{thumbnails:?}");
    // What is there already is removed after the job has completed.
    within(async {
        while server.app().storage.list().count().await != objects {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    thumbnails
}

impl Client {
    /// The public link of a media.
    async fn share(&self, media_id: i64) -> String {
        let share = ShareMediaRequest {
            media_id,
            show_recipe: true,
            ..Default::default()
        };
        let shared = self.media().share_media(share).await;
        shared.unwrap().into_inner().share_url
    }
}
