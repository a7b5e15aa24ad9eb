//! How many files come at once: each has room on the disk until it is kept, or has not come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::Error;

/// Of one user, in this process.
const PER_USER: usize = 16;
/// Of all users.
const IN_ALL: usize = 512;

/// The files that are coming, by their users. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Receiving(Arc<Mutex<HashMap<i64, usize>>>);

/// The place of a file that is coming, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Receiving,
    user_id: i64,
}

impl Receiving {
    /// Takes a place for a file of the user.
    pub(super) fn take(&self, user_id: i64) -> Result<Place, Error> {
        let mut coming = self.coming();
        let all: usize = coming.values().sum();
        let own = coming.entry(user_id).or_default();
        if *own >= PER_USER {
            return Err(Error::UploadsFull {
                user_id,
                limit: "at_once",
                most: PER_USER as u64,
            });
        }
        if all >= IN_ALL {
            if *own == 0 {
                coming.remove(&user_id);
            }
            // It passes, and is no fault of the user's.
            let why = format!("{IN_ALL} files are coming, which is the most at once");
            return Err(Error::StorageUnavailable(why.into()));
        }
        *own += 1;
        Ok(Place {
            of: self.clone(),
            user_id,
        })
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut coming = self.of.coming();
        if let Some(own) = coming.get_mut(&self.user_id) {
            *own -= 1;
            if *own == 0 {
                coming.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_places_at_once_and_leaves_others_theirs() {
        let receiving = Receiving::default();
        let mut places: Vec<_> = (0..PER_USER).map(|_| receiving.take(7).unwrap()).collect();
        assert!(receiving.take(7).is_err());
        drop(receiving.take(8).unwrap());
        places.pop();
        places.push(receiving.take(7).unwrap());
        drop(places);
        assert!(receiving.coming().is_empty());
    }

    #[test]
    fn a_user_is_not_told_that_he_has_too_many_where_all_together_have() {
        let receiving = Receiving::default();
        let of_others = (0..IN_ALL as i64).map(|place| receiving.take(100 + place).unwrap());
        let mut of_others: Vec<_> = of_others.collect();
        let refused = receiving.take(7).unwrap_err();
        assert!(matches!(refused, Error::StorageUnavailable(_)), "{refused}");
        of_others.pop();
        receiving.take(7).unwrap();
    }
}
