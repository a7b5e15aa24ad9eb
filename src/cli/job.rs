//! `atelier job`: how one job stands.

use std::fmt::Write as _;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};

use super::place::{in_line, left};
use super::{CommandResult, work_directly};
use crate::app::Diagnosis;
use crate::config::Loaded;
use crate::domain::Error;

/// What to tell of a job in the configured database.
#[derive(Debug, Args)]
pub(super) struct JobArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell how a job stands, and what keeps it from beginning or ending
    Diagnose {
        /// Number of the job
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
}

/// Works on the configured database directly, beside servers or without one.
pub(super) async fn run(arguments: JobArguments, loaded: Loaded) -> CommandResult {
    let Action::Diagnose { id } = arguments.action;
    work_directly(loaded, async |app, _| {
        let diagnosis = app.diagnose_job(id).await?;
        Ok::<_, Error>((ExitCode::SUCCESS, shown(&diagnosis)))
    })
    .await
}

fn shown(diagnosis: &Diagnosis) -> String {
    let job = &diagnosis.job;
    let mut text = format!("{}\n", diagnosis.summary);
    let provider = job.provider().unwrap_or_default();
    for (what, value) in [
        ("status", job.status.as_str().to_owned()),
        (
            "provider",
            format!("{provider} ({})", job.category.as_str()),
        ),
        ("feature", job.feature_id.to_string()),
        ("user", job.user_id.to_string()),
        ("priority", job.priority.to_string()),
        (
            "attempts",
            format!("{} of {}", job.attempt, job.max_attempts),
        ),
    ] {
        let _ = writeln!(text, "{what:<10}{value}");
    }
    if let Some(place) = diagnosis.outlook.place {
        let now = diagnosis.crew.now;
        let wait = place.start.map(|start| left(start, now));
        let place = in_line(place.position.into(), wait);
        let _ = writeln!(text, "{:<10}{place}", "place");
    }
    for worker in &diagnosis.crew.workers {
        let state = diagnosis.crew.state(worker);
        let (name, seen) = (&worker.name, time(worker.seen_at));
        let _ = writeln!(text, "{:<10}{name} {state}, seen {seen}", "worker");
    }
    for event in &diagnosis.events {
        let (status, at) = (event.status.as_str(), time(event.created_at));
        let _ = writeln!(
            text,
            "{:<10}{at} {status}, attempt {}",
            "event", event.attempt
        );
    }
    text
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
