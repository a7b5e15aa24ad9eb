//! `atelier key`: the keys of services, each of which is shown once.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CommandResult, token, work_directly};
use crate::app::App;
use crate::config::Loaded;
use crate::domain::Actor;
use crate::entity::api_key::Model;

/// How long a key may hold that has an end.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// What to do with the keys of services in the configured database.
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    #[command(subcommand)]
    action: Action,

    /// Tell it as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for a service and print it, this once; servers with auth.api_keys take it at once
    Create {
        /// Name of the service or admin; idempotency keys are per name
        #[arg(value_parser = token::name)]
        name: String,
        /// What the key's bearer may do
        #[arg(long, value_enum, default_value_t = Scope::Service)]
        scope: Scope,
        /// How long the key holds, such as 90d; until it is revoked if not said
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        ttl: Option<Duration>,
    },
    /// List the keys: whose each is, when it was made and last used, and whether it still holds
    List,
    /// Take a key back; servers refuse it within five seconds
    Revoke {
        /// Number of the key, which stands in it: atk_ID_...
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Acts for any user
    Service,
    /// May change the catalogue and credits, and read the audit log, too
    Admin,
}

/// Works on the configured database directly, beside a server or without one.
pub(super) async fn run(arguments: KeyArguments, loaded: Loaded) -> CommandResult {
    work_directly(loaded, async |app, _| {
        let text = act(app, arguments).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((ExitCode::SUCCESS, text))
    })
    .await
}

type Told = Result<String, Box<dyn std::error::Error + Send + Sync>>;

async fn act(app: &App, KeyArguments { action, json }: KeyArguments) -> Told {
    let now = app.clock.now();
    let acting = app.acting(Actor::operator());
    match action {
        Action::Create { name, scope, ttl } => {
            let role = match scope {
                Scope::Service => "service",
                Scope::Admin => "admin",
            };
            let ttl = ttl.and_then(|ttl| TimeDelta::from_std(ttl).ok());
            let expires_at = ttl.map(|ttl| now + ttl);
            let (key, kept) = acting.create_api_key(&name, role, expires_at).await?;
            let mut told = to_json(&kept, now);
            told["key"] = key.as_str().into();
            Ok(match json {
                true => format!("{told}\n"),
                false => format!("{key}\n"),
            })
        }
        Action::List => {
            let keys = app.list_api_keys().await?;
            Ok(match json {
                true => format!(
                    "{}\n",
                    keys.iter().map(|key| to_json(key, now)).collect::<Value>()
                ),
                false => keys.iter().map(|key| line(key, now)).collect(),
            })
        }
        Action::Revoke { id } => {
            let revoked = acting.revoke_api_key(id).await?;
            let key = revoked.ok_or_else(|| format!("there is no API key {id}"))?;
            Ok(match json {
                true => format!("{}\n", to_json(&key, now)),
                false => line(&key, now),
            })
        }
    }
}

fn line(key: &Model, now: DateTime<Utc>) -> String {
    let Model { id, name, role, .. } = key;
    let (state, made) = (state(key, now), shown(key.created_at));
    let mut line = format!("key {id:<5}{state:<9}{role:<9}{name:<20} made {made}");
    let ends = [
        ("used", key.last_used_at),
        ("expires", key.expires_at),
        ("revoked", key.revoked_at),
    ];
    for (what, at) in ends {
        if let Some(at) = at.map(shown) {
            let _ = write!(line, "  {what} {at}");
        }
    }
    line.push('\n');
    line
}

fn to_json(key: &Model, now: DateTime<Utc>) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scope": key.role,
        "state": state(key, now),
        "create_time": shown(key.created_at),
        "last_use_time": key.last_used_at.map(shown),
        "expire_time": key.expires_at.map(shown),
        "revoke_time": key.revoked_at.map(shown),
    })
}

fn state(key: &Model, now: DateTime<Utc>) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "active"
    }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = token::lifetime(text)?;
    match lifetime <= LONGEST {
        true => Ok(lifetime),
        false => Err("expected 3650d at most".to_owned()),
    }
}
