//! `atelier retention`: what is kept no longer.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CommandResult, exit::done_if, work_directly};
use crate::app::{App, RetentionReport, RetentionRun, RunEnd};
use crate::config::{Loaded, format_duration};
use crate::domain::{Error, RetentionStep, with_causes};

/// What to do with what is kept no longer.
#[derive(Debug, Args)]
pub(super) struct RetentionArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Do now what the servers do by themselves every `retention.interval`, by the settings of [retention] and the plans
    Run {
        /// Tell how much is due, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Works on the configured database and storage directly, beside a server or without one.
pub(super) async fn run(arguments: RetentionArguments, loaded: Loaded) -> CommandResult {
    let Action::Run { dry_run } = arguments.action;
    work_directly(loaded, async |app, _| act(app, dry_run).await).await
}

/// A step that another run does, or that fails, is a failure.
async fn act(app: &App, dry_run: bool) -> Result<(ExitCode, String), Error> {
    let reports = app.retention_report(u64::MAX).await?;
    let runs = match dry_run {
        true => Vec::new(),
        false => app.run_retention(None).await,
    };
    let mut text = row(["step", "kept", "due", "done"]);
    for report in &reports {
        let run = runs.iter().find(|run| run.step == report.step);
        let done = run.map_or_else(|| "-".to_owned(), done);
        let due = report.due.to_string();
        text += &row([report.step.name(), &kept(report), &due, &done]);
    }
    let finished = |run: &RetentionRun| matches!(run.end, RunEnd::Finished);
    Ok((done_if(runs.iter().all(finished)), text))
}

fn kept(report: &RetentionReport) -> String {
    match (report.is_on, report.step) {
        (false, _) => "for ever".to_owned(),
        (true, RetentionStep::PlanRequests) => "by plan".to_owned(),
        (true, _) => format_duration(report.period),
    }
}

fn done(run: &RetentionRun) -> String {
    let done = run.done;
    match &run.end {
        RunEnd::Finished => done.to_string(),
        RunEnd::Left => format!("{done}, a server does it"),
        RunEnd::Stopping => format!("{done}, cut off"),
        RunEnd::Failed(error) => format!("{done}, failed: {}", with_causes(error)),
    }
}

fn row([step, kept, due, done]: [&str; 4]) -> String {
    format!("{step:<18}{kept:<10}{due:>8}  {done}\n")
}
