//! Live progress on standard error: bars on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::DateTime;
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::app::Clock;
use crate::cli::place;
use crate::rpc::proto::{Job, JobStatus};

/// Positions of a bar; jobs report fractions.
const BAR_STEPS: u64 = 1000;

/// Columns that a line needs beside its bar, and the longest and the shortest bar worth drawing.
const BESIDE_BAR: u16 = 50;
const LONGEST_BAR: u16 = 30;
const SHORTEST_BAR: u16 = 8;

/// Without a terminal progress is told once for each of these parts of a job.
const TOLD_PARTS: f64 = 4.0;

/// Without a terminal the place in line is told of jobs that have waited for so long: most begin at once.
const SETTLED: Duration = Duration::from_secs(2);

/// How often a bar's spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// The progress of all jobs of a request.
#[derive(Debug)]
pub(super) struct Progress {
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
    begun: Instant,
}

impl Progress {
    /// Shows bars if standard error is a terminal and lines otherwise.
    pub(super) fn new() -> Self {
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
    pub(super) fn hidden() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self {
            bars,
            writes_lines: false,
            jobs: Mutex::default(),
        }
    }

    /// Begins to show `jobs`, each under the number of its variation.
    pub(super) fn begin(&self, jobs: &[Job]) {
        for job in jobs {
            let bar = self
                .bars
                .add(ProgressBar::new(BAR_STEPS).with_style(style(columns())));
            let label = format!("{}/{}", job.variation + 1, jobs.len());
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(TICK);
            self.lock().insert(
                job.id,
                Line {
                    label,
                    bar,
                    told: None,
                    begun: Instant::now(),
                },
            );
            self.show(job);
        }
    }

    /// Shows where `job` stands now.
    pub(super) fn show(&self, job: &Job) {
        let mut jobs = self.lock();
        let Some(line) = jobs.get_mut(&job.id) else {
            return;
        };
        // The terminal may have got narrower, and a line that wraps is not taken back whole.
        line.bar.set_style(style(columns()));
        line.bar.set_position(position(job));
        line.bar.set_message(describe(job, true));
        let is_settled = line.begun.elapsed() >= SETTLED;
        let told = milestone(job, is_settled);
        if self.writes_lines && line.told.as_ref() != Some(&told) {
            // A closed standard error is no reason to stop.
            let _ = writeln!(stderr(), "{} {}", line.label, sentence(job, is_settled));
        }
        line.told = Some(told);
    }

    /// Takes the bars off the screen, for the result to be printed.
    pub(super) fn clear(&self) {
        for line in self.lock().values() {
            line.bar.finish_and_clear();
        }
    }

    /// A writer for logs that does not tear the bars.
    pub(super) fn log_writer(&self) -> impl Fn() -> AboveBars + Send + Sync + 'static {
        let bars = self.bars.clone();
        move || AboveBars(bars.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Line>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to standard error while the bars are out of the way.
#[derive(Debug)]
pub(super) struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// The width of the terminal.
fn columns() -> u16 {
    Term::stderr().size().1
}

/// One line of at most `columns`: the bar gives way to the words, which are cut at the end of the line.
fn style(columns: u16) -> ProgressStyle {
    let bar = match columns.saturating_sub(BESIDE_BAR).min(LONGEST_BAR) {
        ..SHORTEST_BAR => String::new(),
        width => format!("{{bar:{width}.cyan/dim}} "),
    };
    let template = format!("{{prefix}} {{spinner}} {bar}{{percent:>3}}% {{wide_msg}}");
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn position(job: &Job) -> u64 {
    match job.status() {
        JobStatus::Completed => BAR_STEPS,
        // Rounding to a step of the bar loses nothing that can be seen.
        JobStatus::Processing => (job.progress.clamp(0.0, 1.0) * 1000.0) as u64,
        _ => 0,
    }
}

/// Where a job stands, in a few words, and where in line if `tells_place`.
fn describe(job: &Job, tells_place: bool) -> String {
    match job.status() {
        JobStatus::Unspecified => "unknown".to_owned(),
        JobStatus::Pending if !job.waiting_reason.is_empty() => job.waiting_reason.clone(),
        JobStatus::Pending if job.is_paused => "waiting: paused by the service".to_owned(),
        JobStatus::Pending if job.attempt > 0 => {
            format!(
                "waiting to try again ({} of {} attempts made)",
                job.attempt, job.max_attempts
            )
        }
        JobStatus::Pending if tells_place && job.queue_position > 0 => {
            format!("waiting, {}", place_of(job))
        }
        JobStatus::Pending => "waiting".to_owned(),
        JobStatus::Processing if job.is_stalled => "its worker has gone silent".to_owned(),
        JobStatus::Processing if job.progress_message.is_empty() => "working".to_owned(),
        JobStatus::Processing => job.progress_message.clone(),
        JobStatus::Completed => "completed".to_owned(),
        JobStatus::Failed => "failed".to_owned(),
        JobStatus::Cancelled => "cancelled".to_owned(),
    }
}

fn place_of(job: &Job) -> String {
    let position = u64::try_from(job.queue_position).unwrap_or_default();
    let start = job.estimated_start_time;
    let start = start.and_then(|it| DateTime::from_timestamp(it.seconds, it.nanos.cast_unsigned()));
    let wait = start.map(|start| place::left(start, Clock::system().now()));
    place::in_line(position, wait)
}

/// Where a job stands for a line of its own, which has no bar beside it.
fn sentence(job: &Job, tells_place: bool) -> String {
    match job.status() {
        JobStatus::Processing => format!(
            "{:.0}% {}",
            job.progress.clamp(0.0, 1.0) * 100.0,
            describe(job, tells_place)
        ),
        _ => describe(job, tells_place),
    }
}

/// Equal for two states that are not worth a line each.
fn milestone(job: &Job, tells_place: bool) -> String {
    // Each half of the way is worth one.
    let place = u32::BITS - job.queue_position.max(0).cast_unsigned().leading_zeros();
    let place = if tells_place { place } else { 0 };
    let part = (job.progress.clamp(0.0, 1.0) * TOLD_PARTS).floor();
    match job.status() {
        JobStatus::Processing => {
            format!("processing {} {part} {}", job.attempt, job.is_stalled)
        }
        status => format!(
            "{status:?} {} {} {place} {}",
            job.attempt, job.is_paused, job.waiting_reason
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;

    /// A terminal of so many columns that notes what is written to it.
    #[derive(Clone, Debug)]
    struct Screen {
        columns: u16,
        written: Arc<Mutex<String>>,
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.columns
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.written.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.written.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of a job with a long message on a terminal of so many columns.
    fn drawn(columns: u16) -> String {
        let written = Arc::default();
        let screen = Screen { columns, written };
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = ProgressBar::with_draw_target(Some(BAR_STEPS), target).with_style(style(columns));
        bar.set_prefix("16/16");
        bar.set_message("waiting to try again (2 of 3 attempts made)".repeat(4));
        bar.set_position(BAR_STEPS);
        bar.tick();
        let line = screen.written.lock().unwrap().clone();
        console::strip_ansi_codes(&line).into_owned()
    }

    #[test]
    fn a_line_fits_terminals_of_every_width() {
        for columns in 20..=200 {
            let line = drawn(columns);
            let width = console::measure_text_width(&line);
            assert!(width <= columns.into(), "{width} in {columns}: {line:?}");
            assert!(
                line.starts_with("16/16 ") && line.contains(" 100% "),
                "{line:?}"
            );
            assert_eq!(line.contains('━'), columns >= 58, "{columns}: {line:?}");
        }
    }

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
        assert_eq!(describe(&job(JobStatus::Pending, 0.0), true), "waiting");
        let in_line = Job {
            queue_position: 12,
            ..job(JobStatus::Pending, 0.0)
        };
        assert_eq!(describe(&in_line, true), "waiting, 12th in line");
        assert_eq!(describe(&in_line, false), "waiting");
        let silent = Job {
            is_stalled: true,
            ..job(JobStatus::Processing, 0.5)
        };
        assert_eq!(sentence(&silent, true), "50% its worker has gone silent");
        let retried = Job {
            attempt: 1,
            ..job(JobStatus::Pending, 0.0)
        };
        assert_eq!(
            describe(&retried, true),
            "waiting to try again (1 of 3 attempts made)"
        );
        let alone = Job {
            waiting_reason: "No worker has it.".into(),
            ..job(JobStatus::Pending, 0.0)
        };
        assert_eq!(describe(&alone, true), "No worker has it.");
        let drawing = Job {
            progress_message: "drawing".into(),
            ..job(JobStatus::Processing, 0.455)
        };
        assert_eq!(describe(&drawing, true), "drawing");
        assert_eq!(sentence(&drawing, true), "46% drawing");
        assert_eq!(describe(&job(JobStatus::Completed, 1.0), true), "completed");
    }

    #[test]
    fn lines_are_written_for_steps_and_not_for_every_percent() {
        let at = |progress| milestone(&job(JobStatus::Processing, progress), true);
        assert_eq!(at(0.26), at(0.49));
        assert_ne!(at(0.49), at(0.51));
        assert_ne!(at(1.0), milestone(&job(JobStatus::Completed, 1.0), true));
        assert_ne!(
            milestone(
                &Job {
                    attempt: 2,
                    ..job(JobStatus::Processing, 0.1)
                },
                true
            ),
            at(0.1)
        );
        let in_line = |queue_position, tells_place| {
            let waiting = Job {
                queue_position,
                ..job(JobStatus::Pending, 0.0)
            };
            milestone(&waiting, tells_place)
        };
        assert_eq!(in_line(15, true), in_line(8, true));
        assert_ne!(in_line(8, true), in_line(7, true));
        assert_eq!(in_line(8, false), in_line(0, false));
    }

    #[test]
    fn a_bar_stays_within_its_ends() {
        assert_eq!(position(&job(JobStatus::Processing, 7.0)), BAR_STEPS);
        assert_eq!(position(&job(JobStatus::Processing, f64::NAN)), 0);
        assert_eq!(position(&job(JobStatus::Completed, 0.0)), BAR_STEPS);
    }
}
