//! `formats` of a request: the output in each of them, made by Atelier where the provider made another.

use std::io::Cursor;

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, FeatureProperties, GenerationInput, JobStatus,
    ListMediaRequest, Media, MediaRole, MediaType, OutputSettings,
};
use codec::Format;
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, DynamicImage};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::bucket::{keep_media_in, serve_bucket_refusing};
use crate::support::client::{Client, request_for, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::recording::{Recording, scripted_feature_of};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;
use crate::support::structure::value;

on_both_databases! {
    async fn each_format_asked_for_is_a_media_of_the_same_picture(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = drawn_feature(&server).await;
        let media = made(&server, asking(feature, &["png", "webp", "jpg"])).await;

        let [png, webp, jpg] = &media[..] else { panic!("{media:?}") };
        assert_eq!(roles(&media), [MediaRole::Original, MediaRole::Format, MediaRole::Format]);
        assert_eq!(formats(&media), ["png", "webp", "jpg"]);
        assert_eq!((png.original_id, webp.original_id, jpg.original_id), (None, Some(png.id), Some(png.id)));
        assert!(media.is_sorted_by_key(|media| media.id), "{media:?}");
        let original = decoded(&server, png).await;
        assert!(decoded(&server, webp).await == original, "WebP is lossless");
        let difference = mean_difference(&decoded(&server, jpg).await, &original);
        assert!(difference < 4.0, "{difference} of 255 for each channel");
        for media in &media {
            assert_eq!((media.width, media.height), (320, 200));
            assert_eq!((media.media_type(), media.seed), (MediaType::Image, png.seed));
            assert_eq!(media.blurhash.len(), 28);
            assert!(media.tiny_preview.starts_with("data:image/"));
            assert_eq!(media.metadata.as_ref().unwrap().fields["index"], 0.0.into());
        }
        assert_eq!(webp.blurhash, png.blurhash);

        let mut listed = server.media_of(png.job_id.unwrap()).await;
        listed.reverse();
        assert_eq!(ids(&listed), ids(&media), "all roles are listed");
        let roles = vec![MediaRole::Format.into()];
        let further = server.media().list_media(ListMediaRequest { roles, ..Default::default() }).await;
        assert_eq!(ids(&further.unwrap().into_inner().media), [jpg.id, webp.id]);
    }

    async fn the_first_format_is_the_provider_s_unless_another_is_named(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = drawn_feature(&server).await;
        let media = made(&server, asking(feature, &["webp", "png"])).await;
        assert_eq!(formats(&media), ["webp", "png"]);
        let mut named = asking(feature, &["webp", "png"]);
        named.input.as_mut().unwrap().output.as_mut().unwrap().format = Some("jpg".to_owned());
        assert_eq!(formats(&made(&server, named).await), ["jpg", "webp", "png"]);
    }

    async fn a_provider_that_makes_another_format_costs_nobody_the_wanted_one(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["several"]);
        let media = made(&server, asking_of(feature, &script, &["webp", "jpg"])).await;
        assert_eq!(formats(&media), ["png", "png", "png", "webp", "jpg", "webp", "jpg", "webp", "jpg"]);
        for (original, format) in media[..3].iter().zip(media[3..].iter().step_by(2)) {
            assert_eq!((format.role(), format.original_id), (MediaRole::Format, Some(original.id)));
            assert!(decoded(&server, format).await == decoded(&server, original).await);
        }
    }

    async fn videos_and_sounds_are_converted_too(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let video = Recording::video(Format::Mp4, (96, 64), 20, 20);
        let media = delivered(&server, MediaType::Video, &video, &["mp4", "gif"]).await;
        let [mp4, gif] = &media[..] else { panic!("{media:?}") };
        assert_eq!((mp4.format.as_str(), mp4.video_codec.as_str()), ("mp4", "h264"));
        assert_eq!((gif.format.as_str(), gif.video_codec.as_str()), ("gif", "gif"));
        assert_eq!((gif.role(), gif.original_id), (MediaRole::Format, Some(mp4.id)));
        assert_eq!((gif.media_type(), gif.width, gif.height), (MediaType::Video, 96, 64));
        assert_eq!((gif.duration_ms, gif.duration_seconds), (Some(1_000), Some(1)));
        assert_eq!((mp4.duration_ms, mp4.frame_rate, gif.frame_rate), (Some(1_000), 20.0, 20.0));
        let frames = GifDecoder::new(Cursor::new(server.content_of(gif).await)).unwrap();
        assert_eq!(frames.into_frames().collect_frames().unwrap().len(), 20);

        let sound = Recording::sound(Format::Wav);
        let media = delivered(&server, MediaType::Audio, &sound, &["flac", "wav"]).await;
        let [wav, flac] = &media[..] else { panic!("{media:?}") };
        assert_eq!((wav.format.as_str(), wav.audio_codec.as_str()), ("wav", "pcm_s16le"));
        assert_eq!((flac.format.as_str(), flac.audio_codec.as_str()), ("flac", "flac"));
        assert_eq!((flac.role(), flac.original_id), (MediaRole::Format, Some(wav.id)));
        for media in [wav, flac] {
            assert_eq!((media.duration_ms, media.channels, media.sample_rate), (Some(500), 1, 22_050));
        }
        assert_eq!(flac.blurhash, wav.blurhash, "the same waveform");
    }

    async fn what_cannot_be_converted_is_told_and_the_output_kept(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut feature = scripted_feature_of(MediaType::Video, "undecodable");
        let properties = feature.properties.get_or_insert_default();
        properties.formats = ["webm", "gif"].map(str::to_owned).into();
        (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![32], false);
        properties.make_poster = true;
        let feature = server.add_feature(feature).await.id;
        let webm = Recording::webm();
        let script = webm.script();
        let job = server.create(asking_of(feature, &script, &["webm", "gif"])).await.1.remove(0);
        let ended = server.completed(job.id).await;
        let media = &ended.transitions.last().unwrap().media;
        assert_eq!((formats(media), roles(media)), (vec!["webm"], vec![MediaRole::Original]));
        let told = ended.job.output_metadata.unwrap().fields;
        let reason = "It cannot be made of this original.";
        let expected = json!([
            { "index": 0, "role": "format", "format": "gif", "reason": reason },
            { "index": 0, "role": "thumbnail", "thumbnail_size": 32, "reason": reason },
            { "index": 0, "role": "poster", "reason": reason },
        ]);
        assert_eq!(told["omitted"], value(&expected));
    }

    async fn formats_that_cannot_be_had_are_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let pictures = drawn_feature(&server).await;
        let sounds = server.add_feature(CreateFeatureRequest {
            name: "sounds".to_owned(),
            category: MediaType::Audio.into(),
            properties: Some(FeatureProperties {
                formats: ["mp3", "wav", "ogg"].map(str::to_owned).into(),
                ..Default::default()
            }),
            ..Default::default()
        });
        let sounds = sounds.await.id;
        let first = "input.output.formats[0]";
        let second = "input.output.formats[1]";
        let sized = |feature, asked: &[&str]| match feature == sounds {
            true => CreateRequestRequest {
                input: Some(GenerationInput { output: Some(output(asked)), ..Default::default() }),
                ..request_for(feature)
            },
            false => asking(feature, asked),
        };
        for (feature, asked, field) in [
            (pictures, ["png", "bmp"], second),
            (pictures, ["png", "PNG"], second),
            (pictures, ["mp4", "png"], first),
            (sounds, ["mp3", "flac"], second),
            (sounds, ["wav", "mp3"], second),
        ] {
            let refused = server.requests().create_request(sized(feature, &asked)).await;
            refusal(refused).of_fields([field]);
        }
        server.create(sized(sounds, &["mp3", "wav"])).await;
    }

    async fn media_are_shown_only_once_all_files_are_stored(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let (bucket, refusal) = serve_bucket_refusing(&root, ".webp").await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        let feature = drawn_feature(&server).await;
        let (_, jobs) = server.create(asking(feature, &["png", "webp"])).await;
        refusal.refused().await;
        assert_eq!(server.media_of(jobs[0].id).await, []);
        assert_eq!(server.job(jobs[0].id).await.status(), JobStatus::Processing);
        refusal.lift();
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1));
        let media = &ended.transitions.last().unwrap().media;
        assert_eq!(formats(media), ["png", "webp"], "tried again, and none is there twice");
        assert_eq!(server.media_of(jobs[0].id).await.len(), 2);
        for media in media {
            decoded(&server, media).await;
        }
    }
}

/// A feature of pictures of 320x200 pixels that the built-in provider draws.
async fn drawn_feature(client: &Client) -> i64 {
    let feature = CreateFeatureRequest {
        name: "drawn".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            max_resolution: "320x200".to_owned(),
            omit_thumbnails: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    client.add_feature(feature).await.id
}

fn asking_of(feature: i64, script: &Script, formats: &[&str]) -> CreateRequestRequest {
    let mut asked = scripted_request(feature, script);
    asked.input.get_or_insert_default().output = Some(output(formats));
    asked
}

/// What becomes of a recording in several formats.
async fn delivered(
    server: &TestServer,
    media_type: MediaType,
    recording: &Recording,
    formats: &[&str],
) -> Vec<Media> {
    let name = format!("recorded_{}", media_type as i32);
    let feature = server
        .add_feature(scripted_feature_of(media_type, &name))
        .await
        .id;
    let script = recording.script();
    made(server, asking_of(feature, &script, formats)).await
}

fn output(formats: &[&str]) -> OutputSettings {
    OutputSettings {
        formats: formats.iter().map(|&format| format.to_owned()).collect(),
        ..Default::default()
    }
}

fn asking(feature: i64, formats: &[&str]) -> CreateRequestRequest {
    CreateRequestRequest {
        input: Some(GenerationInput {
            output: Some(OutputSettings {
                width: Some(320),
                height: Some(200),
                ..output(formats)
            }),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// The media of a request of one job, of which nothing is left out.
async fn made(server: &TestServer, asked: CreateRequestRequest) -> Vec<Media> {
    let ended = server.made(asked).await;
    let told = ended.job.output_metadata.as_ref().unwrap();
    assert!(!told.fields.contains_key("omitted"), "{told:?}");
    ended.media()
}

/// The picture in the stored file, which is the one that the row describes.
async fn decoded(client: &Client, media: &Media) -> DynamicImage {
    let content = client.content_of(media).await;
    let digest = Sha256::digest(&content);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, media.sha256);
    assert_eq!(content.len() as i64, media.file_size);
    let picture = image::load_from_memory(&content).unwrap();
    assert_eq!(
        (picture.width() as i32, picture.height() as i32),
        (media.width, media.height)
    );
    picture
}

fn mean_difference(one: &DynamicImage, other: &DynamicImage) -> f64 {
    let (one, other) = (one.to_rgb8().into_raw(), other.to_rgb8().into_raw());
    assert_eq!(one.len(), other.len());
    let sum: u64 = one
        .iter()
        .zip(&other)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len() as f64
}

fn roles(media: &[Media]) -> Vec<MediaRole> {
    media.iter().map(Media::role).collect()
}

fn formats(media: &[Media]) -> Vec<&str> {
    media.iter().map(|media| media.format.as_str()).collect()
}

fn ids(media: &[Media]) -> Vec<i64> {
    media.iter().map(|media| media.id).collect()
}
