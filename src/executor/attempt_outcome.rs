//! What a run of a job leaves to be recorded.

use crate::{
    app::StoredOutput,
    domain::{JobInput, JobStatus, JsonMap, job::Failure},
    entity::job,
    traces::Traced,
};

use super::attempt_error::AttemptError;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum AttemptOutcome {
    /// All that was made is stored.
    Succeeded {
        outputs: Vec<StoredOutput>,
        metadata: JsonMap,
    },
    Failed(AttemptError),
    /// The provider is away, and `input` is for the next one.
    FellBack {
        failure: Failure,
        input: Box<JobInput>,
    },
    /// It stopped because it was asked to. `keep_task`: the provider works on.
    Stopped {
        keep_task: bool,
    },
    /// Another worker has the job now, or it has ended, as when it was cancelled.
    LeaseLost,
    /// The database refuses what is to be recorded.
    Unrecordable,
}

impl AttemptOutcome {
    /// How it ended, in a word for operators. `ended`: the job as it was recorded, if it was.
    pub(super) fn word(&self, ended: Option<&job::Model>) -> &'static str {
        match (self, ended.map(|job| job.status)) {
            (_, None) | (Self::LeaseLost, _) => "lost",
            (Self::Succeeded { .. }, _) => "completed",
            (Self::Stopped { .. }, _) => "handed_back",
            (Self::FellBack { .. }, _) => "fell_back",
            (_, Some(JobStatus::Pending)) => "retried",
            _ => "failed",
        }
    }

    /// Has operators see how it ended. What has failed has a reason of ours, and no word of a service's.
    pub(super) fn tell(&self, traced: &Traced, ended: Option<&job::Model>) {
        let word = self.word(ended);
        traced.set("atelier.attempt.end", word);
        if matches!(word, "failed" | "retried" | "fell_back" | "lost") {
            let reason = ended.and_then(|job| job.error_code.clone());
            traced.fail(reason.unwrap_or_default());
        }
    }

    /// How much is stored of what was made; `None` if nothing was.
    pub(super) fn bytes(&self) -> Option<u64> {
        let Self::Succeeded { outputs, .. } = self else {
            return None;
        };
        let files = outputs
            .iter()
            .flat_map(|output| output.derived.iter().chain([&output.file]));
        Some(files.map(|file| file.inspected.facts.file_size).sum())
    }
}
