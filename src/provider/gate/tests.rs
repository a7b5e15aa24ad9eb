use proptest::prelude::*;

use super::*;
use crate::provider::{Lack, Unready};

const SECOND: Duration = Duration::from_secs(1);

fn gate(concurrency: u32, requests_per_minute: u32) -> Gate {
    Gate::new(ProviderLimits {
        concurrency,
        requests_per_minute,
        ..ProviderLimits::default()
    })
}

#[test]
fn what_all_may_run_is_shared_among_those_who_run_it() {
    let now = Instant::now();
    let mut gate = Gate::new(ProviderLimits {
        concurrency: 8,
        total_concurrency: 10,
        total_requests_per_minute: 60,
        ..ProviderLimits::default()
    });
    assert!(gate.is_shared());
    for (workers, room) in [(0, 8), (1, 8), (2, 5), (3, 3), (20, 1)] {
        gate.share_among(workers);
        assert_eq!(gate.room(now), room, "{workers}");
    }
    gate.share_among(30);
    for _ in 0..2 {
        gate.begin(now);
        gate.end(false);
        assert_eq!(gate.room(now), u32::from(gate.begun.len() < 2));
    }
    assert!(gate.closed(now).unwrap().contains("within a minute"));
    gate.share_among(1);
    assert_eq!(gate.room(now), 8, "what the others leave is had at once");
}

/// Fails as often as makes it be away.
fn away(now: Instant) -> Gate {
    let mut gate = gate(0, 0);
    for _ in 0..FAILURES {
        assert_eq!(gate.room(now), u32::MAX);
        gate.begin(now);
        gate.hear(Heard::Failure, false, now);
        gate.end(false);
    }
    gate
}

#[test]
fn failures_one_after_the_other_close_it_and_one_job_tries_it_after_pauses_that_grow() {
    let mut now = Instant::now();
    let mut gate = away(now);
    for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
        let pause = Duration::from_secs(seconds);
        assert_eq!(gate.room(now + pause - SECOND), 0, "{seconds}");
        now += pause;
        assert_eq!(gate.room(now), 1, "{seconds}");
        assert!(gate.begin(now));
        assert_eq!(gate.room(now), 0, "only one tries it");
        gate.hear(Heard::Failure, true, now);
        gate.end(true);
    }
    now += LONGEST_PAUSE;
    assert!(gate.begin(now));
    gate.hear(Heard::Answer, true, now);
    gate.end(true);
    assert_eq!((gate.room(now), gate.closed(now)), (u32::MAX, None));
}

#[test]
fn a_trial_that_tells_nothing_lets_another_try() {
    let now = Instant::now();
    let mut gate = away(now);
    let later = now + FIRST_PAUSE;
    assert!(gate.begin(later));
    gate.hear(Heard::Nothing, true, later);
    gate.end(true);
    assert_eq!((gate.room(later), gate.is_away()), (1, true));
}

#[test]
fn what_an_outcome_tells_of_the_provider() {
    let transient = |retry_after| ProviderError::Transient {
        detail: String::new(),
        retry_after,
    };
    let lacking = |lack| {
        let detail = String::new();
        ProviderError::NotReady(Unready { lack, detail })
    };
    let timed_out = ProviderError::TimedOut {
        limit: SECOND,
        detail: String::new(),
    };
    let text = String::new;
    for (error, heard) in [
        (ProviderError::Unavailable(text()), Heard::Failure),
        (transient(None), Heard::Failure),
        (transient(Some(Duration::ZERO)), Heard::Failure),
        (transient(Some(SECOND)), Heard::Rest(SECOND)),
        (ProviderError::Rejected(text()), Heard::Answer),
        (ProviderError::UnfitInput(text()), Heard::Answer),
        (lacking(Lack::Credentials), Heard::Answer),
        (lacking(Lack::Program), Heard::Nothing),
        (ProviderError::OutcomeUnknown(text()), Heard::Failure),
        (timed_out, Heard::Failure),
        (ProviderError::Stopped, Heard::Nothing),
    ] {
        assert_eq!(Heard::of(&Err::<(), _>(error.clone())), heard, "{error:?}");
    }
    assert_eq!(Heard::of(&Ok(())), Heard::Answer);
}

#[test]
fn the_room_of_a_job_is_given_back_once() {
    let shared = SharedGate(Arc::new(Mutex::new(gate(1, 0))));
    let room = || shared.lock().room(Instant::now());
    let first = Passage::begin(&shared);
    assert_eq!(room(), 0);
    assert!(first.leave());
    assert_eq!(room(), 1, "its output is there");
    let second = Passage::begin(&shared);
    assert!(!first.leave());
    drop(first);
    assert_eq!(room(), 0, "the other one has it");
    drop(second);
    assert_eq!(room(), 1);
}

proptest! {
    /// Whatever happens: never more at a time, never more within any minute, never more than one trial, and never one
    /// before the service wants to be called again.
    #[test]
    fn the_limits_hold_whatever_happens(
        limits in (0u32..4, 0u32..6),
        steps in proptest::collection::vec((0u8..6, 0u64..40), 1..120),
    ) {
        let (concurrency, per_minute) = limits;
        let mut gate = gate(concurrency, per_minute);
        let mut now = Instant::now();
        let (mut running, mut begun, mut rests) = (Vec::new(), Vec::new(), now);
        for (step, wait) in steps {
            now += Duration::from_secs(wait);
            let heard = match step {
                0 | 1 => {
                    for _ in 0..gate.room(now).min(3) {
                        running.push(gate.begin(now));
                        begun.push(now);
                        prop_assert!(now >= rests);
                    }
                    let recent = begun.iter().filter(|begun| now < **begun + MINUTE).count();
                    prop_assert!(per_minute == 0 || recent <= per_minute as usize);
                    prop_assert!(concurrency == 0 || running.len() <= concurrency as usize);
                    prop_assert!(running.iter().filter(|trial| **trial).count() <= 1);
                    continue;
                }
                2 => Heard::Answer,
                3 => Heard::Failure,
                4 => Heard::Rest(Duration::from_secs(wait)),
                _ => Heard::Nothing,
            };
            let Some(trial) = running.pop() else { continue };
            if heard == Heard::Rest(Duration::from_secs(wait)) {
                rests = rests.max(now + Duration::from_secs(wait));
            }
            gate.hear(heard, trial, now);
            gate.end(trial);
            prop_assert!(heard != Heard::Answer || !gate.is_away());
        }
        // Nothing keeps it shut for ever.
        while let Some(trial) = running.pop() {
            gate.end(trial);
        }
        prop_assert!(gate.room(now + LONGEST_PAUSE + MINUTE) > 0);
    }
}
