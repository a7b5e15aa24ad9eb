//! The small files that a feature has made of each output: thumbnails, posters, previews.

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, DeleteMediaRequest, FeatureProperties,
    GenerationInput, Media, MediaRole, MediaType, OutputSettings,
};
use codec::Format;
use image::GenericImageView;

use crate::support::client::{Client, request_for, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::recording::{Recording, scripted_feature_of};
use crate::support::script::Script;
use crate::support::server::TestServer;

on_both_databases! {
    async fn thumbnails_have_the_sizes_that_the_feature_names(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = picture_feature(&server, &[64, 1_024, 160]).await;
        let media = server.made(sized(feature, 480, 600)).await.media();
        let (original, thumbnails) = media.split_first().unwrap();
        assert_eq!((original.role(), original.original_id), (MediaRole::Original, None));
        let sizes: Vec<_> = thumbnails.iter().map(|media| (media.width, media.height)).collect();
        assert_eq!(sizes, [(51, 64), (480, 600), (128, 160)], "never enlarged");
        for (media, asked) in thumbnails.iter().zip([64.0, 1_024.0, 160.0]) {
            assert_eq!((media.role(), media.original_id), (MediaRole::Thumbnail, Some(original.id)));
            assert_eq!((media.format.as_str(), media.media_type()), ("jpg", MediaType::Image));
            assert_eq!(metadata(media, "thumbnail_size"), asked);
            assert_eq!(media.seed, original.seed);
            assert!(looks_like(&server, media, original).await, "{media:?}");
        }
    }

    async fn a_picture_has_one_thumbnail_where_its_feature_says_nothing_and_none_where_it_says_so(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = picture_feature(&server, &[]).await;
        for (size, small) in [((640, 320), (512, 256)), ((320, 160), (320, 160))] {
            let media = server.made(sized(feature, size.0, size.1)).await.media();
            let [original, thumbnail] = &media[..] else { panic!("{media:?}") };
            assert_eq!((original.role(), thumbnail.role()), (MediaRole::Original, MediaRole::Thumbnail));
            assert_eq!((thumbnail.width, thumbnail.height, metadata(thumbnail, "thumbnail_size")), (small.0, small.1, 512.0));
        }

        let mut none = scripted_feature("none");
        none.properties = Some(FeatureProperties { omit_thumbnails: true, ..Default::default() });
        let none = server.add_feature(none).await.id;
        assert_eq!(server.made(sized(none, 64, 64)).await.media().len(), 1);
    }

    async fn each_output_has_its_own_and_the_originals_come_first(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut feature = scripted_feature("several");
        let properties = feature.properties.as_mut().unwrap();
        (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![16], false);
        let feature = server.add_feature(feature).await.id;
        // The first attempt makes nothing, so nothing of it may be left.
        let script = Script::new(&["transient", "several"]);
        let media = server.made(scripted_request(feature, &script)).await.media();
        assert_eq!(media.len(), 6);
        assert!(media.is_sorted_by_key(|media| media.id), "{media:?}");
        let (originals, thumbnails) = media.split_at(3);
        for (index, (original, thumbnail)) in originals.iter().zip(thumbnails).enumerate() {
            assert_eq!((original.role(), thumbnail.role()), (MediaRole::Original, MediaRole::Thumbnail));
            assert_eq!(thumbnail.original_id, Some(original.id));
            assert_eq!(metadata(original, "index"), index as f64);
            assert_eq!(metadata(thumbnail, "index"), index as f64);
            assert!(looks_like(&server, thumbnail, original).await);
        }
        assert_eq!(server.media_of(media[0].job_id.unwrap()).await.len(), 6);
    }

    async fn a_video_has_a_still_in_two_sizes_and_a_short_animation(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let video = Recording::video(Format::Mp4, (96, 64), 20, 30);
        let media = delivered(&server, MediaType::Video, &video).await;
        let [original, thumbnail, poster, preview] = &media[..] else { panic!("{media:?}") };
        assert_eq!(original.role(), MediaRole::Original);
        assert_eq!((thumbnail.role(), thumbnail.width, thumbnail.height), (MediaRole::Thumbnail, 48, 32));
        assert_eq!((poster.role(), poster.width, poster.height), (MediaRole::Poster, 96, 64));
        for still in [thumbnail, poster] {
            assert_eq!((still.format.as_str(), still.media_type()), ("jpg", MediaType::Image));
            assert_eq!((still.duration_ms, still.video_codec.as_str()), (None, ""));
        }
        assert!(looks_like(&server, thumbnail, poster).await, "both show the same frame");
        assert_eq!((preview.role(), preview.format.as_str()), (MediaRole::Preview, "gif"));
        assert_eq!((preview.media_type(), preview.width, preview.height), (MediaType::Video, 96, 64));
        assert_eq!((preview.duration_ms, preview.frame_rate), (Some(1_500), 10.0));
        assert!(media[1..].iter().all(|media| media.original_id == Some(original.id)));
        assert!(media.iter().all(|media| media.blurhash.len() == 28 && !media.tiny_preview.is_empty()));
    }

    async fn a_sound_is_seen_by_its_waveform(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let media = delivered(&server, MediaType::Audio, &Recording::sound(Format::Flac)).await;
        let [original, thumbnail, poster] = &media[..] else { panic!("{media:?}") };
        assert_eq!((original.width, original.duration_ms), (0, Some(500)));
        assert_eq!((thumbnail.role(), thumbnail.width, thumbnail.height), (MediaRole::Thumbnail, 48, 12));
        assert_eq!((poster.role(), poster.format.as_str()), (MediaRole::Poster, "png"));
        assert_eq!((poster.width, poster.height), (1_280, 320));
        assert_eq!((poster.media_type(), poster.audio_codec.as_str()), (MediaType::Image, ""));
        let waveform = image::load_from_memory(&server.content_of(poster).await).unwrap();
        // It gets louder: the ground is what lies in the corner.
        let ground = waveform.get_pixel(0, 0);
        let drawn = |x: u32| (0..320).filter(|y| waveform.get_pixel(x, *y) != ground).count();
        let widest = |from: u32| (from..from + 40).map(drawn).max().unwrap();
        assert!(widest(1_200) > 200 && widest(40) < 60, "{} {}", widest(40), widest(1_200));
    }

    async fn each_is_deleted_for_itself(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = picture_feature(&server, &[64]).await;
        let media = server.made(sized(feature, 128, 128)).await.media();
        let [original, thumbnail] = &media[..] else { panic!("{media:?}") };
        server.media().delete_media(DeleteMediaRequest { id: original.id }).await.unwrap();
        let left = server.media_of(original.job_id.unwrap()).await;
        assert_eq!(left.iter().map(|media| media.id).collect::<Vec<_>>(), [thumbnail.id]);
        assert_eq!(left[0].original_id, Some(original.id));
        assert_eq!(server.content_of(&left[0]).await.len() as i64, thumbnail.file_size);
    }
}

/// A feature of pictures that the built-in provider draws.
async fn picture_feature(client: &Client, thumbnail_sizes: &[i32]) -> i64 {
    let feature = CreateFeatureRequest {
        name: "drawn".to_owned(),
        category: MediaType::Image.into(),
        properties: Some(FeatureProperties {
            thumbnail_sizes: thumbnail_sizes.to_vec(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.add_feature(feature).await.id
}

fn sized(feature: i64, width: i32, height: i32) -> CreateRequestRequest {
    CreateRequestRequest {
        input: Some(GenerationInput {
            output: Some(OutputSettings {
                width: Some(width),
                height: Some(height),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// A recording with all that can be made of one.
async fn delivered(
    server: &TestServer,
    media_type: MediaType,
    recording: &Recording,
) -> Vec<Media> {
    let mut feature = scripted_feature_of(media_type, "recorded");
    let properties = feature.properties.get_or_insert_default();
    (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![48], false);
    properties.make_poster = true;
    properties.make_preview = media_type == MediaType::Video;
    let feature = server.add_feature(feature).await.id;
    let script = recording.script();
    server
        .made(scripted_request(feature, &script))
        .await
        .media()
}

fn metadata(media: &Media, key: &str) -> f64 {
    use prost_types::value::Kind;
    match media
        .metadata
        .as_ref()
        .unwrap()
        .fields
        .get(key)
        .and_then(|value| value.kind.as_ref())
    {
        Some(Kind::NumberValue(number)) => *number,
        other => panic!("{key}: {other:?}"),
    }
}

/// Whether a small copy shows about the same in each of 4x4 places.
async fn looks_like(client: &Client, copy: &Media, original: &Media) -> bool {
    let mut grids = Vec::new();
    for media in [copy, original] {
        let picture = image::load_from_memory(&client.content_of(media).await).unwrap();
        assert_eq!(
            picture.dimensions(),
            (media.width as u32, media.height as u32)
        );
        grids.push(picture.thumbnail_exact(4, 4).to_rgb8().into_raw());
    }
    grids[0]
        .iter()
        .zip(&grids[1])
        .all(|(one, other)| one.abs_diff(*other) <= 12)
}
