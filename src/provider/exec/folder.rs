//! The folder of one run: the prompt, what is made, temporary files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use crate::provider::HeldFile;

/// More are not made by a command that works.
const MAX_ENTRIES: u64 = 10_000;
/// Most outputs of one run.
const MAX_OUTPUTS: usize = 100;

/// A fresh folder that only this user can enter, removed when the last holder of it is dropped.
#[derive(Clone, Debug)]
pub(super) struct RunFolder(Arc<TempDir>);

impl RunFolder {
    pub(super) fn create() -> io::Result<Self> {
        let folder = Self(Arc::new(
            tempfile::Builder::new().prefix("atelier-").tempdir()?,
        ));
        fs::create_dir(folder.output())?;
        fs::create_dir(folder.temporary())?;
        Ok(folder)
    }

    /// The working directory and home of the command.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the command puts what it makes.
    pub(super) fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    /// Where it puts what it needs in between.
    pub(super) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// Writes the prompt down, in UTF-8.
    pub(super) fn write_prompt(&self, prompt: &str) -> io::Result<PathBuf> {
        let path = self.path().join("prompt.txt");
        fs::write(&path, prompt)?;
        Ok(path)
    }

    /// The regular files that lie in the output folder itself, by name. Links are not followed, hidden files not counted.
    /// Only for when nobody writes any more.
    pub(super) fn outputs(&self) -> io::Result<Vec<HeldFile>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.output())? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() > MAX_OUTPUTS {
            let error = format!("{} outputs, at most {MAX_OUTPUTS} are allowed", files.len());
            return Err(io::Error::other(error));
        }
        files.sort_unstable();
        let files = files.into_iter();
        Ok(files
            .map(|path| HeldFile::new(path, self.0.clone()))
            .collect())
    }
}

/// How much lies in a folder and those below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub bytes: u64,
    pub entries: u64,
}

impl Usage {
    /// Counts without following links. What vanishes meanwhile does not count.
    pub(super) fn of(folder: &Path) -> Self {
        let mut usage = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                usage.entries += 1;
                if usage.entries > MAX_ENTRIES {
                    return usage;
                }
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    Ok(metadata) => usage.bytes = usage.bytes.saturating_add(metadata.len()),
                    Err(_) => {}
                }
            }
        }
        usage
    }

    /// What is too much of it, in words.
    pub(super) fn excess(self, max_bytes: u64) -> Option<String> {
        if self.entries > MAX_ENTRIES {
            return Some(format!("it made more than {MAX_ENTRIES} files"));
        }
        let over = self.bytes > max_bytes;
        over.then(|| {
            format!(
                "its files took {} bytes, {max_bytes} are allowed",
                self.bytes
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn outputs_are_the_regular_files_in_order_of_their_names() {
        let folder = RunFolder::create().unwrap();
        let output = folder.output();
        for name in ["b.png", "a.png", ".hidden.png"] {
            fs::write(output.join(name), name).unwrap();
        }
        fs::create_dir(output.join("c.png")).unwrap();
        symlink("/etc/passwd", output.join("d.png")).unwrap();
        let outputs = folder.outputs().unwrap();
        let outputs: Vec<&Path> = outputs.iter().map(AsRef::as_ref).collect();
        assert_eq!(outputs, [output.join("a.png"), output.join("b.png")]);
    }

    #[test]
    fn too_many_outputs_are_refused() {
        let folder = RunFolder::create().unwrap();
        for index in 0..=MAX_OUTPUTS {
            fs::write(folder.output().join(index.to_string()), "").unwrap();
        }
        assert!(folder.outputs().is_err());
    }

    #[test]
    fn all_that_is_written_counts_and_nothing_behind_a_link() {
        let folder = RunFolder::create().unwrap();
        folder.write_prompt("12345").unwrap();
        fs::write(folder.temporary().join("x"), "123").unwrap();
        symlink("/", folder.output().join("root")).unwrap();
        let usage = Usage::of(folder.path());
        // The length of a link is that of its target's name.
        assert_eq!((usage.bytes, usage.entries), (9, 5));
        assert_eq!(usage.excess(9), None);
        assert!(usage.excess(8).is_some());
    }

    #[test]
    fn the_folder_goes_with_its_last_holder() {
        let folder = RunFolder::create().unwrap();
        let path = folder.path().to_owned();
        fs::write(folder.output().join("a.png"), "").unwrap();
        let holder = folder.outputs().unwrap().remove(0);
        drop(folder);
        assert!(path.exists());
        drop(holder);
        assert!(!path.exists());
    }
}
