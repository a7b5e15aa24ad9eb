//! DownloadMedia from an offset: how a download that broke is resumed.

use std::fs;
use std::time::Duration;

use atelier::rpc::proto::{
    DownloadMediaRequest, DownloadMediaResponse, ErrorReason, Media, download_media_response::Part,
};
use atelier::server::Role;
use tonic::{Code, Status};

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::identity::{asks, brief, by};
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_download_from_any_offset_gives_exactly_the_rest(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let whole = download(&server, media.id, 0).await.unwrap();
        assert_eq!(whole.len() as i64, media.file_size);
        for offset in [1, media.file_size / 2, media.file_size - 1, media.file_size] {
            let rest = download(&server, media.id, offset).await.unwrap();
            assert!(rest == whole[offset as usize..], "from {offset}: {} bytes", rest.len());
        }
    }

    async fn a_large_file_comes_in_parts_that_say_where_they_belong(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        // The object is replaced by a longer one, as the storage sees it: 64 KiB is the most of one part.
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(only_object(&server), &content).unwrap();
        for offset in [0, 1, 65_536, 100_001, 199_999, 200_000] {
            let rest = download(&server, media.id, offset).await.unwrap();
            assert!(rest == content[offset as usize..], "from {offset}: {} bytes", rest.len());
        }
    }

    async fn a_download_ends_with_the_token(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        fs::File::options().write(true).open(only_object(&server)).unwrap().set_len(64 << 20).unwrap();
        let asking = server.beside(Role::Api, &db, asks).await;
        let short = brief("user", "7", Duration::from_secs(2));
        let request = by(&short, DownloadMediaRequest { id: media.id, offset: 0 });
        let mut stream = within(asking.media().download_media(request)).await.unwrap().into_inner();
        let ended = within(async {
            // Slower than the token lasts.
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the download ended well"),
                    Err(status) => break status,
                }
            }
        })
        .await;
        of_status(&ended).is(Code::Unauthenticated, ErrorReason::CredentialsExpired);
    }

    async fn an_offset_behind_the_end_is_refused(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        for offset in [media.file_size + 1, i64::MAX] {
            refusal(download(&server, media.id, offset).await)
                .is(Code::OutOfRange, ErrorReason::OffsetAhead)
                .with("media_id", media.id)
                .with("file_size", media.file_size)
                .with("offset", offset);
        }
        for offset in [-1, i64::MIN] {
            refusal(download(&server, media.id, offset).await).of_fields(["offset"]);
        }
        refusal(download(&server, 0, -1).await).of_fields(["id", "offset"]);
    }

    async fn a_file_that_is_gone_is_missed_at_any_offset(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        fs::remove_file(only_object(&server)).unwrap();
        for offset in [0, 1, media.file_size, i64::MAX] {
            let refused = download(&server, media.id, offset).await.unwrap_err();
            of_status(&refused)
                .is(Code::NotFound, ErrorReason::MediaContentMissing)
                .with("media_id", media.id);
        }
    }
}

async fn with_a_picture(db: &TestDatabase) -> (TestServer, Media) {
    let server = TestServer::start(db).await;
    let script = Script::new(&["succeed"]);
    let job = server.create_scripted(&script).await;
    server.ended(job.id).await;
    let media = server.media_of(job.id).await.remove(0);
    (server, media)
}

/// The file of the only object in the storage.
fn only_object(server: &TestServer) -> std::path::PathBuf {
    let mut folder = server.media_folder().join("jobs");
    while folder.is_dir() {
        let mut entries = fs::read_dir(&folder).unwrap();
        folder = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "more than one object");
    }
    folder
}

/// The bytes from the offset on, once all parts have been found to fit together.
async fn download(server: &TestServer, id: i64, offset: i64) -> Result<Vec<u8>, Status> {
    let request = DownloadMediaRequest { id, offset };
    let mut stream = within(server.media().download_media(request))
        .await?
        .into_inner();
    let head = within(stream.message()).await?.unwrap();
    assert_eq!(head.offset, offset);
    let Some(Part::Media(media)) = head.part else {
        panic!("the first message is not the media: {head:?}");
    };
    assert_eq!(media.id, id);
    let mut content = Vec::new();
    while let Some(DownloadMediaResponse { part, offset: at }) = within(stream.message()).await? {
        let Some(Part::Chunk(chunk)) = part else {
            panic!("not a chunk: {part:?}");
        };
        assert_eq!(at, offset + content.len() as i64);
        assert!((1..=64 * 1024).contains(&chunk.len()));
        content.extend(chunk);
    }
    Ok(content)
}
