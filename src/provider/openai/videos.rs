//! Videos are tasks: all their calls are those of a profile, see docs/providers/profiles.md.

use std::collections::BTreeMap;

use crate::{
    config::{OpenAiConfig, TaskConfig},
    domain::{MediaType, profile::Auth},
    provider::{fetch::Fetcher, task::TaskService},
};

/// What makes the videos of a service, with its address and key.
pub(super) fn service(name: &str, config: &OpenAiConfig, files: &Fetcher) -> TaskService {
    let mut profile = config.videos.clone().sending(&config.fields);
    if config.api_key_header.is_some() {
        profile.base.auth = Some(Auth {
            header: config.api_key_header.clone(),
            query: None,
            value: None,
            headers: BTreeMap::new(),
            jwt: None,
            hmac: None,
        });
    }
    let task = TaskConfig {
        webhooks: false,
        webhook_secret: None,
        webhook_keys: None,
        profile,
        base_url: Some(config.base_url.clone()),
        api_key: config.api_key.clone(),
        api_secret: None,
        makes: vec![MediaType::Video],
        model: config.video_model.clone(),
        allowed_origins: Vec::new(),
        poll_every: None,
        timeout: Some(config.timeout),
        repeatable: config.repeatable,
        limits: config.limits,
    };
    // Only signed keys ask for the time, and the kind has no secret to sign with.
    TaskService::new(name.to_owned(), task, files, || 0)
}
