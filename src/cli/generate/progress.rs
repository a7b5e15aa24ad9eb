//! Live progress on standard error: bars on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::rpc::proto::{Job, JobStatus};

/// Positions of a bar; jobs report fractions.
const BAR_STEPS: u64 = 1000;

/// Without a terminal progress is told once for each of these parts of a job.
const TOLD_PARTS: f64 = 4.0;

/// How often a bar's spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// The progress of all jobs of a request.
#[derive(Debug)]
pub struct Progress {
    bars: MultiProgress,
    writes_lines: bool,
    jobs: Mutex<HashMap<i64, Line>>,
}

/// What is shown of one job.
#[derive(Debug)]
struct Line {
    label: String,
    bar: ProgressBar,
    told: Option<String>,
}

impl Progress {
    /// Shows bars if standard error is a terminal and lines otherwise.
    pub fn new() -> Self {
        let draws =
            stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let target = if draws {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            writes_lines: !draws,
            jobs: Mutex::default(),
        }
    }

    /// Shows nothing.
    #[cfg(test)]
    pub fn hidden() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self {
            bars,
            writes_lines: false,
            jobs: Mutex::default(),
        }
    }

    /// Begins to show `jobs`, each under the number of its variation.
    pub fn begin(&self, jobs: &[Job]) {
        for job in jobs {
            let bar = self
                .bars
                .add(ProgressBar::new(BAR_STEPS).with_style(style()));
            let label = format!("{}/{}", job.variation + 1, jobs.len());
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(TICK);
            self.lock().insert(
                job.id,
                Line {
                    label,
                    bar,
                    told: None,
                },
            );
            self.show(job);
        }
    }

    /// Shows where `job` stands now.
    pub fn show(&self, job: &Job) {
        let mut jobs = self.lock();
        let Some(line) = jobs.get_mut(&job.id) else {
            return;
        };
        line.bar.set_position(position(job));
        line.bar.set_message(describe(job));
        let told = milestone(job);
        if self.writes_lines && line.told.as_ref() != Some(&told) {
            // A closed standard error is no reason to stop.
            let _ = writeln!(stderr(), "{} {}", line.label, sentence(job));
        }
        line.told = Some(told);
    }

    /// Takes the bars off the screen, for the result to be printed.
    pub fn clear(&self) {
        for line in self.lock().values() {
            line.bar.finish_and_clear();
        }
    }

    /// A writer for logs that does not tear the bars.
    pub fn log_writer(&self) -> impl Fn() -> AboveBars + Send + Sync + 'static {
        let bars = self.bars.clone();
        move || AboveBars(bars.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Line>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to standard error while the bars are out of the way.
#[derive(Debug)]
pub struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {spinner} {bar:30.cyan/dim} {percent:>3}% {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn position(job: &Job) -> u64 {
    match job.status() {
        JobStatus::Completed => BAR_STEPS,
        // Rounding to a step of the bar loses nothing that can be seen.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        JobStatus::Processing => (job.progress.clamp(0.0, 1.0) * 1000.0) as u64,
        _ => 0,
    }
}

/// Where a job stands, in a few words.
fn describe(job: &Job) -> String {
    match job.status() {
        JobStatus::Unspecified => "unknown".to_owned(),
        JobStatus::Pending if job.attempt > 0 => {
            format!(
                "waiting to try again ({} of {} attempts made)",
                job.attempt, job.max_attempts
            )
        }
        JobStatus::Pending => "waiting".to_owned(),
        JobStatus::Processing if job.progress_message.is_empty() => "working".to_owned(),
        JobStatus::Processing => job.progress_message.clone(),
        JobStatus::Completed => "completed".to_owned(),
        JobStatus::Failed => "failed".to_owned(),
        JobStatus::Cancelled => "cancelled".to_owned(),
    }
}

/// Where a job stands for a line of its own, which has no bar beside it.
fn sentence(job: &Job) -> String {
    match job.status() {
        JobStatus::Processing => format!(
            "{:.0}% {}",
            job.progress.clamp(0.0, 1.0) * 100.0,
            describe(job)
        ),
        _ => describe(job),
    }
}

/// Equal for two states that are not worth a line each.
fn milestone(job: &Job) -> String {
    let part = (job.progress.clamp(0.0, 1.0) * TOLD_PARTS).floor();
    match job.status() {
        JobStatus::Processing => format!("processing {} {part}", job.attempt),
        status => format!("{status:?} {}", job.attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: JobStatus, progress: f64) -> Job {
        Job {
            status: status.into(),
            progress,
            max_attempts: 3,
            ..Job::default()
        }
    }

    #[test]
    fn every_status_has_its_words() {
        assert_eq!(describe(&job(JobStatus::Pending, 0.0)), "waiting");
        let retried = Job {
            attempt: 1,
            ..job(JobStatus::Pending, 0.0)
        };
        assert_eq!(
            describe(&retried),
            "waiting to try again (1 of 3 attempts made)"
        );
        let drawing = Job {
            progress_message: "drawing".into(),
            ..job(JobStatus::Processing, 0.455)
        };
        assert_eq!(describe(&drawing), "drawing");
        assert_eq!(sentence(&drawing), "46% drawing");
        assert_eq!(describe(&job(JobStatus::Completed, 1.0)), "completed");
    }

    #[test]
    fn lines_are_written_for_steps_and_not_for_every_percent() {
        let at = |progress| milestone(&job(JobStatus::Processing, progress));
        assert_eq!(at(0.26), at(0.49));
        assert_ne!(at(0.49), at(0.51));
        assert_ne!(at(1.0), milestone(&job(JobStatus::Completed, 1.0)));
        assert_ne!(
            milestone(&Job {
                attempt: 2,
                ..job(JobStatus::Processing, 0.1)
            }),
            at(0.1)
        );
    }

    #[test]
    fn a_bar_stays_within_its_ends() {
        assert_eq!(position(&job(JobStatus::Processing, 7.0)), BAR_STEPS);
        assert_eq!(position(&job(JobStatus::Processing, f64::NAN)), 0);
        assert_eq!(position(&job(JobStatus::Completed, 0.0)), BAR_STEPS);
    }
}
