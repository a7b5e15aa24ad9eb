//! `atelier providers`: what makes media here, and whether it answers.

use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

use clap::Args;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{CommandResult, exit, output};
use crate::config::{Config, Loaded, ProviderConfig, ProviderLimits};
use crate::domain::MediaType;
use crate::provider::{Lack, Probed, Provider, ProviderError, clean, exec};
use crate::server::{build_providers, fetcher};

/// How long a provider may take to answer a probe.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// What to tell of a service of which nobody knows whether it is the right one.
const UNSURE: &str = "does not know what it is asked: is its base_url right?";

/// What to tell of the configured providers.
#[derive(Debug, Args)]
pub(super) struct ProvidersArguments {
    /// Ask each whether it answers and accepts its key, which makes nothing and costs nothing; fail if one does not
    #[arg(long)]
    probe: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A provider as it is configured.
struct Row {
    name: String,
    kind: &'static str,
    makes: Vec<&'static str>,
    place: Option<String>,
    limits: ProviderLimits,
    missing: Option<String>,
    /// Whether its commands are to have a sandbox; `None` where it runs none.
    sandbox: Option<bool>,
    /// Whether there is a question that it answers without work.
    can_be_probed: bool,
    /// How long its answer took, or why there is none.
    probed: Option<Result<(Probed, Duration), String>>,
}

/// Prints a line for each provider. Neither the database nor a server is needed.
pub(super) async fn run(arguments: ProvidersArguments, loaded: Loaded) -> CommandResult {
    let config = loaded.config;
    let providers = build_providers(&config, &fetcher(&config)?, false);
    let all = providers.names().filter_map(|name| providers.get(name));
    let (config, asks) = (&config, arguments.probe);
    let rows = all.map(|provider| async move {
        let mut row = row(config, provider.as_ref());
        row.can_be_probed = provider.can_be_probed();
        if asks && row.can_be_probed {
            row.probed = Some(probe(provider.as_ref()).await);
        }
        row
    });
    let rows = join_all(rows).await;
    output::print(&match arguments.json {
        true => format!("{}\n", rows.iter().map(Row::to_json).collect::<Value>()),
        false => table(&rows),
    })?;
    if rows.iter().any(|row| row.sandbox == Some(true))
        && let Some(unconfined) = exec::unconfined()
    {
        writeln!(stderr(), "{unconfined}")?;
    }
    let failed = |row: &Row| matches!(row.probed, Some(Err(_)));
    Ok(exit::done_if(!rows.iter().any(failed)))
}

fn row(config: &Config, provider: &dyn Provider) -> Row {
    let name = provider.name();
    let configured = config.providers.get(name);
    let makes = [MediaType::Image, MediaType::Video, MediaType::Audio].into_iter();
    let makes = makes.filter(|media_type| provider.makes(*media_type));
    Row {
        name: name.to_owned(),
        kind: configured.map_or("builtin", |it| it.kind()),
        makes: makes.map(MediaType::as_str).collect(),
        place: configured.and_then(|it| it.place()),
        limits: configured.map(|it| it.limits()).unwrap_or_default(),
        missing: provider.ready().err().map(|unready| unready.detail),
        sandbox: configured.and_then(sandbox),
        can_be_probed: true,
        probed: None,
    }
}

fn sandbox(configured: &ProviderConfig) -> Option<bool> {
    match configured {
        ProviderConfig::Exec(exec) => Some(exec.sandbox),
        ProviderConfig::Voice(_) => Some(true),
        _ => None,
    }
}

async fn probe(provider: &dyn Provider) -> Result<(Probed, Duration), String> {
    let began = Instant::now();
    let answer = timeout(PROBE_TIME, provider.probe()).await;
    match answer {
        Ok(Ok(probed)) => Ok((probed, began.elapsed())),
        Ok(Err(error)) => Err(words(error)),
        Err(_) => Err("does not answer in time".to_owned()),
    }
}

/// Never the service's own, which may hold what nobody should read.
fn words(error: ProviderError) -> String {
    match error {
        ProviderError::NotReady(unready) => match unready.lack {
            Lack::Credentials | Lack::Credit => unready.lack.to_string(),
            Lack::Program | Lack::Configuration | Lack::Service => clean::text(&unready.detail),
        },
        ProviderError::Unavailable(_) => "cannot be reached".to_owned(),
        ProviderError::Transient { .. } | ProviderError::TimedOut { .. } => {
            "does not answer in time, or is overloaded".to_owned()
        }
        _ => "answers with an error".to_owned(),
    }
}

impl Row {
    fn state(&self) -> String {
        let readiness = self.readiness();
        match self.sandbox {
            Some(false) => format!("{readiness}, without a sandbox"),
            _ => readiness,
        }
    }

    fn readiness(&self) -> String {
        match (&self.probed, &self.missing) {
            (Some(Ok((Probed::Ready, time))), _) => format!("answers ({} ms)", time.as_millis()),
            (Some(Ok((Probed::Unsure, time))), _) => {
                format!("answers ({} ms), but {UNSURE}", time.as_millis())
            }
            (Some(Err(words)), _) => words.clone(),
            (None, Some(missing)) => missing.clone(),
            (None, None) if !self.can_be_probed => "ready, and cannot be asked".to_owned(),
            (None, None) => "ready".to_owned(),
        }
    }

    fn limits(&self) -> String {
        let limit = |limit: u32, unit: &str| (limit > 0).then(|| format!("{limit} {unit}"));
        let limits = [
            limit(self.limits.concurrency, "at a time"),
            limit(self.limits.requests_per_minute, "a minute"),
            limit(self.limits.total_concurrency, "at a time in all"),
            limit(self.limits.total_requests_per_minute, "a minute in all"),
        ];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        limits.join(", ")
    }

    fn cells(&self) -> [String; 6] {
        let or_dash = |text: String| Some(text).filter(|text| !text.is_empty());
        let or_dash = |text| or_dash(text).unwrap_or_else(|| "-".to_owned());
        [
            self.name.clone(),
            self.kind.to_owned(),
            self.makes.join(", "),
            or_dash(self.place.clone().unwrap_or_default()),
            or_dash(self.limits()),
            self.state(),
        ]
    }

    fn to_json(&self) -> Value {
        let mut row = json!({
            "name": self.name, "kind": self.kind, "makes": self.makes, "place": self.place,
            "concurrency": self.limits.concurrency,
            "requests_per_minute": self.limits.requests_per_minute,
            "total_concurrency": self.limits.total_concurrency,
            "total_requests_per_minute": self.limits.total_requests_per_minute,
            "ready": self.missing.is_none(), "missing": self.missing,
            "sandbox": self.sandbox,
        });
        if let Some(probed) = &self.probed {
            let problem = match probed {
                Ok((Probed::Ready, _)) => None,
                Ok((Probed::Unsure, _)) => Some(UNSURE),
                Err(words) => Some(words.as_str()),
            };
            row["answers"] = probed.is_ok().into();
            row["latency_ms"] = json!(probed.as_ref().ok().map(|(_, time)| time.as_millis()));
            row["problem"] = json!(problem);
        }
        row
    }
}

fn table(rows: &[Row]) -> String {
    let head = ["NAME", "KIND", "MAKES", "WHERE", "LIMITS", "STATE"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head)
        .chain(rows.iter().map(Row::cells))
        .collect();
    output::table(&lines)
}
