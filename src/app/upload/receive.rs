//! A file that comes: on the disk until it is there, so that slow and large ones take no memory.

use std::io::{self, SeekFrom};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use crate::{
    app::App,
    domain::{Announced, Error, UploadLimits, hex},
};

use super::receiving::Place;

/// A file that is coming. It is gone from the disk when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    announced: Announced,
    limits: UploadLimits,
    file: File,
    size: u64,
    digest: Sha256,
    _place: Place,
}

impl App {
    /// Begins to take a file, unless it is known to be too large.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`]; [`Error::UploadsFull`] while as many are coming as may; [`Error::StorageUnavailable`] if there is
    /// no room on the disk.
    pub async fn begin_upload(&self, announced: Announced) -> Result<Incoming, Error> {
        let limits = self.settings.uploads.limits.clone();
        limits.check_size(announced.file_size.unwrap_or_default())?;
        let place = self.receiving.take(announced.user_id)?;
        // It has no name, so that nothing of it stays, however this process ends.
        let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
        let file = file.map_err(Error::internal)?.map_err(no_room)?;
        Ok(Incoming {
            announced,
            limits,
            file: File::from_std(file),
            size: 0,
            digest: Sha256::new(),
            _place: place,
        })
    }
}

impl Incoming {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::UploadTooLarge`], [`Error::UploadMismatch`] as soon as they are too many; [`Error::StorageUnavailable`] if there is
    /// no room on the disk.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.limits.check_size(self.size)?;
        self.announced.check_so_far(self.size)?;
        self.digest.update(bytes);
        self.file.write_all(bytes).await.map_err(no_room)
    }

    /// The whole file, which is what was said of it.
    pub(super) async fn read(mut self) -> Result<(Announced, Bytes), Error> {
        let sha256 = hex(&self.digest.finalize());
        self.announced.check(self.size, &sha256)?;
        let mut content = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        self.file.flush().await.map_err(no_room)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(no_room)?;
        let read = self.file.read_to_end(&mut content).await;
        read.map_err(no_room)?;
        Ok((self.announced, content.into()))
    }
}

fn no_room(error: io::Error) -> Error {
    Error::StorageUnavailable(error.into())
}
