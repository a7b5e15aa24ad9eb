//! How many calls a minute each caller may make, of each class. Nobody is limited who need not show who he is: such callers
//! cannot be told apart.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::{domain::Error, identity::Principal};

use super::access::Class;

/// Every so many calls those callers are forgotten whose allowance is whole again: at most so many of them are remembered.
const FORGETTING: usize = 10_000;

/// Calls a minute of one caller, for each class; `None`: as many as he likes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateSettings {
    /// Calls that read.
    pub reads: Option<NonZeroU32>,
    /// Calls that write.
    pub writes: Option<NonZeroU32>,
    /// Calls that change the catalogue.
    pub admin: Option<NonZeroU32>,
}

/// What is left to each caller. Clones share it.
#[derive(Clone)]
pub(super) struct Rates {
    reads: Option<Arc<Rate>>,
    writes: Option<Arc<Rate>>,
    admin: Option<Arc<Rate>>,
}

struct Rate {
    per_minute: NonZeroU32,
    callers: DefaultKeyedRateLimiter<String>,
    calls: AtomicUsize,
}

impl Rates {
    pub(super) fn new(settings: RateSettings) -> Self {
        let rate = |per_minute: Option<_>| per_minute.map(Rate::new).map(Arc::new);
        Self {
            reads: rate(settings.reads),
            writes: rate(settings.writes),
            admin: rate(settings.admin),
        }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(super) fn count(&self, principal: &Principal, class: Class) -> Result<(), Error> {
        let rate = match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::Admin => &self.admin,
        };
        match (rate, &principal.client) {
            (Some(rate), Some(caller)) => rate.count(caller, class),
            _ => Ok(()),
        }
    }
}

impl Rate {
    fn new(per_minute: NonZeroU32) -> Self {
        Self {
            per_minute,
            callers: DefaultKeyedRateLimiter::keyed(Quota::per_minute(per_minute)),
            calls: AtomicUsize::new(0),
        }
    }

    fn count(&self, caller: &String, class: Class) -> Result<(), Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls.is_multiple_of(FORGETTING) {
            self.callers.retain_recent();
        }
        let counted = self.callers.check_key(caller);
        counted.map_err(|until| Error::RateLimited {
            class: class.name(),
            per_minute: self.per_minute.get(),
            wait: until.wait_time_from(DefaultClock::default().now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(client: Option<&str>) -> Principal {
        Principal {
            client: client.map(str::to_owned),
            ..Principal::local()
        }
    }

    #[test]
    fn each_caller_has_its_own_allowance_in_each_class() {
        let rates = Rates::new(RateSettings {
            reads: NonZeroU32::new(2),
            writes: NonZeroU32::new(1),
            admin: None,
        });
        let (shop, press) = (of(Some("service:shop")), of(Some("service:press")));
        for _ in 0..2 {
            rates.count(&shop, Class::Read).unwrap();
        }
        let refused = rates.count(&shop, Class::Read).unwrap_err();
        let Error::RateLimited {
            class,
            per_minute,
            wait,
        } = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((class, per_minute), ("read", 2));
        assert!((20..=30).contains(&wait.as_secs()), "{wait:?}");
        rates.count(&shop, Class::Write).unwrap();
        rates.count(&shop, Class::Write).unwrap_err();
        rates.count(&press, Class::Read).unwrap();
        for _ in 0..100 {
            rates.count(&shop, Class::Admin).unwrap();
            rates.count(&of(None), Class::Write).unwrap();
        }
    }

    #[test]
    fn callers_whose_allowance_is_whole_again_are_forgotten() {
        let often = NonZeroU32::new(60_000_000).unwrap();
        let rate = Rate::new(often);
        for caller in 0..FORGETTING {
            rate.count(&caller.to_string(), Class::Read).unwrap();
        }
        // Each of them has its allowance again after a microsecond.
        std::thread::sleep(std::time::Duration::from_millis(1));
        rate.count(&"another".to_owned(), Class::Read).unwrap();
        assert_eq!(rate.callers.len(), 1);
    }
}
