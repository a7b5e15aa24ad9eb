//! The providers against a stand-in that others have made: what they answer, what they misbehave in, and how often they are asked.

use atelier::domain;
use atelier::rpc::proto::{CreateFeatureRequest, FeatureProperties, MediaType};

use crate::support::aimock::Aimock;
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
];

on_both_databases! {
    async fn what_another_stand_in_answers_becomes_media_after_one_submission(db: TestDatabase) {
        for case in CASES {
            let service = Aimock::start();
            let (code, submissions) = ending(&db, case, &service).await;
            assert_eq!((code.as_str(), submissions), ("", 1), "{}", case.submitted);
        }
    }

    async fn what_it_misbehaves_in_has_its_reason_and_is_never_paid_for_twice(db: TestDatabase) {
        for (how, expected) in [
            ("rateLimitRate", "PROVIDER_UNAVAILABLE"),
            ("dropRate", "PROVIDER_UNAVAILABLE"),
            ("malformedRate", "PROVIDER_FAILED"),
            ("disconnectRate", "PROVIDER_OUTCOME_UNKNOWN"),
        ] {
            let service = Aimock::start();
            service.misbehave(how).await;
            let (code, submissions) = ending(&db, &CASES[0], &service).await;
            assert_eq!((code.as_str(), submissions), (expected, 1), "{how}");
        }
    }
}

/// The code with which a job ends, empty if it completes with media, and how often something was submitted.
async fn ending(db: &TestDatabase, case: &Case, service: &Aimock) -> (String, usize) {
    let table = case.table.iter();
    let table: Vec<_> = table
        .map(|line| line.replace("URL", service.url()))
        .collect();
    let table: Vec<_> = table.iter().map(String::as_str).collect();
    let server = TestServer::start_with(db, |config| {
        config.executor.max_attempts = 1;
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
