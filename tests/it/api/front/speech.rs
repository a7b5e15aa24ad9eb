//! Speech, in the formats that it can be had in.

use atelier::rpc::proto::{
    CreateFeatureRequest, FeatureProperties, MediaType, TemplateVariableType,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use codec::samples::ffmpeg;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::client::{plain_template, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::samples::variable;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::structure::value;

use super::{enable, newest, post, requests, send, with_front};

on_both_databases! {
    async fn speech_comes_as_a_file_as_samples_or_as_events(db: TestDatabase) {
        let server = with_front(&db).await;
        let file = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
        std::fs::write(file.path(), ffmpeg("-f lavfi -i sine=frequency=440:duration=2:sample_rate=44100 -ac 2", "wav")).unwrap();
        let script = Script::delivering(file.path());
        for (name, formats) in [("sound", vec![]), ("coded", vec!["ogg"])] {
            let feature = CreateFeatureRequest { category: MediaType::Audio.into(), ..scripted_feature(name) };
            let formats = formats.into_iter().map(str::to_owned).collect();
            let properties = FeatureProperties { formats, ..feature.properties.clone().unwrap() };
            server.add_feature(CreateFeatureRequest { properties: Some(properties), ..feature }).await;
        }
        let speech = |more: Value| {
            let mut asked = json!({ "model": "sound", "input": "Xin chào", "voice": "alloy" });
            asked.as_object_mut().unwrap().extend(script.json().as_object().unwrap().clone());
            asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post(&server, "/v1/audio/speech", &asked)
        };
        let bytes = async |more: Value| {
            let answer = within(speech(more).send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.headers().contains_key("x-atelier-request-id"));
            let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
            (kind, within(answer.bytes()).await.unwrap())
        };
        let (kind, whole) = bytes(json!({})).await;
        assert_eq!((kind.as_str(), &whole[..4]), ("audio/wav", &b"RIFF"[..]));
        let (kind, flac) = bytes(json!({ "response_format": "flac" })).await;
        assert_eq!((kind.as_str(), &flac[..4]), ("audio/flac", &b"fLaC"[..]));
        let (kind, samples) = bytes(json!({ "response_format": "pcm" })).await;
        assert_eq!((kind.as_str(), samples.len()), ("audio/pcm", 2 * 2 * 24_000));
        let samples: Vec<_> = samples.chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).collect();
        let crossings = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((878..=881).contains(&crossings), "{crossings}");

        for (format, expected) in [("flac", &flac[..]), ("pcm", &[][..])] {
            let (kind, events) = bytes(json!({ "response_format": format, "stream_format": "sse" })).await;
            assert_eq!(kind, "text/event-stream");
            let events = String::from_utf8(events.to_vec()).unwrap();
            let events: Vec<Value> = events.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
            let (done, deltas) = events.split_last().unwrap();
            assert_eq!((done["type"].as_str(), deltas.len() > 1), (Some("speech.audio.done"), true), "{events:?}");
            assert!(deltas.iter().all(|delta| delta["type"] == "speech.audio.delta"));
            let sound: Vec<u8> = deltas.iter().flat_map(|delta| BASE64_STANDARD.decode(delta["audio"].as_str().unwrap()).unwrap()).collect();
            match expected {
                [] => assert_eq!(sound.len(), 2 * 2 * 24_000),
                // Its recipe tells of the job that it was made by.
                _ => assert_eq!(&sound[..4], b"fLaC"),
            }
        }
        let before = requests(&server).await;
        for (more, field, says) in [
            (json!({ "response_format": "aac" }), "response_format", "wav, flac, pcm, got \"aac\""),
            (json!({ "response_format": "mp3" }), "response_format", "wav, flac, pcm, got \"mp3\""),
            (json!({ "response_format": "pcm", "model": "coded" }), "response_format", "in: ogg, got"),
            (json!({ "stream_format": "ws" }), "stream_format", "audio or sse"),
        ] {
            let answer = send(speech(more)).await;
            assert_eq!(answer.error(), (400, "VALIDATION_FAILED", Some(field)), "{}", answer.body);
            assert!(answer.body["error"]["message"].as_str().unwrap().contains(says), "{}", answer.body);
        }
        assert_eq!(requests(&server).await, before);
    }

    async fn a_voice_is_the_variable_of_that_name(db: TestDatabase) {
        let server = TestServer::start_with(&db, enable).await;
        let feature = CreateFeatureRequest { category: MediaType::Audio.into(), ..scripted_feature("speech") };
        let feature = server.add_feature(feature).await.id;
        let mut template = plain_template(feature, "reader");
        template.template_data.as_mut().unwrap().variables.push(variable("voice", TemplateVariableType::String));
        server.add_template(template).await;
        for voice in [json!("mai"), json!({ "id": "mai" })] {
            let asked = json!({ "model": "speech/reader", "input": "Xin chào", "voice": voice });
            // The scripted provider makes pictures, which are no speech.
            let answer = send(post(&server, "/v1/audio/speech", &asked)).await;
            assert_eq!(answer.error(), (502, "PROVIDER_INVALID_OUTPUT", None));
            let input = newest(&server).await.input.unwrap();
            assert_eq!(input.variables["voice"], value(&json!("mai")));
            assert_eq!(input.extra.unwrap_or_default().fields.len(), 0);
        }
    }
}
