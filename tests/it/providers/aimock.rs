//! The providers against a stand-in that others have made: what they answer, what they misbehave in, and how often they are asked.

use atelier::domain;
use atelier::rpc::proto::{CreateFeatureRequest, FeatureProperties, MediaType};

use crate::support::aimock::{Aimock, MODEL_OF_ARK};
use crate::support::client::{request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::provider::provider;
use crate::support::server::TestServer;

struct Case {
    media_type: MediaType,
    /// The provider's table, with URL in the place of the stand-in's.
    table: &'static [&'static str],
    model: &'static str,
    submitted: &'static str,
}

/// Videos in OpenAI's own shape are not among them: it names a `url` where the description has `content` to ask for.
const CASES: &[Case] = &[
    Case {
        media_type: MediaType::Image,
        table: &["kind=openai", "base_url=URL/v1", r#"makes=["image"]"#],
        model: "painter",
        submitted: "/v1/images/generations",
    },
    Case {
        media_type: MediaType::Audio,
        table: &[
            "kind=openai",
            "base_url=URL/v1",
            r#"makes=["audio"]"#,
            "voice=alloy",
        ],
        model: "speaker",
        submitted: "/v1/audio/speech",
    },
    Case {
        media_type: MediaType::Video,
        table: &[
            "kind=openai",
            "base_url=URL/api/v1",
            r#"makes=["video"]"#,
            "videos=openrouter",
            // What it has made it gives to nobody else.
            "api_key=nobody",
        ],
        model: "owner/filmer",
        submitted: "/api/v1/videos",
    },
    FAL,
    Case {
        media_type: MediaType::Video,
        table: &[
            "kind=task",
            "profile=veo",
            "base_url=URL/v1beta",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        model: "filmer",
        submitted: "/v1beta/models/filmer:predictLongRunning",
    },
    Case {
        media_type: MediaType::Video,
        table: &[
            "kind=task",
            "profile=xai",
            "base_url=URL/v1",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        model: "filmer",
        submitted: "/v1/videos/generations",
    },
    Case {
        media_type: MediaType::Video,
        table: &[
            "kind=task",
            "profile=ark",
            "base_url=URL/api/v3",
            "api_key=nobody",
            "poll_every=10ms",
        ],
        model: MODEL_OF_ARK,
        submitted: "/api/v3/contents/generations/tasks",
    },
];

const FAL: Case = Case {
    media_type: MediaType::Image,
    table: &[
        "kind=task",
        "profile=file:PROFILE",
        "base_url=URL/fal",
        "api_key=nobody",
        "poll_every=10ms",
    ],
    model: "owner/painter",
    submitted: "/fal/owner/painter",
};

/// It stands in for several hosts of fal, names the real one in its answers as fal does, and is reached by a header.
const PROFILE: &str = r#"
extends = "fal"
headers = { x-fal-target-host = "queue.fal.run" }
poll = { url = [], path = "{{ model }}/requests/{{ task_id }}/status" }
result = { url = [], path = "{{ model }}/requests/{{ task_id }}" }
cancel = { url = [], path = "{{ model }}/requests/{{ task_id }}/cancel" }
"#;

on_both_databases! {
    async fn what_another_stand_in_answers_becomes_media_after_one_submission(db: TestDatabase) {
        for case in CASES {
            let service = Aimock::start().await;
            let (code, submissions) = ending(&db, case, &service).await;
            assert_eq!((code.as_str(), submissions), ("", 1), "{}", case.submitted);
        }
    }

    async fn what_it_misbehaves_in_has_its_reason_and_is_never_paid_for_twice(db: TestDatabase) {
        for (how, at_once, of_task) in [
            ("rateLimitRate", "PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE"),
            ("dropRate", "PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE"),
            // Garbage may hide the id of a task that is paid for.
            ("malformedRate", "PROVIDER_FAILED", "PROVIDER_OUTCOME_UNKNOWN"),
            ("disconnectRate", "PROVIDER_OUTCOME_UNKNOWN", "PROVIDER_OUTCOME_UNKNOWN"),
        ] {
            for (case, expected) in [(&CASES[0], at_once), (&FAL, of_task)] {
                let service = Aimock::start().await;
                service.misbehave(how).await;
                let (code, submissions) = ending(&db, case, &service).await;
                assert_eq!((code.as_str(), submissions), (expected, 1), "{how} {}", case.submitted);
            }
        }
    }
}

/// The code with which a job ends, empty if it completes with media, and how often something was submitted.
async fn ending(db: &TestDatabase, case: &Case, service: &Aimock) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("fal.toml");
    std::fs::write(&profile, PROFILE).unwrap();
    let profile = profile.to_str().unwrap();
    let table = case.table.iter();
    let table: Vec<_> = table
        .map(|line| {
            line.replace("URL", service.url())
                .replace("PROFILE", profile)
        })
        .collect();
    let table: Vec<_> = table.iter().map(String::as_str).collect();
    let server = TestServer::start_with(db, |config| {
        config.executor.max_attempts = 1;
        // Where the files of its answers lie.
        config.fetch.allow = vec!["127.0.0.1/32".parse().unwrap()];
        config
            .providers
            .insert("service".to_owned(), provider(&table));
    })
    .await;
    let name = format!("f{}", domain::sha256_hex(service.url().as_bytes()));
    let feature = server.add_feature(CreateFeatureRequest {
        category: case.media_type.into(),
        properties: Some(FeatureProperties {
            provider: "service".to_owned(),
            model: case.model.to_owned(),
            ..Default::default()
        }),
        ..scripted_feature(&name)
    });
    let (_, jobs) = server.create(request_for(feature.await.id)).await;
    let ended = server.ended(jobs[0].id).await;
    let made = server.media_of(jobs[0].id).await.len();
    assert_eq!(ended.code().is_empty(), made > 0, "{:?}", ended.job);
    server.stop().await;
    (
        ended.code().to_owned(),
        service.submissions(case.submitted).await,
    )
}
