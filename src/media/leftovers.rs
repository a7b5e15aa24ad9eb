//! What writes to a local folder leave behind when the process dies in the middle of them.

use std::fs::DirEntry;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Removes unfinished files older than `before` from `folder` and all folders in it, and counts
/// them.
///
/// An object is written to `{path}#{number}` and then renamed; such files are never listed.
pub(super) fn remove_unfinished(folder: &Path, before: SystemTime) -> io::Result<u64> {
    let mut removed = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match folder.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_unfinished(&entry) {
                removed += u64::from(remove_if_older(&entry, before)?);
            }
        }
    }
    Ok(removed)
}

fn is_unfinished(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let parts = name.to_str().and_then(|name| name.rsplit_once('#'));
    parts.is_some_and(|(_, number)| number.parse::<u64>().is_ok())
}

fn remove_if_older(entry: &DirEntry, before: SystemTime) -> io::Result<bool> {
    let removed = match entry.metadata().and_then(|metadata| metadata.modified()) {
        Ok(modified) if modified >= before => return Ok(false),
        Ok(_) => std::fs::remove_file(entry.path()),
        Err(error) => Err(error),
    };
    match removed {
        // Its writer was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn far_future() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(100_000_000_000)
    }

    #[test]
    fn only_old_unfinished_files_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("jobs/000");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["a-0.png", "a-0.png#1", "b-0.png#12", "notes#draft"] {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        let (past, future) = (SystemTime::UNIX_EPOCH, far_future());
        assert_eq!(remove_unfinished(root.path(), past).unwrap(), 0);
        assert_eq!(remove_unfinished(root.path(), future).unwrap(), 2);
        let kept = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut kept: Vec<_> = kept.collect();
        kept.sort();
        assert_eq!(kept, ["a-0.png", "notes#draft"]);
    }

    #[test]
    fn a_folder_that_does_not_exist_holds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("jobs");
        assert_eq!(remove_unfinished(&missing, far_future()).unwrap(), 0);
    }
}
