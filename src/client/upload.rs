//! Uploads a file, for requests to work from: again where a connection broke, which does no harm.

use std::io;
use std::path::{Path, PathBuf};

use futures::{Stream, stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tonic::Status;

use super::Client;
use super::proto::{
    Upload, UploadHead, UploadMediaRequest, media_service_client::MediaServiceClient,
    upload_media_request::Part,
};
use super::resume::is_passing;
use super::retry::Backoff;

/// Bytes of one message.
const CHUNK: usize = 256 * 1024;
/// As many characters of a name as the service takes.
const MAX_NAME_CHARS: usize = 255;

/// Why an upload did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The server refused, or was away for too long. INVALID_ARGUMENT (`UPLOAD_TOO_LARGE`, `UPLOAD_UNSUPPORTED`),
    /// RESOURCE_EXHAUSTED (`UPLOADS_FULL`).
    #[error("cannot upload {}: {}", .path.display(), .status.message())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What the server says.
        status: Status,
    },
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Client {
    /// Uploads a file of a user; of a user himself, 0 is his own. Its [`url`](Upload::url) goes into `user_media_urls`.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn upload(&self, path: &Path, user_id: i64) -> Result<Upload, UploadError> {
        let read = |source| UploadError::Read {
            path: path.to_owned(),
            source,
        };
        let mut backoff = Backoff::start(self.policy, None);
        loop {
            let file = File::open(path).await.map_err(read)?;
            let size = file.metadata().await.map_err(read)?.len();
            let head = UploadHead {
                user_id,
                file_size: i64::try_from(size).unwrap_or(i64::MAX),
                sha256: None,
                file_name: name_of(path),
            };
            let mut client = MediaServiceClient::new(self.plain.clone());
            match client.upload_media(parts(head, file)).await {
                Ok(uploaded) => return Ok(uploaded.into_inner().upload.unwrap_or_default()),
                Err(broken) if is_passing(&broken) && backoff.wait(&broken).await => {}
                Err(status) => {
                    return Err(UploadError::Refused {
                        path: path.to_owned(),
                        status,
                    });
                }
            }
        }
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME_CHARS)
        .collect()
}

fn part(part: Part) -> UploadMediaRequest {
    UploadMediaRequest { part: Some(part) }
}

/// The head, then the file. One that cannot be read to its end ends early, which the server finds by the size.
fn parts(head: UploadHead, file: File) -> impl Stream<Item = UploadMediaRequest> {
    stream::unfold((Some(head), file), async |(head, mut file)| {
        if let Some(head) = head {
            return Some((part(Part::Head(head)), (None, file)));
        }
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await.unwrap_or_default();
        chunk.truncate(read);
        (read > 0).then(|| (part(Part::Chunk(chunk)), (None, file)))
    })
}
