//! What a process waits for when it starts: its server may be started at the same moment, or have no room for it yet.

use std::{error::Error, iter, time::Duration};

use tokio::time::{Instant, sleep};

use crate::config::{DatabaseConfig, DatabaseUrl};

use super::{connection::ConnectError, words::Told};

/// Pause between tries while a server is waited for.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again what a server has no connection for, up to `database.connect_timeout`, and keeps none meanwhile if `attempt`
/// does not. What does not pass by waiting, such as a wrong password, ends the waiting at once.
///
/// # Errors
/// Those of `attempt`; [`ConnectError::Waited`] when the patience is over.
pub async fn patiently<T, E, A>(config: &DatabaseConfig, attempt: impl Fn() -> A) -> Result<T, E>
where
    A: Future<Output = Result<T, E>>,
    E: Error + From<ConnectError> + 'static,
{
    let began = Instant::now();
    let (url, longest) = (config.url.redacted(), config.connect_timeout);
    let mut told = false;
    loop {
        let failed = match attempt().await {
            Err(failed) if matches!(config.url, DatabaseUrl::Postgres(_)) => failed,
            outcome => {
                if told {
                    tracing::info!(waited = ?began.elapsed(), "the database is there");
                }
                return outcome;
            }
        };
        let Some(source) = passing(&failed) else {
            return Err(failed);
        };
        let waited = began.elapsed();
        if waited >= longest {
            return Err(ConnectError::Waited {
                url,
                waited,
                source,
            }
            .into());
        }
        if !told {
            let cause = source.to_string();
            tracing::warn!(url, cause, ?longest, "waiting for the database");
            told = true;
        }
        sleep(PAUSE.min(longest - waited)).await;
    }
}

/// What the database has said, if it may say something else soon.
fn passing(failed: &(dyn Error + 'static)) -> Option<Told> {
    let mut causes = iter::successors(Some(failed), |error| (*error).source());
    let told = causes.find_map(|error| error.downcast_ref::<Told>());
    told.filter(|told| told.passes()).cloned()
}
