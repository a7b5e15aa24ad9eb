//! Videos of the wild.

use atelier::rpc::proto::{MediaRole, MediaType};

use super::{Wild, case};
use crate::support::database::on_both_databases;
use crate::support::server::TestServer;

const VIDEO: MediaType = MediaType::Video;

on_both_databases! {
    async fn videos_are_taken_for_what_they_are(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        for (name, format, codec, millis, size, sound) in [
            ("pipe.webm", "webm", "vp8", 3_000, (160, 120), (0, 0)),
            ("nulpad.webm", "webm", "vp8", 2_000, (160, 120), (0, 0)),
            ("mono.mp4", "mp4", "h264", 2_000, (320, 240), (1, 44_100)),
            ("hi.mp4", "mp4", "h264", 2_000, (320, 240), (1, 96_000)),
            ("nul.gif", "gif", "gif", 800, (64, 64), (0, 0)),
        ] {
            let media = wild.original(VIDEO, &case(name)).await;
            assert_eq!((media.format.as_str(), media.video_codec.as_str()), (format, codec), "{name}");
            assert_eq!((media.width, media.height), size, "{name}");
            assert_eq!((media.channels, media.sample_rate), sound, "{name}");
            let found = media.duration_ms.unwrap();
            assert!((found - millis).abs() <= 45, "{name}: {found} ms");
        }
        let gif = wild.original(VIDEO, &case("nul.gif")).await;
        assert_eq!((gif.duration_ms, gif.frame_rate), (Some(800), 5.0), "4 frames");
    }

    async fn a_recording_that_was_written_to_a_pipe_and_breaks_off_is_refused(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let content = case("pipe.webm");
        wild.refused(VIDEO, &content[..content.len() - 60]).await;
    }

    async fn whatever_is_made_of_a_video_has_the_shape_in_which_it_is_shown(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let (_, media) = wild.taken(VIDEO, &case("pal169.mp4"), &["mp4", "gif"]).await;
        let sizes: Vec<_> = media.iter().map(|it| (it.role(), (it.width, it.height))).collect();
        assert_eq!(sizes, [
            (MediaRole::Original, (1_024, 576)),
            (MediaRole::Format, (1_024, 576)),
            (MediaRole::Thumbnail, (64, 36)),
            (MediaRole::Poster, (1_024, 576)),
            (MediaRole::Preview, (320, 180)),
        ]);
    }
}
