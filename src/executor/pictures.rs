//! The pictures that a request brings, got before its provider is asked.

use std::time::Duration;

use crate::{
    app::Unpictured,
    domain::{Error, Reason, job::Failure, media_id},
    media::{InspectError, inspect_with_still},
    provider::{MASK, Picture, Preset, Task, Verdict},
};

use super::{
    attempt_error::AttemptError,
    attempt_outcome::AttemptOutcome,
    submission::{Submission, gone},
};

/// Pauses before a picture is offered again to whoever judges it.
const JUDGE_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

impl Submission<'_> {
    /// Those that the provider takes, in the order of the fields. Nothing is submitted by then.
    pub(super) async fn bring_pictures(&self) -> Result<Vec<Picture>, AttemptOutcome> {
        let keep_task = self.job.submission_key.is_some();
        if !self.provider.takes_pictures(self.task.media_type) {
            return Ok(Vec::new());
        }
        tokio::select! {
            () = self.task.cancelled.cancelled() => Err(AttemptOutcome::Stopped { keep_task }),
            pictures = self.all_pictures() => pictures.map_err(|error| {
                AttemptOutcome::Failed(AttemptError { keep_task, ..error })
            }),
        }
    }

    async fn all_pictures(&self) -> Result<Vec<Picture>, AttemptError> {
        let input = &self.task.input;
        let mut pictures = Vec::new();
        for (index, link) in input.media_urls.iter().enumerate() {
            let field = format!("user_media_urls[{index}]");
            pictures.push(self.linked_picture(field, link).await?);
        }
        for name in &input.pictures {
            let Some(value) = input.variables.get(name) else {
                continue;
            };
            let field = format!("input.variables.{name}");
            if let Some(id) = media_id(value) {
                let picture = self.app.picture_of_media(field, id).await;
                pictures.push(picture.map_err(|error| gone(name, error))?);
            } else if let Some(link) = value.as_str().filter(|link| !link.is_empty()) {
                pictures.push(self.linked_picture(field, link).await?);
            }
        }
        if !input.mask_url.is_empty() && self.provider.takes_mask(self.task.media_type) {
            let mask = self.linked_picture(MASK.to_owned(), &input.mask_url);
            pictures.push(mask.await?);
        }
        Ok(pictures)
    }

    /// Has the service get links of uploads as such that it can open, and finds out whether it may follow the others: it may be
    /// where it reaches what strangers must not.
    pub(super) async fn prepare_links(&self, task: &mut Task) -> Result<(), AttemptOutcome> {
        let (media_type, provider) = (task.media_type, &self.provider);
        let preset = Preset::of_job(media_type, &task.input);
        if provider.takes_pictures(media_type) || !provider.reads(preset, "user_media_urls") {
            return Ok(());
        }
        let input = &mut task.input;
        for (index, link) in input.media_urls.iter_mut().enumerate() {
            let field = format!("user_media_urls[{index}]");
            if let Some(signed) = self.prepare_link(&field, link).await? {
                *link = signed;
            }
        }
        for name in &input.pictures {
            let Some(value) = input.variables.get_mut(name) else {
                continue;
            };
            let link = value.as_str().filter(|link| !link.is_empty());
            let Some(link) = link.filter(|_| media_id(value).is_none()) else {
                continue;
            };
            let field = format!("input.variables.{name}");
            if let Some(signed) = self.prepare_link(&field, link).await? {
                *value = signed.into();
            }
        }
        Ok(())
    }

    /// What a service gets in place of a link, if it is that of an upload; otherwise whether it may have it.
    async fn prepare_link(
        &self,
        field: &str,
        link: &str,
    ) -> Result<Option<String>, AttemptOutcome> {
        let prepared = async {
            let upload = self.app.link_to_upload(self.job.user_id, link).await?;
            if upload.is_none() {
                self.app.judge_link(link).await?;
            }
            Ok(upload)
        };
        let prepared = prepared.await;
        prepared.map_err(|error| AttemptOutcome::Failed(unpictured(field, error)))
    }

    async fn linked_picture(&self, field: String, link: &str) -> Result<Picture, AttemptError> {
        let owner = (self.job.request_id, self.job.user_id);
        let picture = self.app.picture_of_link(owner, field.clone(), link);
        let picture = picture.await.map_err(|error| unpictured(&field, error))?;
        self.judge(&picture).await?;
        Ok(picture)
    }

    /// Fails if a picture may not be here. It waits as long as nobody says; what nothing here decodes nobody sees. A media of
    /// the user's own was judged when it was made.
    async fn judge(&self, picture: &Picture) -> Result<(), AttemptError> {
        if !self.app.moderation.sees() {
            return Ok(());
        }
        let inspected = inspect_with_still(picture.content.clone(), &self.limits).await;
        let (_, still) = inspected.map_err(|error| unreadable(&picture.field, &error))?;
        let Some(still) = still else {
            return Ok(());
        };
        let [mut pause, longest] = JUDGE_PAUSES;
        loop {
            match self.app.moderation.judge_picture(&still).await {
                Ok(Verdict::Accepted) => return Ok(()),
                Ok(Verdict::Rejected(kinds)) => {
                    let sentence = format!("{}: the picture may not be here.", picture.field);
                    return Err(AttemptError::rejected(sentence, &kinds));
                }
                Err(error) => tracing::debug!(%error, "a picture waits for its verdict"),
            }
            self.task.progress.say("waiting for moderation");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

fn unreadable(field: &str, error: &InspectError) -> AttemptError {
    let failure = Failure::new(Reason::InputUnreadable, format!("{field}: {error}."));
    match error {
        InspectError::Busy => AttemptError::retryable(failure),
        _ => AttemptError::permanent(failure),
    }
}

/// Why the picture of a link cannot be had. Another attempt may find a host that was away.
fn unpictured(field: &str, error: Unpictured) -> AttemptError {
    let failure = Failure::new(Reason::InputUnreadable, format!("{field}: {error}."));
    match error {
        Unpictured::NotFollowed | Unpictured::Removed => AttemptError::permanent(failure),
        Unpictured::Unfetched(error) => {
            let failure = failure.with_detail(error.detail);
            match error.why.is_passing() {
                true => AttemptError::retryable(failure),
                false => AttemptError::permanent(failure),
            }
        }
        Unpictured::Other(Error::StorageUnavailable(cause)) => {
            AttemptError::of_storage(cause.as_ref())
        }
        Unpictured::Other(error) => error.into(),
    }
}
