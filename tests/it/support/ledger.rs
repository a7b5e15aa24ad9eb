//! Credits: servers that keep them, users who have some, and what always holds of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use atelier::billing::Billing;
use atelier::config::{BillingKind, Config};
use atelier::domain::{Account, Actor, Checks, CreditKind, FeatureDraft, GrantDraft, JobStatus};
use atelier::entity::{credit_grant, credit_transaction, job};
use atelier::rpc::proto::{
    CreateFeatureRequest, FeatureProperties, GetBalanceRequest, GrantCreditsRequest,
};
use sea_orm::{EntityTrait, IsolationLevel, TransactionTrait};

use crate::support::bench::Bench;
use crate::support::client::{Client, USER, scripted_feature};
use crate::support::database::TestDatabase;

/// For servers that keep credits.
pub(crate) fn with_ledger(config: &mut Config) {
    config.billing.kind = BillingKind::Ledger;
}

pub(crate) fn grant(amount: i64, key: &str) -> GrantCreditsRequest {
    GrantCreditsRequest {
        user_id: USER,
        amount,
        expire_time: None,
        reason: "a test".to_owned(),
        idempotency_key: key.to_owned(),
    }
}

impl Client {
    /// Gives the user credits.
    pub(crate) async fn give(&self, amount: i64, key: &str) {
        let granted = self.credits().grant_credits(grant(amount, key)).await;
        granted.unwrap();
    }

    /// What the user may spend, and what his jobs hold.
    pub(crate) async fn balance(&self) -> (i64, i64) {
        let asked = GetBalanceRequest { user_id: USER };
        let told = self.credits().get_balance(asked).await.unwrap();
        (told.get_ref().available, told.get_ref().reserved)
    }

    /// A scripted feature whose variations cost so much.
    pub(crate) async fn priced_feature(&self, cost_per_generation: i64) -> i64 {
        let scripted = scripted_feature("priced");
        let properties = FeatureProperties {
            cost_per_generation,
            ..scripted.properties.clone().unwrap_or_default()
        };
        let feature = CreateFeatureRequest {
            properties: Some(properties),
            ..scripted
        };
        self.add_feature(feature).await.id
    }
}

/// The use cases with jobs that cost so much.
pub(crate) async fn bench_that_costs(db: &TestDatabase, billing: Billing, cost: i64) -> Bench {
    let mut bench = Bench::new(db).await;
    bench.app.settings.billing = billing;
    let change = |draft: &mut FeatureDraft| draft.properties.cost_per_generation = cost;
    let (id, checks) = (bench.feature_id, Checks::default());
    let acting = bench.app.acting(Actor::local());
    let updated = acting.update_feature(id, "", checks, false, false, change);
    updated.await.unwrap();
    bench
}

/// What a job of [`bench_with_credits`] costs.
pub(crate) const COST: i64 = 4;

/// The same with a ledger, in which users 1 and 2 have more credits than all of them cost.
pub(crate) async fn bench_with_credits(db: &TestDatabase) -> Bench {
    let bench = bench_that_costs(db, Billing::Ledger, COST).await;
    for user_id in [1, 2] {
        let draft = GrantDraft {
            user_id,
            amount: 1_000_000,
            expires_at: None,
            reason: "a test".to_owned(),
            idempotency_key: "all".to_owned(),
        };
        let acting = bench.app.acting(Actor::local());
        let given = acting.grant_credits(&draft, Checks::default());
        given.await.unwrap();
    }
    bench
}

/// All movements, oldest first.
pub(crate) async fn movements(db: &TestDatabase) -> Vec<credit_transaction::Model> {
    let connection = db.connect().await;
    let found = credit_transaction::Entity::find().all(&connection);
    let mut found = found.await.unwrap();
    found.sort_by_key(|movement| movement.id);
    found
}

/// Asserts what holds whatever has happened; how many jobs have held credits.
pub(crate) async fn assert_balanced(db: &TestDatabase) -> usize {
    let connection = db.connect().await;
    // Others may write still: all is read as it was at one moment.
    let moment = connection.begin_with_config(Some(IsolationLevel::RepeatableRead), None);
    let moment = moment.await.unwrap();
    let grants = credit_grant::Entity::find().all(&moment).await.unwrap();
    let jobs = job::Entity::find().all(&moment).await.unwrap();
    let movements = credit_transaction::Entity::find()
        .all(&moment)
        .await
        .unwrap();

    let mut accounts: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    let mut of_grants: BTreeMap<i64, i64> = BTreeMap::new();
    for movement in &movements {
        for (account, amount) in [
            (movement.debited, -movement.amount),
            (movement.credited, movement.amount),
        ] {
            *accounts
                .entry((account.into(), movement.user_id))
                .or_default() += amount;
            if account == Account::Available {
                *of_grants.entry(movement.grant_id).or_default() += amount;
            }
        }
    }
    assert_eq!(accounts.values().sum::<i64>(), 0);
    for ((account, user), balance) in &accounts {
        assert!(
            *account == "issued" || *balance >= 0,
            "{account} of {user}: {balance}"
        );
    }
    for grant in &grants {
        let derived = of_grants.remove(&grant.id).unwrap_or_default();
        assert_eq!(derived, grant.remaining, "{grant:?}");
    }
    assert!(of_grants.is_empty(), "{of_grants:?}");
    assert_settled(&jobs, &movements)
}

/// Each job that has ended has taken all that it held, or given it back; the others hold their cost.
fn assert_settled(jobs: &[job::Model], movements: &[credit_transaction::Model]) -> usize {
    let of_kind = |job: &job::Model, kind| {
        let of_job = movements.iter().filter(|it| it.job_id == Some(job.id));
        let of_kind = of_job.filter(|it| it.kind == kind);
        of_kind
            .map(|it| (it.grant_id, it.amount))
            .collect::<BTreeSet<_>>()
    };
    let mut holding = 0;
    for job in jobs {
        let held = of_kind(job, CreditKind::Reservation);
        let (taken, back) = (
            of_kind(job, CreditKind::Commit),
            of_kind(job, CreditKind::Release),
        );
        let expected = match job.status {
            JobStatus::Completed => (held.clone(), BTreeSet::new()),
            JobStatus::Failed | JobStatus::Cancelled => (BTreeSet::new(), held.clone()),
            JobStatus::Pending | JobStatus::Processing => Default::default(),
        };
        assert_eq!(
            (taken, back),
            expected,
            "job {} is {:?}",
            job.id,
            job.status
        );
        if !held.is_empty() {
            let sum: i64 = held.iter().map(|(_, amount)| amount).sum();
            assert_eq!(Some(sum), job.cost, "job {}", job.id);
            holding += 1;
        }
    }
    let of_jobs = movements.iter().filter(|it| it.job_id.is_some()).count();
    let settled = movements
        .iter()
        .filter(|it| it.kind == CreditKind::Reservation);
    assert!(of_jobs <= 2 * settled.count());
    holding
}
