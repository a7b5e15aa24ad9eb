//! All that is live of the catalogue at once, to compare it with a file or to write it into one.

use std::collections::BTreeMap;

use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IsolationLevel, QueryFilter,
    QueryOrder, QuerySelect, Statement, TransactionOptions, sea_query::LockType,
};

use crate::{
    domain::Error,
    entity::{feature, template},
};

use super::{Store, Transaction};

/// A live feature and its live templates.
#[derive(Clone, Debug)]
pub struct LiveFeature {
    /// The feature.
    pub feature: feature::Model,
    /// In the order that was asked for.
    pub templates: Vec<template::Model>,
}

/// Everything in display order, as it was at one moment.
pub async fn read(store: &Store) -> Result<Vec<LiveFeature>, Error> {
    let options = match store.backend() {
        DbBackend::Postgres => TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        },
        // A transaction that reads sees one moment anyway.
        _ => TransactionOptions::default(),
    };
    let tx = store.reader().begin(options).await?;
    let features = feature::Entity::find()
        .filter(feature::Column::DeletedAt.is_null())
        .order_by_asc(feature::Column::OrderIndex)
        .order_by_asc(feature::Column::Id);
    let templates = template::Entity::find()
        .filter(template::Column::DeletedAt.is_null())
        .order_by_asc(template::Column::OrderIndex)
        .order_by_asc(template::Column::Id);
    let live_features = live_features(features.all(&tx).await?, templates.all(&tx).await?);
    tx.rollback().await?;
    Ok(live_features)
}

/// What a transaction may do with what it locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Requests may still be made with it.
    Change,
    /// Requests and templates that are being made with a feature wait, and see what has become of it.
    Delete,
}

/// Names the advisory lock of those who lock everything; any number will do that nothing else on the server uses
/// ("catalog" in ASCII).
const LOCK: i64 = 0x63_6174_616c_6f67;

/// Everything in order of id, which nobody else changes until the transaction ends. Who else wants all of it waits, and then
/// sees what was added too.
///
/// Locks are taken in this order everywhere: features by id, then templates by id. None is taken in two steps, a weaker one
/// first: others may hold what the second one waits for, and wait themselves.
pub async fn lock(tx: &Transaction, purpose: Purpose) -> Result<Vec<LiveFeature>, Error> {
    let mut features = feature::Entity::find()
        .filter(feature::Column::DeletedAt.is_null())
        .order_by_asc(feature::Column::Id);
    let mut templates = template::Entity::find()
        .filter(template::Column::DeletedAt.is_null())
        .order_by_asc(template::Column::Id);
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_raw(Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [LOCK.into()],
        ))
        .await?;
        features = features.lock(match purpose {
            Purpose::Change => LockType::NoKeyUpdate,
            Purpose::Delete => LockType::Update,
        });
        templates = templates.lock(LockType::NoKeyUpdate);
    }
    let features = features.all(tx).await?;
    Ok(live_features(features, templates.all(tx).await?))
}

/// Gives each feature its templates; the order stays.
fn live_features(
    features: Vec<feature::Model>,
    templates: Vec<template::Model>,
) -> Vec<LiveFeature> {
    let mut by_feature: BTreeMap<i64, Vec<template::Model>> = BTreeMap::new();
    for template in templates {
        let siblings = by_feature.entry(template.feature_id).or_default();
        siblings.push(template);
    }
    let live = |feature: feature::Model| LiveFeature {
        templates: by_feature.remove(&feature.id).unwrap_or_default(),
        feature,
    };
    features.into_iter().map(live).collect()
}
