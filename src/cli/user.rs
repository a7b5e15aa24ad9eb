//! `atelier user`: what is had of a user, removed.

use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{CommandResult, output, work_directly};
use crate::app::App;
use crate::config::Loaded;
use crate::domain::{Actor, Erased};

/// How long it is carried on without a word.
const SILENCE: Duration = Duration::from_secs(5);
/// How long others have to do what must be done first.
const PAUSE: Duration = Duration::from_secs(1);

/// What to do with a user's data in the configured database and storage.
#[derive(Debug, Args)]
pub(super) struct UserArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remove all that the user has: requests, jobs, media and their files, keys and counts. It cannot be undone
    Erase {
        /// Identity's number of the user
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Works on the configured database and storage directly, beside a server or without one.
pub(super) async fn run(arguments: UserArguments, loaded: Loaded) -> CommandResult {
    let Action::Erase { id, yes } = arguments.action;
    work_directly(loaded, async |app, _| {
        let text = erase(app, id, yes).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((ExitCode::SUCCESS, text))
    })
    .await
}

type Told = Result<String, Box<dyn std::error::Error + Send + Sync>>;

async fn erase(app: &App, id: i64, yes: bool) -> Told {
    writeln!(
        stderr(),
        "Erasing user {id} removes all that he has, for good."
    )?;
    if !yes && !output::agreed()? {
        return Err("nothing was erased".into());
    }
    let begun = app.acting(Actor::operator()).erase_user(id).await?;
    let mut erasure = app.carry_out(begun, SILENCE).await?;
    while erasure.ended_at.is_none() {
        let erased = erasure.erased()?;
        writeln!(stderr(), "{} requests are gone", erased.requests)?;
        tokio::time::sleep(PAUSE).await;
        erasure = app.carry_out(erasure, SILENCE).await?;
    }
    let mut told = format!("erasure {} of user {id} has ended\n", erasure.id);
    let account = erasure.account_id;
    for (what, count) in receipt(&erasure.erased()?) {
        let _ = writeln!(told, "{what:<22}{count}");
    }
    let _ = writeln!(told, "{:<22}{account}", "account");
    Ok(told)
}

fn receipt(erased: &Erased) -> [(&'static str, String); 9] {
    let size = i64::try_from(erased.bytes).unwrap_or(i64::MAX);
    [
        ("requests", erased.requests.to_string()),
        ("jobs", erased.jobs.to_string()),
        ("media", erased.media.to_string()),
        ("uploads", erased.uploads.to_string()),
        ("files", erased.objects.to_string()),
        ("size", output::human_size(size)),
        ("credits ended", erased.credits.to_string()),
        ("ledger rows kept", erased.kept_transactions.to_string()),
        ("audit entries kept", erased.kept_audit_entries.to_string()),
    ]
}
