//! A copy of the embedded database.

use std::{fs::remove_file, io, path::Path};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{private_file, words::Told};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is a server, whose own tools make better copies.
    #[error(
        "only a SQLite database is copied by this command: use PostgreSQL's pg_dump, such as `pg_dump --format=custom --file=FILE`"
    )]
    Postgres,
    /// The file for the copy is there already, or may not be made.
    #[error("cannot create {file}")]
    Create {
        /// The one for the copy.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The database does not give, or the disk does not take, all of it; the part is removed.
    #[error("cannot copy the database to {file}")]
    Copy {
        /// The one for the copy.
        file: String,
        /// What SQLite says.
        source: Told,
    },
    /// The disk may not have all of it; the copy is removed.
    #[error("cannot write {file} to the disk")]
    Sync {
        /// The one for the copy.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Writes the database as it is at one moment to a file that must not exist, while others write on. A copy of the file
/// itself would miss what stands in the write-ahead log, and be torn by who writes meanwhile.
///
/// Only the owner may read the copy. What is not a whole copy is removed.
///
/// # Errors
/// See [`BackupError`].
pub async fn copy(db: &DatabaseConnection, file: &Path) -> Result<(), BackupError> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Err(BackupError::Postgres);
    }
    let name = file.display().to_string();
    // SQLite writes into an empty file, and into no other.
    let created = private_file::create(file).map_err(|source| BackupError::Create {
        file: name.clone(),
        source,
    })?;
    let values = [name.as_str().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", values);
    let copied = db.execute_raw(statement).await;
    let copied = copied.map_err(|source| BackupError::Copy {
        file: name.clone(),
        source: source.into(),
    });
    let written = copied.and_then(|_| {
        let synced = created.sync_all();
        synced.map_err(|source| BackupError::Sync { file: name, source })
    });
    if written.is_err() {
        let _ = remove_file(file);
    }
    written
}
