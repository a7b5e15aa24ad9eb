//! Optimistic concurrency (AIP-154): an etag names a version of a row, and a change that was decided on another is refused.

use super::{Error, Resource};

/// The etag of a row in this version.
pub fn etag(version: i64) -> String {
    version.to_string()
}

/// [`Error::EtagMismatch`] unless the given etag is that of the version; an empty one fits all.
pub fn check_etag(resource: Resource, id: i64, version: i64, given: &str) -> Result<(), Error> {
    let etag = etag(version);
    if given.is_empty() || given == etag {
        return Ok(());
    }
    Err(Error::EtagMismatch { resource, id, etag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_etag_of_the_version_or_none_is_let_through() {
        let check = |given: &str| check_etag(Resource::Feature, 7, 3, given);
        assert!(check("").is_ok());
        assert!(check(&etag(3)).is_ok());
        for stale in [etag(2), "03".to_owned(), "nonsense".to_owned()] {
            let refused = check(&stale);
            assert!(
                matches!(&refused, Err(Error::EtagMismatch { id: 7, etag: now, .. }) if *now == etag(3)),
                "{stale}: {refused:?}"
            );
        }
    }
}
