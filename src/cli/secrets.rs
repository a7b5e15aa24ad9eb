//! `atelier secrets`: the keys of the installation, which are never shown.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{CommandResult, generate::duration, work_directly};
use crate::app::App;
use crate::config::Loaded;
use crate::domain::{Actor, Error, Purpose};

/// What to do with the keys of the configured database.
#[derive(Debug, Args)]
pub(super) struct SecretsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys: what each is for, when it was made and when it is retired
    List,
    /// Make a new key, which signs from now on; what older ones have signed verifies until they are retired
    Rotate {
        /// What the key is for
        #[arg(value_parser = PossibleValuesParser::new(Purpose::ALL.map(Purpose::name)))]
        purpose: String,
        /// When the older keys are retired; the default is longer than any download link lives. 0s after a leak
        #[arg(long, value_name = "DURATION", default_value = "11d", value_parser = retirement)]
        retire_after: Duration,
    },
}

/// Works on the configured database directly, beside a server or without one.
pub(super) async fn run(arguments: SecretsArguments, loaded: Loaded) -> CommandResult {
    work_directly(loaded, async |app, _| {
        let text = act(app, arguments.action).await?;
        Ok::<_, Error>((ExitCode::SUCCESS, text))
    })
    .await
}

async fn act(app: &App, action: Action) -> Result<String, Error> {
    match action {
        Action::List => list(app).await,
        Action::Rotate {
            purpose,
            retire_after,
        } => rotate(app, &purpose, retire_after).await,
    }
}

async fn list(app: &App) -> Result<String, Error> {
    let mut text = String::new();
    for purpose in Purpose::ALL {
        for key in app.list_keys(purpose).await? {
            let (name, id, made) = (purpose.name(), key.id, shown(key.created_at));
            let _ = write!(text, "{name:<16}key {id:<5}made {made}");
            match key.retired_at.map(shown) {
                Some(end) => writeln!(text, "  retired {end}"),
                None => writeln!(text),
            }
            .ok();
        }
    }
    Ok(text)
}

async fn rotate(app: &App, purpose: &str, retire_after: Duration) -> Result<String, Error> {
    let mut text = String::new();
    // The argument is one of the names.
    for purpose in Purpose::ALL.into_iter().filter(|it| it.name() == purpose) {
        let acting = app.acting(Actor::operator());
        let id = acting.rotate_key(purpose, retire_after).await?;
        let name = purpose.name();
        let _ = writeln!(
            text,
            "{name} are signed by key {id}; running servers take it up within ten seconds"
        );
    }
    Ok(text)
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Unlike other durations it may be none at all.
fn retirement(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => duration(text),
    }
}
