//! From a file that has come to an upload. Objects first, rows second: an object without a row is harmless, and goes with the next
//! sweep.

use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    app::App,
    domain::{Announced, Error, MediaType, with_causes},
    entity::upload,
    media::{
        Format, InspectError, Inspected, Limits, StorageError, StorageKey, Ticket, inspect, sniff,
        without_clip, without_location,
    },
    store::{self, Transaction, queue, upload::NewUpload},
};

use super::{Incoming, link::key_of};

/// How many files are in memory as a whole: those that come are not.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.max(2))
});

impl App {
    /// Keeps a file that has come as an upload of its user: the one that he has already if that has the same bytes.
    ///
    /// # Errors
    /// [`Error::UploadMismatch`], [`Error::UploadUnsupported`], [`Error::UploadTooLarge`], [`Error::UploadsFull`],
    /// [`Error::UserUnknown`]; [`Error::StorageUnavailable`] and what the database fails with.
    pub async fn keep_upload(
        &self,
        incoming: Incoming,
        ticket: Option<&Ticket>,
    ) -> Result<upload::Model, Error> {
        let _turn = TURNS.acquire().await.map_err(Error::internal)?;
        let (announced, content) = incoming.read().await?;
        let (content, inspected) = self.look_at(content).await?;
        let (user_id, sha256) = (announced.user_id, &inspected.facts.sha256);
        let known = self.store.write(async |tx| {
            let now = queue::time(tx, self.clock.queue()).await?;
            let same = store::upload::give_again(tx, user_id, sha256, now).await?;
            note(tx, ticket, same.as_ref()).await?;
            Ok(same)
        });
        match known.await? {
            Some(known) => {
                self.put_back(&known, content).await?;
                Ok(known)
            }
            None => self.keep_new(announced, content, inspected, ticket).await,
        }
    }

    /// Stores the file of an upload again if it is not there any more: whoever gives it again mends what was lost.
    async fn put_back(&self, upload: &upload::Model, content: Bytes) -> Result<(), Error> {
        let key = key_of(upload)?;
        match self.storage.head(&key).await {
            Err(StorageError::NotFound { .. }) => Ok(self.storage.put(&key, content, None).await?),
            there => Ok(there.map(drop)?),
        }
    }

    /// What the file is, without its location where that is not kept.
    async fn look_at(&self, content: Bytes) -> Result<(Bytes, Inspected), Error> {
        let settings = &self.settings.uploads;
        let (types, reading) = (&settings.limits.types, &settings.reading);
        let (content, _) = without_clip(content);
        let format =
            sniff(&content).ok_or_else(|| unsupported("it is of no format that is read here"))?;
        check_type(format, types)?;
        let content = match settings.keeps_location {
            true => content,
            false => without_location(content, format, reading)
                .await
                .map_err(|error| unfit(error, reading))?,
        };
        let inspected = inspect(content.clone(), reading).await;
        Ok((content, inspected.map_err(|error| unfit(error, reading))?))
    }

    async fn keep_new(
        &self,
        announced: Announced,
        content: Bytes,
        inspected: Inspected,
        ticket: Option<&Ticket>,
    ) -> Result<upload::Model, Error> {
        let limits = &self.settings.uploads.limits;
        let (user_id, facts) = (announced.user_id, &inspected.facts);
        let kept = store::upload::kept(self.store.reader(), user_id).await?;
        limits.check_room(user_id, kept, facts.file_size)?;
        let key = StorageKey::for_upload(user_id, &facts.sha256, facts.format);
        self.storage.put(&key, content, None).await?;
        let new = new_upload(announced, &key, inspected)?;
        let added = self.add_for_user(&new, ticket).await;
        // An error of the database does not tell that there is no row: the sweep finds out.
        let is_unused = match &added {
            Ok(upload) => upload.storage_key != new.storage_key,
            Err(error) => !error.is_of_database() && !matches!(error, Error::Internal(_)),
        };
        if is_unused && let Err(error) = self.storage.delete(&key).await {
            let error = Error::from(error);
            tracing::debug!(
                error = with_causes(&error),
                "an object is left to the sweep"
            );
        }
        added
    }

    /// Adds the row, and the user where he is to be added here.
    async fn add_for_user(
        &self,
        new: &NewUpload,
        ticket: Option<&Ticket>,
    ) -> Result<upload::Model, Error> {
        match self.add(new, ticket).await {
            Err(Error::UserUnknown(user)) if self.settings.provision_users => {
                store::user::provision(self.store.writer(), &self.settings.users, user).await?;
                self.add(new, ticket).await
            }
            added => added,
        }
    }

    /// Adds the row, unless there is one of these bytes by now.
    async fn add(&self, new: &NewUpload, ticket: Option<&Ticket>) -> Result<upload::Model, Error> {
        let limits = &self.settings.uploads.limits;
        let user_id = new.user_id;
        let adding = self.store.write(async |tx| {
            store::upload::lock(tx, user_id).await?;
            let now = queue::time(tx, self.clock.queue()).await?;
            let same = store::upload::give_again(tx, user_id, &new.sha256, now).await?;
            let upload = match same {
                Some(same) => same,
                None => {
                    let kept = store::upload::kept(tx, user_id).await?;
                    limits.check_room(user_id, kept, new.file_size.unsigned_abs())?;
                    store::upload::insert(tx, new.clone(), now).await?
                }
            };
            note(tx, ticket, Some(&upload)).await?;
            Ok(upload)
        });
        adding.await
    }
}

/// Checks that files of this format are taken.
pub(super) fn check_type(format: Format, types: &[MediaType]) -> Result<(), Error> {
    let media_type = MediaType::from(format.kind());
    match types.contains(&media_type) {
        true => Ok(()),
        false => Err(unsupported(format!(
            "files of the type {} are not taken here",
            media_type.as_str()
        ))),
    }
}

async fn note(
    tx: &Transaction,
    ticket: Option<&Ticket>,
    upload: Option<&upload::Model>,
) -> Result<(), Error> {
    let Some((ticket, upload)) = ticket.zip(upload) else {
        return Ok(());
    };
    let id = ticket.id.to_string();
    store::upload::note_ticket(tx, &id, upload.id).await
}

fn new_upload(
    announced: Announced,
    key: &StorageKey,
    inspected: Inspected,
) -> Result<NewUpload, Error> {
    let Inspected { facts, damaged, .. } = inspected;
    let side = |side: u32| i32::try_from(side).map_err(Error::internal);
    let size = match facts.size {
        Some((width, height)) => Some((side(width)?, side(height)?)),
        None => None,
    };
    let duration = facts.duration.map(|it| i64::try_from(it.as_millis()));
    Ok(NewUpload {
        user_id: announced.user_id,
        sha256: facts.sha256,
        storage_key: key.path().to_owned(),
        file_name: announced.file_name,
        format: facts.format.as_str(),
        file_size: i64::try_from(facts.file_size).map_err(Error::internal)?,
        size,
        duration_ms: duration.transpose().map_err(Error::internal)?,
        damaged,
    })
}

fn unsupported(why: impl Into<String>) -> Error {
    Error::UploadUnsupported(why.into())
}

fn unfit(error: InspectError, limits: &Limits) -> Error {
    match error {
        InspectError::TooLarge { .. } => Error::UploadTooLarge {
            max: limits.max_bytes,
        },
        // It passes, as when the storage is away.
        InspectError::Busy => Error::StorageUnavailable(error.into()),
        InspectError::Corrupt(why) => {
            tracing::debug!(why, "an upload is damaged");
            unsupported("it is damaged")
        }
        error => unsupported(error.to_string()),
    }
}
