//! ComfyUI servers, and services that speak the Comfy API v2: see docs/providers/comfyui.md.

mod bindings;
mod check;
mod classes;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod native;
mod outputs;
mod overview;
mod v2;
mod watches;
mod workflow;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::Value;

use super::{
    Inputs, Picture, Polled, Preset, Probed, Provider, ProviderError, Submitted, Task, Unfit,
    Unready,
    fetch::Fetcher,
    http::{Api, Effect, credentials},
};
use crate::{
    config::{ComfyUiConfig, Dialect},
    domain::{Flaw, JobInput, JsonMap, MediaType, Problem},
};
use bindings::Bindings;
use check::Judge;
use classes::Classes;
use overview::Overview;
use watches::Watches;
use workflow::{Graph, Library};

/// When a job that was just submitted is asked for first; from then on asking itself takes the time between.
const FIRST_POLL: Duration = Duration::ZERO;
/// Pauses between the looks for a submission of unknown outcome: the server may still be checking it.
const LOOKS: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// A server that runs workflows.
pub struct ComfyUi {
    name: String,
    config: ComfyUiConfig,
    /// What is wrong with the configuration instead, which nobody could tell before.
    parts: Result<Parts, Unready>,
    watches: Watches,
    /// What the server could run when it was asked last.
    classes: Arc<RwLock<Option<Classes>>>,
}

struct Parts {
    api: Api,
    /// For what tells of running jobs.
    streams: Api,
    workflows: Library,
}

impl ComfyUi {
    /// A server as the provider of this name. `files` gets what it made, with the bounds of one output.
    pub fn new(name: String, config: ComfyUiConfig, files: &Fetcher) -> Self {
        let parts = || {
            let credentials =
                credentials(config.api_key_header.as_deref(), config.api_key.as_ref())?;
            let api = Api::new(config.base_url.clone(), credentials, config.timeout, files)?;
            Ok(Parts {
                streams: api.streaming()?,
                api,
                workflows: Library::read(&config)?,
            })
        };
        let parts: Result<_, String> = parts();
        let parts = parts.map_err(Unready::configuration);
        let provider = Self {
            name,
            config,
            parts,
            watches: Watches::default(),
            classes: Arc::default(),
        };
        provider.ask_for_classes();
        provider
    }

    /// In the background, so that workflows can be checked against the server from the start.
    fn ask_for_classes(&self) {
        let (Ok(parts), Dialect::Native) = (&self.parts, self.config.dialect) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (api, classes) = (parts.api.clone(), self.classes.clone());
            runtime.spawn(async move {
                let _ = native::learn(&api, &classes).await;
            });
        }
    }

    fn parts(&self) -> Result<&Parts, ProviderError> {
        Ok(self.parts.as_ref().map_err(Clone::clone)?)
    }

    /// The workflow of a job.
    fn graph(&self, input: &JobInput) -> Result<Graph, ProviderError> {
        let levels = [&input.settings, &input.style];
        let graph = self.parts()?.workflows.graph(&levels);
        match graph {
            Ok(Some(graph)) => Ok(graph),
            Ok(None) => Err(ProviderError::InvalidInput(
                "The feature names no workflow.".to_owned(),
            )),
            Err(Unfit { key, expected, .. }) => Err(ProviderError::UnfitInput(format!(
                "{key} must be {expected}"
            ))),
        }
    }

    /// The workflow with the job's inputs, its pictures uploaded.
    async fn fill(&self, task: &Task, graph: &Graph) -> Result<JsonMap, ProviderError> {
        let mut uploaded = BTreeMap::new();
        for (index, picture) in task.pictures.iter().enumerate() {
            if !graph.takes(&bindings::of_picture(&picture.field)) {
                let sentence = format!("The workflow has no place for {}.", picture.field);
                return Err(ProviderError::InvalidInput(sentence));
            }
            let name = format!("atelier-{}-{index}.{}", task.submission_key, picture.format);
            let value = tokio::select! {
                value = self.upload(picture, name) => value?,
                () = task.cancelled.cancelled() => return Err(ProviderError::Stopped),
            };
            uploaded.insert(picture.field.clone(), value);
        }
        let filled = graph.filled(&task.input, &uploaded, &task.submission_key);
        filled.map_err(ProviderError::InvalidInput)
    }

    /// The value of an input that takes the picture.
    async fn upload(&self, picture: &Picture, name: String) -> Result<Value, ProviderError> {
        let part = Part::stream(picture.content.clone()).file_name(name.clone());
        let (path, form) = match self.config.dialect {
            Dialect::Native => ("upload/image", Form::new().part("image", part)),
            Dialect::V2 => {
                let form = Form::new().text("file_path", name).part("file", part);
                ("api/v2/assets", form)
            }
        };
        let api = &self.parts()?.api;
        let request = api.request(Method::POST, path)?.multipart(form);
        let answer = api.send(request, Effect::Asks).await?.json()?;
        let value = match self.config.dialect {
            Dialect::Native => native::name_of_upload(&answer),
            Dialect::V2 => v2::reference_to_asset(&answer),
        };
        value.ok_or_else(|| ProviderError::Failed("the upload has no name".to_owned()))
    }

    /// Tells of the task from now on, if nobody does yet.
    async fn watch(&self, task: &Task, task_id: &str) -> Result<(), ProviderError> {
        if self.watches.has(task) {
            return Ok(());
        }
        // The workflow may be gone from the configuration since; the job runs all the same.
        let known = self.graph(&task.input);
        let known = known.map(|graph| (graph.titles(), graph.sources()));
        let (titles, sources) = known.unwrap_or_default();
        let (api, overview) = (&self.parts()?.streams, Overview::new(titles, sources));
        match self.config.dialect {
            Dialect::Native => {
                let socket = watches::connect(task, api).await;
                self.watches.by_socket(task, api, overview, socket);
            }
            Dialect::V2 => {
                let path = v2::path(task_id, "/events");
                self.watches.by_events(task, api, overview, path);
            }
        }
        Ok(())
    }

    /// What is there of a submission by now.
    async fn look(&self, task: &Task) -> Result<Option<String>, ProviderError> {
        let (api, key) = (&self.parts()?.api, &task.submission_key);
        match self.config.dialect {
            Dialect::Native => native::look(api, key).await,
            Dialect::V2 => v2::look(api, key).await,
        }
    }

    async fn hand_over(&self, task: &Task) -> Result<String, ProviderError> {
        let api = &self.parts()?.api;
        if self.config.repeatable
            && let Some(task_id) = self.look(task).await?
        {
            return Ok(task_id);
        }
        let graph = self.graph(&task.input)?;
        let nodes = self.fill(task, &graph).await?;
        let handed_over = async {
            match self.config.dialect {
                Dialect::Native => {
                    // Open before the work begins, or its first messages are lost.
                    self.watch(task, &task.submission_key).await?;
                    native::submit(api, nodes, &task.submission_key).await
                }
                Dialect::V2 => v2::submit(api, nodes, &task.submission_key).await,
            }
        };
        tokio::select! {
            task_id = handed_over => task_id,
            () = task.cancelled.cancelled() => {
                Err(ProviderError::OutcomeUnknown("the call was broken off".to_owned()))
            }
        }
    }

    /// What is wrong with a request for which nobody names a workflow.
    fn without_workflow(&self, preset: Preset<'_>) -> Option<(String, Problem)> {
        let levels = [preset.settings, preset.style];
        let graph = self.parts.as_ref().ok()?.workflows.graph(&levels).ok()?;
        let words = "must be a feature with a workflow in its settings, or in its template's style";
        let missing = || ("feature_id".to_owned(), Flaw::NotSupported.says(words));
        graph.is_none().then(missing)
    }

    /// Where the workflow of a request takes inputs, if there is one.
    fn bindings(&self, preset: Preset<'_>) -> Option<Bindings> {
        let parts = self.parts.as_ref().ok()?;
        parts.workflows.bindings(&[preset.settings, preset.style])
    }
}

#[async_trait]
impl Provider for ComfyUi {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        self.config.makes.contains(&media_type)
    }

    fn may_resubmit(&self) -> bool {
        self.config.repeatable
    }

    fn ready(&self) -> Result<(), Unready> {
        self.parts.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// What the server has is asked for anew where anything is wrong: it may have come meanwhile.
    fn check(&self, preset: Preset<'_>, variables: &JsonMap) -> Vec<Unfit> {
        let Ok(parts) = &self.parts else {
            return Vec::new();
        };
        let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner);
        let judge = Judge {
            workflows: &parts.workflows,
            classes: classes.as_ref(),
        };
        let wrong = judge.check(preset, variables);
        if !wrong.is_empty() {
            self.ask_for_classes();
        }
        wrong
    }

    async fn probe(&self) -> Result<Probed, ProviderError> {
        let api = &self.parts()?.api;
        match self.config.dialect {
            Dialect::Native => native::learn(api, &self.classes).await?,
            Dialect::V2 => v2::probe(api).await?,
        }
        Ok(Probed::Ready)
    }

    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        let bindings = self.bindings(preset);
        bindings.is_none_or(|bindings| bindings::take(&bindings, input))
    }

    fn check_inputs(&self, preset: Preset<'_>, inputs: &Inputs<'_>) -> Vec<(String, Problem)> {
        match self.bindings(preset) {
            Some(bindings) => bindings::check(&bindings, inputs),
            None => self.without_workflow(preset).into_iter().collect(),
        }
    }

    fn takes_pictures(&self, _: MediaType) -> bool {
        true
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let handed_over = self.hand_over(task).await;
        if handed_over.is_err() {
            self.watches.end(task);
        }
        Ok(Submitted::Accepted {
            task_id: handed_over?,
            poll_after: FIRST_POLL,
        })
    }

    async fn poll(&self, task: &Task, task_id: &str) -> Result<Polled, ProviderError> {
        self.watch(task, task_id).await?;
        let polled = match self.config.dialect {
            Dialect::Native => self.poll_native(task, task_id).await?,
            Dialect::V2 => self.poll_v2(task, task_id).await?,
        };
        match polled {
            Polled::Running { .. } => self.watches.wait(task, self.config.poll_interval).await,
            Polled::Done(_) | Polled::Failed(_) => self.watches.end(task),
        }
        Ok(polled)
    }

    async fn find(&self, task: &Task) -> Result<Option<String>, ProviderError> {
        for pause in LOOKS {
            if let Some(task_id) = self.look(task).await? {
                return Ok(Some(task_id));
            }
            tokio::time::sleep(pause).await;
        }
        self.look(task).await
    }

    async fn cancel(&self, task: &Task, task_id: &str) -> Result<(), ProviderError> {
        self.watches.end(task);
        let api = &self.parts()?.api;
        match self.config.dialect {
            Dialect::Native => native::cancel(api, task_id).await,
            Dialect::V2 => v2::cancel(api, task_id).await,
        }
    }
}

/// The server does not know a task any more that it once took.
fn vanished(repeatable: bool) -> ProviderError {
    let detail = "the server took the job and does not know it any more: it was restarted, or the job was deleted there";
    match repeatable {
        true => ProviderError::Transient {
            detail: detail.to_owned(),
            retry_after: None,
        },
        false => ProviderError::OutcomeUnknown(detail.to_owned()),
    }
}
