//! Services that speak the protocol of AUTOMATIC1111's web UI, wherever they are: see docs/providers/sdapi.md.
//!
//! A call lasts as long as the work. Progress and interruption are the whole service's there, so this process has one job at
//! a time at it.

mod body;
mod progress;

use std::{
    pin::{Pin, pin},
    sync::{Arc, Once},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::{sync::Mutex, time::timeout};
use tracing::Instrument;

use super::{
    Content, Inputs, Output, OutputFile, Preset, Probed, Provider, ProviderError, Submitted, Task,
    Unfit, Unready,
    fetch::Fetcher,
    http::{Answer, Api, Effect, credentials, decoded},
};
use crate::{
    config::SdApiConfig,
    domain::{Flaw, JsonMap, MediaType, Problem},
};

/// Inputs that the protocol has fields for; `lora_weights` where they are switched on.
const READ: [&str; 6] = [
    "user_prompt",
    "user_media_urls",
    "variables",
    "negative_prompt",
    "seed",
    "cfg_scale",
];
/// Most pictures that one call works from.
const MAX_PICTURES: usize = 1;
/// How long a question may take beside the call that does the work.
const ASK_TIME: Duration = Duration::from_secs(5);
/// How often it is asked to stop, and how long the call may take each time to come back.
const INTERRUPTIONS: u32 = 3;
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// A service that speaks the protocol.
pub struct SdApi {
    name: String,
    service: Arc<Service>,
}

struct Service {
    config: SdApiConfig,
    /// What is wrong with the configuration instead, which nobody could tell before.
    api: Result<Api, Unready>,
    turn: Arc<Mutex<()>>,
    without_progress: Once,
    without_interrupt: Once,
}

impl SdApi {
    /// A service as the provider of this name. `files` has the bounds of one output.
    pub fn new(name: String, config: SdApiConfig, files: &Fetcher) -> Self {
        let api = credentials(Some("authorization"), basic(&config).as_ref());
        let api = api.and_then(|credentials| {
            Api::new(config.base_url.clone(), credentials, config.timeout, files)
        });
        let api = api.map_err(Unready::configuration);
        let service = Service {
            config,
            api,
            turn: Arc::default(),
            without_progress: Once::new(),
            without_interrupt: Once::new(),
        };
        Self {
            name,
            service: Arc::new(service),
        }
    }
}

/// What stands in `Authorization` (RFC 7617).
fn basic(config: &SdApiConfig) -> Option<SecretString> {
    let password = config.password.as_ref().map(ExposeSecret::expose_secret);
    if config.username.is_none() && password.is_none() {
        return None;
    }
    let name = config.username.as_deref().unwrap_or_default();
    let both = format!("{name}:{}", password.unwrap_or_default());
    Some(format!("Basic {}", BASE64_STANDARD.encode(both)).into())
}

impl Service {
    fn api(&self) -> Result<&Api, ProviderError> {
        Ok(self.api.as_ref().map_err(Clone::clone)?)
    }

    /// Something that is answered at once.
    fn ask(&self, method: Method, path: &str) -> Result<RequestBuilder, ProviderError> {
        Ok(self.api()?.request(method, path)?.timeout(ASK_TIME))
    }

    /// Has the work done, to the end or to where the service stops it.
    async fn work(&self, task: &Task) -> Result<Output, ProviderError> {
        let (path, body) = self.order(task).await?;
        let json =
            serde_json::to_vec(&body).map_err(|error| ProviderError::Failed(error.to_string()))?;
        let request = self.api()?.request(Method::POST, path)?;
        let request = request
            .header("content-type", "application/json")
            .body(json);
        let mut call = pin!(self.api()?.send(request, Effect::Pays));
        let answer = tokio::select! {
            answer = &mut call => answer?,
            never = self.watch(task) => match never {},
            () = task.cancelled.cancelled() => return Err(self.interrupt(call).await),
        };
        if self.was_interrupted().await {
            // Its answer is the picture as far as it was.
            return Err(ProviderError::Transient {
                detail: "somebody interrupted the work at the service".to_owned(),
                retry_after: None,
            });
        }
        output(&answer.json()?)
    }

    /// Stops the work, and waits for the call to end, so that the next job finds the service free. A service that has not begun
    /// the work yet does not hear of it the first time.
    async fn interrupt(
        &self,
        mut call: Pin<&mut impl Future<Output = Result<Answer, ProviderError>>>,
    ) -> ProviderError {
        for _ in 0..INTERRUPTIONS {
            let interrupted = async {
                let request = self.ask(Method::POST, "sdapi/v1/interrupt")?;
                self.api()?.send_if_known(request, Effect::Asks).await
            };
            match interrupted.await {
                Ok(Some(_)) if timeout(LEAVE_TIME, &mut call).await.is_ok() => {
                    return ProviderError::Stopped;
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.without_interrupt.call_once(|| {
                        tracing::info!(
                            "the service cannot be interrupted: it finishes what nobody waits for"
                        );
                    });
                    break;
                }
                Err(error) => {
                    tracing::warn!("cannot interrupt the service");
                    tracing::debug!(%error, "why it cannot be interrupted");
                    break;
                }
            }
        }
        match self.config.repeatable {
            true => ProviderError::Stopped,
            false => ProviderError::OutcomeUnknown("the call was broken off".to_owned()),
        }
    }
}

#[async_trait]
impl Provider for SdApi {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        media_type == MediaType::Image
    }

    fn may_resubmit(&self) -> bool {
        self.service.config.repeatable
    }

    fn ready(&self) -> Result<(), Unready> {
        self.service.api.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn reads(&self, _: Preset<'_>, input: &str) -> bool {
        READ.contains(&input) || input == "lora_weights" && self.service.config.loras
    }

    fn check_inputs(&self, _: Preset<'_>, inputs: &Inputs<'_>) -> Vec<(String, Problem)> {
        let mut wrong = inputs.pictures_beyond(MAX_PICTURES);
        let loras = inputs.loras.iter().filter(|_| self.service.config.loras);
        for (field, name) in loras.filter(|(_, name)| !body::is_name_of_lora(name)) {
            let words = format!("must name LoRAs by {}, not {name:?}", body::NAME_OF_LORA);
            wrong.push((field.clone(), Flaw::Malformed.says(words).found(name)));
        }
        wrong
    }

    fn check(&self, preset: Preset<'_>, _: &JsonMap) -> Vec<Unfit> {
        preset.unread(|key| body::OWN.contains(&key), "the job sets it")
    }

    async fn probe(&self) -> Result<Probed, ProviderError> {
        let request = self.service.ask(Method::GET, "sdapi/v1/options")?;
        let answer = self.service.api()?.send_if_known(request, Effect::Asks);
        Ok(Probed::of(answer.await?.is_some()))
    }

    fn takes_pictures(&self, _: MediaType) -> bool {
        true
    }

    fn takes_mask(&self, _: MediaType) -> bool {
        true
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        task.progress.say("waiting for its turn");
        let turn = tokio::select! {
            biased;
            () = task.cancelled.cancelled() => return Err(ProviderError::Stopped),
            turn = self.service.turn.clone().lock_owned() => turn,
        };
        task.progress.say("drawing");
        let (service, task) = (self.service.clone(), task.clone());
        let work = async move {
            let made = service.work(&task).await;
            drop(turn);
            made
        };
        // By itself, since nobody may be waiting any more when the service is to be interrupted.
        let ended = tokio::spawn(work.in_current_span()).await;
        let made = ended.map_err(|error| ProviderError::Failed(error.to_string()))?;
        made.map(Submitted::Done)
    }
}

/// The pictures of an answer. What follows those that were asked for, such as the maps of an extension, is left out.
fn output(answer: &Map<String, Value>) -> Result<Output, ProviderError> {
    let info = match answer.get("info") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(info) => info.clone(),
        None => Value::Null,
    };
    let seeds = info["all_seeds"].as_array().map_or(&[][..], Vec::as_slice);
    let images = answer.get("images").and_then(Value::as_array);
    let images = images.map_or(&[][..], Vec::as_slice);
    let asked = match seeds.len() {
        0 => images.len(),
        seeds => seeds.min(images.len()),
    };
    let files: Vec<_> = images[..asked]
        .iter()
        .enumerate()
        .filter_map(|(index, image)| {
            let seed = seeds.get(index).and_then(Value::as_u64);
            Some(OutputFile {
                content: Content::Memory(decoded(image.as_str()?)?),
                seed: seed.and_then(|seed| u32::try_from(seed).ok()),
                metadata: JsonMap::new(),
            })
        })
        .collect();
    let model = info["sd_model_name"].as_str().filter(|it| !it.is_empty());
    let mut metadata: JsonMap = model
        .map(|model| ("model".to_owned(), model.into()))
        .into_iter()
        .collect();
    super::tell_withheld(&mut metadata, asked - files.len());
    let mut said = String::new();
    if files.is_empty() {
        said = Value::from(answer.clone()).to_string();
        if images[..asked].iter().any(Value::is_string) {
            return Err(ProviderError::InvalidOutput(said));
        }
    }
    Ok(Output {
        files,
        metadata,
        answer: said,
    })
}
