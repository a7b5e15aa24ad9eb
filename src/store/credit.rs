//! The ledger, see docs/credits.md: what users were given, what their jobs hold of it, and each movement between the two.
//!
//! Grants are locked in order of their ids, after jobs and requests: that leaves no way into a deadlock. Only what takes from
//! them or gives back locks them; a job that completes does not.

mod left;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
    sea_query::{ExprTrait, LockType, OnConflict},
};
use serde::Serialize;

use crate::{
    domain::{
        Balance, Caller, CreditKind, Error, GrantDraft, OpenGrant, Page, Share, Shortage,
        TableName, take,
    },
    entity::{
        credit_grant,
        credit_transaction::{ActiveModel, Column, Entity, Model},
    },
};

use super::{
    PageRequest, Transaction,
    one_of::{id_list, is_one_of, one_of_ids, pairs},
    page::{List, Sorting},
    queue::dialect::Dialect,
    rows::Rows,
    user,
};

pub use left::{Left, left, release_vanished};

/// What a new job is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// The job.
    pub job_id: i64,
    /// The job's.
    pub request_id: i64,
    /// Who pays.
    pub user_id: i64,
    /// More than zero.
    pub amount: i64,
    /// When the job was made.
    pub at: DateTime<Utc>,
}

/// What a list shows; `None` means all.
#[derive(Debug, Default, Serialize)]
pub struct Filter {
    /// Those of this user, as far as the caller may see them.
    pub user_id: Option<i64>,
    /// Those of the jobs of this request.
    pub request_id: Option<i64>,
    /// Those of this job.
    pub job_id: Option<i64>,
}

/// Has new jobs hold their costs, all of them or none.
///
/// # Errors
/// [`Error::CreditsInsufficient`].
pub async fn reserve(tx: &Transaction, charges: &[Charge]) -> Result<(), Error> {
    let Some(now) = charges.iter().map(|charge| charge.at).max() else {
        return Ok(());
    };
    let mut of_users: BTreeMap<i64, Vec<Charge>> = BTreeMap::new();
    for charge in charges {
        of_users.entry(charge.user_id).or_default().push(*charge);
    }
    let amounts = |charges: &[Charge]| charges.iter().map(|charge| charge.amount).collect();
    let costs = of_users
        .iter()
        .map(|(user, charges)| (*user, amounts(charges)));
    let shares = draw(tx, costs.collect(), now).await?;
    let of_share = |(user_id, share): (i64, Share)| {
        let charge = of_users.get(&user_id)?.get(share.purpose)?;
        Some(ActiveModel {
            job_id: Set(Some(charge.job_id)),
            request_id: Set(Some(charge.request_id)),
            ..movement(CreditKind::Reservation, user_id, share, charge.at)
        })
    };
    record(tx, shares.into_iter().filter_map(of_share).collect()).await
}

/// How many credits each of these users has that nothing holds; nobody is kept from taking them.
pub async fn available(
    db: &impl ConnectionTrait,
    users: BTreeSet<i64>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<i64, i64>, Error> {
    let mut available: BTreeMap<i64, i64> = BTreeMap::new();
    for grant in open_grants(db, users, now).all(db).await? {
        let sum = available.entry(grant.user_id).or_default();
        *sum = sum.saturating_add(grant.remaining);
    }
    Ok(available)
}

/// Has those of these jobs that have ended give back what they hold, or take it if they have completed: each once, however
/// often this is called. A job that holds nothing does nothing.
pub async fn settle(tx: &Transaction, job_ids: &[i64]) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    let statement = format!(
        "INSERT INTO generation_credit_transactions
             (user_id, kind, debited, credited, amount, grant_id, job_id, request_id, created_at)
         SELECT held.user_id, CASE job.status WHEN 'completed' THEN 'commit' ELSE 'release' END, held.credited,
             CASE job.status WHEN 'completed' THEN 'spent' ELSE held.debited END,
             held.amount, held.grant_id, held.job_id, held.request_id, job.completed_at
         FROM generation_credit_transactions AS held JOIN generation_jobs AS job ON job.id = held.job_id
         WHERE held.kind = 'reservation' AND held.job_id {jobs}
             AND job.status IN ('completed', 'failed', 'cancelled')
         ORDER BY held.id
         ON CONFLICT DO NOTHING RETURNING kind, grant_id, amount",
        jobs = is_one_of(backend, "$1"),
    );
    let values = [id_list(backend, job_ids.iter().copied())];
    let statement = Statement::from_sql_and_values(backend, statement, values);
    let mut released: BTreeMap<i64, i64> = BTreeMap::new();
    for row in tx.query_all_raw(statement).await? {
        if row.try_get::<CreditKind>("", "kind")? == CreditKind::Release {
            let amount: i64 = row.try_get("", "amount")?;
            *released.entry(row.try_get("", "grant_id")?).or_default() += amount;
        }
    }
    change_remaining(tx, released).await
}

/// Gives a user credits, or takes them back, and tells whether this call did it: the same call again answers as the first did
/// and changes nothing. `None` if its key stands for another call.
///
/// # Errors
/// [`Error::CreditsInsufficient`] if more is to be taken back than there is.
pub async fn grant(
    tx: &Transaction,
    draft: &GrantDraft,
    now: DateTime<Utc>,
) -> Result<Option<(credit_grant::Model, bool)>, Error> {
    let is_new = insert_grant(tx, draft, now).await?;
    let grant = credit_grant::Entity::find()
        .filter(credit_grant::Column::UserId.eq(draft.user_id))
        .filter(credit_grant::Column::IdempotencyKey.eq(&draft.idempotency_key))
        .one(tx)
        .await?
        .ok_or_else(|| Error::internal("a grant vanished"))?;
    if !is_new {
        let same = (grant.amount, grant.expires_at, &grant.reason)
            == (draft.amount, draft.expires_at, &draft.reason);
        return Ok(same.then_some((grant, false)));
    }
    let (kind, shares) = match draft.amount {
        amount @ 1.. => {
            let whole = Share {
                purpose: 0,
                grant_id: grant.id,
                amount,
            };
            (CreditKind::Grant, vec![whole])
        }
        amount => {
            let cost = BTreeMap::from([(draft.user_id, vec![amount.saturating_neg()])]);
            let shares = draw(tx, cost, now).await?.into_iter();
            (
                CreditKind::Deduction,
                shares.map(|(_, share)| share).collect(),
            )
        }
    };
    let with_reason = |share| ActiveModel {
        reason: Set(Some(draft.reason.clone())),
        ..movement(kind, draft.user_id, share, now)
    };
    record(tx, shares.into_iter().map(with_reason).collect()).await?;
    Ok(Some((grant, true)))
}

/// False if the user's key is taken. Waits for a transaction that is just taking it.
async fn insert_grant(
    tx: &Transaction,
    draft: &GrantDraft,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken = [
        credit_grant::Column::UserId,
        credit_grant::Column::IdempotencyKey,
    ];
    let grant = credit_grant::ActiveModel {
        id: NotSet,
        user_id: Set(draft.user_id),
        amount: Set(draft.amount),
        remaining: Set(Ord::max(draft.amount, 0)),
        reason: Set(draft.reason.clone()),
        idempotency_key: Set(draft.idempotency_key.clone()),
        expires_at: Set(draft.expires_at),
        created_at: Set(now),
    };
    let inserted = credit_grant::Entity::insert(grant)
        .on_conflict(OnConflict::columns(taken).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(inserted == 1)
}

/// Lets up to `limit` grants end whose time is over. Returns how many.
pub async fn expire(tx: &Transaction, now: DateTime<Utc>, limit: u64) -> Result<usize, Error> {
    let over = credit_grant::Entity::find()
        .filter(credit_grant::Column::Remaining.gt(0))
        .filter(credit_grant::Column::ExpiresAt.lte(now))
        .order_by_asc(credit_grant::Column::Id)
        .limit(limit)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let ended = over.len();
    end(tx, over, now).await?;
    Ok(ended)
}

/// Lets all of a user's grants end, whatever is left of them. Returns how many credits that were.
pub async fn end_all(tx: &Transaction, user_id: i64, now: DateTime<Utc>) -> Result<u64, Error> {
    let left = credit_grant::Entity::find()
        .filter(credit_grant::Column::UserId.eq(user_id))
        .filter(credit_grant::Column::Remaining.gt(0))
        .order_by_asc(credit_grant::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let credits = left.iter().map(|grant| grant.remaining.unsigned_abs());
    let credits = credits.sum();
    end(tx, left, now).await?;
    Ok(credits)
}

async fn end(
    tx: &Transaction,
    grants: Vec<credit_grant::Model>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rest = |grant: &credit_grant::Model| (grant.id, grant.remaining.saturating_neg());
    change_remaining(tx, grants.iter().map(rest).collect()).await?;
    let expiry = |grant: &credit_grant::Model| {
        let rest = Share {
            purpose: 0,
            grant_id: grant.id,
            amount: grant.remaining,
        };
        movement(CreditKind::Expiry, grant.user_id, rest, now)
    };
    record(tx, grants.iter().map(expiry).collect()).await
}

/// How many credits a user has.
pub async fn balance(
    db: &impl ConnectionTrait,
    user_id: i64,
    now: DateTime<Utc>,
) -> Result<Balance, Error> {
    let grants = open_grants(db, BTreeSet::from([user_id]), now)
        .all(db)
        .await?;
    let next = grants.iter().filter_map(|grant| grant.expires_at).min();
    let ending = grants.iter().filter(|grant| grant.expires_at == next);
    let ending = ending.map(|grant| grant.remaining).sum();
    Ok(Balance {
        available: grants.iter().map(|grant| grant.remaining).sum(),
        reserved: reserved(db, user_id).await?,
        next_expiry: next.map(|at| (at, ending)),
    })
}

/// What the user's jobs hold: those that have not ended are few.
async fn reserved(db: &impl ConnectionTrait, user_id: i64) -> Result<i64, Error> {
    let held = "SELECT CAST(COALESCE(SUM(held.amount), 0) AS bigint) AS reserved
         FROM generation_jobs AS job JOIN generation_credit_transactions AS held ON held.job_id = job.id
         WHERE job.user_id = $1 AND job.status IN ('pending', 'processing') AND job.deleted_at IS NULL
             AND held.kind = 'reservation'";
    let held = Statement::from_sql_and_values(db.get_database_backend(), held, [user_id.into()]);
    let row = db.query_one_raw(held).await?;
    row.map_or(Ok(0), |row| Ok(row.try_get("", "reserved")?))
}

/// The ledger, newest first.
pub async fn list(
    db: &impl ConnectionTrait,
    caller: Caller,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Model>, Error> {
    let query = Entity::find()
        .apply_if(caller.scope(), |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.user_id, |query, id| {
            query.filter(Column::UserId.eq(id))
        })
        .apply_if(filter.request_id, |query, id| {
            query.filter(Column::RequestId.eq(id))
        })
        .apply_if(filter.job_id, |query, id| {
            query.filter(Column::JobId.eq(id))
        });
    let list = List {
        name: "credit transactions by id descending",
        filter,
        query,
        page,
    };
    let newest_first = Sorting::newest(Column::Id, |row: &Model| vec![row.id]);
    list.sorted(db, newest_first).await
}

/// Whether Identity has the user.
pub async fn knows_user(
    db: &impl ConnectionTrait,
    users: &TableName,
    id: i64,
) -> Result<bool, Error> {
    Ok(db.query_one(&user::find(users, id)).await?.is_some())
}

/// Takes credits of users, each for purposes of so much: for all of them or for none. Returns what was taken, with whose it was.
async fn draw(
    tx: &Transaction,
    costs: BTreeMap<i64, Vec<i64>>,
    now: DateTime<Utc>,
) -> Result<Vec<(i64, Share)>, Error> {
    let users = costs.keys().copied().collect();
    let grants = open_grants(tx, users, now).lock(LockType::NoKeyUpdate);
    let mut of_users: BTreeMap<i64, Vec<OpenGrant>> = BTreeMap::new();
    for grant in grants.all(tx).await? {
        of_users.entry(grant.user_id).or_default().push(OpenGrant {
            id: grant.id,
            remaining: grant.remaining,
            expires_at: grant.expires_at,
        });
    }
    let mut drawn = Vec::new();
    for (user_id, costs) in costs {
        let grants = of_users.remove(&user_id).unwrap_or_default();
        let shares = take(&grants, &costs).map_err(|short| insufficient(user_id, short))?;
        drawn.extend(shares.into_iter().map(|share| (user_id, share)));
    }
    let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
    for (_, share) in &drawn {
        *taken.entry(share.grant_id).or_default() -= share.amount;
    }
    change_remaining(tx, taken).await?;
    Ok(drawn)
}

fn insufficient(user_id: i64, Shortage { needed, available }: Shortage) -> Error {
    Error::CreditsInsufficient {
        user_id,
        needed,
        available,
    }
}

fn open_grants(
    db: &impl ConnectionTrait,
    users: BTreeSet<i64>,
    now: DateTime<Utc>,
) -> sea_orm::Select<credit_grant::Entity> {
    let (user_id, expires_at) = (
        credit_grant::Column::UserId,
        credit_grant::Column::ExpiresAt,
    );
    credit_grant::Entity::find()
        .filter(one_of_ids(db.get_database_backend(), user_id, users))
        .filter(credit_grant::Column::Remaining.gt(0))
        .filter(expires_at.is_null().or(expires_at.gt(now)))
        .order_by_asc(credit_grant::Column::Id)
}

/// Adds so much to what is left of each of these grants, or takes it off.
async fn change_remaining(tx: &Transaction, by: BTreeMap<i64, i64>) -> Result<(), Error> {
    if by.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let statement = format!(
        "WITH locked AS MATERIALIZED (
             SELECT id FROM generation_credit_grants WHERE id {grants} ORDER BY id {lock}
         )
         UPDATE generation_credit_grants SET remaining = remaining + pair.number FROM ({pairs}) AS pair
         WHERE generation_credit_grants.id = pair.id AND pair.id IN (SELECT id FROM locked)",
        grants = is_one_of(backend, "$1"),
        lock = Dialect::of(tx).locked(),
        pairs = pairs(backend),
    );
    let (grants, amounts) = by.into_iter().unzip::<_, _, Vec<i64>, Vec<i64>>();
    let values = [id_list(backend, grants), id_list(backend, amounts)];
    let statement = Statement::from_sql_and_values(backend, statement, values);
    tx.execute_raw(statement).await?;
    Ok(())
}

fn movement(kind: CreditKind, user_id: i64, share: Share, at: DateTime<Utc>) -> ActiveModel {
    let (debited, credited) = kind.accounts();
    ActiveModel {
        id: NotSet,
        user_id: Set(user_id),
        kind: Set(kind),
        debited: Set(debited),
        credited: Set(credited),
        amount: Set(share.amount),
        grant_id: Set(share.grant_id),
        job_id: Set(None),
        request_id: Set(None),
        reason: Set(None),
        created_at: Set(at),
    }
}

async fn record(tx: &Transaction, movements: Vec<ActiveModel>) -> Result<(), Error> {
    Rows::new(movements).add(tx).await
}
