//! `videos`: a request that is asked for until it has ended.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, Query, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    domain::{Checks, Error, Flaw, JobInput, JobStatus, MediaRole, MediaType, Origin, Resource},
    entity::job,
    rpc::call,
    store::media::Shown,
};

use super::{
    CALLER, Front, REQUEST,
    fields::Fields,
    outcome::Made,
    refusal::{Refusal, failure},
};

/// Before the number of the request.
const PREFIX: &str = "video_";

pub(super) async fn create(
    State(front): State<Front>,
    headers: HeaderMap,
    call: Request,
) -> Result<Response, Refusal> {
    let fields = Fields::of_json_or_form(call).await?;
    let asked = front.ask(MediaType::Video, fields, &headers).await?;
    let id = asked.request.id;
    let mut response = Json(message(id, &asked.jobs)).into_response();
    response.headers_mut().insert(REQUEST, id.into());
    Ok(response)
}

pub(super) async fn show(
    State(front): State<Front>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let (id, jobs) = front.video(&id).await?;
    Ok(Json(message(id, &jobs)))
}

pub(super) async fn delete(
    State(front): State<Front>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let (id, _) = front.video(&name).await?;
    call::note(Resource::Request, id);
    front.app.delete_request(CALLER, id, "").await?;
    Ok(Json(
        json!({ "id": name, "object": "video.deleted", "deleted": true }),
    ))
}

pub(super) async fn content(
    State(front): State<Front>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let variant = query.get("variant").map_or("video", String::as_str);
    let mut checks = Checks::default();
    checks.require(["video", "thumbnail"].contains(&variant), "variant", || {
        let words = format!("must be video or thumbnail, got {variant:?}");
        Flaw::NotOneOf
            .says(words)
            .allowed(["video", "thumbnail"])
            .found(variant)
    });
    checks.finish(())?;
    let (id, jobs) = front.video(&id).await?;
    if jobs.iter().any(|job| !job.status.is_terminal()) {
        return Err(Refusal::not_yet(id));
    }
    let made = front.made(id).await?;
    let file = made.iter().find_map(|made| file(made, variant));
    front
        .send(file.ok_or_else(|| Refusal::gone(id))?, &headers)
        .await
}

impl Front {
    /// The request of a video with its jobs, as far as it is one.
    async fn video(&self, name: &str) -> Result<(i64, Vec<job::Model>), Refusal> {
        let missing = || Error::not_named(Resource::Request, name);
        let id = name.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(missing)?;
        let jobs = self.jobs(id).await?;
        match jobs.iter().all(|job| job.category == MediaType::Video) {
            true => Ok((id, jobs)),
            false => Err(missing().into()),
        }
    }
}

fn file<'a>(made: &'a Made, variant: &str) -> Option<&'a Shown> {
    let of_role = |role| made.media.iter().find(|media| media.role == role);
    match variant {
        "video" => of_role(MediaRole::Original),
        _ => of_role(MediaRole::Poster).or_else(|| of_role(MediaRole::Thumbnail)),
    }
}

/// The first variation: a call asks for one.
fn message(id: i64, jobs: &[job::Model]) -> Value {
    let Some(job) = jobs.first() else {
        return json!({ "id": format!("{PREFIX}{id}"), "object": "video", "status": "failed" });
    };
    let input: Option<JobInput> = serde_json::from_value(job.input_json.clone()).ok();
    let input = input.as_ref();
    let seconds = input.and_then(|input| input.duration_seconds);
    let (status, error) = match job.status {
        JobStatus::Pending => ("queued", None),
        JobStatus::Processing => ("in_progress", None),
        JobStatus::Completed => ("completed", None),
        JobStatus::Failed | JobStatus::Cancelled => ("failed", Some(failure(job))),
    };
    json!({
        "id": format!("{PREFIX}{id}"),
        "object": "video",
        "status": status,
        "progress": progress(job),
        "created_at": job.created_at.timestamp(),
        "completed_at": job.completed_at.filter(|_| status == "completed").map(|at| at.timestamp()),
        "expires_at": null,
        "model": input.and_then(|input| input.origin.as_ref()).map(model),
        "prompt": input.map(|input| input.user_prompt.as_str()),
        "seconds": seconds.map(|seconds| seconds.to_string()),
        "size": input.map(|input| format!("{}x{}", input.width, input.height)),
        "error": error.map(|(code, message)| json!({ "code": code, "message": message })),
    })
}

/// In percent.
fn progress(job: &job::Model) -> i64 {
    match job.status {
        JobStatus::Completed => 100,
        _ => (job.progress * 100.0) as i64,
    }
}

fn model(origin: &Origin) -> String {
    let feature = &origin.feature.name;
    match &origin.template {
        Some(template) => format!("{feature}/{}", template.name),
        None => feature.clone(),
    }
}
