//! What is left of a user who is erased, see docs/privacy.md.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The first number of an account of nobody's. Identity never counts so far.
pub const FIRST_ACCOUNT: i64 = 1 << 62;

/// How much of a user was removed, and how much stays without him.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Erased {
    /// With all that is theirs.
    pub requests: u64,
    /// Of the requests.
    pub jobs: u64,
    /// Rows of media.
    pub media: u64,
    /// Files that he gave.
    pub uploads: u64,
    /// Files in the storage.
    pub objects: u64,
    /// Their size.
    pub bytes: u64,
    /// Credits that nobody can spend any more.
    pub credits: u64,
    /// Movements of credits that the ledger keeps.
    pub kept_transactions: u64,
    /// Entries that the audit log keeps.
    pub kept_audit_entries: u64,
}

/// The number of an account that tells nothing of whose it was.
pub fn account_id(random: u64) -> i64 {
    FIRST_ACCOUNT | (random >> 2).cast_signed()
}

impl AddAssign for Erased {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.jobs += more.jobs;
        self.media += more.media;
        self.uploads += more.uploads;
        self.objects += more.objects;
        self.bytes += more.bytes;
        self.credits += more.credits;
        self.kept_transactions += more.kept_transactions;
        self.kept_audit_entries += more.kept_audit_entries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_no_user_s_whatever_chance_gives() {
        for random in [0, 1, 3, u64::MAX, 0x1234_5678_9abc_def0] {
            assert!(account_id(random) >= FIRST_ACCOUNT, "{random}");
        }
        assert_ne!(account_id(u64::MAX), account_id(0));
    }
}
