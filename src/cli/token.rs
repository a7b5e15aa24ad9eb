//! `atelier token`: a token for development, by the configured secret.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{CommandResult, output};
use crate::app::Clock;
use crate::config::{Loaded, parse_duration};
use crate::identity::Issuer;

/// For whom, and how long.
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// User whom the token is for
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    user: Option<i64>,

    /// What its bearer may do
    #[arg(long, value_enum, default_value_t = Scope::User)]
    scope: Scope,

    /// Name of the service or admin
    #[arg(long, value_name = "NAME", default_value = "development", conflicts_with = "user", value_parser = name)]
    client: String,

    /// Plan of the user
    #[arg(long, value_name = "NAME", requires = "user", value_parser = name)]
    plan: Option<String>,

    /// How long it holds, such as 15m or 8h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
    ttl: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Acts for one user
    User,
    /// Acts for any user
    Service,
    /// May change the catalogue and credits, and read the audit log, too
    Admin,
}

/// Prints the token.
pub(super) fn run(arguments: &TokenArguments, loaded: &Loaded) -> CommandResult {
    let auth = &loaded.config.auth;
    let secret = auth.secret.as_ref();
    let secret = secret.ok_or("auth.secret is not set, and a token is signed with it")?;
    let issuer = Issuer {
        secret,
        issuer: auth.issuer.as_deref(),
        audience: &auth.audience,
        plan: arguments.plan.as_deref(),
    };
    let client = arguments.client.clone();
    let (role, subject) = match (arguments.scope, arguments.user) {
        (Scope::User, Some(user)) => ("user", user.to_string()),
        (Scope::User, None) => return Err("--user is missing: whom is the token for?".into()),
        (Scope::Service, None) => ("service", client),
        (Scope::Admin, None) => ("admin", client),
        (Scope::Service | Scope::Admin, Some(_)) => {
            return Err("--user is whom a token of scope user is for; a service or an admin is named by --client".into());
        }
    };
    let token = issuer.token(&subject, role, (Clock::system().now(), arguments.ttl))?;
    output::print(&format!("{token}\n"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text).map_err(|expected| format!("expected {expected}"))?;
    match lifetime.as_secs() {
        0 => Err("expected a second at least".to_owned()),
        _ => Ok(lifetime),
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    let wrong = || "expected 1 to 64 visible ASCII characters".to_owned();
    is_name.then(|| text.to_owned()).ok_or_else(wrong)
}
