//! Credits: who has how many, and what may be taken of them, see docs/credits.md.

use chrono::{DateTime, Utc};
use serde::Serialize;
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::{Checks, Flaw};

/// Most credits of one grant.
const MAX_GRANT: i64 = 1_000_000_000_000;
const MAX_REASON_CHARS: usize = 500;
const MAX_KEY_CHARS: usize = 128;

/// Where credits are. All but `Issued` are of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Account {
    /// Whence they come; as much below zero as users have, had or have lost.
    Issued,
    /// A user may spend them.
    Available,
    /// A job that has not ended holds them.
    Reserved,
    /// A job that has completed took them.
    Spent,
    /// Nobody took them in time.
    Expired,
}

/// What moves credits.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, EnumIter, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CreditKind {
    /// A user gets some.
    Grant,
    /// They are taken back.
    Deduction,
    /// A new job holds its cost.
    Reservation,
    /// The job has completed.
    Commit,
    /// The job has failed, or was cancelled.
    Release,
    /// The time of their grant is over.
    Expiry,
}

impl CreditKind {
    /// From which account to which.
    pub const fn accounts(self) -> (Account, Account) {
        match self {
            Self::Grant => (Account::Issued, Account::Available),
            Self::Deduction => (Account::Available, Account::Issued),
            Self::Reservation => (Account::Available, Account::Reserved),
            Self::Commit => (Account::Reserved, Account::Spent),
            Self::Release => (Account::Reserved, Account::Available),
            Self::Expiry => (Account::Available, Account::Expired),
        }
    }
}

/// What an admin gives a user, or takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantDraft {
    /// Whose credits they are.
    pub user_id: i64,
    /// Below zero where they are taken back.
    pub amount: i64,
    /// From when on nothing is reserved of them; `None`: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// For people.
    pub reason: String,
    /// The same call again changes nothing.
    pub idempotency_key: String,
}

impl GrantDraft {
    /// Notes what is wrong with it at the time `now`.
    pub fn check(&self, now: DateTime<Utc>, checks: &mut Checks) {
        checks.id("user_id", self.user_id);
        checks.range("amount", self.amount, -MAX_GRANT, MAX_GRANT);
        checks.require(self.amount != 0, "amount", || {
            Flaw::OutOfRange.says("must not be 0").found(0)
        });
        for (field, text, most) in [
            ("reason", &self.reason, MAX_REASON_CHARS),
            ("idempotency_key", &self.idempotency_key, MAX_KEY_CHARS),
        ] {
            checks.require(!text.trim().is_empty(), field, super::Problem::required);
            checks.line(field, text, most);
        }
        if let Some(expires_at) = self.expires_at {
            checks.require(self.amount > 0, "expire_time", || {
                Flaw::Conflict.says("must be left out where credits are taken back")
            });
            checks.require(expires_at > now, "expire_time", || {
                Flaw::OutOfRange.says(format!("must lie ahead, got {expires_at}"))
            });
        }
    }
}

/// A grant of which something is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGrant {
    /// Of the grant.
    pub id: i64,
    /// What nobody has reserved or spent.
    pub remaining: i64,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Credits of one grant for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which of the purposes, by its place.
    pub purpose: usize,
    /// Of the grant.
    pub grant_id: i64,
    /// More than zero.
    pub amount: i64,
}

/// There are not enough credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// For all purposes together.
    pub needed: i64,
    /// In all grants together.
    pub available: i64,
}

/// Takes the costs of all purposes from the grants, what ends first before what ends later; or nothing at all.
pub fn take(grants: &[OpenGrant], costs: &[i64]) -> Result<Vec<Share>, Shortage> {
    let sum = |numbers: &mut dyn Iterator<Item = i64>| numbers.fold(0, i64::saturating_add);
    let needed = sum(&mut costs.iter().copied());
    let available = sum(&mut grants.iter().map(|grant| grant.remaining));
    if needed > available {
        return Err(Shortage { needed, available });
    }
    let mut left = grants.to_vec();
    left.sort_by_key(|grant| (grant.expires_at.is_none(), grant.expires_at, grant.id));
    let mut left = left.into_iter().filter(|grant| grant.remaining > 0);
    let mut open = left.next();
    let mut shares = Vec::new();
    for (purpose, cost) in costs.iter().copied().enumerate() {
        let mut missing = cost;
        while let Some(grant) = open.as_mut().filter(|_| missing > 0) {
            let amount = missing.min(grant.remaining);
            grant.remaining -= amount;
            missing -= amount;
            shares.push(Share {
                purpose,
                grant_id: grant.id,
                amount,
            });
            if grant.remaining == 0 {
                open = left.next();
            }
        }
    }
    Ok(shares)
}

/// How many credits a user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What new jobs may take.
    pub available: i64,
    /// What jobs hold that have not ended.
    pub reserved: i64,
    /// When the next of the available ones end, and how many these are.
    pub next_expiry: Option<(DateTime<Utc>, i64)>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    use super::*;

    fn grant(id: i64, remaining: i64, expires: Option<i64>) -> OpenGrant {
        OpenGrant {
            id,
            remaining,
            expires_at: expires.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        }
    }

    fn share(purpose: usize, grant_id: i64, amount: i64) -> Share {
        Share {
            purpose,
            grant_id,
            amount,
        }
    }

    #[test]
    fn what_ends_first_is_taken_first_and_one_job_may_take_of_several() {
        let grants = [
            grant(1, 9, None),
            grant(2, 3, Some(20)),
            grant(3, 2, Some(10)),
        ];
        let shares = take(&grants, &[4, 0, 4]).unwrap();
        let expected = [
            share(0, 3, 2),
            share(0, 2, 2),
            share(2, 2, 1),
            share(2, 1, 3),
        ];
        assert_eq!(shares, expected);
    }

    #[test]
    fn nothing_is_taken_where_not_all_can_be() {
        let shortage = take(&[grant(1, 3, None)], &[2, 2]).unwrap_err();
        let expected = Shortage {
            needed: 4,
            available: 3,
        };
        assert_eq!(shortage, expected);
        assert!(take(&[], &[i64::MAX, i64::MAX]).is_err());
        assert_eq!(take(&[], &[0]), Ok(Vec::new()));
    }

    #[test]
    fn what_leaves_one_account_comes_to_another() {
        for kind in CreditKind::iter() {
            let (from, to) = kind.accounts();
            assert_ne!(from, to, "{kind:?}");
        }
    }

    #[test]
    fn a_grant_is_checked_field_by_field() {
        let now = DateTime::UNIX_EPOCH;
        let wrong = |draft: &GrantDraft| {
            let mut checks = Checks::default();
            draft.check(now, &mut checks);
            let violations = checks.into_violations().into_iter();
            violations.map(|it| it.field).collect::<Vec<_>>()
        };
        let fine = GrantDraft {
            user_id: 7,
            amount: 10,
            expires_at: DateTime::from_timestamp(1, 0),
            reason: "welcome".to_owned(),
            idempotency_key: "a".to_owned(),
        };
        assert_eq!(wrong(&fine), [""; 0]);
        let over = GrantDraft {
            amount: -1,
            expires_at: Some(now),
            ..fine.clone()
        };
        assert_eq!(wrong(&over), ["expire_time"; 2]);
        let empty = GrantDraft {
            user_id: 0,
            amount: 0,
            expires_at: None,
            reason: String::new(),
            idempotency_key: String::new(),
        };
        assert_eq!(
            wrong(&empty),
            ["user_id", "amount", "reason", "idempotency_key"]
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_is_needed_and_no_grant_gives_more_than_it_has(
            grants in proptest::collection::vec((0..50_i64, proptest::option::of(0..5_i64)), 0..6),
            costs in proptest::collection::vec(0..40_i64, 0..6),
        ) {
            let grants = (1..).zip(grants).map(|(id, (remaining, ends))| grant(id, remaining, ends));
            let grants: Vec<_> = grants.collect();
            let has: i64 = grants.iter().map(|grant| grant.remaining).sum();
            let needed: i64 = costs.iter().sum();
            match take(&grants, &costs) {
                Err(shortage) => {
                    prop_assert!(needed > has);
                    prop_assert_eq!(shortage, Shortage { needed, available: has });
                }
                Ok(shares) => {
                    let (mut of_grant, mut for_purpose) = (BTreeMap::new(), vec![0; costs.len()]);
                    for share in shares {
                        prop_assert!(share.amount > 0);
                        *of_grant.entry(share.grant_id).or_insert(0) += share.amount;
                        for_purpose[share.purpose] += share.amount;
                    }
                    prop_assert_eq!(for_purpose, costs);
                    for grant in grants {
                        prop_assert!(of_grant.remove(&grant.id).unwrap_or(0) <= grant.remaining);
                    }
                }
            }
        }
    }
}
