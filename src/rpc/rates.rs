//! How many calls a minute each caller may make, of each class, by all servers of a database together. Nobody is limited who need
//! not show who he is: such callers cannot be told apart.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    app::{Allowance, App},
    domain::Error,
    identity::Principal,
    store::{Trouble, rate::Counted},
};

use super::access::Class;

/// So many callers are remembered; then those are forgotten of whom nothing is known any more.
const FORGETTING: usize = 10_000;
/// How long calls may be made that were taken from what all servers share. As many are taken as are regained meanwhile.
const LEASE: Duration = Duration::from_secs(1);
/// A refusal holds so long at least.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Calls a minute of one caller, for each class; `None`: as many as he likes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateSettings {
    /// Calls that read.
    pub reads: Option<NonZeroU32>,
    /// Calls that write.
    pub writes: Option<NonZeroU32>,
    /// Calls that change the catalogue and credits.
    pub admin: Option<NonZeroU32>,
}

/// What this server knows of what is left to each caller. Clones share it.
#[derive(Clone)]
pub(super) struct Rates {
    settings: RateSettings,
    callers: Arc<Mutex<Callers>>,
    trouble: Arc<Mutex<Trouble>>,
}

/// Held while the database is asked, so that it is asked once for calls that come at once.
type Caller = tokio::sync::Mutex<Known>;

type Callers = HashMap<(Class, String), Arc<Caller>>;

/// What is known of one caller until a time.
#[derive(Clone, Copy)]
struct Known {
    /// He may make these without asking; `None`: as many as he likes.
    calls: Option<u32>,
    until: Instant,
}

impl Known {
    /// Whether one more call may be made; `None` if it is not known.
    fn admits(&mut self, now: Instant) -> Option<Result<(), Duration>> {
        let left = self
            .until
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())?;
        match &mut self.calls {
            None => Some(Ok(())),
            Some(0) => Some(Err(left)),
            Some(calls) => {
                *calls -= 1;
                // Whether there are more the database knows.
                if *calls == 0 {
                    self.until = now;
                }
                Some(Ok(()))
            }
        }
    }
}

impl Rates {
    pub(super) fn new(settings: RateSettings) -> Self {
        let trouble = Trouble::new("cannot count calls");
        Self {
            settings,
            callers: Arc::default(),
            trouble: Arc::new(Mutex::new(trouble)),
        }
    }

    /// Counts a call. While the database is away nothing is counted.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(super) async fn count(
        &self,
        app: &App,
        principal: &Principal,
        class: Class,
    ) -> Result<(), Error> {
        let per_minute = match class {
            Class::Read => self.settings.reads,
            Class::Write => self.settings.writes,
            Class::Admin => self.settings.admin,
        };
        let (Some(per_minute), Some(client)) = (per_minute, &principal.client) else {
            return Ok(());
        };
        let caller = self.caller(class, client);
        let mut known = caller.lock().await;
        let admitted = match known.admits(Instant::now()) {
            Some(admitted) => admitted,
            None => {
                let counted = Counted {
                    caller: client,
                    class: class.name(),
                    per_minute: per_minute.get(),
                };
                *known = self.ask(app, counted).await;
                known.admits(Instant::now()).unwrap_or(Ok(()))
            }
        };
        admitted.map_err(|wait| Error::RateLimited {
            class: class.name(),
            per_minute: per_minute.get(),
            wait,
        })
    }

    async fn ask(&self, app: &App, counted: Counted<'_>) -> Known {
        let calls = (u64::from(counted.per_minute) * LEASE.as_secs() / 60).max(1);
        let taken = app
            .take_calls(counted, u32::try_from(calls).unwrap_or(u32::MAX))
            .await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, time) = match trouble.pass(taken) {
            Some(Allowance::Calls(calls)) => (Some(calls), LEASE),
            Some(Allowance::NoneFor(wait)) => (Some(0), wait.max(LEAST_WAIT)),
            None => (None, LEASE),
        };
        Known {
            calls,
            until: Instant::now() + time,
        }
    }

    fn caller(&self, class: Class, client: &str) -> Arc<Caller> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= FORGETTING {
            let now = Instant::now();
            callers.retain(|_, caller| match caller.try_lock() {
                Ok(known) => known.until > now,
                Err(_) => true,
            });
        }
        let of = (class, client.to_owned());
        let caller = callers.entry(of).or_insert_with(|| {
            let nothing = Known {
                calls: Some(0),
                until: Instant::now(),
            };
            Arc::new(Caller::new(nothing))
        });
        Arc::clone(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(calls: Option<u32>, now: Instant) -> Known {
        let until = now + LEASE;
        Known { calls, until }
    }

    #[test]
    fn calls_are_made_until_there_are_none_left_or_their_time_is_over() {
        let now = Instant::now();
        let mut two = known(Some(2), now);
        assert_eq!(two.admits(now), Some(Ok(())));
        assert_eq!(two.admits(now), Some(Ok(())));
        assert_eq!(two.admits(now), None, "the database may have more");
        assert_eq!(known(Some(2), now).admits(now + LEASE), None);
        let mut none = known(Some(0), now);
        assert_eq!(none.admits(now + LEASE / 4), Some(Err(LEASE * 3 / 4)));
        assert_eq!(none.admits(now + LEASE), None);
        let mut uncounted = known(None, now);
        assert!((0..9).all(|_| uncounted.admits(now) == Some(Ok(()))));
    }

    #[test]
    fn callers_of_whom_nothing_is_known_any_more_are_forgotten() {
        let rates = Rates::new(RateSettings::default());
        for caller in 0..FORGETTING {
            rates.caller(Class::Read, &caller.to_string());
        }
        rates.caller(Class::Read, "another");
        assert_eq!(rates.callers.lock().unwrap().len(), 1);
    }
}
