//! The table that is printed.

use crate::ffmpeg::Encode;
use crate::scene::Scale;

/// What several runs of the same work came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub seconds: f64,
    /// Bytes of what was made.
    size: usize,
}

impl Median {
    pub(crate) fn of(mut runs: Vec<(f64, usize)>) -> Self {
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (seconds, size) = runs[runs.len() / 2];
        Self { seconds, size }
    }
}

/// What a rate counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// So many of them in one run.
    PerSecond(&'static str, f64),
    /// Seconds of playing time in one run.
    RealTime(f64),
}

impl Unit {
    fn rate(self, median: &Median) -> String {
        match self {
            Self::PerSecond(name, count) => format!("{:.1} {name}/s", count / median.seconds),
            Self::RealTime(length) => format!("{:.2} x real time", length / median.seconds),
        }
    }
}

/// Rows of equal width: the work, ours, FFmpeg's, how many times as quick as it ours is, the sizes.
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    /// How FFmpeg was told to work.
    settings: Vec<String>,
}

impl Table {
    pub(crate) fn new(scale: &Scale) -> Self {
        let (width, height) = scale.size;
        let runs = scale.runs;
        let titles = [
            &*format!("{width}x{height}, median of {runs}"),
            "Atelier",
            "FFmpeg",
            "times as quick",
            "bytes",
        ];
        Self {
            rows: vec![titles.map(str::to_owned)],
            settings: Vec::new(),
        }
    }

    pub(crate) fn ours(&mut self, work: &str, unit: Unit, ours: &Median) {
        self.note(work, &unit.rate(ours));
    }

    pub(crate) fn both(
        &mut self,
        work: &str,
        unit: Unit,
        ours: &Median,
        theirs: &Median,
        how: &Encode,
    ) {
        self.rows.push([
            work.to_owned(),
            unit.rate(ours),
            unit.rate(theirs),
            format!("{:.2}", theirs.seconds / ours.seconds),
            format!("{} / {}", ours.size, theirs.size),
        ]);
        self.settings
            .push(format!("{work}: ffmpeg -threads 1 {how}"));
    }

    pub(crate) fn note(&mut self, work: &str, rate: &str) {
        let (work, rate) = (work.to_owned(), rate.to_owned());
        self.rows
            .push([work, rate, String::new(), String::new(), String::new()]);
    }

    pub(crate) fn print(&self) {
        let longest = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths = [0, 1, 2, 3, 4].map(longest);
        for row in &self.rows {
            let cells = row.iter().zip(widths);
            let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        println!("\nFFmpeg's times include starting it and piping raw data to it. Its settings:");
        for setting in &self.settings {
            println!("{setting}");
        }
    }
}
