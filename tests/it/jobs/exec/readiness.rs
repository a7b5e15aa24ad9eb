//! What a command cannot do, because its program is missing or because it makes another type of media, is refused when a
//! request or a feature asks for it.

use atelier::config::ExecConfig;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, ErrorReason, Feature, JobStatus,
    ListRequestsRequest, MediaType, RetryJobRequest, RetryRequestRequest, UpdateFeatureRequest,
};
use atelier::server::Role;
use prost_types::FieldMask;
use tonic::Code;

use super::studio::{LOOK_AGAIN, PROVIDER, Studio, feature, order, serve};
use crate::support::client::request_for;
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

const INSTALL: &str = "install the package studio";

on_both_databases! {
    async fn a_request_for_a_missing_program_is_refused_without_its_name(db: TestDatabase) {
        let studio = Studio::new();
        let server = serve(&db, &studio, missing(&studio)).await;
        let feature = server.add_feature(feature(PROVIDER)).await;
        for validate_only in [false, true] {
            let asked = CreateRequestRequest { validate_only, ..request_for(feature.id) };
            let answer = server.requests().create_request(asked).await;
            let message = answer.as_ref().unwrap_err().message().to_owned();
            assert_eq!(message, "the generator \"studio\" of this feature cannot run here: its program is not installed");
            refusal(answer)
                .is(Code::FailedPrecondition, ErrorReason::ProviderNotReady)
                .with("provider", PROVIDER);
        }
        let listed = server.requests().list_requests(ListRequestsRequest::default()).await;
        assert!(listed.unwrap().into_inner().requests.is_empty());

        // Its mistakes are told first.
        let wrong = CreateRequestRequest { user_prompt: String::new(), ..request_for(feature.id) };
        refusal(server.requests().create_request(wrong).await).of_fields(["user_prompt"]);
    }

    async fn a_retry_is_refused_while_the_program_is_missing(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell("exit 1");
        let program = command.command.clone();
        let server = serve(&db, &studio, command).await;
        let job = order(&server, PROVIDER).await;
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Failed);
        std::fs::rename(&program, studio.path("elsewhere")).unwrap();

        let retried = server.jobs().retry_job(RetryJobRequest { id: job.id }).await;
        refusal(retried).is(Code::FailedPrecondition, ErrorReason::ProviderNotReady);
        let id = job.request_id;
        let retried = server.requests().retry_request(RetryRequestRequest { id }).await;
        refusal(retried).is(Code::FailedPrecondition, ErrorReason::ProviderNotReady);

        std::fs::rename(studio.path("elsewhere"), &program).unwrap();
        let retried = server.jobs().retry_job(RetryJobRequest { id: job.id }).await;
        assert!(retried.is_ok(), "{retried:?}");
    }

    async fn where_only_workers_know_the_job_waits_for_the_program(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.sound();
        let program = command.command.clone();
        std::fs::rename(&program, studio.path("elsewhere")).unwrap();
        // It is configured like the workers, and has no say in what is installed there.
        let api = TestServer::start_as(Role::Api, &db, studio.configure(command.clone())).await;
        let worker = api.beside(Role::Worker, &db, studio.configure(command)).await;
        let job = order(&api, PROVIDER).await;
        within(async {
            while !api.job(job.id).await.waiting_reason.contains("its program is not installed") {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;

        std::fs::rename(studio.path("elsewhere"), &program).unwrap();
        let ended = api.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 1));
        assert_eq!(ended.job.waiting_reason, "");
        worker.stop().await;
    }

    async fn a_feature_of_a_type_that_its_command_does_not_make_is_refused(db: TestDatabase) {
        let studio = Studio::new();
        let server = TestServer::start_as(Role::Api, &db, studio.configure(studio.sound())).await;
        let song = |provider| CreateFeatureRequest {
            category: MediaType::Audio.into(),
            ..feature(provider)
        };
        let wrong = CreateFeatureRequest { name: String::new(), ..song(PROVIDER) };
        let refused = refusal(server.features().create_feature(wrong).await);
        refused.of_fields(["properties.provider", "name"]);
        assert_eq!(refused.descriptions[0], "must make audio, which \"studio\" does not");

        // Nobody here knows what that one makes.
        let elsewhere = server.add_feature(song("elsewhere")).await;
        let update = UpdateFeatureRequest {
            feature: Some(Feature {
                id: elsewhere.id,
                properties: song(PROVIDER).properties,
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["properties".to_owned()] }), ..Default::default() };
        refusal(server.features().update_feature(update).await)
            .of_fields(["feature.properties.provider"]);
    }
}

/// A command that nobody has installed.
fn missing(studio: &Studio) -> ExecConfig {
    ExecConfig {
        command: "studio-of-nobody".to_owned(),
        install: Some(INSTALL.to_owned()),
        ..studio.sound()
    }
}
