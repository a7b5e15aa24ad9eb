//! Keyset paging: a page token carries the last row's sort key, bound to the caller, the list, its filter and its
//! order.

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Checks, Error,
    seal::{Seal, Sealer},
};

const DEFAULT_SIZE: i32 = 50;
const MAX_SIZE: i32 = 1_000;

/// One page of rows, and whether more follow.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In the order of the list, as many as were asked for or fewer.
    pub items: Vec<T>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// Rows of a page: 0 means 50, over 1,000 is 1,000 (AIP-158); a negative number is a violation.
pub fn page_size(requested: i32, checks: &mut Checks) -> u64 {
    checks.not_negative("page_size", requested.into());
    let size = if requested == 0 {
        DEFAULT_SIZE
    } else {
        requested.clamp(1, MAX_SIZE)
    };
    u64::from(size.unsigned_abs())
}

/// Makes and reads the tokens of one list with one filter.
pub struct PageToken {
    seal: Seal,
}

impl PageToken {
    /// `list` names the list and its order.
    pub fn of(list: &str, filter: &impl Serialize, sealer: &Sealer) -> Result<Self, Error> {
        Ok(Self {
            seal: sealer.seal(list, filter)?,
        })
    }

    /// The token after the row with this sort key.
    pub fn encode(&self, key: &impl Serialize) -> Result<String, Error> {
        let key = serde_json::to_vec(key).map_err(Error::internal)?;
        self.seal.close(&key)
    }

    /// The sort key to go on after; `None` for the first page.
    pub fn decode<K: DeserializeOwned>(&self, token: &str) -> Result<Option<K>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let key = self.seal.open(token).map_err(|_| Error::InvalidPageToken)?;
        serde_json::from_slice(&key)
            .map(Some)
            .map_err(|_| Error::InvalidPageToken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Caller, keyring::tests::ring_of};

    fn token(list: &str, filter: i64) -> PageToken {
        let sealer = Sealer::new(&ring_of(1..=1, 1), Caller::User(7));
        PageToken::of(list, &filter, &sealer).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn page_sizes_follow_the_rule() {
        let size = |requested| {
            let mut checks = Checks::default();
            let size = page_size(requested, &mut checks);
            checks.finish(size).ok()
        };
        assert_eq!(
            [0, 1, 1_000, 1_001, i32::MAX].map(size),
            [50, 1, 1_000, 1_000, 1_000].map(Some)
        );
        assert_eq!(size(-1), None);
    }

    proptest! {
        #[test]
        fn a_token_gives_back_its_key(order in any::<i32>(), id in any::<i64>()) {
            let token = token("features", 1);
            let text = token.encode(&(order, id)).unwrap_or_default();
            prop_assert_eq!(token.decode::<(i32, i64)>(&text).ok(), Some(Some((order, id))));
        }

        #[test]
        fn a_token_of_another_filter_or_list_is_refused(id in any::<i64>(), other in 2i64..) {
            let text = token("features", 1).encode(&id).unwrap_or_default();
            prop_assert!(token("features", other).decode::<i64>(&text).is_err());
            prop_assert!(token("jobs", 1).decode::<i64>(&text).is_err());
        }

        #[test]
        fn a_changed_token_is_refused(id in any::<i64>(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let token = token("jobs", 1);
            let text = token.encode(&id).unwrap_or_default();
            let mut changed = text.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = with;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            prop_assume!(changed != text);
            prop_assert!(token.decode::<i64>(&changed).is_err());
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(text in ".{1,80}") {
            prop_assert!(token("jobs", 1).decode::<i64>(&text).is_err());
        }
    }
}
