//! Outputs on this machine's disk that the storage does not take yet, so that neither a restart loses them nor another
//! attempt pays for them again.
//!
//! Each stands in a folder named by its submission key. It is written under another name first, so what has the right one
//! is whole. Whoever works on an output holds its lock, which ends with the process.

mod folder;

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use crate::{provider::Output, store::queue::Lease};

use folder::{Note, OutputFolder};

/// A file's lock gives no signal that it is free.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a folder's name begins with until it is whole.
const UNFINISHED: char = '.';

/// The outputs that wait. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    max_bytes: u64,
    /// Size of the largest file that a provider may deliver.
    largest: u64,
    used: AtomicU64,
}

/// An output that waits, locked for whoever holds this.
#[derive(Debug)]
pub(super) struct Spooled {
    spool: Spool,
    folder: OutputFolder,
}

impl Spool {
    /// Opens the spool, which need not exist yet, and removes what a process left unfinished that is gone.
    ///
    /// # Errors
    /// The operating system's, if the folder cannot be read.
    pub fn open(folder: &Path, max_bytes: u64, largest: u64) -> io::Result<Self> {
        let spool = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            max_bytes,
            largest,
            used: AtomicU64::new(0),
        }));
        for name in spool.names()? {
            let folder = folder.join(&name);
            if name.starts_with(UNFINISHED) {
                if folder::lock(&folder).is_some() {
                    fs::remove_dir_all(&folder)?;
                }
            } else if let Ok(note) = Note::read(&folder) {
                spool.0.used.fetch_add(note.bytes(), Ordering::Relaxed);
            }
        }
        Ok(spool)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.used.load(Ordering::Relaxed) == 0
    }

    /// Whether what waits leaves no room for the largest file that a provider may deliver.
    pub fn is_full(&self) -> bool {
        let used = self.0.used.load(Ordering::Relaxed);
        used > 0 && used.saturating_add(self.0.largest) > self.0.max_bytes
    }

    /// The submission keys of the outputs that wait.
    pub(super) fn keys(&self) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with(UNFINISHED));
        Ok(names)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        match fs::read_dir(&self.0.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect(),
        }
    }

    /// The output of a submission, unless there is none here or somebody else has it.
    pub(super) fn take(&self, key: &str) -> Option<Spooled> {
        // A key comes from the database, and only what is one names a folder here.
        let key = Uuid::parse_str(key).ok()?.to_string();
        let path = self.0.folder.join(key);
        match OutputFolder::open(&path)? {
            Ok(folder) => Some(Spooled {
                spool: self.clone(),
                folder,
            }),
            Err(error) => {
                tracing::error!(%error, folder = %path.display(), "cannot read a spooled output");
                None
            }
        }
    }

    /// The same, once whoever looks at it has done so.
    pub(super) async fn take_when_free(&self, key: &str) -> Option<Spooled> {
        loop {
            let taken = self.take(key);
            if taken.is_some() || !self.is_locked(key) {
                return taken;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn is_locked(&self, key: &str) -> bool {
        Uuid::parse_str(key).is_ok() && folder::is_locked(&self.0.folder.join(key))
    }

    /// Removes the output of a submission whose job has ended, if it is here.
    pub(super) fn discard(&self, key: &str) {
        if let Some(spooled) = self.take(key) {
            spooled.remove();
        }
    }

    /// Puts an output in. `None` if there is no room for it.
    pub(super) async fn put(
        &self,
        key: &str,
        lease: &Lease,
        output: &Output,
    ) -> io::Result<Option<Spooled>> {
        let (key, spool) = (key.to_owned(), self.clone());
        let (lease, output) = (lease.clone(), output.clone());
        tokio::task::spawn_blocking(move || spool.write(&key, lease, output))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    fn write(&self, key: &str, lease: Lease, output: Output) -> io::Result<Option<Spooled>> {
        let note = Note::of(lease, &output)?;
        let bytes = note.bytes();
        let room = |used: u64| Some(used + bytes).filter(|used| *used <= self.0.max_bytes);
        let used = &self.0.used;
        if used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_err()
        {
            return Ok(None);
        }
        let written = self.write_files(key, note, &output);
        if written.is_err() {
            used.fetch_sub(bytes, Ordering::Relaxed);
        }
        written.map(Some)
    }

    fn write_files(&self, key: &str, note: Note, output: &Output) -> io::Result<Spooled> {
        let mut private = DirBuilder::new();
        private.mode(0o700).recursive(true).create(&self.0.folder)?;
        let unfinished = format!("{UNFINISHED}{}", Uuid::new_v4());
        let unfinished = self.0.folder.join(unfinished);
        private.recursive(false).create(&unfinished)?;
        let written = OutputFolder::write(&unfinished, note, output).and_then(|mut folder| {
            folder.rename(self.0.folder.join(key))?;
            File::open(&self.0.folder)?.sync_all()?;
            Ok(folder)
        });
        if written.is_err() {
            // What is left of it goes when the spool is next opened.
            let _ = fs::remove_dir_all(&unfinished);
        }
        Ok(Spooled {
            spool: self.clone(),
            folder: written?,
        })
    }
}

impl Spooled {
    /// The attempt that it was made in.
    pub(super) fn lease(&self) -> Lease {
        self.folder.note().lease()
    }

    /// The output as the provider delivered it.
    pub(super) async fn load(&self) -> io::Result<Output> {
        self.folder.load().await
    }

    /// Removes it: it is stored, or nobody waits for it any more.
    pub(super) fn remove(self) {
        self.folder.remove();
        let bytes = self.folder.note().bytes();
        let used = &self.spool.0.used;
        // Another process may have put it in, so that it never counted here.
        let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used.saturating_sub(bytes))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::{
        domain::JsonMap,
        provider::{Content, OutputFile},
    };

    use super::{folder::NOTE, *};

    fn key() -> String {
        Uuid::new_v4().to_string()
    }

    fn lease() -> Lease {
        Lease {
            job_id: 7,
            token: "a lease".to_owned(),
        }
    }

    fn output(content: &'static [u8]) -> Output {
        let file = OutputFile {
            content: Content::Memory(content.into()),
            seed: Some(3),
            metadata: JsonMap::new(),
        };
        Output {
            files: vec![file],
            metadata: JsonMap::from_iter([("model".to_owned(), "x".into())]),
            answer: String::new(),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn an_output_comes_back_as_it_was_after_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/spool");
        let (spool, key) = (Spool::open(&folder, 100, 50).unwrap(), key());
        assert!(spool.take(&key).is_none() && spool.is_empty());
        let put = spool.put(&key, &lease(), &output(b"0123456789")).await;
        let put = put.unwrap().unwrap();
        assert_eq!((mode(&folder), mode(put.folder.path())), (0o700, 0o700));
        assert_eq!(mode(&put.folder.path().join(NOTE)), 0o600);
        assert_eq!(mode(&put.folder.path().join("0")), 0o600);

        let restarted = Spool::open(&folder, 100, 50).unwrap();
        assert_eq!(restarted.keys().unwrap(), std::slice::from_ref(&key));
        assert!(restarted.take(&key).is_none(), "somebody works on it");
        drop(put);
        let found = restarted.take(&key).unwrap();
        assert_eq!(found.lease(), lease());
        let read = found.load().await.unwrap();
        assert_eq!(read.metadata, output(b"").metadata);
        assert_eq!(read.files[0].seed, Some(3));
        assert!(
            matches!(&read.files[0].content, Content::Memory(bytes) if **bytes == *b"0123456789")
        );
        found.remove();
        assert!(restarted.is_empty() && restarted.keys().unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_more_is_put_in_than_there_is_room_for() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path(), 15, 10).unwrap();
        assert!(!spool.is_full());
        let one = spool.put(&key(), &lease(), &output(b"0123456789")).await;
        let one = one.unwrap().unwrap();
        assert!(spool.is_full());
        let other = spool.put(&key(), &lease(), &output(b"0123456789")).await;
        assert!(other.unwrap().is_none());
        one.remove();
        assert!(!spool.is_full());
        let other = spool.put(&key(), &lease(), &output(b"0123456789")).await;
        assert!(other.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_was_cut_off_is_removed_and_never_taken_for_an_output() {
        let root = tempfile::tempdir().unwrap();
        let unfinished = root.path().join(".unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join(NOTE), "{").unwrap();
        let damaged = key();
        fs::create_dir(root.path().join(&damaged)).unwrap();
        fs::write(root.path().join(&damaged).join(NOTE), "{").unwrap();
        let spool = Spool::open(root.path(), 100, 1).unwrap();
        assert!(!unfinished.exists() && spool.is_empty());
        assert!(spool.take(&damaged).is_none());
        assert!(spool.take("../elsewhere").is_none());
    }
}
