//! `videos`: a request that is asked for until it has ended.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json,
    extract::{Path, Query, Request},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    domain::{Checks, Error, Flaw, JobInput, JobStatus, MediaRole, MediaType, Origin, Resource},
    entity::job,
    rpc::call,
    store::{self, PageRequest, media::Shown, request::Filter},
};

use super::{
    Front, REQUEST,
    fields::Fields,
    outcome::{Made, ignored},
    refusal::{Refusal, failure},
};

/// Before the number of the request.
const PREFIX: &str = "video_";
/// Videos of a page, unless it is said.
const USUAL_LIMIT: i32 = 20;
const MOST: i32 = 100;

pub(super) async fn create(
    front: Front,
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

/// Those of a user, however they were asked for.
pub(super) async fn list(
    front: Front,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refusal> {
    let mut fields = Fields::of_query(query);
    let user_id = front.user(&mut fields)?;
    fields.checks.id("user", user_id);
    let limit = fields.small("limit").unwrap_or(USUAL_LIMIT);
    fields.checks.range("limit", limit, 1, MOST);
    let filter = Filter {
        user_id: Some(user_id),
        category: Some(MediaType::Video),
        reversed: is_ascending(&mut fields),
        // Its clients cannot ask for them.
        show_archived: true,
        ..Filter::default()
    };
    let after = after(&mut fields);
    fields.checks.finish(())?;
    let sealer = front.app.sealer(front.caller());
    let after = after.map(|id| store::request::page_after(&filter, id, &sealer));
    let page = PageRequest {
        size: limit.unsigned_abs().into(),
        token: after.transpose()?.unwrap_or_default(),
        sealer,
    };
    Ok(Json(front.videos(&filter, &page).await?))
}

pub(super) async fn show(front: Front, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let (id, jobs) = front.video(&id).await?;
    Ok(Json(message(id, &jobs)))
}

pub(super) async fn delete(front: Front, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let (id, _) = front.video(&name).await?;
    call::note(Resource::Request, id);
    front.app.delete_request(front.caller(), id, "").await?;
    Ok(Json(
        json!({ "id": name, "object": "video.deleted", "deleted": true }),
    ))
}

pub(super) async fn content(
    front: Front,
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
    let file = file.ok_or_else(|| Refusal::not_made(id, variant))?;
    front.send(file, &headers).await
}

fn is_ascending(fields: &mut Fields) -> bool {
    let order = fields.text("order");
    let order = order.as_deref().unwrap_or("desc");
    let known = ["asc", "desc"];
    fields.checks.require(known.contains(&order), "order", || {
        let words = format!("must be asc or desc, got {order:?}");
        Flaw::NotOneOf.says(words).allowed(known).found(order)
    });
    order == "asc"
}

/// The request after whose video the page begins.
fn after(fields: &mut Fields) -> Option<i64> {
    let named = fields.text("after")?;
    let id = request_of(&named);
    fields.checks.require(id.is_some(), "after", || {
        let words = format!("must be the id of a video, such as {PREFIX}17, got {named:?}");
        Flaw::Malformed.says(words).found(&named)
    });
    id
}

fn request_of(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

impl Front {
    async fn videos(&self, filter: &Filter, page: &PageRequest) -> Result<Value, Error> {
        let db = self.app.store.reader();
        let page = store::request::list(db, self.caller(), filter, page).await?;
        let ids: Vec<i64> = page.items.iter().map(|request| request.id).collect();
        let mut jobs: BTreeMap<i64, Vec<job::Model>> = BTreeMap::new();
        for job in store::job::of_requests_with_inputs(db, &ids).await? {
            jobs.entry(job.request_id).or_default().push(job);
        }
        let data = ids
            .iter()
            .map(|id| message(*id, &jobs.remove(id).unwrap_or_default()));
        let data: Vec<Value> = data.collect();
        let id = |video: Option<&Value>| video.map(|video| video["id"].clone());
        Ok(json!({
            "object": "list",
            "first_id": id(data.first()),
            "last_id": id(data.last()),
            "has_more": !page.next_page_token.is_empty(),
            "data": data,
        }))
    }

    /// The request of a video with its jobs, as far as it is one.
    async fn video(&self, name: &str) -> Result<(i64, Vec<job::Model>), Refusal> {
        let missing = || Error::not_named(Resource::Request, name);
        let id = request_of(name).ok_or_else(missing)?;
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
        "ignored_inputs": ignored(job),
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
