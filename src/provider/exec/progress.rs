//! What a command tells of its progress, line by line.

use crate::{domain::command::ProgressBy, provider::Progress};

/// Longer lines are cut.
const MAX_LINE_BYTES: usize = 1_024;

/// Cuts a stream of bytes into lines, within bounds of memory.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes in the next bytes and hands out each line that they complete, without its end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        for byte in bytes {
            match byte {
                // ffmpeg and others end a line that they write anew with a carriage return alone.
                b'\n' | b'\r' => {
                    take(&String::from_utf8_lossy(&self.line));
                    self.line.clear();
                }
                _ if self.line.len() < MAX_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }
}

/// The progress that a line tells of, if it does. `duration` is what the output was asked to have, in seconds.
pub(super) fn parse(form: ProgressBy, line: &str, duration: Option<u32>) -> Option<Progress> {
    match form {
        ProgressBy::None => None,
        ProgressBy::Lines => parse_plain(line),
        ProgressBy::Ffmpeg => parse_ffmpeg(line, duration?),
    }
}

fn parse_plain(line: &str) -> Option<Progress> {
    let rest = line.strip_prefix("progress ")?.trim();
    let (number, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let fraction = match number.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => number.parse().ok()?,
    };
    Some(Progress {
        fraction,
        message: message.trim().to_owned(),
        preview: None,
    })
}

fn parse_ffmpeg(line: &str, duration: u32) -> Option<Progress> {
    let microseconds: f64 = line.trim().strip_prefix("out_time_us=")?.parse().ok()?;
    Some(Progress {
        fraction: microseconds / 1e6 / f64::from(duration.max(1)),
        message: "encoding".to_owned(),
        preview: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(form: ProgressBy, line: &str, duration: Option<u32>) -> Option<(f64, String)> {
        parse(form, line, duration).map(|progress| (progress.fraction, progress.message))
    }

    #[test]
    fn plain_lines_are_a_share_or_a_percentage_and_a_message() {
        for (line, fraction, message) in [
            ("progress 0.42 drawing hills", 0.42, "drawing hills"),
            ("progress 50%", 0.5, ""),
            ("progress  1 ", 1.0, ""),
        ] {
            let expected = Some((fraction, message.to_owned()));
            assert_eq!(told(ProgressBy::Lines, line, None), expected, "{line}");
        }
        for line in ["", "progress", "progress x", "42%", "progress: 0.5"] {
            assert_eq!(told(ProgressBy::Lines, line, None), None, "{line}");
        }
    }

    #[test]
    fn ffmpeg_s_time_counts_against_the_duration_asked_for() {
        let expected = Some((0.5, "encoding".to_owned()));
        assert_eq!(
            told(ProgressBy::Ffmpeg, "out_time_us=2000000", Some(4)),
            expected
        );
        assert_eq!(told(ProgressBy::Ffmpeg, "out_time_us=N/A", Some(4)), None);
        assert_eq!(told(ProgressBy::Ffmpeg, "frame=12", Some(4)), None);
        assert_eq!(told(ProgressBy::Ffmpeg, "out_time_us=1", None), None);
    }

    #[test]
    fn lines_come_whole_and_bounded_however_the_bytes_are_cut() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let long = "x".repeat(5_000);
        for part in ["pro", "gress 1\nan", "other\r", &long, "\n", "rest"] {
            lines.feed(part.as_bytes(), |line| seen.push(line.to_owned()));
        }
        let cut = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(seen, ["progress 1", "another", cut.as_str()]);
    }
}
