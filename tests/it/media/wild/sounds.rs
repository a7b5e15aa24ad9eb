//! Sounds of the wild.

use atelier::media::preview::NEUTRAL_BLURHASH;
use atelier::rpc::proto::{Media, MediaRole, MediaType};
use codec::samples::ffmpeg;

use super::{Wild, case, told};
use crate::support::database::on_both_databases;
use crate::support::server::TestServer;

const AUDIO: MediaType = MediaType::Audio;
const TONE: &str = "-f lavfi -i sine=frequency=440:duration=2:sample_rate=44100";

on_both_databases! {
    async fn sounds_are_taken_for_what_they_are_and_as_long_as_they_are(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let rf64 = ffmpeg(&format!("{TONE} -rf64 always"), "wav");
        let books = ffmpeg(&format!("{TONE} -c:a aac -f ipod"), "m4b");
        let unbranded = ffmpeg(&format!("{TONE} -c:a aac -f mp4"), "m4a");
        let lossless = ffmpeg(&format!("{TONE} -c:a alac"), "m4a");
        let opus = ffmpeg(&format!("{TONE} -c:a libopus"), "ogg");
        for (name, content, format, codec, millis, rate) in [
            ("cat.mp3", case("cat.mp3"), "mp3", "mp3", 5_060, 44_100),
            ("chained.ogg", case("chained.ogg"), "ogg", "vorbis", 4_000, 44_100),
            ("cut.ogg", case("cut.ogg"), "ogg", "vorbis", 1_000, 44_100),
            ("id3.flac", case("id3.flac"), "flac", "flac", 2_000, 44_100),
            ("soundonly.webm", case("soundonly.webm"), "weba", "opus", 2_000, 48_000),
            ("rf64.wav", rf64, "wav", "pcm_s16le", 2_000, 44_100),
            ("book.m4b", books, "m4a", "aac", 2_000, 44_100),
            ("unbranded.m4a", unbranded, "m4a", "aac", 2_000, 44_100),
            ("lossless.m4a", lossless, "m4a", "alac", 2_000, 44_100),
            ("opus.ogg", opus, "ogg", "opus", 2_000, 48_000),
        ] {
            let (_, media) = wild.taken(AUDIO, &content, &[]).await;
            let original = &media[0];
            assert_eq!((original.format.as_str(), original.audio_codec.as_str()), (format, codec), "{name}");
            assert_eq!((original.channels, original.sample_rate), (1, rate), "{name}");
            assert_length(original, millis, name);
            assert_eq!(told(original, "undecoded"), None, "{name}");
            assert_ne!(original.blurhash, NEUTRAL_BLURHASH, "{name}");
            let roles: Vec<_> = media.iter().map(Media::role).collect();
            assert_eq!(roles, [MediaRole::Original, MediaRole::Thumbnail, MediaRole::Poster], "{name}");
            assert_eq!(wild.content(original).await.len() as i64, original.file_size);
        }
    }

    async fn what_is_made_of_a_glued_mp3_is_as_long_as_the_whole(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let (_, media) = wild.taken(AUDIO, &case("cat.mp3"), &["mp3", "wav", "flac"]).await;
        let whole = media[0].duration_ms.unwrap();
        let made: Vec<_> = media.iter().filter(|it| it.role() == MediaRole::Format).collect();
        assert_eq!(made.iter().map(|it| it.format.as_str()).collect::<Vec<_>>(), ["wav", "flac"]);
        for made in made {
            assert_eq!(made.duration_ms, Some(whole), "{}", made.format);
        }
    }

    async fn music_and_speech_of_services_can_be_had_as_wav(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let m4a = ffmpeg(&format!("{TONE} -c:a aac"), "m4a");
        for content in [m4a, case("soundonly.webm")] {
            let (_, media) = wild.taken(AUDIO, &content, &["wav"]).await;
            let wav = media.iter().find(|it| it.format == "wav").unwrap();
            assert_eq!(wav.duration_ms, media[0].duration_ms);
            assert_eq!(wav.blurhash, media[0].blurhash, "the same waveform");
        }
    }

    async fn of_what_nothing_decodes_the_codec_and_the_length_are_told(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let speex = ffmpeg(&format!("{TONE} -ar 16000 -c:a libspeex"), "ogg");
        let adpcm = ffmpeg(&format!("{TONE} -c:a adpcm_ima_wav"), "wav");
        for (content, format, codec) in [
            (case("mp3in.wav"), "wav", "mp3"),
            (speex, "ogg", "speex"),
            (adpcm, "wav", "adpcm_ima_wav"),
        ] {
            let original = wild.original(AUDIO, &content).await;
            assert_eq!((original.format.as_str(), original.audio_codec.as_str()), (format, codec));
            assert_length(&original, 2_000, codec);
            assert_eq!(original.blurhash, NEUTRAL_BLURHASH);
            assert!(told(&original, "undecoded").is_some(), "{codec}");
        }
    }

    async fn an_ogg_file_with_pictures_is_refused_and_the_user_is_told_why(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let content = case("theora.ogg");
        let sentence = wild.refused(AUDIO, &content).await;
        assert!(sentence.contains("pictures"), "{sentence}");
        let refused = server.try_upload(crate::support::uploads::head(crate::support::client::USER), &content).await;
        let refused = refused.unwrap_err();
        assert!(refused.message().contains("pictures"), "{refused:?}");
    }
}

fn assert_length(media: &Media, millis: i64, name: &str) {
    let found = media.duration_ms.unwrap();
    assert!(
        (found - millis).abs() <= 70,
        "{name}: {found} ms, not {millis}"
    );
}
