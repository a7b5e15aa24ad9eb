//! Whether Billing is asked at all, by whether it has answered lately: a call that could only wait in vain is not made. A state
//! machine without a clock: whoever asks says what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// So many calls without an answer one after the other, and it is away.
const FAILURES: u32 = 5;
/// Pauses between the trials of one that is away: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A call that may be made; whether it is the one that tries whether Billing is back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    trial: bool,
}

/// Lets calls pass, or not.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// While it is away: when one call may try it.
    next_trial: Option<Instant>,
    /// That call is made.
    on_trial: bool,
}

impl Breaker {
    /// `None` while it is away and not to be tried.
    pub(super) fn pass(&mut self, now: Instant) -> Option<Passed> {
        if self.is_shut(now) {
            return None;
        }
        let trial = self.is_away();
        self.on_trial |= trial;
        Some(Passed { trial })
    }

    /// Whether no call passes now.
    pub(super) fn is_shut(&self, now: Instant) -> bool {
        let trial = self.next_trial;
        trial.is_some_and(|trial| now < trial || self.on_trial)
    }

    /// The call has ended; whether it was answered, be it with a refusal, or `None` if nobody wanted to know any more.
    pub(super) fn hear(&mut self, passed: Passed, answered: Option<bool>, now: Instant) {
        self.on_trial &= !passed.trial;
        match answered {
            None => {}
            Some(true) => (self.failures, self.next_trial) = (0, None),
            // Calls that were made before fail late, and tell nothing new.
            Some(false) if self.is_away() && !passed.trial => {}
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if let Some(more) = self.failures.checked_sub(FAILURES) {
                    let pause = FIRST_PAUSE.saturating_mul(1 << more.min(16));
                    self.next_trial = Some(now + pause.min(LONGEST_PAUSE));
                }
            }
        }
    }

    /// Whether only trials are made.
    pub(super) fn is_away(&self) -> bool {
        self.next_trial.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(breaker: &mut Breaker, now: Instant) {
        let passed = breaker.pass(now).unwrap();
        breaker.hear(passed, Some(false), now);
    }

    #[test]
    fn after_five_failures_one_call_tries_it_now_and_then() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            assert!(!breaker.is_away());
            failed(&mut breaker, start);
        }
        assert!(breaker.is_away());
        assert_eq!(breaker.pass(start), None);
        let later = start + FIRST_PAUSE;
        let trial = breaker.pass(later).unwrap();
        assert_eq!(breaker.pass(later), None, "one at a time");
        breaker.hear(trial, Some(false), later);
        assert_eq!(breaker.pass(later + FIRST_PAUSE), None, "twice the pause");
        let trial = breaker.pass(later + 2 * FIRST_PAUSE).unwrap();
        breaker.hear(trial, Some(true), later);
        assert!(!breaker.is_away() && breaker.pass(later).is_some());
    }

    #[test]
    fn an_answer_ends_a_row_of_failures_and_one_that_nobody_waits_for_tells_nothing() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                failed(&mut breaker, now);
            }
            let passed = breaker.pass(now).unwrap();
            breaker.hear(passed, None, now);
            assert!(!breaker.is_away());
            let passed = breaker.pass(now).unwrap();
            breaker.hear(passed, Some(true), now);
        }
    }

    #[test]
    fn a_trial_that_is_given_up_makes_room_for_another() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            failed(&mut breaker, now);
        }
        let later = now + FIRST_PAUSE;
        let trial = breaker.pass(later).unwrap();
        breaker.hear(trial, None, later);
        assert!(breaker.pass(later).is_some());
    }
}
