//! Downloads a file whole: resumed where a connection broke, and checked against its digest.

use std::io;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tonic::{Status, Streaming};

use super::Client;
use super::proto::{
    DownloadMediaRequest, DownloadMediaResponse, Media, download_media_response::Part,
    media_service_client::MediaServiceClient,
};
use super::resume::{heard_within, is_passing};
use super::retry::Backoff;

/// Why a download did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server refused, or was away for too long. NOT_FOUND (`MEDIA_NOT_FOUND`, `MEDIA_CONTENT_MISSING`).
    #[error("cannot download the media: {}", .0.message())]
    Refused(#[from] Status),
    /// What came is not the file that the service knows.
    #[error(
        "the file that came has {received} bytes and is not the {expected} bytes that media {media_id} has"
    )]
    Corrupt {
        /// The media asked for.
        media_id: i64,
        /// Bytes that its row tells.
        expected: i64,
        /// Bytes that came; where they are as many, the digest is another.
        received: u64,
    },
    /// The place that the file was to go to does not take it.
    #[error("cannot write the file")]
    Write(#[source] io::Error),
}

/// A file on its way.
pub struct Download {
    media: Media,
    client: Client,
    parts: Option<Streaming<DownloadMediaResponse>>,
    digest: Sha256,
    received: u64,
    backoff: Option<Backoff>,
}

impl Client {
    /// Opens the file of a media row.
    ///
    /// # Errors
    /// NOT_FOUND (`MEDIA_NOT_FOUND`, `MEDIA_CONTENT_MISSING`), or what the connection broke with.
    pub async fn download(&self, media_id: i64) -> Result<Download, DownloadError> {
        let mut backoff = Backoff::start(self.policy, None);
        loop {
            match self.open(media_id, 0).await {
                Ok((media, parts)) => {
                    return Ok(Download {
                        media,
                        client: self.clone(),
                        parts: Some(parts),
                        digest: Sha256::new(),
                        received: 0,
                        backoff: None,
                    });
                }
                Err(broken) if is_passing(&broken) && backoff.wait(&broken).await => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// Opens the file from `offset` on.
    async fn open(
        &self,
        id: i64,
        offset: i64,
    ) -> Result<(Media, Streaming<DownloadMediaResponse>), Status> {
        let mut client = MediaServiceClient::new(self.plain.clone())
            .max_decoding_message_size(self.max_message_bytes);
        let opening = async {
            let opened = client
                .download_media(DownloadMediaRequest { id, offset })
                .await;
            let mut parts = opened?.into_inner();
            Ok((parts.message().await?, parts))
        };
        let (first, parts) = heard_within(self.policy.longest_silence, opening).await?;
        match first.and_then(|first| first.part) {
            Some(Part::Media(media)) => Ok((media, parts)),
            _ => Err(Status::data_loss(
                "the download does not begin with the media",
            )),
        }
    }
}

impl Download {
    /// What is being downloaded.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// The next bytes of the file; `None` when it is complete and has the digest that the service knows. A connection that
    /// breaks is not seen, until nothing could be had for the deadline of the [`super::RetryPolicy`].
    ///
    /// # Errors
    /// When the server refuses to go on, or the file is not what it should be.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            match self.part().await {
                Ok(Some(bytes)) => {
                    self.backoff = None;
                    self.received += bytes.len() as u64;
                    self.digest.update(&bytes);
                    return Ok(Some(bytes));
                }
                Ok(None) => return self.check().map(|()| None),
                Err(broken) => self.resume_after(broken).await?,
            }
        }
    }

    /// Writes the file to `writer` and flushes it. Returns the media.
    ///
    /// # Errors
    /// Those of [`Download::chunk`], and when the writer fails. What was written then is not the whole file.
    pub async fn write_to(
        mut self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Media, DownloadError> {
        while let Some(bytes) = self.chunk().await? {
            let written = writer.write_all(&bytes).await;
            written.map_err(DownloadError::Write)?;
        }
        writer.flush().await.map_err(DownloadError::Write)?;
        Ok(self.media)
    }

    async fn part(&mut self) -> Result<Option<Bytes>, Status> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            closed => {
                let offset = i64::try_from(self.received).unwrap_or(i64::MAX);
                let (_, parts) = self.client.open(self.media.id, offset).await?;
                closed.insert(parts)
            }
        };
        let silence = self.client.policy.longest_silence;
        while let Some(message) = heard_within(silence, parts.message()).await? {
            if let Some(Part::Chunk(bytes)) = message.part {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }

    async fn resume_after(&mut self, broken: Status) -> Result<(), DownloadError> {
        self.parts = None;
        let policy = self.client.policy;
        let backoff = self
            .backoff
            .get_or_insert_with(|| Backoff::start(policy, None));
        if is_passing(&broken) && backoff.wait(&broken).await {
            Ok(())
        } else {
            Err(broken.into())
        }
    }

    fn check(&self) -> Result<(), DownloadError> {
        let Self {
            media, received, ..
        } = self;
        let digest = self.digest.clone().finalize();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_whole = u64::try_from(media.file_size) == Ok(*received);
        // A row of another making may have no digest.
        if is_whole && (media.sha256.is_empty() || media.sha256 == digest) {
            return Ok(());
        }
        Err(DownloadError::Corrupt {
            media_id: media.id,
            expected: media.file_size,
            received: *received,
        })
    }
}
