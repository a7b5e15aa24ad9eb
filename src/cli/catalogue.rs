//! `atelier catalogue`: features and templates from a file, and into one.

mod report;
mod starter;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{CommandResult, exit, output};
use crate::app::{App, ApplyOptions, ChangeKind, MadePreview};
use crate::config::{Config, Loaded, ProviderConfig};
use crate::domain::{Actor, Catalogue, Error, Violations, read_text, with_causes};
use crate::provider::Registry;
use crate::server::{Role, Server, open_app};
use crate::telemetry;

use report::Report;

/// What to do with the catalogue of the configured database.
#[derive(Debug, Args)]
pub(super) struct CatalogueArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make features and templates what a file says, all of them or none
    Apply(ApplyArguments),
    /// Write all live features and templates as a file for `apply`
    Export {
        /// Where to write it, - for standard output [default: standard output]
        file: Option<PathBuf>,
    },
    /// Make a picture for each feature and template that has none, with its own provider
    Previews {
        /// Make those anew that there are
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
struct ApplyArguments {
    /// TOML file with features and their templates, - for standard input
    #[arg(required_unless_present = "starter")]
    file: Option<PathBuf>,

    /// Take, instead of a file, the features that come with this program for a kind of provider or a service
    #[arg(long, value_name = "KIND", value_parser = starter::names(), conflicts_with_all = ["file", "prune"])]
    starter: Option<String>,

    /// Provider that the starter's features are for [default: the one of the starter's name]
    #[arg(long, value_name = "NAME", requires = "starter")]
    provider: Option<String>,

    /// Tell what would be done and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Delete the live features and templates that the file does not have
    #[arg(long)]
    prune: bool,

    /// Print the changes as one JSON object
    #[arg(long)]
    json: bool,
}

/// What keeps a file from being applied, one line each.
#[derive(Debug)]
struct Unfit {
    file: String,
    violations: Violations,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match self.violations.count() {
            1 => write!(formatter, "{file} has a problem:")?,
            count => write!(formatter, "{file} has {count} problems:")?,
        }
        let told = self.violations.iter();
        let untold = self.violations.count() - told.len();
        for violation in told {
            write!(formatter, "\n  {violation}")?;
        }
        match untold {
            0 => Ok(()),
            more => write!(formatter, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Unfit {}

/// Works on the configured database directly, beside a server or without one.
pub(super) async fn run(arguments: CatalogueArguments, mut loaded: Loaded) -> CommandResult {
    loaded.quieten();
    telemetry::init(&loaded.config.log)?;
    if !matches!(&arguments.action, Action::Apply(apply) if !apply.dry_run) {
        loaded.leave_database();
    }
    match arguments.action {
        Action::Apply(arguments) => apply(arguments, &loaded).await,
        Action::Export { file } => export(file, &loaded).await,
        Action::Previews { all } => previews(all, loaded.config).await,
    }
}

async fn apply(arguments: ApplyArguments, loaded: &Loaded) -> CommandResult {
    let starter = arguments.starter.as_deref();
    let (source, text) = match (starter, &arguments.file) {
        (Some(name), _) => (format!("the starter {name}"), starter::text(name)),
        (None, Some(file)) => (file.display().to_string(), read(file)?),
        (None, None) => return Err("a file is needed, or --starter".into()),
    };
    let catalogue = Catalogue::read(&text).map_err(|error| unfit(&source, error))?;
    let app = open_app(&loaded.config).await?;
    let provider = arguments.provider.as_deref().or(starter);
    let report = apply_to(&app, catalogue, provider, &arguments).await;
    let report = report.map(|report| Report {
        other_service: starter
            .zip(provider)
            .and_then(|(starter, name)| other_service(&loaded.config, starter, name)),
        ..report
    });
    let closed = app.store.close().await;
    let report = report.map_err(|error| match error.downcast::<Error>() {
        Ok(error) => unfit(&source, *error),
        Err(other) => other,
    })?;
    closed?;
    output::print(&if arguments.json {
        report.to_json()
    } else {
        report.to_text()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `provider` is the one that the features are for, where the catalogue is a starter.
async fn apply_to(
    app: &App,
    mut catalogue: Catalogue,
    provider: Option<&str>,
    arguments: &ApplyArguments,
) -> Result<Report, Box<dyn std::error::Error + Send + Sync>> {
    let bind =
        |name| starter::bind(&mut catalogue, name, &app.providers).ok_or_else(|| no_provider(name));
    let left_out = provider.map(bind).transpose()?.unwrap_or_default();
    let options = ApplyOptions {
        dry_run: arguments.dry_run,
        prune: arguments.prune,
    };
    let unprovided = unprovided(&catalogue, &app.providers);
    let acting = app.acting(Actor::operator());
    let mut changes = acting.apply_catalogue(catalogue, options).await?;
    // A starter is no whole catalogue.
    changes.retain(|change| provider.is_none() || change.kind != ChangeKind::Kept);
    Ok(Report {
        changes,
        left_out,
        unprovided,
        other_service: None,
        dry_run: arguments.dry_run,
    })
}

/// The features whose provider this configuration does not have. A worker elsewhere may.
fn unprovided(catalogue: &Catalogue, providers: &Registry) -> Vec<(String, String)> {
    let features = catalogue.features.iter().map(|it| &it.feature);
    let unprovided = features.filter(|it| providers.get(it.properties.provider()).is_none());
    unprovided
        .map(|it| (it.name.clone(), it.properties.provider().to_owned()))
        .collect()
}

fn unfit(file: &str, error: Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        Error::Validation(violations) => Unfit {
            file: file.to_owned(),
            violations,
        }
        .into(),
        other => other.into(),
    }
}

/// What the provider speaks, where that is not what the starter is for.
fn other_service(config: &Config, starter: &str, provider: &str) -> Option<String> {
    let spoken = match config.providers.get(provider)? {
        ProviderConfig::Task(task) => task.profile.source.as_str(),
        other => other.kind(),
    };
    (spoken != starter && !spoken.starts_with("file:")).then(|| spoken.to_owned())
}

fn no_provider(name: &str) -> String {
    format!(
        "no provider is named {name}: add a table [providers.{name}], as docs/providers/ shows for each kind and service, or name yours with --provider"
    )
}

fn read(file: &Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let cannot = |error: &dyn fmt::Display| format!("cannot read {}: {error}", file.display());
    let bytes = output::read(file).map_err(|error| cannot(&error))?;
    Ok(read_text(&bytes).map_err(|error| cannot(&error))?)
}

async fn export(file: Option<PathBuf>, loaded: &Loaded) -> CommandResult {
    let app = open_app(&loaded.config).await?;
    let catalogue = app.export_catalogue().await;
    let closed = app.store.close().await;
    let text = catalogue?.to_toml()?;
    closed?;
    match file.filter(|file| !output::is_stream(file)) {
        None => output::print(&text)?,
        Some(file) => std::fs::write(&file, text)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the jobs itself, beside a server or without one.
async fn previews(all: bool, mut config: Config) -> CommandResult {
    if config.system_user().is_none() {
        return Err("previews are of the system user: set identity.system_user_id".into());
    }
    config.health.listen = None;
    config.server.shutdown_delay = Duration::ZERO;
    let server = Server::start(config, Role::Worker).await?;
    let mut failed = false;
    let mut printed = Ok(());
    let tell = |MadePreview { of, media_id }| {
        failed |= media_id.is_err();
        let line = match media_id {
            Ok(id) => format!("made   {of}: media {id}\n"),
            Err(error) => format!("failed {of}: {}\n", with_causes(&error)),
        };
        if printed.is_ok() {
            printed = output::print(&line);
        }
    };
    let made = server.app().make_previews(all, tell).await;
    server.shutdown().await;
    made?;
    printed?;
    Ok(exit::done_if(!failed))
}
