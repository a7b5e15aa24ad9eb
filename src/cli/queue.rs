//! `atelier queue`: what operators pause, how much waits, and who runs it.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};

use super::{CommandResult, output, work_directly};
use crate::app::{App, Crew, Queue};
use crate::config::{Loaded, format_duration};
use crate::domain::{Actor, Checks, Error, QueuePart};

/// What to do with the queue in the configured database.
#[derive(Debug, Args)]
pub(super) struct QueueArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell what is paused, how much waits, and who runs jobs
    Show,
    /// Have no more jobs be begun; what runs goes on to its end
    Pause {
        #[command(flatten)]
        part: PartArguments,
        /// Why, for those who ask why jobs wait
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Have jobs be begun again
    Resume {
        #[command(flatten)]
        part: PartArguments,
    },
    /// Have a worker take no more jobs; those that it runs go on to their end
    Drain {
        /// Name of the worker, as `queue show` has it
        worker: String,
        /// Why, for other operators
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Have a worker take jobs again
    Undrain {
        /// Name of the worker
        worker: String,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PartArguments {
    /// All jobs
    #[arg(long)]
    all: bool,
    /// The jobs of the feature of this number
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    feature: Option<i64>,
    /// The jobs for this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

impl From<PartArguments> for QueuePart {
    fn from(arguments: PartArguments) -> Self {
        Self::of(arguments.provider, arguments.feature)
    }
}

/// Works on the configured database directly, beside servers or without one.
pub(super) async fn run(arguments: QueueArguments, loaded: Loaded) -> CommandResult {
    work_directly(loaded, async |app, _| {
        let text = act(app, arguments.action).await?;
        Ok::<_, Error>((ExitCode::SUCCESS, text))
    })
    .await
}

async fn act(app: &App, action: Action) -> Result<String, Error> {
    let acting = app.acting(Actor::operator());
    match action {
        Action::Show => Ok(shown(&app.queue().await?, &app.crew().await?)),
        Action::Pause { part, reason } => {
            let part = part.into();
            let pause = acting.pause_queue(&part, &reason, Checks::default());
            let since = time(pause.await?.created_at);
            Ok(format!("{} is paused since {since}\n", name(&part)))
        }
        Action::Resume { part } => {
            let part = part.into();
            let ended = acting.resume_queue(&part, Checks::default()).await?;
            let what = match ended {
                Some(_) => "is resumed",
                None => "was not paused",
            };
            Ok(format!("{} {what}\n", name(&part)))
        }
        Action::Drain { worker, reason } => {
            acting.drain_worker(&worker, &reason).await?;
            let running = app.crew().await?.running.remove(&worker);
            let running = running.unwrap_or_default();
            Ok(format!("worker {worker} is drained, and runs {running}\n"))
        }
        Action::Undrain { worker } => {
            acting.undrain_worker(&worker).await?;
            Ok(format!("worker {worker} takes jobs\n"))
        }
    }
}

fn name(part: &QueuePart) -> String {
    match part {
        QueuePart::Whole => "the queue".to_owned(),
        QueuePart::Feature(id) => format!("feature {id}"),
        QueuePart::Provider(name) => format!("provider {name}"),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn shown(queue: &Queue, crew: &Crew) -> String {
    let mut pauses = vec![["PAUSED", "SINCE", "BY", "REASON"].map(str::to_owned)];
    pauses.extend(queue.pauses.iter().map(|pause| {
        [
            name(&pause.part()),
            time(pause.created_at),
            pause.actor.clone(),
            pause.reason.clone(),
        ]
    }));
    let mut waiting =
        vec![["PROVIDER", "PRIORITY", "READY", "WAITING", "OLDEST"].map(str::to_owned)];
    waiting.extend(queue.bands.iter().map(|band| {
        [
            band.provider.clone(),
            band.priority.to_string(),
            band.ready.to_string(),
            band.paused.to_string(),
            format_duration(Duration::from_secs(band.oldest.as_secs())),
        ]
    }));
    let pauses = match queue.pauses.is_empty() {
        true => "nothing is paused\n".to_owned(),
        false => output::table(&pauses),
    };
    let waiting = match queue.bands.is_empty() {
        true => "nothing waits\n".to_owned(),
        false => output::table(&waiting),
    };
    format!("{pauses}{waiting}{}", workers(crew))
}

fn workers(crew: &Crew) -> String {
    let mut lines =
        vec![["WORKER", "ROLE", "VERSION", "RUNS", "OF", "SEEN", "STATE"].map(str::to_owned)];
    lines.extend(crew.workers.iter().map(|worker| {
        let running = crew.running.get(&worker.name).copied();
        [
            worker.name.clone(),
            worker.role.clone(),
            worker.version.clone(),
            running.unwrap_or_default().to_string(),
            worker.slots.to_string(),
            time(worker.seen_at),
            crew.state(worker).to_owned(),
        ]
    }));
    match crew.workers.is_empty() {
        true => "nobody runs jobs\n".to_owned(),
        false => output::table(&lines),
    }
}
