//! Files of deleted media, and what stays of the rows.

use atelier::domain::{Error, Installation, RetentionStep};
use atelier::media::StorageKey;
use atelier::rpc::proto::{
    BatchUndeleteMediaRequest, DeleteRequestRequest, DownloadMediaRequest, ErrorReason,
    UndeleteMediaRequest, UndeleteRequestRequest, VersionedId,
};
use futures::StreamExt;
use tonic::Code;

use crate::support::client::request_for;
use crate::support::database::on_both_databases;
use crate::support::refusal::{of_status, refusal};

use super::*;

const STEP: RetentionStep = RetentionStep::DeletedMedia;

fn for_ten_days(config: &mut Config) {
    config.retention.deleted_media = DAY * 10;
}

/// What a run does of this step.
async fn run_of(server: &ClockedServer) -> RetentionRun {
    let runs = server.app.run_retention(None).await;
    runs.into_iter().find(|run| run.step == STEP).unwrap()
}

async fn objects(server: &ClockedServer) -> usize {
    server.app.storage.list().count().await
}

on_both_databases! {
    async fn a_copy_of_the_database_removes_no_file_that_is_the_original_s(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, deleted) = made(&server, feature).await;
        server.delete_one_media(deleted.id).await;
        pass(&server, 11);
        let original = Installation { id: "the original".to_owned(), counter: 1, adopted_at: None };
        server.app.storage.mark(&original).await.unwrap();
        let run = run_of(&server).await;
        assert!(matches!(run.end, RunEnd::Failed(Error::StorageUnavailable(_))), "{run:?}");
        assert_eq!((run.done, objects(&server).await), (0, 1));
        server.app.adopt_storage().await.unwrap();
        assert_eq!(run_of(&server).await.done, 1);
        assert_eq!(objects(&server).await, 0);
    }

    async fn the_file_of_a_deleted_media_goes_after_its_time_and_its_row_stays(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, deleted) = made(&server, feature).await;
        let (_, _, live) = made(&server, feature).await;
        server.delete_one_media(deleted.id).await;
        pass(&server, 9);
        assert_eq!(due_then_done(&server, STEP).await, 0);
        assert_eq!((objects(&server).await, server.media_row(deleted.id).await.content_delete_time), (2, None));
        let announced = server.media_row(deleted.id).await;
        assert_eq!(announced.purge_time.unwrap().seconds - announced.delete_time.unwrap().seconds, 10 * 86_400);
        assert_eq!(server.media_row(live.id).await.purge_time, None);

        pass(&server, 2);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        assert_eq!(objects(&server).await, 1);
        let row = server.media_row(deleted.id).await;
        assert!(row.content_delete_time.is_some() && row.delete_time.is_some() && row.purge_time.is_none(), "{row:?}");
        assert_eq!((row.tiny_preview.as_str(), row.blurhash.is_empty(), row.file_size), ("", false, deleted.file_size));
        assert_eq!(server.media_row(live.id).await.content_delete_time, None);
        assert_eq!(server.content_of(&live).await, b"x");

        let undelete = UndeleteMediaRequest { id: deleted.id };
        let refused = server.media().undelete_media(undelete).await.unwrap_err();
        of_status(&refused).is(Code::NotFound, ErrorReason::MediaContentMissing).with("media_id", deleted.id);
        let entry = VersionedId { id: deleted.id, ..Default::default() };
        let batch = BatchUndeleteMediaRequest { entries: vec![entry] };
        refusal(server.media().batch_undelete_media(batch).await).is(Code::NotFound, ErrorReason::MediaContentMissing);
        let download = DownloadMediaRequest { id: deleted.id, ..Default::default() };
        assert_eq!(server.media().download_media(download).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(server.media_row(deleted.id).await, row, "what was refused changed nothing");
    }

    async fn what_comes_back_in_time_keeps_its_file(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, media) = made(&server, feature).await;
        server.delete_one_media(media.id).await;
        pass(&server, 11);
        server.media().undelete_media(UndeleteMediaRequest { id: media.id }).await.unwrap();
        assert_eq!(due_then_done(&server, STEP).await, 0);
        assert_eq!(server.content_of(&media).await, b"x");
    }

    async fn a_request_comes_back_with_those_of_its_media_that_have_files(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (request, _, _) = made(&server, feature).await;
        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        let undelete = UndeleteRequestRequest { id: request.id };
        let back = server.requests().undelete_request(undelete).await.unwrap().into_inner().request.unwrap();
        assert_eq!((back.delete_time, back.job_counts.unwrap().completed), (None, 1));
        assert_eq!(server.listed_media().await, [0_i64; 0]);
    }

    async fn live_thumbnails_go_along_with_their_original_and_other_formats_stay(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, original) = made(&server, feature).await;
        let small = |role: &str| format!(
            "INSERT INTO generation_media (request_id, job_id, media_url, media_type, blurhash, role, metadata)
             SELECT request_id, job_id, media_url, media_type, blurhash, '{role}', '{{\"original_id\": {0}}}'
             FROM generation_media WHERE id = {0}", original.id
        );
        for role in ["thumbnail", "poster", "format"] {
            db.execute(&small(role)).await;
        }
        assert_eq!(server.listed_media().await.len(), 4);
        server.delete_one_media(original.id).await;
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 3);
        let left = server.listed_media().await;
        assert_eq!(left.len(), 1);
        assert_eq!(server.media_row(left[0]).await.role(), proto::MediaRole::Format);
    }

    async fn a_file_that_was_given_up_before_a_crash_is_removed_by_the_next_run(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, media) = made(&server, feature).await;
        server.delete_one_media(media.id).await;
        db.execute("UPDATE generation_media SET content_deleted_at = deleted_at").await;
        assert_eq!((due_then_done(&server, STEP).await, objects(&server).await), (1, 0));
    }

    async fn a_storage_that_is_away_stops_the_step_and_it_goes_on_when_that_is_back(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (_, _, media) = made(&server, feature).await;
        server.delete_one_media(media.id).await;
        pass(&server, 11);
        // A folder that is not empty stands where the file was.
        let key: String = db.texts("SELECT storage_key FROM generation_media").await.remove(0);
        let key = StorageKey::from_path(&key).unwrap();
        server.app.storage.delete(&key).await.unwrap();
        let place = server.media_folder().join(key.path());
        std::fs::create_dir_all(place.join("x")).unwrap();

        let runs = within(server.app.run_retention(None)).await;
        let failed = |run: &RetentionRun| matches!(run.end, RunEnd::Failed(_)) && run.done == 0;
        assert!(runs.iter().all(failed) && runs.len() == 1, "{runs:?}");
        let report = server.step_report(proto::RetentionStep::DeletedMedia).await;
        assert_eq!((report.due, report.last_done, report.last_error.as_str()), (1, 0, "STORAGE_UNAVAILABLE"));
        assert!(server.media_row(media.id).await.content_delete_time.is_some(), "nothing promises a file that may be gone");

        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(due_then_done(&server, STEP).await, 1);
        let report = server.step_report(proto::RetentionStep::DeletedMedia).await;
        assert_eq!((report.due, report.last_error.as_str()), (0, ""));
    }

    async fn the_database_itself_keeps_a_media_without_a_file_from_coming_back(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        server.create(request_for(feature)).await;
        run_all(&server).await;
        use sea_orm::ConnectionTrait;
        let promise = "UPDATE generation_media SET content_deleted_at = created_at";
        assert!(db.connect().await.execute_unprepared(promise).await.is_err());
    }
}
