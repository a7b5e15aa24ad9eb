//! What a server holds: the queue, with the one worker that takes from it, the history, the sockets and the files.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Message;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc::UnboundedSender};

use super::workflow::{self, CLASSES, Nodes};
use crate::stand_in::Desk;

/// A server.
pub(super) struct Engine {
    pub(super) desk: Arc<Desk>,
    /// Of before mid-2026.
    pub(super) old: bool,
    state: Mutex<State>,
    more: Notify,
}

/// What it holds in memory, and its files.
#[derive(Default)]
pub(super) struct State {
    pub(super) number: u64,
    pub(super) pending: VecDeque<Prompt>,
    pub(super) running: Option<Running>,
    pub(super) history: HashMap<String, Value>,
    pub(super) sockets: HashMap<String, Socket>,
    /// By type, folder and name.
    pub(super) files: HashMap<String, Bytes>,
    /// What output nodes made, by what they made it from.
    pub(super) made: HashMap<String, Value>,
    /// Samplers end with their next step.
    pub(super) hurries: bool,
    /// Jobs of the Comfy API v2, the newest last, with their metadata.
    pub(super) jobs: Vec<(String, Value)>,
    pub(super) keys: HashSet<String>,
}

#[derive(Clone)]
pub(super) struct Prompt {
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) client: String,
    pub(super) nodes: Nodes,
    pub(super) outputs: Vec<String>,
}

pub(super) struct Running {
    pub(super) prompt: Prompt,
    pub(super) node: Option<String>,
    pub(super) fraction: f64,
    pub(super) preview: Option<Bytes>,
    pub(super) interrupted: bool,
}

pub(super) struct Socket {
    pub(super) messages: UnboundedSender<Message>,
    pub(super) previews_with_metadata: bool,
}

impl Engine {
    pub(super) fn new(desk: Arc<Desk>, old: bool) -> Self {
        Self {
            desk,
            old,
            state: Mutex::default(),
            more: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything but the files, as a restart does.
    pub(super) fn restart(&self) {
        let mut state = self.state();
        let files = std::mem::take(&mut state.files);
        *state = State {
            files,
            ..State::default()
        };
    }

    /// Puts a workflow into the queue.
    pub(super) fn put(
        &self,
        id: String,
        client: String,
        nodes: Nodes,
        outputs: Vec<String>,
    ) -> u64 {
        let mut state = self.state();
        let number = state.number;
        state.number += 1;
        state.pending.push_back(Prompt {
            number,
            id,
            client,
            nodes,
            outputs,
        });
        state.tell_status();
        self.more.notify_one();
        number
    }

    /// Runs one after another.
    pub(super) async fn work(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                let next = state.pending.pop_front();
                state.running = next.clone().map(|prompt| Running {
                    prompt,
                    node: None,
                    fraction: 0.0,
                    preview: None,
                    interrupted: false,
                });
                next
            };
            match next {
                Some(prompt) => self.run(&prompt).await,
                None => self.more.notified().await,
            }
        }
    }
}

/// Where a file is kept.
pub(super) fn place(folder: &str, subfolder: &str, name: &str) -> String {
    format!("{folder}/{subfolder}/{name}")
}

impl State {
    pub(super) fn runs(&self, id: &str) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.prompt.id == id)
    }

    /// Whether an input file of this name, or `folder/name`, is there.
    pub(super) fn has_input(&self, name: &str) -> bool {
        let (subfolder, name) = name.rsplit_once('/').unwrap_or(("", name));
        name == "example.png" || self.files.contains_key(&place("input", subfolder, name))
    }

    /// Takes a job out of the queue, or has it end.
    pub(super) fn cancel(&mut self, id: &str) -> bool {
        let before = self.pending.len();
        self.pending.retain(|prompt| prompt.id != id);
        let mut cancelled = self.pending.len() < before;
        if let Some(running) = self.running.as_mut().filter(|it| it.prompt.id == id) {
            running.interrupted = true;
            cancelled = true;
        }
        cancelled
    }

    pub(super) fn remaining(&self) -> usize {
        self.pending.len() + usize::from(self.running.is_some())
    }

    /// To everybody.
    pub(super) fn tell_status(&self) {
        let remaining =
            json!({ "status": { "exec_info": { "queue_remaining": self.remaining() } } });
        for client in self.sockets.keys() {
            self.say(client, "status", &remaining);
        }
    }

    pub(super) fn say(&self, client: &str, event: &str, data: &Value) {
        if let Some(socket) = self.sockets.get(client) {
            let text = json!({ "type": event, "data": data }).to_string();
            let _ = socket.messages.send(Message::text(text));
        }
    }

    pub(super) fn show(&self, client: &str, node: &str, id: &str, preview: &Bytes) {
        let Some(socket) = self.sockets.get(client) else {
            return;
        };
        let mut message = Vec::new();
        if socket.previews_with_metadata {
            let told =
                json!({ "node_id": node, "prompt_id": id, "image_type": "image/png" }).to_string();
            message.extend(4_u32.to_be_bytes());
            message.extend((told.len() as u32).to_be_bytes());
            message.extend(told.as_bytes());
        } else {
            message.extend(1_u32.to_be_bytes());
            message.extend(2_u32.to_be_bytes());
        }
        message.extend(preview);
        let _ = socket.messages.send(Message::binary(message));
    }
}

/// What is wrong with a workflow, or the output nodes that run.
pub(super) fn check(engine: &Engine, nodes: &Nodes) -> Result<(Vec<String>, Value), Value> {
    workflow::check(nodes, |name| engine.state().has_input(name))
}

/// The table of classes.
pub(super) fn classes() -> &'static Map<String, Value> {
    &CLASSES
}
