//! What makes media here, what gets files for it, and who judges what may be made.

use std::sync::Arc;

use crate::{
    app::Clock,
    config::{Config, FetchConfig, ModerationKind, ProviderConfig},
    domain::{AddressRules, MediaType},
    provider::{
        Moderation, ModerationService, Registry, WordList,
        builtin::Builtin,
        comfyui::ComfyUi,
        exec::Exec,
        fetch::{FetchLimits, Fetcher},
        openai::OpenAi,
        scripted::Scripted,
        sdapi::SdApi,
        task::TaskService,
        voice::Voice,
    },
    server::StartError,
};

/// The provider that speaks in clips.
const VOICE: &str = "voice";

/// Gets files from where the rules permit, of the size that a link of a request may lead to.
pub fn fetcher(config: &Config) -> Result<Fetcher, StartError> {
    let FetchConfig {
        allow,
        deny,
        max_bytes,
        timeout,
        ..
    } = config.fetch.clone();
    let limits = FetchLimits {
        bytes: max_bytes,
        time: timeout,
    };
    Ok(Fetcher::new(AddressRules { allow, deny }, limits)?)
}

/// What this configuration makes media with. `files` gets what services answer with, of the size that an output may have.
pub fn build_providers(config: &Config, files: &Fetcher, runs_jobs: bool) -> Registry {
    let files = &files.clone().up_to(config.limits.output_bytes);
    let mut providers = Registry::default();
    for (key, provider) in &config.providers {
        let name = key.clone();
        providers = match provider.clone() {
            ProviderConfig::Exec(exec) => {
                providers.with(Exec::new(name, exec, config.supervisor.clone()))
            }
            ProviderConfig::OpenAi(openai) => providers.with(OpenAi::new(name, openai, files)),
            ProviderConfig::Task(task) => {
                let now = || Clock::system().now().timestamp();
                providers.with(TaskService::new(name, task, files, now))
            }
            ProviderConfig::ComfyUi(comfyui) => providers.with(ComfyUi::new(name, comfyui, files)),
            ProviderConfig::SdApi(sdapi) => providers.with(SdApi::new(name, sdapi, files)),
            ProviderConfig::Voice(voice) => {
                let command = |name: &str| match config.providers.get(name) {
                    Some(ProviderConfig::Exec(exec)) => Some(exec),
                    _ => None,
                };
                providers.with(Voice::new(name, voice, command, config.supervisor.clone()))
            }
            ProviderConfig::Scripted(scripted) => providers.with(Scripted::new(name, scripted)),
        }
        .limited(key, provider.limits());
    }
    let time = config.limits.conversion_time;
    let voice = providers.get(VOICE);
    // What has a price is not called on the side.
    let voice = voice.filter(|voice| voice.makes(MediaType::Audio) && voice.may_resubmit());
    let providers = providers.with(Builtin::new(time, config.supervisor.clone(), voice));
    if runs_jobs {
        for (provider, missing) in providers.missing() {
            tracing::info!(provider, %missing, "a provider is not ready");
        }
    }
    match config.executor.providers.as_slice() {
        [] => providers,
        only => providers.only(only),
    }
}

pub(super) fn moderation(config: &Config, files: &Fetcher) -> Result<Moderation, StartError> {
    let settings = &config.moderation;
    Ok(match (settings.kind, &settings.words) {
        (ModerationKind::Words, Some(file)) => Moderation::Words(Arc::new(WordList::read(file)?)),
        (ModerationKind::OpenAi, _) => {
            Moderation::Service(Arc::new(ModerationService::new(settings, files)?))
        }
        // A list without a file is refused with the configuration.
        (ModerationKind::None | ModerationKind::Words, _) => Moderation::Off,
    })
}
