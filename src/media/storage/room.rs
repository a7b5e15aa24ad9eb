//! What an object of a folder needs before it can be written. Each look at the folder goes to a thread for blocking work and back,
//! so that all is looked at in one go.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use object_store::path::Path as ObjectPath;
use tokio::task::spawn_blocking;

use super::Storage;

impl Storage {
    /// Makes sure that a folder holds what it must, and an object's own folder.
    pub(super) async fn make_room(&self, object: &ObjectPath) -> object_store::Result<()> {
        let backend = &self.inner.backend;
        let marker = self.is_expected().then(|| backend.file(&self.marker()));
        let object = backend.file(object);
        let make = move || {
            let is_there =
                marker.is_none_or(|marker| marker.is_some_and(|it| fs::read(it).is_ok()));
            let folder = object.as_deref().and_then(Path::parent);
            match folder.filter(|_| is_there) {
                Some(folder) => make_folder(folder).map(|()| true),
                None => Ok(false),
            }
        };
        let made = spawn_blocking(make)
            .await
            .unwrap_or_else(|panic| Err(panic.into()));
        let is_made = made.map_err(|error| object_store::Error::Generic {
            store: "media",
            source: error.into(),
        });
        match is_made? {
            true => Ok(()),
            // What is wrong, if anything, is found out step by step.
            false => self.require_present().await,
        }
    }
}

/// Makes a folder that lasts, where nothing but it is missing. The store would write it to the disk while it is empty, too, and does
/// so once it holds the object.
fn make_folder(folder: &Path) -> io::Result<()> {
    let Some(above) = folder.parent() else {
        return Ok(());
    };
    if fs::create_dir(folder).is_err() {
        // It is there; or the store makes what is missing, or says what is wrong.
        return Ok(());
    }
    let lasts = File::open(above).and_then(|above| above.sync_all());
    lasts.inspect_err(|_| {
        // Whoever finds it would take it for one that lasts.
        let _ = fs::remove_dir(folder);
    })
}
