//! Watches over running jobs: they tell the progress, and when it makes sense to ask. A job is asked for without them too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use reqwest::{
    Method, Response, StatusCode, Upgraded,
    header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, UPGRADE},
};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::overview::{Heard, Overview};
use crate::provider::{Task, http::Api, openai::events::Events};

/// How long a connection may take to open before a submission goes on without it.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Between connections.
const PAUSE: Duration = Duration::from_secs(1);
/// A connection that is silent for so long may be dead. A new one costs nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of one message.
const MAX_MESSAGE: usize = 16 << 20;

pub(super) type Socket = WebSocketStream<Upgraded>;

/// Those of one provider, by the submission keys of their tasks.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<String, Watch>>);

struct Watch {
    /// Woken when there is something to ask for.
    wake: Arc<Notify>,
    attempt: u32,
    running: AbortOnDropHandle<()>,
}

impl Watches {
    /// Watches a task by its socket until it ends, the attempt is cancelled, or [`Watches::end`].
    pub(super) fn by_socket(
        &self,
        task: &Task,
        api: &Api,
        overview: Overview,
        first: Option<Socket>,
    ) {
        self.start(task, |wake| {
            let (task, api) = (task.clone(), api.clone());
            async move { follow_sockets(&task, &api, overview, first, &wake).await }
        });
    }

    /// The same by the events of the job of this path.
    pub(super) fn by_events(&self, task: &Task, api: &Api, overview: Overview, path: String) {
        self.start(task, |wake| {
            let (task, api) = (task.clone(), api.clone());
            async move { follow_events(&task, &api, overview, &path, &wake).await }
        });
    }

    fn start<F>(&self, task: &Task, watch: impl FnOnce(Arc<Notify>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let wake = Arc::new(Notify::new());
        let cancelled = task.cancelled.clone();
        let watch = watch(wake.clone());
        let running = AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::select! {
                () = watch => {}
                () = cancelled.cancelled() => {}
            }
        }));
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|_, watch| !watch.running.is_finished());
        let watch = Watch {
            wake,
            attempt: task.attempt,
            running,
        };
        watches.insert(task.submission_key.clone(), watch);
    }

    /// Whether this attempt at the task is watched.
    pub(super) fn has(&self, task: &Task) -> bool {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = watches.get(&task.submission_key);
        watch.is_some_and(|it| it.attempt == task.attempt && !it.running.is_finished())
    }

    /// Forgets a task that has ended.
    pub(super) fn end(&self, task: &Task) {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.remove(&task.submission_key);
    }

    /// Waits until there is something to ask for, but not longer than this.
    pub(super) async fn wait(&self, task: &Task, longest: Duration) {
        let wake = {
            let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            watches.get(&task.submission_key).map(|it| it.wake.clone())
        };
        let woken = async {
            match wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(longest) => {}
            () = task.cancelled.cancelled() => {}
        }
    }
}

/// The socket of the client that submits the task; `None` if there is none to be had.
pub(super) async fn connect(task: &Task, api: &Api) -> Option<Socket> {
    timeout(CONNECT_TIME, open(task, api)).await.ok().flatten()
}

async fn open(task: &Task, api: &Api) -> Option<Socket> {
    let key = generate_key();
    let request = api.request(Method::GET, &format!("ws?clientId={}", task.submission_key));
    let request = request.ok()?.header(CONNECTION, "Upgrade");
    let request = request.header(UPGRADE, "websocket");
    let request = request.header(HeaderName::from_static("sec-websocket-version"), "13");
    let request = request.header(HeaderName::from_static("sec-websocket-key"), &key);
    let answer = request.send().await.ok()?;
    let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
    let accepted =
        accepted.is_some_and(|it| it.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS || !accepted {
        return None;
    }
    let stream = answer.upgrade().await.ok()?;
    let bounds = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(bounds)).await;
    // Only what comes first is heeded.
    let features =
        json!({ "type": "feature_flags", "data": { "supports_preview_metadata": true } });
    let features = Message::text(features.to_string());
    socket.send(features).await.ok()?;
    // It knows the client from its first message on, which tells the length of the queue.
    socket.next().await?.ok()?;
    Some(socket)
}

async fn follow_sockets(
    task: &Task,
    api: &Api,
    mut overview: Overview,
    mut first: Option<Socket>,
    wake: &Notify,
) {
    loop {
        let socket = match first.take() {
            Some(socket) => Some(socket),
            None => connect(task, api).await,
        };
        if let Some(mut socket) = socket {
            while let Ok(Some(Ok(message))) = timeout(LONGEST_SILENCE, socket.next()).await {
                let heard = match message {
                    Message::Text(text) => {
                        overview.hear(&serde_json::from_str(&text).unwrap_or_default())
                    }
                    Message::Binary(bytes) => overview.see(&bytes),
                    _ => Heard::Nothing,
                };
                if tell(task, heard, wake) {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_events(task: &Task, api: &Api, mut overview: Overview, path: &str, wake: &Notify) {
    loop {
        let request = api
            .request(Method::GET, path)
            .map(|it| it.header("accept", "text/event-stream"));
        if let Ok(request) = request
            && let Ok(answer) = request.send().await
            && answer.status().is_success()
            && read_events(task, answer, &mut overview, wake).await
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the job has ended.
async fn read_events(
    task: &Task,
    mut answer: Response,
    overview: &mut Overview,
    wake: &Notify,
) -> bool {
    let mut events = Events::new(MAX_MESSAGE);
    while let Ok(Ok(Some(chunk))) = timeout(LONGEST_SILENCE, answer.chunk()).await {
        let Ok(found) = events.feed(&chunk) else {
            return false;
        };
        for data in found {
            let data: Value = serde_json::from_slice(&data).unwrap_or_default();
            let preview = data["data_base64"].as_str();
            let preview = preview.and_then(|text| BASE64_STANDARD.decode(text).ok());
            let heard = overview.hear_v2(&data, preview.map(Bytes::from));
            if tell(task, heard, wake) {
                return true;
            }
        }
    }
    false
}

/// Whether that was the end.
fn tell(task: &Task, heard: Heard, wake: &Notify) -> bool {
    let is_end = heard == Heard::Ended;
    match heard {
        Heard::Progress(progress) => task.progress.send(progress),
        Heard::Ended => wake.notify_one(),
        Heard::Nothing => {}
    }
    is_end
}
