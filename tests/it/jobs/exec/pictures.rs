//! Pictures among a template's variables: by URL, or of the user's own.

use atelier::domain::command::Argument;
use atelier::rpc::proto::{
    CreateRequestRequest, CreateTemplateRequest, DeleteMediaRequest, GenerationInput, JobStatus,
    TemplateData, TemplateVariable, TemplateVariableType,
};
use serde_json::{Value as Json, json};

use super::studio::{PROVIDER, SOUND, Studio, feature, serve};
use crate::support::client::{USER, plain_template, request_for};
use crate::support::database::on_both_databases;
use crate::support::http::get;
use crate::support::refusal::refusal;
use crate::support::samples::variable;
use crate::support::structure::value;

on_both_databases! {
    async fn a_picture_of_the_users_own_reaches_the_provider_as_a_link_that_is_made_when_the_job_runs(db: TestDatabase) {
        let studio = Studio::new();
        let mut command = studio.shell("printf '%s|%s' \"$2\" \"$3\" > $STUDIO/told; cp $STUDIO/picture.png \"$1\"/");
        for template in ["{{ variables.photo }}", "{{ variables.logo }}"] {
            command.args.push(Argument::One(template.to_owned()));
        }
        let server = serve(&db, &studio, command).await;
        let picture = |name| variable(name, TemplateVariableType::Picture);
        let sound = server.add_feature(feature(SOUND)).await;
        let (_, jobs) = server.create(request_for(sound.id)).await;
        server.ended(jobs[0].id).await;
        let own = server.media_of(jobs[0].id).await.remove(0);

        let working = server.add_feature(feature(PROVIDER)).await.id;
        let template = server.add_template(CreateTemplateRequest {
            template_data: Some(TemplateData {
                prompt: "{{ user_prompt }}{% if photo %} with a photo{% endif %}".to_owned(),
                variables: vec![TemplateVariable { is_required: true, ..picture("photo") }, picture("logo")],
                ..Default::default()
            }),
            ..plain_template(working, "photo")
        }).await.id;
        let asked = |photo: Json, logo: Json| CreateRequestRequest {
            template_id: Some(template),
            input: Some(GenerationInput {
                variables: [("photo".to_owned(), value(&photo)), ("logo".to_owned(), value(&logo))].into(),
                ..Default::default()
            }),
            ..request_for(working)
        };
        let logo = "https://a.vn/logo.png?secret=5ec2e7";

        let (request, jobs) = server.create(asked(json!({ "media_id": own.id }), json!(logo))).await;
        assert_eq!(request.template_prompt, "Xin chào with a photo");
        let ended = server.ended(jobs[0].id).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let told = studio.read("told");
        let (link, told_logo) = told.split_once('|').unwrap();
        assert_eq!(told_logo, logo);
        let answer = get(link.parse().unwrap()).await;
        assert_eq!(answer.bytes().await.unwrap(), server.content_of(&own).await);
        // The recipe that goes into the file has neither the link nor what may be a password.
        let recipe = format!("{:?}", ended.job.output_metadata);
        assert!(recipe.contains("https://a.vn/logo.png"), "{recipe}");
        assert!(!recipe.contains("5ec2e7") && !recipe.contains("signature"), "{recipe}");
        let (_, jobs) = server.create(asked(json!(logo), json!(""))).await;
        server.ended(jobs[0].id).await;
        assert_eq!(studio.read("told"), format!("{logo}|"));

        let of_another = CreateRequestRequest { user_id: USER + 1, ..asked(json!({ "media_id": own.id }), json!("")) };
        let nobodys = asked(json!({ "media_id": 999_999 }), json!({ "media_id": 999_999 }));
        refusal(server.requests().create_request(of_another).await).of_fields(["input.variables.photo"]);
        for validate_only in [false, true] {
            let nobodys = CreateRequestRequest { validate_only, ..nobodys.clone() };
            refusal(server.requests().create_request(nobodys).await)
                .of_fields(["input.variables.photo", "input.variables.logo"]);
        }
    }

    async fn a_job_fails_for_good_when_its_picture_was_deleted_before_it_ran(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell("until [ -e $STUDIO/gate ]; do sleep 0.02; done; cp $STUDIO/picture.png \"$1\"/");
        let server = serve(&db, &studio, command).await;
        let sound = server.add_feature(feature(SOUND)).await;
        let (_, jobs) = server.create(request_for(sound.id)).await;
        server.ended(jobs[0].id).await;
        let own = server.media_of(jobs[0].id).await.remove(0);
        let working = server.add_feature(feature(PROVIDER)).await.id;
        let template = server.add_template(CreateTemplateRequest {
            template_data: Some(TemplateData {
                variables: vec![variable("photo", TemplateVariableType::Picture)],
                ..Default::default()
            }),
            ..plain_template(working, "photo")
        }).await.id;
        // It holds the only slot until the picture is gone.
        let (_, before) = server.create(request_for(working)).await;
        let photo = value(&json!({ "media_id": own.id }));
        let (_, jobs) = server.create(CreateRequestRequest {
            template_id: Some(template),
            input: Some(GenerationInput { variables: [("photo".to_owned(), photo)].into(), ..Default::default() }),
            ..request_for(working)
        }).await;
        server.media().delete_media(DeleteMediaRequest { id: own.id }).await.unwrap();
        std::fs::write(studio.path("gate"), "").unwrap();
        server.ended(before[0].id).await;
        let ended = server.ended(jobs[0].id).await.job;
        assert_eq!((ended.status(), ended.attempt), (JobStatus::Failed, 1));
        assert_eq!(ended.error.unwrap().code, "PROVIDER_REJECTED_INPUT");
    }
}
