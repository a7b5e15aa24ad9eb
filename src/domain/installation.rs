//! Whose objects a storage holds. A database and its storage carry the same installation; where they do not, nothing is
//! removed, since the objects may be those of a database that is not at hand.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a database and a storage that belong together have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// A random UUID, made by the database that claims the storage.
    pub id: String,
    /// Rises with each look for objects to remove and after objects were stored, in the database first: a database that is
    /// behind its storage is a copy or was restored from a backup, and does not know what was stored since.
    pub counter: i64,
    /// When an operator gave the storage to the database, by its clock; only the storage tells it. Objects of before are the
    /// database's, whether it knows of them or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_at: Option<DateTime<Utc>>,
}

/// How a database and a storage stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The storage is this database's: what it does not know is nobody's.
    Ours,
    /// No database has claimed the storage.
    Unclaimed,
    /// The objects that the database does not know may be somebody's: none is removed.
    Doubtful(Doubt),
}

/// Why it is not sure that the objects that a database does not know are nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// They carry different installations, or only the storage has one.
    #[error("the storage belongs to another database")]
    OtherDatabase,
    /// It has counted less often than the storage was counted.
    #[error(
        "the database is older than the storage, as after the restore of a backup, and does not know what was stored since"
    )]
    OlderDatabase,
    /// How many; of any age.
    #[error(
        "nobody has claimed the storage, and it holds {0} objects that the database does not know"
    )]
    UnknownObjects(usize),
}

/// How a database and a storage stand to each other that have these installations, if any.
pub fn ownership(database: Option<&Installation>, storage: Option<&Installation>) -> Ownership {
    match (database, storage) {
        (_, None) => Ownership::Unclaimed,
        (Some(database), Some(storage)) if database.id == storage.id => {
            if database.counter < storage.counter {
                Ownership::Doubtful(Doubt::OlderDatabase)
            } else {
                Ownership::Ours
            }
        }
        _ => Ownership::Doubtful(Doubt::OtherDatabase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_ours_only_if_the_database_knows_all_that_it_knew() {
        let installation = |id: &str, counter| {
            let id = id.to_owned();
            Some(Installation {
                id,
                counter,
                adopted_at: None,
            })
        };
        let other = Ownership::Doubtful(Doubt::OtherDatabase);
        let older = Ownership::Doubtful(Doubt::OlderDatabase);
        for (database, storage, expected) in [
            (None, None, Ownership::Unclaimed),
            (installation("a", 3), None, Ownership::Unclaimed),
            (None, installation("a", 0), other),
            (installation("a", 3), installation("b", 3), other),
            (installation("a", 2), installation("a", 3), older),
            (installation("a", 3), installation("a", 3), Ownership::Ours),
            (installation("a", 4), installation("a", 3), Ownership::Ours),
        ] {
            let found = ownership(database.as_ref(), storage.as_ref());
            assert_eq!(found, expected, "{database:?} and {storage:?}");
        }
    }
}
