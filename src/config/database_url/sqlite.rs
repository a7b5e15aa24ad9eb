//! The URL of a SQLite database.

use std::path::{Path, PathBuf};

use super::{EXAMPLES, decode, unknown};

/// A database in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteFile {
    /// Decoded; absolute, or relative to the working directory.
    pub path: PathBuf,
    /// Whether the file is made if it is not there.
    pub create: bool,
    /// SQLite's name of another way to reach files.
    pub vfs: Option<String>,
    pub(super) text: String,
}

impl SqliteFile {
    /// The folder that the file lies in; `None` for one in the current folder.
    pub fn folder(&self) -> Option<&Path> {
        self.path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
    }

    /// The way to the file as it is written: `sqlite://` and `sqlite:` mean the same.
    pub(super) fn from_url(text: &str) -> Result<Self, String> {
        let without_slashes = text.strip_prefix("sqlite://");
        let rest = without_slashes.or_else(|| text.strip_prefix("sqlite:"));
        let rest = rest.unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.contains(":memory:") || query.contains("mode=memory") {
            return Err(
                "a database that outlives the process: a SQLite file or a PostgreSQL server"
                    .to_owned(),
            );
        }
        let decoded =
            decode(path).ok_or_else(|| "%25 for each % in the path of a SQLite file".to_owned())?;
        if decoded.trim_start_matches('/').is_empty() || decoded.starts_with("file:") {
            return Err(EXAMPLES.to_owned());
        }
        let mut file = Self {
            path: decoded.into(),
            create: true,
            vfs: None,
            text: text.to_owned(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            file.take(pair)?;
        }
        Ok(file)
    }

    fn take(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            "%3F for each ? in the path of a SQLite file, and parameters that are written as name=value".to_owned()
        })?;
        match (name, value) {
            ("mode", "rwc") => self.create = true,
            ("mode", "rw") => self.create = false,
            ("cache", "private") => {}
            ("vfs", name) if !name.is_empty() => self.vfs = Some(name.to_owned()),
            ("mode", _) => return Err("mode=rwc or mode=rw: the service writes".to_owned()),
            ("cache", _) => return Err("cache=private: connections share no cache".to_owned()),
            ("immutable", _) => return Err("no immutable: the service writes".to_owned()),
            (name, _) => {
                let names = ["mode", "cache", "vfs"].map(str::to_owned);
                return Err(unknown(name, names.into_iter()));
            }
        }
        Ok(())
    }
}
