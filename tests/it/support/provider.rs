//! Providers as a configuration names them, what stands in for their services, and what they are asked for.

use std::time::Duration;

use atelier::config::{Config, Flag, Inputs, ProviderConfig};
use atelier::domain::{AddressRules, MediaType};
use atelier::provider::fetch::{FetchLimits, Fetcher};
use atelier::provider::{Progress, ProgressSender, Task};
use atelier::rpc::proto::{CreateFeatureRequest, CreateRequestRequest, GenerationInput};
use atelier::stand_in::{Fault, Protocol, StandIn, Step};
use prost_types::Struct;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::client::{plain_template, request_for};
use crate::support::refusal::refusal;
use crate::support::server::TestServer;
use crate::support::watching::Ended;

/// Has videos of the kind `openai` asked for without long pauses.
pub(crate) const QUICK_VIDEOS: &str = concat!(
    "videos=file:",
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/providers/quick-videos.toml"
);

/// A provider of whose table these are the lines, such as `kind=openai`.
pub(crate) fn provider(table: &[impl AsRef<str>]) -> ProviderConfig {
    try_provider(table).unwrap()
}

/// The same, or what is wrong with it.
pub(crate) fn try_provider(table: &[impl AsRef<str>]) -> Result<ProviderConfig, String> {
    let flags = table.iter();
    let flags = flags.map(|line| Flag::Set(format!("providers.service.{}", line.as_ref())));
    // Some tables need it; the tests' servers are called at their own.
    let flags = flags.chain([Flag::Set("server.public_url=http://127.0.0.1:1".to_owned())]);
    let inputs = Inputs {
        file: Some("/dev/null".into()),
        flags: flags.collect(),
        ..Inputs::default()
    };
    let loaded = Config::load(&inputs).map_err(|error| error.to_string())?;
    let mut providers = loaded.config.providers;
    Ok(providers.remove("service").unwrap())
}

/// A stand-in on a free port.
pub(crate) async fn stand_in(protocol: Protocol, faults: Vec<Fault>) -> StandIn {
    let listen = "127.0.0.1:0".parse().unwrap();
    StandIn::start(protocol, listen, faults).await.unwrap()
}

/// An answer that asks to be called again at once.
pub(crate) fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer {
        status,
        headers: vec![("retry-after".to_owned(), "0".to_owned())],
        body: body.to_owned(),
    }
}

/// A redirect to where nobody listens.
pub(crate) fn elsewhere() -> Fault {
    labelled(307, "location", "http://127.0.0.1:1/", "")
}

/// An answer with a header of its own.
pub(crate) fn labelled(status: u16, name: &str, value: &str, body: &str) -> Fault {
    Fault::Answer {
        status,
        headers: vec![(name.to_owned(), value.to_owned())],
        body: body.to_owned(),
    }
}

/// What goes wrong with the next call of this kind.
pub(crate) fn on(call: Step, fault: Fault) -> Fault {
    let fault = Box::new(fault);
    Fault::On { call, fault }
}

/// How long a call may take: as short as may be where nothing is made in that time.
pub(crate) fn patience(faults: &[Fault]) -> &'static str {
    match faults {
        [Fault::Hang | Fault::Drip(_)] => "timeout=1s",
        _ => "timeout=2s",
    }
}

/// What gets small files from where the rules permit.
pub(crate) fn fetcher(rules: AddressRules) -> Fetcher {
    let limits = FetchLimits {
        bytes: 1 << 20,
        time: Duration::from_secs(5),
    };
    Fetcher::new(rules, limits).unwrap()
}

/// An attempt at a picture of these sides, and where its progress is seen.
pub(crate) fn task(width: u32, height: u32) -> (Task, watch::Receiver<Progress>) {
    let (progress, seen) = ProgressSender::channel();
    let input = json!({
        "provider": "service", "prompt": "Xin chào", "user_prompt": "", "seed": 1,
        "width": width, "height": height, "aspect_ratio": "1:1",
    });
    let task = Task {
        job_id: 1,
        attempt: 1,
        media_type: MediaType::Image,
        input: serde_json::from_value(input).unwrap(),
        pictures: Vec::new(),
        submission_key: String::new(),
        webhook_url: None,
        answer: None,
        progress,
        cancelled: CancellationToken::new(),
    };
    (task, seen)
}

/// Adds the feature, and has one job of it done.
pub(crate) async fn make(
    server: &TestServer,
    feature: CreateFeatureRequest,
    input: GenerationInput,
) -> Ended {
    let feature = server.add_feature(feature).await;
    let asked = CreateRequestRequest {
        input: Some(input),
        ..request_for(feature.id)
    };
    let job = server.create(asked).await.1.remove(0);
    server.ended(job.id).await
}

/// Asserts that a feature with these settings is refused for this key of them, and a template of that feature for the same in its style.
pub(crate) async fn refuses_key(
    server: &TestServer,
    mut feature: CreateFeatureRequest,
    of: i64,
    (key, set): (&str, &Struct),
    words: &str,
) {
    feature.properties.get_or_insert_default().settings = Some(set.clone());
    let refused = refusal(server.features().create_feature(feature).await);
    let field = format!("properties.settings.{key}");
    refused.of_fields([&field[..]]);
    refused.says(&field, words);
    let mut template = plain_template(of, "look");
    template.template_data.get_or_insert_default().style = Some(set.clone());
    let refused = refusal(server.templates().create_template(template).await);
    let field = format!("template_data.style.{key}");
    refused.of_fields([&field[..]]);
    refused.says(&field, words);
}
