//! One output on the disk: the provider's files, numbered, and a note that tells the rest and bears the lock.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::JsonMap,
    provider::{Content, Output, OutputFile},
    store::queue::Lease,
};

pub(super) const NOTE: &str = "output.json";

/// An output's folder, locked for whoever holds this.
#[derive(Debug)]
pub(super) struct OutputFolder {
    path: PathBuf,
    note: Note,
    _lock: File,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Note {
    job_id: i64,
    lease_token: String,
    metadata: JsonMap,
    files: Vec<FileNote>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct FileNote {
    bytes: u64,
    seed: Option<u32>,
    metadata: JsonMap,
}

impl OutputFolder {
    /// Opens the folder. `None` if there is none, or somebody else has it.
    pub(super) fn open(path: &Path) -> Option<io::Result<Self>> {
        let lock = lock(path)?;
        Some(Note::read(path).map(|note| Self {
            path: path.to_owned(),
            note,
            _lock: lock,
        }))
    }

    /// Writes everything into an empty folder.
    pub(super) fn write(path: &Path, note: Note, output: &Output) -> io::Result<Self> {
        let mut lock = create(&path.join(NOTE))?;
        lock.try_lock()?;
        for (index, file) in output.files.iter().enumerate() {
            let mut copy = create(&path.join(index.to_string()))?;
            match &file.content {
                Content::Memory(bytes) => copy.write_all(bytes)?,
                Content::File(path) => {
                    io::copy(&mut File::open(path)?, &mut copy)?;
                }
            }
            copy.sync_all()?;
        }
        lock.write_all(&serde_json::to_vec(&note)?)?;
        lock.sync_all()?;
        File::open(path)?.sync_all()?;
        Ok(Self {
            path: path.to_owned(),
            note,
            _lock: lock,
        })
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    pub(super) fn rename(&mut self, path: PathBuf) -> io::Result<()> {
        fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    pub(super) async fn load(&self) -> io::Result<Output> {
        let mut files = Vec::with_capacity(self.note.files.len());
        for (index, file) in self.note.files.iter().enumerate() {
            let content = tokio::fs::read(self.path.join(index.to_string())).await?;
            if content.len() as u64 != file.bytes {
                return Err(io::Error::other("a file of it has another size"));
            }
            files.push(OutputFile {
                content: Content::Memory(content.into()),
                seed: file.seed,
                metadata: file.metadata.clone(),
            });
        }
        Ok(Output {
            files,
            metadata: self.note.metadata.clone(),
            answer: String::new(),
        })
    }

    pub(super) fn remove(&self) {
        // Without its note it is nothing, should the rest stay.
        let removed =
            fs::remove_file(self.path.join(NOTE)).and_then(|()| fs::remove_dir_all(&self.path));
        if let Err(error) = removed {
            tracing::warn!(%error, folder = %self.path.display(), "cannot remove a spooled output");
        }
    }
}

impl Note {
    pub(super) fn of(lease: Lease, output: &Output) -> io::Result<Self> {
        let note = |file: &OutputFile| {
            Ok(FileNote {
                bytes: match &file.content {
                    Content::Memory(bytes) => bytes.len() as u64,
                    Content::File(path) => fs::metadata(path)?.len(),
                },
                seed: file.seed,
                metadata: file.metadata.clone(),
            })
        };
        Ok(Self {
            job_id: lease.job_id,
            lease_token: lease.token,
            metadata: output.metadata.clone(),
            files: output.files.iter().map(note).collect::<io::Result<_>>()?,
        })
    }

    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(folder.join(NOTE))?)?)
    }

    pub(super) fn lease(&self) -> Lease {
        Lease {
            job_id: self.job_id,
            token: self.lease_token.clone(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

pub(super) fn lock(folder: &Path) -> Option<File> {
    let note = File::open(folder.join(NOTE)).ok();
    note.filter(|note| note.try_lock().is_ok())
}

pub(super) fn is_locked(folder: &Path) -> bool {
    folder.join(NOTE).exists() && lock(folder).is_none()
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}
