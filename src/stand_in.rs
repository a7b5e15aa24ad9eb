//! Services that stand in for those of others: they speak a vendor's protocol and make real media with the built-in provider, so
//! that the whole path can be tried without an account and without a network. What goes wrong is scripted.

mod cog;
mod comfyui;
mod fal;
mod fault;
mod openai;
mod replicate;
mod sdapi;
mod studio;
mod webhook;
mod works;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::{FutureExt, future};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

pub use fault::{Fault, Step};
pub use webhook::{Callback, WEBHOOK_SECRET};

/// Most bytes of a call.
const MAX_BODY: usize = 256 << 20;

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
pub enum Protocol {
    /// Images, videos and speech as OpenAI has them, and videos as OpenRouter and xAI do.
    #[value(name = "openai")]
    OpenAi,
    /// ComfyUI, and the Comfy API v2.
    #[value(name = "comfyui")]
    ComfyUi,
    /// ComfyUI of before `/api/jobs`.
    #[value(name = "comfyui-old")]
    ComfyUiOld,
    /// AUTOMATIC1111's web UI.
    #[value(name = "sdapi")]
    SdApi,
    /// fal's queue.
    Fal,
    /// Replicate.
    Replicate,
    /// A server made by cog.
    Cog,
}

impl Protocol {
    /// What its paths begin with.
    pub fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Replicate => "/v1",
            Self::ComfyUi | Self::ComfyUiOld | Self::SdApi | Self::Fal | Self::Cog => "",
        }
    }
}

/// One call that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Such as `POST`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// By their names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its JSON, or its form, of whose files the types and sizes stand here; `null` if it is neither.
    pub body: Value,
}

impl Call {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What all calls share.
#[derive(Default)]
struct Desk {
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<Fault>>,
    files: Mutex<Vec<Bytes>>,
    callbacks: Mutex<Vec<Callback>>,
    works: works::Works,
}

/// A running stand-in. Dropping it ends it.
pub struct StandIn {
    address: SocketAddr,
    desk: Arc<Desk>,
    running: AbortOnDropHandle<io::Result<()>>,
}

impl StandIn {
    /// Starts to listen. The first calls that have something made meet the faults, one each.
    pub async fn start(
        protocol: Protocol,
        listen: SocketAddr,
        mut faults: Vec<Fault>,
    ) -> io::Result<Self> {
        if !listen.ip().is_loopback() {
            let words = "a stand-in listens on loopback only: whoever reaches it may use it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let listener = TcpListener::bind(listen).await?;
        faults.reverse();
        let desk = Arc::new(Desk {
            faults: Mutex::new(faults),
            ..Desk::default()
        });
        let alone = || future::pending().boxed();
        let (routes, worker) = match protocol {
            Protocol::OpenAi => (openai::routes(), alone()),
            Protocol::Fal => (fal::routes(), alone()),
            Protocol::Replicate => (replicate::routes(), alone()),
            Protocol::Cog => (cog::routes(), alone()),
            Protocol::SdApi => (sdapi::routes(), alone()),
            Protocol::ComfyUi | Protocol::ComfyUiOld => {
                let old = protocol == Protocol::ComfyUiOld;
                let (routes, worker) = comfyui::routes(&desk, old);
                (routes, worker.boxed())
            }
        };
        let router = routes
            .layer(middleware::from_fn_with_state(desk.clone(), note))
            .route("/stand-in/calls", get(told))
            .route("/stand-in/callbacks", get(called_back))
            .layer(DefaultBodyLimit::disable())
            .with_state(desk.clone());
        Ok(Self {
            address: listener.local_addr()?,
            desk,
            running: AbortOnDropHandle::new(tokio::spawn(async move {
                tokio::select! {
                    served = axum::serve(listener, router) => served,
                    () = worker => Ok(()),
                }
            })),
        })
    }

    /// Where it listens, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All calls so far but those that ask for them.
    pub fn calls(&self) -> Vec<Call> {
        all(&self.desk.calls)
    }

    /// All calls back so far.
    pub fn callbacks(&self) -> Vec<Callback> {
        all(&self.desk.callbacks)
    }

    /// Runs until it fails.
    pub async fn run(self) -> io::Result<()> {
        self.running.await.unwrap_or(Ok(()))
    }
}

impl Desk {
    fn note(&self, call: Call) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    /// What the script has for the next call of this kind.
    fn next_fault(&self, step: Step) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let place = faults.iter().rposition(|fault| fault.step() == step)?;
        Some(faults.remove(place))
    }

    /// The answer that the script has for it.
    async fn met_fault(&self, step: Step) -> Option<Response> {
        self.next_fault(step)?.happen().await
    }

    /// Keeps a file for download, and tells its number.
    fn keep(&self, file: Bytes) -> usize {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(file);
        files.len() - 1
    }

    fn file(&self, number: usize) -> Option<Bytes> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(number).cloned()
    }
}

/// Writes every call down before it is answered.
async fn note(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers(&parts.headers),
        body: match serde_json::from_slice(&body) {
            Ok(json) => json,
            Err(_) => form(&parts, &body).await.unwrap_or_default(),
        },
    };
    desk.note(call);
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn form(parts: &Parts, body: &Bytes) -> Option<Value> {
    let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    let mut fields = Map::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().is_some();
        let media_type = field.content_type().map(str::to_owned);
        let content = field.bytes().await.ok()?;
        if file {
            let files = fields.entry(name).or_insert_with(|| json!([]));
            let told = json!({ "type": media_type, "bytes": content.len() });
            files.as_array_mut()?.push(told);
        } else {
            fields.insert(name, String::from_utf8_lossy(&content).into());
        }
    }
    Some(Value::Object(fields))
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

/// The files that were kept.
async fn file(State(desk): State<Arc<Desk>>, Path(number): Path<usize>) -> Response {
    if let Some(answer) = desk.met_fault(Step::File).await {
        return answer;
    }
    match desk.file(number) {
        Some(file) => ([(CONTENT_TYPE, "application/octet-stream")], file).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn told(State(desk): State<Arc<Desk>>) -> Json<Vec<Call>> {
    Json(all(&desk.calls))
}

async fn called_back(State(desk): State<Arc<Desk>>) -> Json<Vec<Callback>> {
    Json(all(&desk.callbacks))
}

fn all<T: Clone>(noted: &Mutex<Vec<T>>) -> Vec<T> {
    let noted = noted.lock();
    noted.unwrap_or_else(PoisonError::into_inner).clone()
}
