//! The run of one workflow, with the messages of ComfyUI in their order.

use std::{
    collections::HashSet,
    sync::LazyLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    queue::{Engine, Prompt, place},
    workflow::{Nodes, class, order, signature, source, upstream},
};
use crate::{
    domain::MediaType,
    provider::{ProviderError, builtin::Length},
    stand_in::studio::{Order, film, make},
};

/// How long a step of a sampler takes.
const STEP: Duration = Duration::from_millis(10);

/// Sides of a preview.
const PREVIEW_SIDE: u32 = 64;

/// The nodes that tell a size.
const LATENTS: [&str; 2] = ["EmptyLatentImage", "EmptyHunyuanLatentVideo"];

/// Why a run ends before its time.
enum Cut {
    Interrupted(String),
    Failed {
        node: String,
        kind: &'static str,
        message: String,
    },
    /// The server was restarted.
    Forgotten,
}

impl Engine {
    /// Runs it to its end, be that a restart.
    pub(super) async fn run(&self, prompt: &Prompt) {
        let (id, client) = (&prompt.id, &prompt.client);
        let mut messages = vec![self.say(
            client,
            "execution_start",
            stamped(json!({ "prompt_id": id })),
        )];
        let mut outputs = Map::new();
        let ended = self.run_nodes(prompt, &mut messages, &mut outputs).await;
        let (event, data) = match &ended {
            Ok(()) => ("execution_success", json!({ "prompt_id": id })),
            Err(Cut::Forgotten) => return,
            Err(Cut::Interrupted(node)) => {
                let class = class(&prompt.nodes[node]);
                let data =
                    json!({ "prompt_id": id, "node_id": node, "node_type": class, "executed": [] });
                ("execution_interrupted", data)
            }
            Err(Cut::Failed {
                node,
                kind,
                message,
            }) => {
                let class = class(&prompt.nodes[node]);
                let data = json!({
                    "prompt_id": id, "node_id": node, "node_type": class, "executed": [], "exception_type": kind,
                    "exception_message": message, "traceback": ["  File \"/home/operator/ComfyUI/execution.py\"\n"],
                });
                ("execution_error", data)
            }
        };
        messages.push(self.say(client, event, stamped(data)));
        // Between that message and the history, as there.
        tokio::time::sleep(STEP).await;
        let mut state = self.state();
        if !state.runs(id) {
            return;
        }
        let status = if ended.is_ok() { "success" } else { "error" };
        let status =
            json!({ "status_str": status, "completed": ended.is_ok(), "messages": messages });
        let item =
            json!([prompt.number, id, prompt.nodes, { "client_id": client }, prompt.outputs]);
        let entry = json!({ "prompt": item, "outputs": outputs, "status": status, "meta": {} });
        state.history.insert(id.clone(), entry);
        state.running = None;
        state.tell_status();
        state.say(
            client,
            "executing",
            &json!({ "node": null, "prompt_id": id }),
        );
    }

    async fn run_nodes(
        &self,
        prompt: &Prompt,
        messages: &mut Vec<Value>,
        outputs: &mut Map<String, Value>,
    ) -> Result<(), Cut> {
        let (id, client, nodes) = (&prompt.id, &prompt.client, &prompt.nodes);
        let known: Vec<_> = prompt
            .outputs
            .iter()
            .filter_map(|output| {
                let made = self.state().made.get(&signature(nodes, output)).cloned()?;
                Some((output, made))
            })
            .collect();
        let cached: Vec<_> = known
            .iter()
            .flat_map(|(output, _)| order(nodes, output))
            .collect();
        messages.push(self.say(
            client,
            "execution_cached",
            stamped(json!({ "nodes": cached, "prompt_id": id })),
        ));
        for (output, made) in known {
            self.say(
                client,
                "executed",
                json!({ "node": output, "output": made, "prompt_id": id }),
            );
            outputs.insert(output.clone(), made);
        }
        let mut done: HashSet<_> = cached.into_iter().collect();
        for output in &prompt.outputs {
            for node in order(nodes, output) {
                if !done.insert(node.clone()) {
                    continue;
                }
                self.reach(prompt, &node, done.len())?;
                if class(&nodes[&node]) == "KSampler" {
                    self.sample(prompt, &node).await?;
                }
            }
            if !outputs.contains_key(output) {
                let made = self.save(prompt, output).await?;
                let told = json!({ "node": output, "output": made, "prompt_id": id });
                self.say(client, "executed", told);
                outputs.insert(output.clone(), made);
            }
        }
        Ok(())
    }

    /// Begins a node, unless the run is to end.
    fn reach(&self, prompt: &Prompt, node: &str, done: usize) -> Result<(), Cut> {
        let mut state = self.state();
        if !state.runs(&prompt.id) {
            return Err(Cut::Forgotten);
        }
        let Some(running) = &mut state.running else {
            return Err(Cut::Forgotten);
        };
        if running.interrupted {
            return Err(Cut::Interrupted(node.to_owned()));
        }
        running.node = Some(node.to_owned());
        running.fraction = (done as f64 - 1.0) / prompt.nodes.len() as f64;
        let data = json!({ "node": node, "display_node": node, "prompt_id": prompt.id });
        state.say(&prompt.client, "executing", &data);
        Ok(())
    }

    async fn sample(&self, prompt: &Prompt, id: &str) -> Result<(), Cut> {
        let node = &prompt.nodes[id];
        let fails = |kind, message: &str| Cut::Failed {
            node: id.to_owned(),
            kind,
            message: message.to_owned(),
        };
        let checkpoint = upstream(&prompt.nodes, id, "CheckpointLoaderSimple");
        match checkpoint.and_then(|it| it["inputs"]["ckpt_name"].as_str()) {
            Some("too-large.safetensors") => {
                let message = "Allocation on device 0 would exceed allowed memory. (out of memory)";
                return Err(fails("torch.OutOfMemoryError", message));
            }
            Some("broken.safetensors") => {
                return Err(fails(
                    "RuntimeError",
                    "mat1 and mat2 shapes cannot be multiplied",
                ));
            }
            _ => {}
        }
        let order = Order {
            width: PREVIEW_SIDE,
            height: PREVIEW_SIDE,
            ..self.order(prompt, id, MediaType::Image)
        };
        let preview = make(&order).await.ok();
        let steps = node["inputs"]["steps"].as_u64().unwrap_or(1);
        let mut begun = 0.0;
        for step in 1..=steps {
            tokio::time::sleep(STEP).await;
            let mut state = self.state();
            if !state.runs(&prompt.id) {
                return Err(Cut::Forgotten);
            }
            if let Some(running) = &mut state.running {
                if running.interrupted {
                    return Err(Cut::Interrupted(id.to_owned()));
                }
                if step == 1 {
                    begun = running.fraction;
                }
                let share = step as f64 / steps as f64;
                running.fraction = begun + share / prompt.nodes.len() as f64;
                running.preview.clone_from(&preview);
            }
            if let Some(preview) = &preview {
                state.show(&prompt.client, id, &prompt.id, preview);
            }
            if !self.old {
                let node =
                    json!({ "value": step, "max": steps, "state": "running", "node_id": id });
                let data = json!({ "prompt_id": prompt.id, "nodes": { id: node } });
                state.say(&prompt.client, "progress_state", &data);
            }
            let data = json!({ "value": step, "max": steps, "prompt_id": prompt.id, "node": id });
            state.say(&prompt.client, "progress", &data);
            if state.hurries {
                break;
            }
        }
        Ok(())
    }

    fn order<'a>(&self, prompt: &'a Prompt, id: &str, media_type: MediaType) -> Order<'a> {
        let nodes = &prompt.nodes;
        let sampler = upstream(nodes, id, "KSampler").unwrap_or(&Value::Null);
        let words =
            source(sampler, "positive").and_then(|id| upstream(nodes, id, "CLIPTextEncode"));
        let latent = latent(nodes, id);
        // A latent has a place for each eight pixels.
        let side = |side: &str| number(&latent["inputs"][side]).map(|it| it / 8 * 8);
        Order {
            media_type,
            prompt: words
                .and_then(|node| node["inputs"]["text"].as_str())
                .unwrap_or_default(),
            width: side("width").unwrap_or(512),
            height: side("height").unwrap_or(512),
            format: match media_type {
                MediaType::Image => "png",
                MediaType::Video => "mp4",
                MediaType::Audio => "flac",
            },
            seed: sampler["inputs"]["seed"].as_u64().unwrap_or_default() as u32,
        }
    }

    /// What the output node makes, under a name that no file has yet.
    async fn save(&self, prompt: &Prompt, id: &str) -> Result<Value, Cut> {
        let node = &prompt.nodes[id];
        let (list, media_type) = match class(node) {
            "SaveAudio" => ("audio", MediaType::Audio),
            "SaveVideo" => ("images", MediaType::Video),
            _ => ("images", MediaType::Image),
        };
        let order = self.order(prompt, id, media_type);
        let made = match media_type {
            MediaType::Video => shoot(&order, length(&prompt.nodes, id)).await,
            MediaType::Image | MediaType::Audio => make(&order).await,
        };
        let file = made.map_err(|error| Cut::Failed {
            node: id.to_owned(),
            kind: match error {
                ProviderError::LimitExceeded(_) => "torch.OutOfMemoryError",
                _ => "RuntimeError",
            },
            message: error.to_string(),
        })?;
        let mut state = self.state();
        if !state.runs(&prompt.id) {
            return Err(Cut::Forgotten);
        }
        let folder = if class(node) == "PreviewImage" {
            "temp"
        } else {
            "output"
        };
        let prefix = node["inputs"]["filename_prefix"]
            .as_str()
            .unwrap_or("ComfyUI_temp");
        let (subfolder, prefix) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let name = (1..).map(|number| format!("{prefix}_{number:05}_.{}", order.format));
        let mut names =
            name.filter(|name| !state.files.contains_key(&place(folder, subfolder, name)));
        let name = names.next().unwrap_or_default();
        drop(names);
        state.files.insert(place(folder, subfolder, &name), file);
        let mut made =
            json!({ list: [{ "filename": name, "subfolder": subfolder, "type": folder }] });
        if media_type == MediaType::Video {
            made["animated"] = json!([true]);
        }
        state
            .made
            .insert(signature(&prompt.nodes, id), made.clone());
        Ok(made)
    }

    /// Sends a message, and returns it as the history has it.
    fn say(&self, client: &str, event: &str, data: Value) -> Value {
        self.state().say(client, event, &data);
        json!([event, data])
    }
}

/// Most pixels of all the frames of a clip: more is drawn for too long.
const MOST_PIXELS: u64 = 1_920 * 1_080 * 125;

/// Makes a clip, if there is memory for it.
async fn shoot(order: &Order<'_>, length: Length) -> Result<Bytes, ProviderError> {
    let pixels = u64::from(order.width) * u64::from(order.height) * u64::from(length.frames);
    if pixels > MOST_PIXELS {
        let words = format!("out of memory: {pixels} pixels, and there is room for {MOST_PIXELS}");
        return Err(ProviderError::LimitExceeded(words));
    }
    film(order, length).await
}

/// What the work begins with.
fn latent<'a>(nodes: &'a Nodes, id: &str) -> &'a Value {
    let found = LATENTS.iter().find_map(|of| upstream(nodes, id, of));
    found.unwrap_or(&Value::Null)
}

/// How long a clip is: a batch of pictures is one, too, and of a video each step of the latent but the first stands for four
/// frames.
fn length(nodes: &Nodes, id: &str) -> Length {
    let latent = &latent(nodes, id)["inputs"];
    let frames = match number(&latent["length"]) {
        Some(length) => (length.max(1) - 1) / 4 * 4 + 1,
        None => number(&latent["batch_size"]).unwrap_or(1),
    };
    let fps = upstream(nodes, id, "CreateVideo").and_then(|it| it["inputs"]["fps"].as_f64());
    Length {
        frames,
        frame_rate: fps.unwrap_or(30.0).round() as u32,
    }
}

fn number(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// In milliseconds, but not since 1970.
fn stamped(mut data: Value) -> Value {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    data["timestamp"] = json!(BEGIN.elapsed().as_millis() as u64);
    data
}
