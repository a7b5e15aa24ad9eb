//! Why a job has not begun, or not ended, see docs/operations.md#why-a-job-waits.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    app::{App, Crew, Outlook},
    domain::{Caller, Error, JobStatus, QueuePart, Resource, job::Obstacle},
    entity::{job, job_event, pause, worker},
    store::{
        self,
        queue::{self, AWAY, MOST_COUNTED},
    },
};

/// Most transitions that are told, the last ones.
const MOST_EVENTS: i64 = 100;

/// All that is known of how a job stands.
#[derive(Debug)]
pub struct Diagnosis {
    /// Without its input.
    pub job: job::Model,
    /// Its last transitions, in order.
    pub events: Vec<job_event::Model>,
    /// How many jobs come before it in its queue, at most [`MOST_COUNTED`]; `None` if it is in no queue.
    pub jobs_before: Option<u64>,
    /// What is told of it beside its row, to whoever may see it.
    pub outlook: Outlook,
    /// What is paused that it waits for, the oldest pause first.
    pub pauses: Vec<pause::Model>,
    /// The workers that have its provider for its type of media, ready or not.
    pub crew: Crew,
    /// How many jobs of its feature run at once, if that keeps it.
    most_of_feature: Option<i64>,
    /// How many jobs all workers run at once, if no more may.
    full: Option<u32>,
    /// Whether a worker, or this process, knows that its provider's service does not answer.
    pub is_provider_away: bool,
    /// What keeps it.
    pub obstacle: Obstacle,
    /// The same as a sentence.
    pub summary: String,
}

impl App {
    /// Finds out how a job stands, by a handful of statements that are bounded however much waits.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn diagnose_job(&self, id: i64) -> Result<Diagnosis, Error> {
        let db = self.store.reader();
        let all = Caller::TrustedService;
        let job = store::job::find_all(db, all, [id]).await?.pop();
        let job = job.ok_or_else(|| Error::not_found(Resource::Job, id))?;
        let waits = job.status == JobStatus::Pending;
        let last = (id, (job.revision - MOST_EVENTS).max(0));
        let mut events = store::job_event::after(db, &[last].into(), MOST_EVENTS).await?;
        let mut pauses = store::pause::list(db).await?;
        pauses.retain(|pause| waits && pause.part().has(job.feature_id, job.provider()));
        let mut crew = self.crew().await?;
        let full = crew.fills(self.settings.total_concurrency);
        crew.workers.retain(|worker| lack(worker, &job).is_some());
        let is_queued = waits && !job.parked && !job.held && !job.paused;
        let jobs_before = match is_queued {
            true => Some(queue::jobs_before(db, &job).await?),
            false => None,
        };
        let outlook = self.outlooks([&job]).await?.of(&job);
        let provider = job.provider().unwrap_or_default();
        let says_away = |worker: &worker::Model| {
            crew.is_alive(worker) && lack(worker, &job) == Some(Some(AWAY.to_owned()))
        };
        let is_provider_away =
            self.providers.is_away(provider) || crew.workers.iter().any(says_away);
        let most_of_feature = match waits && job.paused && pauses.is_empty() {
            true => queue::limit_of(db, job.feature_id).await?,
            false => None,
        };
        let mut diagnosis = Diagnosis {
            most_of_feature,
            full,
            events: events.remove(&last).unwrap_or_default(),
            jobs_before,
            outlook,
            pauses,
            crew,
            is_provider_away,
            obstacle: Obstacle::Nothing,
            summary: String::new(),
            job,
        };
        let closed = self.providers.closed(diagnosis.provider());
        (diagnosis.obstacle, diagnosis.summary) = diagnosis.verdict(closed);
        Ok(diagnosis)
    }
}

/// What a worker lacks to run the job, if anything; `None` if it has no such provider.
fn lack(worker: &worker::Model, job: &job::Model) -> Option<Option<String>> {
    let skills = worker.skills().unwrap_or_default().into_iter();
    let mut skills = skills.filter(|skill| job.provider() == Some(skill.provider.as_str()));
    let skill = skills.find(|skill| skill.category == job.category)?;
    Some(skill.missing)
}

fn told(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

type Verdict = (Obstacle, String);

impl Diagnosis {
    fn provider(&self) -> &str {
        self.job.provider().unwrap_or_default()
    }

    /// Whether its lease has run out.
    pub fn is_lost(&self) -> bool {
        let end = self.job.lease_expires_at;
        end.is_some_and(|end| end < self.crew.now)
    }

    /// `closed`: why this process gives its provider nothing now.
    fn verdict(&self, closed: Option<String>) -> Verdict {
        match self.job.status {
            JobStatus::Pending => self
                .out_of_line()
                .or_else(|| self.without_worker())
                .or_else(|| self.without_provider(closed))
                .or_else(|| self.without_place())
                .unwrap_or_else(|| self.in_line()),
            JobStatus::Processing => self.running(),
            JobStatus::Completed => (Obstacle::Nothing, "It has completed.".to_owned()),
            JobStatus::Failed => (Obstacle::Nothing, self.failed("It has failed")),
            JobStatus::Cancelled => (Obstacle::Nothing, self.failed("It was cancelled")),
        }
    }

    fn failed(&self, words: &str) -> String {
        match (&self.job.error_code, &self.job.error_message) {
            (Some(code), Some(message)) => {
                format!("{words} ({code}): {}", message.trim_end_matches('.')) + "."
            }
            _ => format!("{words}."),
        }
    }

    fn running(&self) -> Verdict {
        let worker = self.job.worker_id.as_deref().unwrap_or_default();
        let until = self.job.lease_expires_at.map(told).unwrap_or_default();
        if self.is_lost() {
            let sentence = format!(
                "Worker {worker:?} was to say by {until} that it still runs it, and has not: upkeep is about to take it away."
            );
            return (Obstacle::WorkerLost, sentence);
        }
        let (attempt, most) = (self.job.attempt, self.job.max_attempts);
        let since = self.job.started_at.map(told).unwrap_or_default();
        let percent = (self.job.progress * 100.0).floor();
        let sentence = format!(
            "Worker {worker:?} runs it since {since}, attempt {attempt} of {most}, {percent} % done."
        );
        (Obstacle::Nothing, sentence)
    }

    /// What keeps a waiting job whoever could run it.
    fn out_of_line(&self) -> Option<Verdict> {
        let Self { job, crew, .. } = self;
        if let Some(pause) = self.pauses.first() {
            let what = match pause.part() {
                QueuePart::Whole => "The queue".to_owned(),
                QueuePart::Feature(id) => format!("Feature {id}"),
                QueuePart::Provider(name) => format!("The generator {name:?}"),
            };
            let (since, actor) = (told(pause.created_at), &pause.actor);
            let why = match pause.reason.trim_end_matches('.') {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let sentence = format!("{what} is paused since {since} by {actor}{why}.");
            return Some((Obstacle::Paused, sentence));
        }
        if let Some(end) = job.start_deadline.filter(|end| *end <= crew.now)
            && job.started_at.is_none()
        {
            let sentence = format!(
                "It was to start by {}, and upkeep is about to cancel it.",
                told(end)
            );
            return Some((Obstacle::DeadlineOver, sentence));
        }
        if job.parked || job.run_after > crew.now {
            let time = told(job.run_after);
            return Some(match job.started_at {
                None => (
                    Obstacle::Scheduled,
                    format!("It is to start at {time}, and not before."),
                ),
                Some(_) => {
                    let failed = self.failed(&format!(
                        "The next attempt may begin at {time}, since the last one failed"
                    ));
                    (Obstacle::Retry, failed)
                }
            });
        }
        if let Some(most) = self.most_of_feature {
            let id = job.feature_id;
            let sentence =
                format!("As many jobs of feature {id} run as may run at once, which is {most}.");
            return Some((Obstacle::Feature, sentence));
        }
        if job.held {
            let most = job.concurrency.unwrap_or_default();
            let sentence = format!(
                "As many jobs of user {} run as the plan lets run at once, which is {most}.",
                job.user_id
            );
            return Some((Obstacle::Plan, sentence));
        }
        None
    }

    /// What keeps a job that nobody takes.
    fn without_worker(&self) -> Option<Verdict> {
        let (provider, category) = (self.provider(), self.job.category.as_str());
        let workers = self.crew.workers.iter();
        let alive: Vec<_> = workers.filter(|it| self.crew.is_alive(it)).collect();
        if alive.is_empty() {
            let last = self.crew.workers.iter().map(|it| it.seen_at).max();
            let last = last.map(|time| format!(" since {}", told(time)));
            let sentence = format!(
                "No worker that has the generator {provider:?} for {category} was seen{}.",
                last.unwrap_or_default()
            );
            return Some((Obstacle::NoWorker, sentence));
        }
        if alive.iter().all(|it| it.drained_at.is_some()) {
            let names: Vec<_> = alive.iter().map(|it| it.name.as_str()).collect();
            let sentence = format!(
                "Every worker that has the generator {provider:?} is drained: {}.",
                names.join(", ")
            );
            return Some((Obstacle::WorkersDrained, sentence));
        }
        let lacks = alive.iter().filter(|it| it.drained_at.is_none());
        let lacks: Vec<_> = lacks.filter_map(|it| lack(it, &self.job)).collect();
        let missing: Vec<_> = lacks.iter().flatten().collect();
        if missing.len() < lacks.len() {
            return None;
        }
        if missing.iter().all(|it| *it == AWAY) {
            let sentence = format!(
                "The generator {provider:?} is away: its service does not answer any worker."
            );
            return Some((Obstacle::ProviderAway, sentence));
        }
        let missing = missing.first().map(|it| it.as_str()).unwrap_or_default();
        let sentence = format!("No worker can run the generator {provider:?} now: {missing}.");
        Some((Obstacle::NoWorker, sentence))
    }

    /// What keeps a job where all workers have as many as they may have together.
    fn without_place(&self) -> Option<Verdict> {
        let most = self.full?;
        let sentence =
            format!("As many jobs run as all workers together run at once, which is {most}.");
        Some((Obstacle::Total, sentence))
    }

    fn without_provider(&self, closed: Option<String>) -> Option<Verdict> {
        let sentence = format!(
            "The generator {:?} {} (on the server that was asked).",
            self.provider(),
            closed?
        );
        match self.is_provider_away {
            true => Some((Obstacle::ProviderAway, sentence)),
            false => Some((Obstacle::ProviderLimit, sentence)),
        }
    }

    fn in_line(&self) -> Verdict {
        let sentence = match self.jobs_before.unwrap_or_default() {
            0 => "It is next: the first worker with a free place takes it.".to_owned(),
            1 => "One job is before it.".to_owned(),
            MOST_COUNTED => format!("{MOST_COUNTED} jobs or more are before it."),
            before => format!("{before} jobs are before it."),
        };
        (Obstacle::Line, sentence)
    }
}
