//! The memory that making media takes, at the largest size of each type, with everything that can be made of it.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput, JobStatus,
    ListRequestsRequest, MediaType, OutputSettings,
};
use sea_orm::ConnectionTrait;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::script::Script;

#[tokio::test]
async fn a_4k_picture_in_every_format_stays_within_its_memory() {
    let settings = OutputSettings {
        width: Some(3_840),
        height: Some(2_160),
        formats: ["png", "webp", "jpg"].map(str::to_owned).to_vec(),
        ..OutputSettings::default()
    };
    assert_made_within(256, MediaType::Image, settings).await;
}

/// Frames are made and encoded one by one, so a longer video takes more only by its file, which `limits.output_bytes`
/// bounds.
#[tokio::test]
async fn a_4k_video_with_its_animation_stays_within_its_memory() {
    let settings = OutputSettings {
        width: Some(3_840),
        height: Some(2_160),
        duration_seconds: Some(1),
        ..OutputSettings::default()
    };
    assert_made_within(384, MediaType::Video, settings).await;
}

#[tokio::test]
async fn six_minutes_of_music_in_every_format_stay_within_their_memory() {
    let settings = OutputSettings {
        duration_seconds: Some(360),
        formats: ["wav", "flac"].map(str::to_owned).to_vec(),
        ..OutputSettings::default()
    };
    assert_made_within(320, MediaType::Audio, settings).await;
}

/// The database has no part in it, so one will do.
async fn assert_made_within(most_mib: u64, category: MediaType, output: OutputSettings) {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve(&db, folder.path(), &[]).await;
    let feature = server.add_feature(with_everything(category)).await.id;
    let wanted = output.formats.len().max(1);
    let input = GenerationInput {
        seed: Some(7),
        output: Some(output),
        ..GenerationInput::default()
    };
    let (_, jobs) = server
        .create(CreateRequestRequest {
            user_prompt: "Đêm nhạc acoustic: giảm 50% vé".to_owned(),
            input: Some(input),
            ..request_for(feature)
        })
        .await;
    let mut watch = server.watch(jobs[0].id).await;
    // Every message in time, however long the whole takes.
    while watch.next().await.unwrap().is_some() {}
    let job = server.job(jobs[0].id).await;
    assert_eq!(job.status(), JobStatus::Completed, "{:?}", job.error);
    let media = server.media_of(job.id).await;
    assert_eq!(media.len(), wanted + derivatives(category), "{media:#?}");
    let peak = server.most_memory() / 1_024;
    assert!(peak <= most_mib, "{peak} MiB, more than {most_mib}");
}

/// A feature of the built-in provider that has all derivatives of its category.
fn with_everything(category: MediaType) -> CreateFeatureRequest {
    let properties = FeatureProperties {
        max_resolution: "4K".to_owned(),
        frame_rate: 4,
        thumbnail_sizes: vec![1_024],
        make_poster: category != MediaType::Image,
        make_preview: category == MediaType::Video,
        ..FeatureProperties::default()
    };
    CreateFeatureRequest {
        category: category.into(),
        properties: Some(properties),
        ..scripted_feature("everything")
    }
}

/// How many files are made of an output besides its formats.
fn derivatives(category: MediaType) -> usize {
    match category {
        MediaType::Video => 3,
        MediaType::Audio => 2,
        _ => 1,
    }
}

on_both_databases! {
    async fn files_that_need_more_memory_than_there_is_for_decoders_are_read_one_after_another(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let settings = ["limits.decode_memory=64MiB", "executor.concurrency=4"];
        let server = Process::serve(&db, folder.path(), &settings).await;
        // By what it declares, it takes 72 MiB.
        let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        image::GrayImage::from_pixel(1_800, 1_600, image::Luma([7])).save(file.path()).unwrap();
        let feature = server.add_feature(scripted_feature("large")).await.id;
        let script = Script::delivering(file.path());
        let input = GenerationInput { variations: 4, extra: Some(script.extra()), ..GenerationInput::default() };
        let (_, jobs) = server.create(CreateRequestRequest { input: Some(input), ..request_for(feature) }).await;
        assert_eq!(jobs.len(), 4);
        for job in jobs {
            let ended = server.ended(job.id).await;
            assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1), "{:?}", ended.job);
        }
    }

    async fn a_list_of_large_rows_takes_the_memory_of_a_few(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let server = Process::serve(&db, folder.path(), &["executor.concurrency=1"]).await;
        let feature = server.add_feature(scripted_feature("large")).await.id;
        server.create(request_for(feature)).await;
        // As an older server accepted it: 58 KiB of many small values, each of which takes far more in memory.
        let entries: Vec<String> = (0..4_500).map(|key| format!("\"k{key}\":{key}")).collect();
        let admin = db.connect().await;
        let fill = format!("UPDATE generation_requests SET metadata = '{{{}}}'", entries.join(","));
        admin.execute_unprepared(&fill).await.unwrap();
        for _ in 0..10 {
            let double = "INSERT INTO generation_requests (user_id, feature_id, user_prompt, metadata)
                SELECT user_id, feature_id, user_prompt, metadata FROM generation_requests";
            admin.execute_unprepared(double).await.unwrap();
        }
        // The newest are small, and tell nothing of those behind them.
        let small = "INSERT INTO generation_requests (user_id, feature_id, user_prompt)
            SELECT user_id, feature_id, user_prompt FROM generation_requests LIMIT 60";
        admin.execute_unprepared(small).await.unwrap();

        let request = ListRequestsRequest { page_size: 1_000, ..ListRequestsRequest::default() };
        let page = server.requests().list_requests(request).await.unwrap().into_inner();
        assert!((70..100).contains(&page.requests.len()), "{}", page.requests.len());
        assert!(!page.next_page_token.is_empty());
        let peak = server.most_memory() / 1_024;
        assert!(peak <= 256, "{peak} MiB");
    }
}
