//! `atelier generate`: from a prompt to files, through the same API that every client uses.

mod cancel;
mod connection;
mod download;
mod omission;
mod patience;
mod preview;
mod progress;
mod report;
mod request;
mod result;
mod token;
mod variable;
mod watch;

use std::io::stderr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tonic::Status;

use self::cancel::{CANCELLING, Cancelled};
use self::connection::{Connection, OwnServer};
use self::patience::Patience;
use self::progress::Progress;
use self::report::Report;
use self::request::Asked;
use self::variable::Assignment;
use self::watch::Stopped;
use super::{CommandResult, exit, output};
use crate::client::{Client, ConnectError, DownloadError, UploadError, reason, violations};
use crate::config::{Loaded, parse_duration};
use crate::domain::Reason;
use crate::shutdown::{Shutdown, Signal};
use crate::telemetry;

/// What to make, and how to show it.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// What to make, in your own words
    #[arg(value_parser = super::arguments::text)]
    pub(super) prompt: String,

    /// Feature that makes it [default: the template's, or the first of the catalogue]
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,

    /// Provider that makes it, by the first of its features [default: the feature's]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,

    /// Ready-made style of the feature
    #[arg(long, value_name = "NAME")]
    template: Option<String>,

    /// How many variations to make [default: 1]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) variations: Option<i32>,

    /// File format, such as png, mp4 or flac; may be repeated for the same output in several [default: the feature's]
    #[arg(long = "format", value_name = "FORMAT", value_delimiter = ',')]
    formats: Vec<String>,

    /// Length of a video or sound [default: the template's or the generator's]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(1..))]
    duration: Option<i32>,

    /// Aspect ratio, such as 1:1 or 16:9 [default: the template's or the feature's]
    #[arg(long, value_name = "W:H")]
    aspect_ratio: Option<String>,

    /// Starting point of chance: the same seed makes the same picture [default: random]
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=i64::from(u32::MAX)))]
    pub(super) seed: Option<i64>,

    /// What it should not show
    #[arg(long, value_name = "TEXT", value_parser = super::arguments::text)]
    pub(super) negative_prompt: Option<String>,

    /// Value of a variable of the template; may be repeated
    #[arg(long = "var", value_name = "KEY=VALUE")]
    variables: Vec<Assignment>,

    /// Picture to work from, which is uploaded; may be repeated
    #[arg(long = "picture", value_name = "FILE")]
    pictures: Vec<PathBuf>,

    /// Folder to copy the files to, under readable names
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Running server to use, such as http://127.0.0.1:50051, instead of one in this process
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// File with the token or key that the running server asks for [default: that in ATELIER_TOKEN, if there is one]
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,

    /// User whose request it is [default: whom the token is for; 1 without one]
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    user: Option<i64>,

    /// How long to wait, such as 90s or 10m [default: as long as it takes]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerateError {
    #[error("the server in this process could not start")]
    Start(#[from] crate::server::StartError),
    #[error("the server in this process stopped: {0}")]
    Stopped(String),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("{action}: {}", explain(.status))]
    Refused {
        action: &'static str,
        status: Status,
    },
    #[error("there is no {noun} {name:?}; {}", choices(.noun, .known))]
    Unknown {
        noun: &'static str,
        name: String,
        known: Vec<String>,
    },
    #[error("several features have a template {name:?}; choose one with --feature: {}", .features.join(", "))]
    Ambiguous { name: String, features: Vec<String> },
    #[error("the catalogue is empty; create a feature first")]
    EmptyCatalogue,
    #[error("gave up after {}", crate::config::format_duration(*.0))]
    TimedOut(Duration),
    #[error("interrupted")]
    Interrupted(Signal),
    #[error("{reason}; {}", .cancelled.sentence().unwrap_or_default())]
    Left {
        reason: Box<GenerateError>,
        cancelled: Cancelled,
    },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds no token", .0.display())]
    NoToken(PathBuf),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl GenerateError {
    /// The signal that ended it, if one did.
    pub(super) fn signal(&self) -> Option<Signal> {
        match self {
            Self::Interrupted(signal) => Some(*signal),
            Self::Left { reason, .. } => reason.signal(),
            _ => None,
        }
    }
}

/// Makes what was asked for and reports it. Succeeds only if media came out and the report could be printed.
pub(super) async fn run(arguments: GenerateArguments, mut loaded: Loaded) -> CommandResult {
    let progress = Progress::new();
    loaded.quieten();
    telemetry::init_with(&loaded.config.log, progress.log_writer())?;
    let shutdown = Shutdown::on_signals(loaded.config.server.shutdown_grace)?;
    let made = connect_and_make(&arguments, loaded, &progress, &shutdown).await;
    progress.clear();
    let shown = match &made {
        Ok(report) if arguments.json => report.to_json(),
        Ok(report) => report.to_text(preview::is_wanted()),
        Err(error) if arguments.json => report::failure_to_json(error),
        Err(_) => String::new(),
    };
    let printed = output::print(&shown);
    let code = match &made {
        Ok(report) => {
            report.complain(&mut stderr());
            exit::done_if(report.has_media())
        }
        Err(error) => {
            output::complain(&mut stderr(), error);
            exit::code(error)
        }
    };
    printed?;
    Ok(code)
}

async fn connect_and_make(
    arguments: &GenerateArguments,
    loaded: Loaded,
    progress: &Progress,
    shutdown: &Shutdown,
) -> Result<Report, GenerateError> {
    if let Some(folder) = &arguments.out {
        download::prepare(folder).await?;
    }
    let config = loaded.config;
    let token = token::given(arguments)?;
    let server = (arguments.server.as_deref(), token.as_ref());
    let user_id = token::user(arguments, token.as_ref());
    let mut connection = tokio::select! {
        connection = Connection::open(server, config.clone()) => connection?,
        () = shutdown.soft().cancelled() => return Err(patience::interrupted(shutdown)),
    };
    let (client, own) = (connection.client(), connection.own_server());
    let made = tokio::select! {
        made = make((arguments, user_id), client, own.as_ref(), progress, shutdown) => made,
        reason = connection.broken() => Err(GenerateError::Stopped(reason).into()),
    };
    let grace = config.server.shutdown_grace;
    match made {
        Ok(report) => {
            connection.close(grace).await;
            Ok(report)
        }
        Err(stopped) => Err(leave(stopped, connection, grace).await),
    }
}

/// Everything between a connection and a report.
async fn make(
    (arguments, user_id): (&GenerateArguments, i64),
    client: Client,
    own: Option<&OwnServer>,
    progress: &Progress,
    shutdown: &Shutdown,
) -> Result<Report, Stopped> {
    let patience = Patience::begin(arguments.timeout, shutdown.clone());
    let asked = ask((arguments, user_id), &client, &patience).await?;
    progress.begin(&asked.jobs);
    let jobs = watch::follow_all(&client, &asked.jobs, progress, patience.ends()).await?;
    let mut report = Report::new(arguments, asked, jobs, own);
    if let Some(folder) = &arguments.out {
        download::all(&client, &mut report, folder, patience.ends()).await?;
    }
    Ok(report)
}

async fn ask(
    (arguments, user_id): (&GenerateArguments, i64),
    client: &Client,
    patience: &Patience,
) -> Result<Asked, GenerateError> {
    let found = tokio::select! {
        found = request::resolve(arguments, client) => found?,
        reason = patience.ends() => return Err(reason),
    };
    let mut sending = std::pin::pin!(request::send(arguments, user_id, client, found));
    let reason = tokio::select! {
        asked = &mut sending => return asked,
        reason = patience.ends() => reason,
    };
    // The request may have been accepted already, and only the answer names the jobs to cancel.
    let answered = tokio::time::timeout(CANCELLING, sending).await;
    answered.unwrap_or(Err(reason))
}

/// Cancels what has not ended and closes the connection. Returns the reason with what became of the jobs.
async fn leave(stopped: Stopped, connection: Connection, grace: Duration) -> GenerateError {
    let Stopped { reason, unfinished } = stopped;
    let cancelled = cancel::unfinished(&connection.client(), unfinished).await;
    connection.abandon(grace).await;
    match cancelled.sentence() {
        Some(_) => GenerateError::Left {
            reason: Box::new(reason),
            cancelled,
        },
        None => reason,
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|expected| format!("expected {expected}"))
}

/// The server's sentence with every field that it found wrong, and where operators find what it does not tell.
fn explain(status: &Status) -> String {
    let violations = violations(status);
    let reason = reason(status);
    let is = |expected: Reason| reason.as_deref() == Some(expected.as_str());
    match violations.as_slice() {
        [] if is(Reason::ProviderNotReady) => {
            format!("{}; `atelier providers` tells more", status.message())
        }
        [] if is(Reason::CredentialsMissing) => {
            "the server asks who calls; --token-file or ATELIER_TOKEN tells it".to_owned()
        }
        [] if status.message().is_empty() => status.code().description().to_owned(),
        [] => status.message().to_owned(),
        violations => violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn choices(noun: &str, known: &[String]) -> String {
    match known {
        [] => format!("there is none: add a {noun} first"),
        known => format!("choose one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

    use super::*;

    #[test]
    fn a_refusal_names_every_field() {
        let mut details = ErrorDetails::new();
        details.set_bad_request(vec![
            FieldViolation::new("user_prompt", "must not be empty"),
            FieldViolation::new("input.seed", "must not be negative"),
        ]);
        let status =
            Status::with_error_details(Code::InvalidArgument, "2 fields are invalid", details);
        let error = GenerateError::Refused {
            action: "cannot create the request",
            status,
        };
        assert_eq!(
            error.to_string(),
            "cannot create the request: user_prompt: must not be empty; input.seed: must not be negative"
        );
    }

    #[test]
    fn an_unknown_name_lists_what_exists() {
        let error = GenerateError::Unknown {
            noun: "feature",
            name: "postr".into(),
            known: vec!["banner".into(), "poster".into()],
        };
        assert_eq!(
            error.to_string(),
            r#"there is no feature "postr"; choose one of banner, poster"#
        );
    }
}
