//! `atelier serve`: the service in the foreground.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio_util::task::AbortOnDropHandle;

use super::{CommandResult, output};
use crate::app::{App, MadePreview};
use crate::config::Loaded;
use crate::domain::with_causes;
use crate::server::{Role, Server};
use crate::shutdown::{CLOSING, Shutdown};
use crate::telemetry;

/// How to run the service.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Which part of the service this process is
    #[arg(long, value_enum, default_value_t = RoleArgument::All)]
    role: RoleArgument,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// Trust whoever calls, also where others than programs of this machine can
    #[arg(long)]
    pub insecure: bool,
}

/// The parts of the service.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArgument {
    /// Answers clients and runs jobs
    All,
    /// Answers clients only
    Api,
    /// Runs jobs only
    Worker,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::All => Self::All,
            RoleArgument::Api => Self::Api,
            RoleArgument::Worker => Self::Worker,
        }
    }
}

/// Serves until a signal comes or the server dies by itself.
pub(super) async fn run(arguments: ServeArguments, loaded: Loaded) -> CommandResult {
    telemetry::init(&loaded.config.log)?;
    let makes_previews = loaded.config.catalogue.install_previews;
    let grace = loaded.config.server.shutdown_grace;
    let shutdown = Shutdown::on_signals(grace + CLOSING)?;
    let mut server = tokio::select! {
        server = Server::start(loaded.config, arguments.role.into()) => server?,
        () = shutdown.soft().cancelled() => return Ok(ExitCode::SUCCESS),
    };
    if let Some(url) = server.url() {
        output::print(&format!("listening on {url}\n"))?;
    }
    let _previews = (makes_previews && server.installed_catalogue())
        .then(|| AbortOnDropHandle::new(tokio::spawn(make_previews(server.app().clone()))));
    tokio::select! {
        end = server.stopped() => {
            end?;
            return Ok(ExitCode::SUCCESS);
        }
        () = shutdown.soft().cancelled() => {}
    }
    tokio::select! {
        () = server.shutdown() => Ok(ExitCode::SUCCESS),
        () = shutdown.hard().cancelled() => Err("the shutdown took too long and was cut off".into()),
    }
}

/// Pictures of the starter catalogue: nobody waits for them, and `atelier catalogue previews` makes what is missing.
async fn make_previews(app: App) {
    let tell = |MadePreview { of, media_id }| match media_id {
        Ok(media_id) => tracing::info!(of, media_id, "made a preview"),
        Err(error) => tracing::warn!(of, error = with_causes(&error), "cannot make a preview"),
    };
    if let Err(error) = app.make_previews(false, tell).await {
        tracing::warn!(error = with_causes(&error), "cannot make previews");
    }
}
