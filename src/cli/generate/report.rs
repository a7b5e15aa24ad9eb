//! What came out, as text for people or as one JSON document.

use std::io::Write;

use serde_json::{Value, json};

use super::connection::OwnServer;
use super::omission::{
    Omission, OmittedCharacters, Remark, omissions, omitted_characters, remarks,
};
use super::request::Asked;
use super::result::MediaResult;
use super::watch::FinishedJob;
use super::{GenerateArguments, GenerateError};
use crate::client::{Violation, reason, violations};
use crate::domain::{Place, with_causes};
use crate::rpc::proto::{Job, JobError, JobStatus, Media, MediaRole, Warning};

/// The outcome of a request.
#[derive(Debug)]
pub(super) struct Report {
    prompt: String,
    asked: Asked,
    results: Vec<MediaResult>,
    failures: Vec<Failure>,
    omissions: Vec<Omission>,
    omitted_characters: Vec<OmittedCharacters>,
    remarks: Vec<Remark>,
}

/// One job without media.
#[derive(Debug)]
struct Failure {
    job: Job,
}

impl Report {
    /// The outcome of `jobs`. Links to our `own` server are left out: they die with it.
    pub(super) fn new(
        arguments: &GenerateArguments,
        asked: Asked,
        jobs: Vec<FinishedJob>,
        own: Option<&OwnServer>,
    ) -> Self {
        let mut report = Self {
            prompt: arguments.prompt.clone(),
            asked,
            results: Vec::new(),
            failures: Vec::new(),
            omissions: Vec::new(),
            omitted_characters: Vec::new(),
            remarks: Vec::new(),
        };
        for FinishedJob { job, media } in jobs {
            let results = files_of(&job, media, own);
            if job.status() != JobStatus::Completed || results.is_empty() {
                report.failures.push(Failure { job });
            } else {
                report.omissions.extend(omissions(&job));
                report.omitted_characters.extend(omitted_characters(&job));
                report.remarks.extend(remarks(&job));
            }
            report.results.extend(results);
        }
        report
    }

    /// Whether anything came out.
    pub(super) fn has_media(&self) -> bool {
        !self.results.is_empty()
    }

    /// What the user asked for.
    pub(super) fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The files, for their paths to be noted.
    pub(super) fn results_mut(&mut self) -> &mut [MediaResult] {
        &mut self.results
    }

    /// The files for people, with a preview of each if it can be seen.
    pub(super) fn to_text(&self, with_preview: bool) -> String {
        let mut text = String::new();
        for result in &self.results {
            if !text.is_empty() {
                text.push('\n');
            }
            result.write_text(&mut text, with_preview);
        }
        text
    }

    /// The whole outcome as one JSON document in one line.
    pub(super) fn to_json(&self) -> String {
        let results: Vec<_> = self.results.iter().map(MediaResult::to_json).collect();
        let failures: Vec<_> = self.failures.iter().map(Failure::to_json).collect();
        let omissions: Vec<_> = self.omissions.iter().map(Omission::to_json).collect();
        let omitted_characters = self.omitted_characters.iter();
        let omitted_characters: Vec<_> =
            omitted_characters.map(OmittedCharacters::to_json).collect();
        let document = json!({
            "request_id": self.asked.request.id,
            "prompt": self.prompt,
            "feature": self.asked.feature.name,
            "template": self.asked.template.as_ref().map(|template| &template.name),
            "results": results,
            "failures": failures,
            "warnings": self.asked.warnings.iter().map(warning_to_json).collect::<Vec<_>>(),
            "omissions": omissions,
            "omitted_characters": omitted_characters,
            "remarks": self.remarks.iter().map(Remark::to_json).collect::<Vec<_>>(),
        });
        format!("{document}\n")
    }

    /// Writes of what had no effect, of each job that made nothing, and of what is missing in what was made, or was done to it. There is
    /// nowhere to report a failure of that to.
    pub(super) fn complain(&self, writer: &mut dyn Write) {
        let warnings = self.asked.warnings.iter();
        let warnings = warnings.map(|it| format!("warning: {}: {}", it.field, it.message));
        let failures = self.failures.iter().map(Failure::text);
        let omissions = self.omissions.iter().map(Omission::sentence);
        let characters = self.omitted_characters.iter();
        let characters = characters.map(OmittedCharacters::sentence);
        let missing = omissions.chain(characters);
        let remarks = self.remarks.iter().map(Remark::sentence);
        for text in warnings.chain(failures).chain(missing).chain(remarks) {
            let _ = writeln!(writer, "{text}");
        }
    }
}

/// The files that a job made for its user: the outputs, each with its further formats. Thumbnails and the like are for
/// whoever shows them.
fn files_of(job: &Job, media: Vec<Media>, own: Option<&OwnServer>) -> Vec<MediaResult> {
    let (originals, others): (Vec<_>, Vec<_>) = media
        .into_iter()
        .partition(|media| media.original_id.is_none());
    let count = originals.len();
    let mut files = Vec::with_capacity(count + others.len());
    for (index, original) in originals.into_iter().enumerate() {
        let place = Place {
            variation: job.variation,
            index: (count > 1).then_some(index),
        };
        let formats = others.iter().filter(|media| {
            media.role() == MediaRole::Format && media.original_id == Some(original.id)
        });
        let formats: Vec<_> = formats.cloned().collect();
        for media in std::iter::once(original).chain(formats) {
            files.push(MediaResult::new(media, place, own));
        }
    }
    files
}

impl Failure {
    fn error(&self) -> JobError {
        self.job.error.clone().unwrap_or_default()
    }

    /// For people: a sentence, and below it what the provider said.
    fn text(&self) -> String {
        let number = self.job.variation + 1;
        let error = self.error();
        let JobError { code, message, .. } = &error;
        match self.job.status() {
            JobStatus::Cancelled => format!("variation {number} was cancelled"),
            JobStatus::Completed => format!("variation {number} completed without media"),
            _ => format!(
                "variation {number} failed: {code}: {message}{}",
                indented(&error.detail)
            ),
        }
    }

    fn to_json(&self) -> Value {
        let JobError { code, message, .. } = self.error();
        json!({
            "job_id": self.job.id,
            "variation": self.job.variation,
            "status": self.job.status().as_str_name().trim_start_matches("JOB_STATUS_").to_lowercase(),
            "error_code": code,
            "error_message": message,
        })
    }
}

/// The lines of a text, each below the line before; what could move a terminal's cursor is left out.
fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| format!("\n  {}", line.replace(char::is_control, " ")));
    lines.collect()
}

fn warning_to_json(warning: &Warning) -> Value {
    json!({ "field": warning.field, "reason": warning.reason, "message": warning.message })
}

/// The JSON document of a command that ended before there was an outcome.
pub(super) fn failure_to_json(error: &GenerateError) -> String {
    let mut told = json!({ "message": with_causes(error) });
    if let GenerateError::Refused { status, .. } = error {
        told["reason"] = json!(reason(status));
        told["violations"] = violations(status).iter().map(violation_to_json).collect();
    }
    format!("{}\n", json!({ "error": told }))
}

fn violation_to_json(violation: &Violation) -> Value {
    json!({
        "field": violation.field,
        "reason": violation.reason,
        "description": violation.description,
        "message": violation.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::{Feature, Request};

    fn media(id: i64) -> Media {
        Media {
            id,
            job_id: Some(5),
            media_url: "http://127.0.0.1:4000/media/a.png".into(),
            download_url: "http://127.0.0.1:4000/media/a.png?signature=1".into(),
            file_size: 251_234,
            role: MediaRole::Original.into(),
            format: "png".into(),
            width: 1080,
            height: 1350,
            seed: Some(42),
            blurhash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj".into(),
            ..Media::default()
        }
    }

    fn job(variation: i32, status: JobStatus) -> Job {
        let error = (status == JobStatus::Failed).then(|| JobError {
            code: "PROVIDER_NO_OUTPUT".into(),
            message: "The generator finished without making anything.".into(),
            detail: "secret\n\n\u{1b}[2Jof two lines\n".into(),
        });
        Job {
            id: 5,
            variation,
            status: status.into(),
            error,
            ..Job::default()
        }
    }

    fn report(jobs: Vec<FinishedJob>, own: Option<&OwnServer>) -> Report {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            arguments: GenerateArguments,
        }
        let arguments = Line::try_parse_from(["generate", "trà đá"])
            .unwrap()
            .arguments;
        let asked = Asked {
            feature: Feature {
                name: "poster".into(),
                ..Feature::default()
            },
            template: None,
            request: Request {
                id: 9,
                ..Request::default()
            },
            jobs: Vec::new(),
            warnings: Vec::new(),
        };
        Report::new(&arguments, asked, jobs, own)
    }

    fn own(folder: &std::path::Path) -> OwnServer {
        OwnServer {
            url: "http://127.0.0.1:4000".into(),
            folder: Some(folder.to_owned()),
        }
    }

    fn completed(media: Vec<Media>) -> FinishedJob {
        FinishedJob {
            job: job(0, JobStatus::Completed),
            media,
        }
    }

    #[test]
    fn text_tells_all_facts_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let text =
            report(vec![completed(vec![media(1)])], Some(&own(folder.path()))).to_text(false);
        assert_eq!(
            text,
            "URL       http://127.0.0.1:4000/media/a.png\nSize      1080x1350, 245.3 KiB\nFormat    png\n\
             Seed      42\nBlurHash  LEHV6nWB2yk8pyo0adR*.7kCMdnj\n"
        );
    }

    #[test]
    fn a_preview_follows_where_it_can_be_seen() {
        let text = report(vec![completed(vec![media(1)])], None).to_text(true);
        assert!(text.contains('▀'), "{text}");
    }

    #[test]
    fn the_link_of_a_running_server_is_shown() {
        let text = report(vec![completed(vec![media(1)])], None).to_text(false);
        assert!(
            text.contains("URL       http://127.0.0.1:4000/media/a.png?signature=1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_file_on_this_machine_is_named_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        std::fs::write(&file, "").unwrap();
        let text =
            report(vec![completed(vec![media(1)])], Some(&own(folder.path()))).to_text(false);
        let url = url::Url::from_file_path(&file).unwrap();
        let expected = format!("File      {}\nURL       {url}\n", file.display());
        assert!(text.starts_with(&expected), "{text}");
    }

    #[test]
    fn json_is_one_document_with_results_and_failures() {
        let failed = FinishedJob {
            job: job(1, JobStatus::Failed),
            media: Vec::new(),
        };
        let report = report(vec![completed(vec![media(1), media(2)]), failed], None);
        let document: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(document["request_id"], 9);
        assert_eq!(document["feature"], "poster");
        assert_eq!(document["template"], Value::Null);
        assert_eq!(document["results"][1]["media_id"], 2);
        assert_eq!(document["results"][0]["role"], "original");
        assert_eq!(document["results"][0]["seed"], 42);
        assert_eq!(document["failures"][0]["error_code"], "PROVIDER_NO_OUTPUT");
        assert_eq!(document["failures"][0]["status"], "failed");
    }

    #[test]
    fn the_formats_of_an_output_stand_with_it_and_thumbnails_are_left_out() {
        let made = |id, role: MediaRole, original_id, format: &str| Media {
            role: role.into(),
            original_id,
            format: format.to_owned(),
            ..media(id)
        };
        let files = vec![
            made(1, MediaRole::Original, None, "png"),
            made(2, MediaRole::Original, None, "png"),
            made(3, MediaRole::Format, Some(1), "webp"),
            made(4, MediaRole::Thumbnail, Some(1), "jpg"),
            made(5, MediaRole::Format, Some(2), "webp"),
        ];
        let mut report = report(vec![completed(files)], None);
        let results = report.results_mut().iter();
        let places: Vec<_> = results
            .map(|result| (result.media.id, result.place.to_string()))
            .collect();
        let expected = [(1, "1-1"), (3, "1-1"), (2, "1-2"), (5, "1-2")];
        assert_eq!(places, expected.map(|(id, place)| (id, place.to_owned())));
    }

    #[test]
    fn a_failed_job_is_told_to_people_with_the_providers_words_and_to_programs_without() {
        let failed = FinishedJob {
            job: job(1, JobStatus::Failed),
            media: Vec::new(),
        };
        let report = report(vec![failed], None);
        let mut lines = Vec::new();
        report.complain(&mut lines);
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "variation 2 failed: PROVIDER_NO_OUTPUT: The generator finished without making anything.\n  \
             secret\n   [2Jof two lines\n"
        );
        assert!(!report.has_media());
        assert!(!report.to_json().contains("secret"));
    }
}
