//! A template that is tried: the message as a request that is marked so.

use tonic::Status;

use crate::{
    app::App,
    domain::{Checks, Flaw, Preview, RequestDraft},
    identity::Principal,
};

use crate::rpc::{json, proto, request};

use super::message::{data_from, open_ended};

pub(super) async fn create(
    app: &App,
    principal: &Principal,
    preview: proto::PreviewTemplateRequest,
) -> Result<proto::PreviewTemplateResponse, Status> {
    let caller = principal.caller();
    let (mut draft, checks) = draft(preview);
    draft.client.clone_from(&principal.client);
    let (request, jobs) = app.create_request(caller, draft, &checks).await?;
    request::note_jobs(request.request.id, &jobs);
    Ok(proto::PreviewTemplateResponse {
        request: Some(request::message(app, request, caller.view())),
        jobs: crate::rpc::job::brief_messages(jobs, caller.view()),
    })
}

fn draft(preview: proto::PreviewTemplateRequest) -> (RequestDraft, Checks) {
    let asked = proto::CreateRequestRequest {
        user_id: preview.user_id,
        feature_id: preview.feature_id,
        template_id: preview.template_id,
        feature: preview.feature,
        template: preview.template,
        user_prompt: preview.user_prompt,
        user_media_urls: preview.user_media_urls,
        input: preview.input,
        idempotency_key: preview.idempotency_key,
        priority: preview.priority,
        ..Default::default()
    };
    let mut checks = request::check_message(&asked, Checks::default());
    let data = preview.template_data;
    checks.extend(json::not_finite("", open_ended(data.as_ref())));
    let names_template = asked.template_id.is_some() || !asked.template.is_empty();
    checks.require(data.is_some() || names_template, "template_data", || {
        Flaw::Required.says("is required without a template_id")
    });
    let data = data.map(|data| data_from(data, &mut checks));
    let mut draft = request::draft(asked);
    draft.preview = Some(Preview { data });
    (draft, checks)
}
