//! Database and storage compared both ways, and made to agree where they do not.

use std::fs;
use std::path::PathBuf;

use atelier::rpc::proto::{DownloadMediaRequest, ErrorReason, GetMediaRequest, GetUploadRequest};
use tempfile::TempDir;
use tonic::Code;

use crate::support::bucket::{keep_media_in, serve_bucket};
use crate::support::client::{USER, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::{atelier, run};
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::TestServer;
use crate::support::uploads::picture_named;

on_both_databases! {
    async fn what_is_gone_is_told_and_promised_no_more(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let media = make(&server, 3).await;
        let upload = server.upload(USER, &picture_named("kept")).await;
        let lost = server.upload(USER, &picture_named("lost")).await;
        let (code, told) = compare(&db, &server, &[]).await;
        assert_eq!((code, told.contains("5 files in records, 0 of them gone, 0 of another size")), (0, true), "{told}");

        fs::remove_file(place(&server, &media[0].media_url)).unwrap();
        fs::write(place(&server, &media[1].media_url), "other bytes").unwrap();
        fs::remove_file(place(&server, &lost.url)).unwrap();
        let (code, told) = compare(&db, &server, &[]).await;
        assert_eq!(code, 1);
        let lines = [
            "5 files in records, 2 of them gone, 1 of another size".to_owned(),
            format!("media {}: jobs/", media[0].id),
            format!("media {}: jobs/", media[1].id),
            "11 bytes".to_owned(),
            format!("upload {}: uploads/", lost.id),
        ];
        for line in lines {
            assert!(told.contains(&line), "{line} is not in:\n{told}");
        }
        assert_eq!(server.media_row(media[0].id).await.delete_time, None, "looking changes nothing");

        let (code, told) = compare(&db, &server, &["--repair"]).await;
        assert_eq!((code, told.contains("2 records repaired")), (1, true), "one has other bytes still: {told}");
        let row = server.media_row(media[0].id).await;
        assert!(row.delete_time.is_some() && row.content_delete_time.is_some(), "{row:?}");
        let asked = DownloadMediaRequest { id: row.id, ..Default::default() };
        assert_eq!(server.media().download_media(asked).await.unwrap_err().code(), Code::NotFound);
        let gone = server.media().get_upload(GetUploadRequest { id: lost.id }).await;
        refusal(gone).is(Code::NotFound, ErrorReason::UploadNotFound);
        server.media().get_upload(GetUploadRequest { id: upload.id }).await.unwrap();
        assert_eq!(server.media_row(media[2].id).await.delete_time, None);
        let (_, told) = compare(&db, &server, &[]).await;
        assert!(told.contains("3 files in records, 0 of them gone, 1 of another size"), "{told}");
    }

    async fn a_storage_of_which_much_is_gone_is_not_repaired_but_put_back(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let media = make(&server, 12).await;
        fs::remove_dir_all(server.media_folder().join("jobs")).unwrap();
        let found = server.app().check_storage().await.unwrap();
        assert_eq!((found.rows, found.lost().count()), (12, 12));
        let refused = server.app().repair_storage(&found, 10).await.unwrap_err();
        assert!(std::error::Error::source(&refused).unwrap().to_string().contains("put them back"), "{refused:?}");
        assert_eq!(server.media_row(media[0].id).await.delete_time, None);
        assert_eq!(server.app().repair_storage(&found, 100).await.unwrap(), 12);
        let asked = DownloadMediaRequest { id: media[0].id, ..Default::default() };
        let status = server.media().download_media(asked).await.unwrap_err();
        of_status(&status).is(Code::NotFound, ErrorReason::MediaNotFound);
    }
}

#[tokio::test]
async fn a_bucket_is_compared_as_a_folder_is() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let root = TempDir::new().unwrap();
    let bucket = serve_bucket(&root).await;
    let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
    let media = make(&server, 2).await;
    let found = server.app().check_storage().await.unwrap();
    assert_eq!((found.rows, found.amiss.len()), (2, 0));
    let key = media[0].media_url.split_once("/jobs/").unwrap().1;
    let key = atelier::media::StorageKey::from_path(&format!("jobs/{key}")).unwrap();
    server.app().storage.delete(&key).await.unwrap();
    let found = server.app().check_storage().await.unwrap();
    let lost: Vec<i64> = found.lost().map(|amiss| amiss.file.id).collect();
    assert_eq!(lost, [media[0].id]);
}

impl TestServer {
    async fn media_row(&self, id: i64) -> atelier::rpc::proto::Media {
        let asked = GetMediaRequest {
            id,
            ..Default::default()
        };
        let told = self.media().get_media(asked).await.unwrap();
        told.into_inner().media.unwrap()
    }
}

/// The media of so many jobs.
async fn make(server: &TestServer, jobs: usize) -> Vec<atelier::rpc::proto::Media> {
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    let mut media = Vec::new();
    for _ in 0..jobs {
        let (_, made) = server.create(scripted_request(feature, &script)).await;
        server.completed(made[0].id).await;
        media.extend(server.media_of(made[0].id).await);
    }
    assert_eq!(media.len(), jobs);
    media
}

/// Where the file of a stable URL stands.
fn place(server: &TestServer, url: &str) -> PathBuf {
    let path = ["/jobs/", "/uploads/"];
    let at = path.iter().find_map(|root| url.find(root)).unwrap();
    server.media_folder().join(&url[at + 1..])
}

/// What the command ends with and prints.
async fn compare(db: &TestDatabase, server: &TestServer, arguments: &[&str]) -> (i32, String) {
    let media = format!("storage.folder={}", server.media_folder().display());
    let set = ["--set", media.as_str()];
    let output = run(atelier(
        db,
        &[&["storage", "check"], arguments, &set].concat(),
    ))
    .await;
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(told).unwrap(),
    )
}
