//! Credits between the contract and the domain.

use chrono::{DateTime, Utc};

use crate::{
    app::Limits,
    domain::{Balance, Checks, CreditKind, GrantDraft, Spent},
    entity::{credit_grant, credit_transaction},
    store,
};

use crate::rpc::{
    page::any_or,
    proto,
    time::{optional_time, timestamp},
};

pub(super) fn filter_from(
    request: &proto::ListTransactionsRequest,
    checks: &mut Checks,
) -> store::credit::Filter {
    for (field, id) in [
        ("user_id", request.user_id),
        ("request_id", request.request_id),
        ("job_id", request.job_id),
    ] {
        checks.optional_id(field, id);
    }
    store::credit::Filter {
        user_id: any_or(request.user_id),
        request_id: any_or(request.request_id),
        job_id: any_or(request.job_id),
    }
}

pub(super) fn grant_draft(request: proto::GrantCreditsRequest, checks: &mut Checks) -> GrantDraft {
    GrantDraft {
        user_id: request.user_id,
        amount: request.amount,
        expires_at: optional_time("expire_time", request.expire_time, checks),
        reason: request.reason,
        idempotency_key: request.idempotency_key,
    }
}

pub(super) fn grant_message(grant: credit_grant::Model) -> proto::CreditGrant {
    proto::CreditGrant {
        id: grant.id,
        user_id: grant.user_id,
        amount: grant.amount,
        remaining: grant.remaining,
        expire_time: grant.expires_at.map(timestamp),
        reason: grant.reason,
        create_time: Some(timestamp(grant.created_at)),
    }
}

pub(super) fn balance_message(balance: Balance) -> proto::GetBalanceResponse {
    let (next_expire_time, next_expiring) = balance.next_expiry.unzip();
    proto::GetBalanceResponse {
        available: balance.available,
        reserved: balance.reserved,
        next_expire_time: next_expire_time.map(timestamp),
        next_expiring: next_expiring.unwrap_or_default(),
    }
}

pub(super) fn limits_message(limits: Limits) -> proto::GetLimitsResponse {
    let Limits { plan, used } = limits;
    let plan = plan.unwrap_or_default();
    let seconds = plan.max_duration.map_or(0, |most| most.as_secs());
    let resolution = plan.max_resolution.map(|most| most.to_string());
    let jobs = |most, used| quota(most, used, None);
    let requests = |most, spent: Spent| quota(most, spent.requests, spent.frees_at);
    proto::GetLimitsResponse {
        plan: plan.name,
        pending_jobs: Some(jobs(plan.pending_jobs, used.pending)),
        concurrent_jobs: Some(jobs(plan.concurrent_jobs, used.running)),
        requests_per_minute: Some(requests(plan.requests_per_minute, used.in_minute)),
        requests_per_day: Some(requests(plan.requests_per_day, used.in_day)),
        max_variations: small(plan.variations.into()),
        features: plan.features,
        max_resolution: resolution.unwrap_or_default(),
        max_duration_seconds: small(seconds),
        priority: plan.priority,
        retention_seconds: small(plan.retention.as_secs()),
    }
}

fn quota(most: u32, used: i64, frees_at: Option<DateTime<Utc>>) -> proto::Quota {
    proto::Quota {
        limit: small(most.into()),
        used,
        free_time: frees_at.map(timestamp),
    }
}

fn small(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(in crate::rpc) fn message(transaction: credit_transaction::Model) -> proto::CreditTransaction {
    proto::CreditTransaction {
        id: transaction.id,
        user_id: transaction.user_id,
        kind: kind_message(transaction.kind).into(),
        amount: transaction.amount,
        grant_id: transaction.grant_id,
        job_id: transaction.job_id.unwrap_or_default(),
        request_id: transaction.request_id.unwrap_or_default(),
        reason: transaction.reason.unwrap_or_default(),
        create_time: Some(timestamp(transaction.created_at)),
    }
}

fn kind_message(kind: CreditKind) -> proto::CreditTransactionKind {
    match kind {
        CreditKind::Grant => proto::CreditTransactionKind::Grant,
        CreditKind::Deduction => proto::CreditTransactionKind::Deduction,
        CreditKind::Reservation => proto::CreditTransactionKind::Reservation,
        CreditKind::Commit => proto::CreditTransactionKind::Commit,
        CreditKind::Release => proto::CreditTransactionKind::Release,
        CreditKind::Expiry => proto::CreditTransactionKind::Expiry,
    }
}
