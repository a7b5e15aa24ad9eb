//! Uploads that are put by HTTP: to this server, or to the bucket at once, where they are looked at when they are completed.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    app::App,
    domain::{Announced, Checks, Error, Flaw},
    entity::upload,
    media::{Format, PutUrl, StorageError, StorageKey, Ticket, TicketError},
    store::{self, Transaction},
};

use super::keep::check_type;

const NOTHING: &str = "nothing has come by the upload's URL; put the file there first";
/// Most URLs of a user that a file can be put to at once.
const MOST_URLS: u64 = 64;
const EXPIRED: &str = "the time for this upload is over; ask for a new URL";

impl App {
    /// Makes a URL that one file of this size can be put to, with the media type of this format, until the time.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`], [`Error::UploadUnsupported`], [`Error::UploadsFull`]; [`Error::StorageUnavailable`] while no URL
    /// can be signed.
    pub async fn create_upload_url(
        &self,
        announced: Announced,
        format: Format,
    ) -> Result<(PutUrl, DateTime<Utc>), Error> {
        let settings = &self.settings.uploads;
        let size = announced.file_size.unwrap_or_default();
        settings.limits.check_size(size)?;
        check_type(format, &settings.limits.types)?;
        let kept = store::upload::kept(self.store.reader(), announced.user_id).await?;
        settings.limits.check_room(announced.user_id, kept, size)?;
        let now = self.clock.now();
        let lifetime = TimeDelta::from_std(settings.url_ttl).unwrap_or(TimeDelta::hours(1));
        let ticket = Ticket {
            id: Uuid::new_v4(),
            announced,
            format,
            expires_at: (now + lifetime).trunc_subsecs(0),
        };
        let url = self.storage.put_url(&ticket, now).await?;
        self.store
            .write(async |tx| add_ticket(tx, &ticket, now).await)
            .await?;
        Ok((url, ticket.expires_at))
    }

    /// What a token stands for, expired or not.
    ///
    /// # Errors
    /// [`Error::Validation`] for what is no token of ours; [`Error::StorageUnavailable`] while nobody can tell.
    pub fn read_ticket(&self, token: &str) -> Result<Ticket, Error> {
        Ticket::verify(self.storage.keys(), token).map_err(|error| match error {
            TicketError::Unverifiable => Error::StorageUnavailable(error.into()),
            TicketError::Forged => {
                let mut checks = Checks::default();
                let words = "must be an upload_token of CreateUploadUrl";
                checks.add("upload_token", Flaw::Malformed.says(words));
                Error::Validation(checks.into_violations())
            }
        })
    }

    /// What was put by a ticket already, if anything was; fails when its time is over.
    ///
    /// # Errors
    /// [`Error::UploadIncomplete`].
    pub async fn put_before(&self, ticket: &Ticket) -> Result<Option<upload::Model>, Error> {
        match self.clock.now() < ticket.expires_at {
            true => self.come_by(ticket).await,
            false => Err(Error::UploadIncomplete(EXPIRED)),
        }
    }

    /// The upload whose file was put by a ticket.
    ///
    /// # Errors
    /// [`Error::UploadIncomplete`], and those of [`App::keep_upload`], for which the file is removed.
    pub async fn complete_upload(&self, ticket: &Ticket) -> Result<upload::Model, Error> {
        if self.clock.now() >= ticket.ends_at() {
            return Err(Error::UploadIncomplete(EXPIRED));
        }
        if let Some(upload) = self.come_by(ticket).await? {
            return Ok(upload);
        }
        let Some(key) = self.storage.incoming_key(ticket) else {
            return Err(Error::UploadIncomplete(NOTHING));
        };
        let taken = match self.take_from_bucket(ticket, &key).await {
            // Another call may have been faster.
            Err(Error::UploadIncomplete(why)) => {
                let come = self.come_by(ticket).await?;
                return come.ok_or(Error::UploadIncomplete(why));
            }
            taken => taken,
        };
        let is_refused = matches!(
            taken,
            Err(Error::UploadMismatch { .. }
                | Error::UploadTooLarge { .. }
                | Error::UploadUnsupported(_))
        );
        if taken.is_ok() || is_refused {
            // What stays all the same, the sweep removes.
            let _ = self.storage.delete(&key).await;
        }
        taken
    }

    async fn come_by(&self, ticket: &Ticket) -> Result<Option<upload::Model>, Error> {
        let id = ticket.id.to_string();
        store::upload::come_by(self.store.reader(), &id).await
    }

    async fn take_from_bucket(
        &self,
        ticket: &Ticket,
        key: &StorageKey,
    ) -> Result<upload::Model, Error> {
        let mut object = match self.storage.open_object(key, None).await {
            Err(StorageError::NotFound { .. }) => return Err(Error::UploadIncomplete(NOTHING)),
            object => object?,
        };
        let mut incoming = self.begin_upload(ticket.announced.clone()).await?;
        while let Some(bytes) = object.stream.try_next().await? {
            incoming.push(&bytes).await?;
        }
        self.keep_upload(incoming, Some(ticket)).await
    }
}

/// Keeps the ticket, unless as many URLs of the user's are open as may: a bucket takes a file by each before anybody counts it.
async fn add_ticket(tx: &Transaction, ticket: &Ticket, now: DateTime<Utc>) -> Result<(), Error> {
    let (id, user_id) = (ticket.id.to_string(), ticket.announced.user_id);
    store::upload::lock(tx, user_id).await?;
    // Their rows stay for those who ask afterwards.
    let afterwards = ticket.ends_at() - ticket.expires_at;
    let open = store::upload::count_tickets(tx, user_id, now + afterwards).await?;
    if open >= MOST_URLS {
        return Err(Error::UploadsFull {
            user_id,
            limit: "urls",
            most: MOST_URLS,
        });
    }
    store::upload::add_ticket(tx, &id, user_id, ticket.ends_at()).await
}
