//! What the log says of a call: everything that happens in it, its stream included, stands in a span that names the rpc
//! and what the caller knows it by; and one line tells how a call ended that changes something or was refused.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header::ACCEPT_LANGUAGE},
    middleware::Next,
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{
    domain::{Language, Reason, Resource, Trace},
    metrics::Metrics,
    traces::Traces,
};

use super::{access, ending::Ending, front, traced::CallSpan};

/// Most of a path that the log shows: one that is longer names nothing of ours.
const MAX_PATH_BYTES: usize = 100;
/// The paths of probes.
const PROBES: [&str; 3] = ["healthz", "livez", "readyz"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
tokio::task_local! {
    static CALL: Arc<Call>;
    /// Beside it, since it is there while the answer streams too.
    static LANGUAGE: Language;
}

/// What is learnt of a call while it is answered.
struct Call {
    trace: Trace,
    /// What the service of the rpc is about.
    subject: Option<Resource>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// What the caller named comes first.
    ids: Vec<(Resource, i64)>,
    refusal: Option<(Code, Reason, String)>,
}

impl Notes {
    fn add(&mut self, resource: Resource, id: i64) {
        // 0 is what is not given.
        if id != 0 && !self.ids.contains(&(resource, id)) {
            self.ids.push((resource, id));
        }
    }

    fn of(&self, resource: Resource) -> impl Iterator<Item = i64> {
        let of = self.ids.iter().filter(move |(of, _)| *of == resource);
        of.map(|(_, id)| *id)
    }
}

/// Answers a call within its span, which outlives the answer's head for as long as its body streams.
pub(super) async fn in_span(
    State((metrics, traces)): State<(Metrics, Traces)>,
    call: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let name = name_of(call.uri().path());
    let rpc = shown(call.uri().path());
    let mut trace = trace_of(call.headers());
    let path = call.uri().path();
    let place = place(path).filter(|place| !PROBES.contains(place));
    let place = place.or(front::is_path(path).then_some("v1"));
    let traced = CallSpan::begin(&traces, (call.method(), path), place, &mut trace);
    let language = language_of(call.headers());
    let span = tracing::error_span!(
        "call",
        rpc,
        x_request_id = trace.x_request_id,
        traceparent = trace.traceparent
    );
    let known = Arc::new(Call {
        subject: subject(&rpc),
        notes: Mutex::default(),
        trace,
    });
    let answered = CALL.scope(known.clone(), next.run(call));
    let answered = LANGUAGE.scope(language, answered);
    let mut response = answered.instrument(span.clone()).await;
    span.in_scope(|| known.log(&rpc, response.headers(), began));
    if let Some(traced) = &traced {
        known.tell(traced);
    }
    let ending = Ending::of((name, began.elapsed()), metrics, traced, &response);
    let id = known
        .trace
        .x_request_id
        .as_deref()
        .map(HeaderValue::from_str);
    if let Some(Ok(id)) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.map(|body| {
        Body::new(InSpan {
            body,
            span,
            ending,
            language,
        })
    })
}

/// A path as the log has it: not too long, and without the secrets in the addresses of webhooks, uploads and shares.
fn shown(path: &str) -> String {
    let path = match path.rsplit_once('/') {
        Some((place, _)) if place.starts_with("/webhooks/") || place == "/uploads" => place,
        _ if path.starts_with("/s/") => "/s",
        _ => path,
    };
    path[..path.floor_char_boundary(MAX_PATH_BYTES)].to_owned()
}

/// What operators know the call by: an rpc of the contract, or the first step of a path of ours. What others make up is one name.
fn name_of(path: &str) -> String {
    access::name(path).unwrap_or_else(|| place(path).unwrap_or("other").to_owned())
}

/// The first step of a path of ours that is no rpc.
fn place(path: &str) -> Option<&'static str> {
    let first = path.split('/').nth(1);
    let ours = ["media", "oembed", "s", "uploads", "webhooks"];
    let mut ours = ours.into_iter().chain(PROBES);
    ours.find(|ours| Some(*ours) == first)
}

fn language_of(headers: &HeaderMap) -> Language {
    let values = headers.get_all(ACCEPT_LANGUAGE).iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    Language::accepted(&values.join(","))
}

/// The language that the caller reads.
pub(super) fn language() -> Language {
    LANGUAGE.try_with(|language| *language).unwrap_or_default()
}

/// What the caller knows the call by; an x-request-id is made if there is none.
fn trace_of(headers: &HeaderMap) -> Trace {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut trace = Trace::from_headers(text(REQUEST_ID), text(TRACEPARENT));
    trace
        .x_request_id
        .get_or_insert_with(|| Uuid::new_v4().to_string());
    trace
}

fn subject(rpc: &str) -> Option<Resource> {
    Some(match rpc.split('/').nth(1)? {
        "generation.v1.FeatureService" => Resource::Feature,
        "generation.v1.TemplateService" => Resource::Template,
        "generation.v1.RequestService" => Resource::Request,
        "generation.v1.JobService" => Resource::Job,
        "generation.v1.MediaService" => Resource::Media,
        _ => return None,
    })
}

/// What the caller knows the call under way by.
pub(super) fn trace() -> Trace {
    CALL.try_with(|call| call.trace.clone()).unwrap_or_default()
}

/// The call under way is about what its service is about, of this id.
pub(super) fn note_id(id: i64) {
    let _ = CALL.try_with(|call| {
        if let Some(subject) = call.subject {
            call.notes().add(subject, id);
        }
    });
}

/// The call under way names, made or changed this.
pub(super) fn note(resource: Resource, id: i64) {
    let _ = CALL.try_with(|call| call.notes().add(resource, id));
}

/// A refusal is one line of the log: that of the call's end, or one by itself where the answer streams already.
pub(super) fn refused(code: Code, reason: Reason, error: &str) {
    let noted = CALL.try_with(|call| {
        call.notes().refusal = Some((code, reason, error.to_owned()));
    });
    if noted.is_err() {
        let code = code_name(code);
        tracing::info!(code, reason = reason.as_str(), error, "call refused");
    }
}

/// As gRPC names it, such as `NOT_FOUND`.
pub(super) fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

impl Call {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the call is about.
    fn tell(&self, traced: &CallSpan) {
        let notes = self.notes();
        for (key, of) in [
            ("atelier.feature.id", Resource::Feature),
            ("atelier.request.id", Resource::Request),
            ("atelier.job.id", Resource::Job),
        ] {
            traced.is_about(key, notes.of(of).next());
        }
    }

    fn log(&self, rpc: &str, headers: &HeaderMap, began: Instant) {
        let notes = self.notes();
        // Calls of the front note what they change and nothing else.
        let changes = access::changes(rpc).unwrap_or(!notes.ids.is_empty());
        if !changes && notes.refusal.is_none() {
            return;
        }
        let id = |of| notes.of(of).next();
        let jobs: Vec<_> = notes.of(Resource::Job).map(|id| id.to_string()).collect();
        let job_ids = (jobs.len() > 1).then(|| jobs.join(", "));
        let (code, reason, error) = match &notes.refusal {
            Some((code, reason, error)) => (*code, Some(reason.as_str()), Some(error.as_str())),
            None => {
                let status = Status::from_header_map(headers);
                (status.map_or(Code::Ok, |status| status.code()), None, None)
            }
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let words = match code {
            Code::Ok => "call done",
            _ if reason.is_some() => "call refused",
            _ => "call failed",
        };
        tracing::info!(
            code = code_name(code),
            reason,
            error,
            feature_id = id(Resource::Feature),
            template_id = id(Resource::Template),
            request_id = id(Resource::Request),
            job_id = id(Resource::Job),
            job_ids,
            media_id = id(Resource::Media),
            erasure_id = id(Resource::Erasure),
            share_id = id(Resource::Share),
            upload_id = id(Resource::Upload),
            duration_ms,
            "{words}"
        );
    }
}

struct InSpan {
    body: Body,
    span: Span,
    ending: Ending,
    language: Language,
}

impl HttpBody for InSpan {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self {
            body,
            span,
            ending,
            language,
        } = self.get_mut();
        let _entered = span.enter();
        let polled = LANGUAGE.sync_scope(*language, || Pin::new(body).poll_frame(context));
        if let Poll::Ready(Some(Ok(part))) = &polled {
            ending.see(part);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_path_without_its_secret() {
        assert_eq!(shown("/webhooks/17/6f1ed0"), "/webhooks/17");
        assert_eq!(shown("/s/6f1ed0"), "/s");
        assert_eq!(shown("/s/6f1ed0/file.png"), "/s");
        assert_eq!(
            shown("/atelier.v1.JobService/GetJob"),
            "/atelier.v1.JobService/GetJob"
        );
        assert_eq!(shown(&"é".repeat(MAX_PATH_BYTES)).len(), MAX_PATH_BYTES);
    }
}
