//! The probes of this process and of what it needs. Each goes on by itself, one at a time and within a time, so that they
//! neither pile up nor wait for each other.

use std::{convert::Infallible, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use crate::{
    app::{Ailment, App, Health, Pulse},
    billing::Billing,
    domain::{Error, with_causes},
    store::{Fault, Trouble, Writing},
};

/// How often the database is asked.
const DATABASE_INTERVAL: Duration = Duration::from_secs(1);
/// How often something is written, and how long that may take: on SQLite it waits for others that write.
const WRITING_INTERVAL: Duration = Duration::from_secs(5);
const WRITING_TIMEOUT: Duration = Duration::from_secs(20);
const STORAGE_INTERVAL: Duration = Duration::from_secs(5);
const STORAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the keys of the installation are read, of which there may be new ones.
const KEYS_INTERVAL: Duration = Duration::from_secs(2);
/// How often is kept which API keys were used.
const USES_INTERVAL: Duration = Duration::from_secs(60);
/// A claim loop that has not turned for so long stands still: it turns at least once a minute.
const STANDSTILL: Duration = Duration::from_secs(90);

type Finding = Option<(Ailment, String)>;

/// Looks at everything once but for the storage, which a start has checked.
pub(super) async fn look(app: &App, pulse: Option<&Pulse>) {
    look_at_database(app).await;
    look_at_writing(app).await;
    look_at_worker(&app.health, pulse);
}

/// Looks at everything again and again, until it is dropped; at a storage that is away every `storage_interval`.
pub(super) async fn watch(app: App, pulse: Option<Pulse>, storage_interval: Duration) {
    let stop = async {
        app.draining.cancelled().await;
        let stopping = Some((Ailment::ShuttingDown, "it was told to".to_owned()));
        app.health.note(&[Ailment::ShuttingDown], stopping);
    };
    // The pause is between two looks, however long one takes.
    let database = async {
        loop {
            sleep(DATABASE_INTERVAL).await;
            look_at_database(&app).await;
            look_at_worker(&app.health, pulse.as_ref());
            look_at_providers(&app);
            look_at_billing(&app);
        }
    };
    let writing = async {
        loop {
            sleep(WRITING_INTERVAL).await;
            look_at_writing(&app).await;
        }
    };
    let storage = async {
        loop {
            if app.storage.is_away() {
                sleep(storage_interval.min(STORAGE_INTERVAL)).await;
            } else {
                let _ = timeout(STORAGE_INTERVAL, app.storage.gone()).await;
            }
            look_at_storage(&app).await;
        }
    };
    let keys = async {
        loop {
            sleep(KEYS_INTERVAL).await;
            // Those at hand go on; health tells that the database is away.
            if let Err(error) = app.read_keys().await {
                tracing::debug!(error = with_causes(&error), "cannot read the keys");
            }
        }
    };
    tokio::join!(stop, database, writing, storage, keys);
}

/// Reads the API keys again and again, so that one that is revoked somewhere soon is here, and keeps which were used.
pub(super) async fn follow_keys(app: App) -> Infallible {
    let mut noted = Instant::now();
    let mut trouble = Trouble::new("cannot note when API keys are used");
    loop {
        // Those that are known hold on for a while; health tells that the database is away.
        if let Err(error) = app.read_api_keys().await {
            tracing::debug!(error = with_causes(&error), "cannot read the API keys");
        }
        if noted.elapsed() >= USES_INTERVAL {
            noted = Instant::now();
            trouble.pass(app.note_key_uses().await);
        }
        sleep(KEYS_INTERVAL).await;
    }
}

async fn look_at_database(app: &App) {
    let found = app.store.probe_schema().await.err();
    let found = found.map(|fault| match fault {
        Fault::Away(cause) => (Ailment::DatabaseAway, cause),
        Fault::Busy(cause) => (Ailment::DatabaseBusy, cause),
        Fault::Schema(cause) => (Ailment::SchemaUnknown, cause),
    });
    app.health.note(
        &[
            Ailment::DatabaseAway,
            Ailment::DatabaseBusy,
            Ailment::SchemaUnknown,
        ],
        found,
    );
}

/// A database that is away or busy is told as that alone.
async fn look_at_writing(app: &App) {
    let explains = |found: &Ailment| matches!(found, Ailment::DatabaseAway | Ailment::DatabaseBusy);
    let found = match answer(
        WRITING_TIMEOUT,
        app.store.probe_writing(&app.settings.users),
        Error::DatabaseUnavailable,
    )
    .await
    {
        Ok(Writing::Works) => None,
        Ok(Writing::ReadOnly) => told(Ailment::DatabaseReadOnly),
        Ok(Writing::Forbidden(cause)) => Some((Ailment::DatabaseUnwritable, cause)),
        Ok(Writing::Full) => told(Ailment::DatabaseFull),
        Ok(Writing::Lost) => told(Ailment::DatabaseUnwritable),
        Err(_) if app.health.ailments().iter().any(explains) => return,
        Err(error) => Some((Ailment::DatabaseUnwritable, with_causes(&error))),
    };
    app.health.note(
        &[
            Ailment::DatabaseReadOnly,
            Ailment::DatabaseFull,
            Ailment::DatabaseUnwritable,
        ],
        found,
    );
}

async fn look_at_storage(app: &App) {
    // A bucket may be listed although it takes nothing: what has failed is tried.
    let probe = async {
        match app.storage.is_away() {
            true => Ok(app.storage.check().await?),
            false => Ok(app.storage.probe().await?),
        }
    };
    let found = answer(STORAGE_TIMEOUT, probe, Error::StorageUnavailable)
        .await
        .err();
    let found = found.map(|error| (Ailment::StorageAway, with_causes(&error)));
    app.health.note(&[Ailment::StorageAway], found);
}

fn look_at_worker(health: &Health, pulse: Option<&Pulse>) {
    let age = pulse.map(Pulse::age).filter(|age| *age > STANDSTILL);
    let found = age.map(|age| {
        let cause = format!("it last turned {} s ago", age.as_secs());
        (Ailment::WorkerStuck, cause)
    });
    health.note(&[Ailment::WorkerStuck], found);
}

fn look_at_providers(app: &App) {
    let away = app
        .providers
        .names()
        .filter(|name| app.providers.is_away(name));
    let away: Vec<_> = away.collect();
    let found = (!away.is_empty()).then(|| (Ailment::ProviderAway, away.join(", ")));
    app.health.note(&[Ailment::ProviderAway], found);
}

fn look_at_billing(app: &App) {
    let away = matches!(&app.settings.billing, Billing::Remote(remote) if remote.is_away());
    let found = away.then(|| {
        (
            Ailment::BillingAway,
            "its last calls have failed".to_owned(),
        )
    });
    app.health.note(&[Ailment::BillingAway], found);
}

fn told(ailment: Ailment) -> Finding {
    Some((ailment, "the database says so".to_owned()))
}

/// What the probe says; no answer in time means that whatever is probed is away.
async fn answer<T>(
    time: Duration,
    probe: impl Future<Output = Result<T, Error>>,
    away: impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Error,
) -> Result<T, Error> {
    let answer = timeout(time, probe).await;
    answer.unwrap_or_else(|_| {
        let words = format!("no answer within {} s", time.as_secs());
        Err(away(words.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_loop_that_does_not_turn_for_long_makes_the_process_useless_until_it_turns() {
        let (health, pulse) = (Health::default(), Pulse::start());
        let second = Duration::from_secs(1);
        for (age, is_stuck) in [
            (STANDSTILL - second, false),
            (STANDSTILL + second, true),
            (Duration::ZERO, false),
        ] {
            pulse.beat_before(age);
            look_at_worker(&health, Some(&pulse));
            let found = health.ailments();
            assert_eq!(
                found.iter().any(|found| found.is_fatal()),
                is_stuck,
                "{age:?}: {found:?}"
            );
        }
        look_at_worker(&health, None);
        assert!(health.ailments().is_empty());
    }
}
