//! The voice of the starter catalogue speaks, as independent programs hear it; and the documented example of ffmpeg.

use std::path::Path;
use std::process::Command;

use atelier::config::{Config, Inputs};
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, CreateTemplateRequest, FeatureProperties,
    GenerationInput, Media, MediaRole, MediaType, OutputSettings, TemplateData,
};
use serde_json::json;

use crate::support::client::{plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::server::TestServer;
use crate::support::structure::{structure, value};

/// How far two programs may be apart about a duration, in seconds.
const TOLERANCE: f64 = 0.05;

on_both_databases! {
    async fn the_voice_of_the_starter_catalogue_speaks_vietnamese_and_english(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        for (template, words) in [
            ("vietnamese", "Khai trương quán cà phê: giảm 50% cả tuần"),
            ("vietnamese_south", "Xin chào các bạn"),
            ("english_gb", "--help is read aloud, $(and) 'not' obeyed"),
            ("english_us", "Grand opening: half price all week"),
        ] {
            let media = speak(&server, template, words, None).await;
            assert_eq!((media.media_type(), media.format.as_str()), (MediaType::Audio, "wav"));
            let file = server.media_folder().join(&media.media_url[media.media_url.find("jobs/").unwrap()..]);
            let heard = probe(&file, "duration");
            let told = media.duration_ms.unwrap() as f64 / 1_000.0;
            assert!((heard - told).abs() < TOLERANCE, "{template}: {heard} and {told}");
            assert!(heard > 0.8, "{template}: {heard}");
            assert!(loudness(&file) > 0.1, "{template} is silent");
        }
    }

    async fn whoever_is_in_a_hurry_is_spoken_to_faster(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let slow = speak(&server, "english_gb", "One two three four five six", Some(90)).await;
        let fast = speak(&server, "english_gb", "One two three four five six", Some(280)).await;
        assert!(fast.duration_ms.unwrap() * 2 < slow.duration_ms.unwrap(), "{fast:?} {slow:?}");
    }

    async fn a_format_that_the_synthesiser_does_not_make_is_had_all_the_same(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let output = OutputSettings { format: Some("flac".to_owned()), ..Default::default() };
        let input = GenerationInput { output: Some(output), ..Default::default() };
        let media = speech(&server, "vietnamese", "Xin chào", input).await;
        let made: Vec<_> = media.iter().map(|media| (media.role(), media.format.as_str())).collect();
        for file in [(MediaRole::Original, "wav"), (MediaRole::Format, "flac")] {
            assert!(made.contains(&file), "{made:?}");
        }
    }

    async fn the_documented_example_of_ffmpeg_makes_a_video(db: TestDatabase) {
        let document = include_str!("../../../docs/providers/exec.md");
        let table = document.split("```toml\n").find(|block| block.starts_with("[providers.clip]")).unwrap();
        let table = table.split("```").next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("atelier.toml");
        std::fs::write(&file, table).unwrap();
        let inputs = Inputs { file: Some(file), ..Inputs::default() };
        let providers = Config::load(&inputs).unwrap().config.providers;
        let server = TestServer::start_with(&db, |config| config.providers = providers).await;
        let feature = CreateFeatureRequest {
            category: MediaType::Video.into(),
            properties: Some(FeatureProperties {
                provider: "clip".to_owned(),
                frame_rate: 10,
                ..Default::default()
            }),
            ..scripted_feature("clip")
        };
        let feature = server.add_feature(feature).await;
        let mut asked = request_for(feature.id);
        let output = OutputSettings { width: Some(128), height: Some(96), duration_seconds: Some(2), ..Default::default() };
        asked.input = Some(GenerationInput { output: Some(output), ..Default::default() });
        let (_, jobs) = server.create(asked).await;
        server.completed(jobs[0].id).await;
        let media = server.media_of(jobs[0].id).await;
        let original = media.iter().find(|media| media.format == "mp4").unwrap();
        assert_eq!((original.width, original.height), (128, 96));
        assert_eq!(original.duration_ms, Some(2_000));
    }

    async fn a_clip_speaks_its_words_where_its_style_names_a_voice(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = CreateFeatureRequest {
            category: MediaType::Video.into(),
            properties: Some(FeatureProperties { provider: "builtin".to_owned(), frame_rate: 10, ..Default::default() }),
            ..scripted_feature("spoken")
        };
        let feature = server.add_feature(feature).await.id;
        let cut = "The clip ends before the voice does.";
        let failed = "The voice, which speaks the words of clips, failed.";
        for (voice, words, seconds, format, omitted) in [
            ("vi", "Khai trương | giảm 50%", 4, "mp4", None),
            ("en", "Grand opening: half price all week, every day and every night", 1, "mp4", Some(cut)),
            ("xx-none", "Khai trương", 1, "mp4", Some(failed)),
            ("vi", "Khai trương", 1, "gif", Some("The format has no sound.")),
        ] {
            let template = spoken_template(feature, voice, format);
            let asked = CreateRequestRequest {
                template_id: Some(server.add_template(template).await.id),
                user_prompt: words.to_owned(),
                ..clip_of(feature, seconds, format)
            };
            let made = server.made(asked).await.job;
            let told = made.output_metadata.as_ref().unwrap();
            let why = omitted.map(|why| value(&why.into()));
            assert_eq!(told.fields.get("sound_omitted"), why.as_ref(), "{voice} {words}");
            let media = server.media_of(made.id).await;
            let clip = media.iter().find(|media| media.format == format).unwrap();
            assert_eq!(clip.duration_ms, Some(i64::from(seconds) * 1_000), "the sound is as long as the pictures");
            let is_heard = told.fields.get("sound") == Some(&value(&"voice".into()));
            assert_eq!(clip.audio_codec, if is_heard { "aac" } else { "" }, "{voice} {words}");
            if is_heard {
                let file = server.media_folder().join(&clip.media_url[clip.media_url.find("jobs/").unwrap()..]);
                let wav = file.with_extension("heard.wav");
                let mut decode = Command::new("ffmpeg");
                decode.args(["-v", "error", "-nostdin", "-i"]).arg(&file).arg(&wav);
                output(decode);
                assert!(loudness(&wav) > 0.1, "{words} is silent");
            }
        }
    }
}

fn spoken_template(feature: i64, voice: &str, format: &str) -> CreateTemplateRequest {
    let style = json!({ "sound": { "voice": voice, "speed": 200 } });
    CreateTemplateRequest {
        template_data: Some(TemplateData {
            style: Some(structure(&style)),
            ..Default::default()
        }),
        ..plain_template(feature, &format!("{voice}_{format}"))
    }
}

fn clip_of(feature: i64, seconds: i32, format: &str) -> CreateRequestRequest {
    let output = OutputSettings {
        width: Some(128),
        height: Some(96),
        duration_seconds: Some(seconds),
        format: Some(format.to_owned()),
        ..Default::default()
    };
    let input = GenerationInput {
        output: Some(output),
        ..Default::default()
    };
    CreateRequestRequest {
        input: Some(input),
        ..request_for(feature)
    }
}

/// What the template's voice makes of the words, at its own speed or at so many words a minute.
async fn speak(server: &TestServer, template: &str, words: &str, speed: Option<i64>) -> Media {
    let variables = speed.map(|speed| ("speed".to_owned(), value(&speed.into())));
    let input = GenerationInput {
        variables: variables.into_iter().collect(),
        ..Default::default()
    };
    let mut media = speech(server, template, words, input).await;
    media.retain(|media| media.format == "wav");
    media.remove(0)
}

/// All files of a job of the voice.
async fn speech(
    server: &TestServer,
    template: &str,
    words: &str,
    input: GenerationInput,
) -> Vec<Media> {
    let (feature, template) = server.starter("voice", template).await;
    let asked = CreateRequestRequest {
        template_id: Some(template),
        user_prompt: words.to_owned(),
        input: Some(input),
        ..request_for(feature)
    };
    let (_, jobs) = server.create(asked).await;
    server.completed(jobs[0].id).await;
    server.media_of(jobs[0].id).await
}

/// A number that ffprobe tells of a file's format.
fn probe(file: &Path, entry: &str) -> f64 {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "csv=p=0", "-show_entries"]);
    command.arg(format!("format={entry}")).arg(file);
    String::from_utf8(output(command).stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// The greatest amplitude from 0 to 1, as sox measures it.
fn loudness(file: &Path) -> f64 {
    let mut command = Command::new("sox");
    command.arg(file).args(["-n", "stat"]);
    let told = String::from_utf8(output(command).stderr).unwrap();
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix("Maximum amplitude:"));
    line.unwrap().trim().parse().unwrap()
}

fn output(mut command: Command) -> std::process::Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    assert!(output.status.success(), "{output:?}");
    output
}
