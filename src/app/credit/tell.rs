//! Billing is told what has become of jobs, again and again until it has answered.

use std::{slice, time::Duration};

use chrono::TimeDelta;
use tokio::time::timeout;

use crate::{
    app::{Ailment, App},
    billing::{AT_ONCE, Billing, Refusal, Remote},
    domain::{Error, ReservationState, pause_after},
    entity::reservation,
    store::{self, Trouble, queue},
};

use super::{HELD_FOR, RENEWED_AFTER};

/// How long they are nobody else's. Whoever is slower tells what another has told, too.
const LEASE: Duration = Duration::from_secs(120);
/// When it is told again what it has refused: somebody may have set that right.
const REFUSED_PAUSE: TimeDelta = TimeDelta::hours(1);
/// From so many attempts on it is told by itself: before Billing counts as away for it.
const OFTEN: i32 = 3;

impl App {
    /// There may be something to tell it.
    pub(in crate::app) fn tell_billing(&self) {
        if let Billing::Remote(remote) = &self.settings.billing {
            remote.wake();
        }
    }

    /// Tells Billing what there is to tell, at once and at least so often, until it is dropped. Any number of processes may
    /// do so.
    pub async fn keep_telling_billing(&self, interval: Duration) {
        let Billing::Remote(remote) = &self.settings.billing else {
            return;
        };
        let remote = &remote.to_tell();
        let mut trouble = Trouble::new("cannot find out what Billing is to be told");
        loop {
            match trouble.pass(self.tell_due(remote).await) {
                Some(AT_ONCE) => {}
                _ => {
                    let _ = timeout(interval, remote.woken()).await;
                }
            }
        }
    }

    /// Tells Billing once what is due. How many were, of which at most a hundred are told; none while it is away.
    pub async fn tell_billing_now(&self) -> Result<usize, Error> {
        match &self.settings.billing {
            Billing::Remote(remote) => self.tell_due(&remote.to_tell()).await,
            Billing::Off | Billing::Ledger => Ok(0),
        }
    }

    async fn tell_due(&self, remote: &Remote) -> Result<usize, Error> {
        if remote.is_shut() {
            return Ok(0);
        }
        let claimed = self.store.write(async |tx| {
            let now = queue::time(tx, self.clock.queue()).await?;
            store::reservation::claim(tx, now, LEASE, AT_ONCE).await
        });
        let due = claimed.await?;
        let count = due.len();
        let of_state = |state| {
            let rows = due.iter().filter(move |row| row.state == state);
            rows.cloned().collect::<Vec<_>>()
        };
        for state in [
            ReservationState::Commit,
            ReservationState::Release,
            ReservationState::Held,
        ] {
            self.tell_all(remote, of_state(state)).await?;
        }
        self.note_refused().await?;
        Ok(count)
    }

    /// Tells it of all of these together and, if it refuses that, of each by itself, so that none keeps the others. Of what has
    /// failed often too: it may be why Billing does not answer.
    async fn tell_all(&self, remote: &Remote, rows: Vec<reservation::Model>) -> Result<(), Error> {
        let has_failed_often = |row: &reservation::Model| row.attempts >= OFTEN;
        let (mut alone, together): (Vec<_>, Vec<_>) = rows.into_iter().partition(has_failed_often);
        match self.tell(remote, &together).await? {
            Ok(()) => {}
            Err(away @ Refusal::Away(_)) => {
                for row in &together {
                    self.put_off(row, &away).await?;
                }
            }
            Err(_) => alone.extend(together),
        }
        for row in &alone {
            if let Err(refusal) = self.tell(remote, slice::from_ref(row)).await? {
                self.put_off(row, &refusal).await?;
            }
        }
        Ok(())
    }

    /// Tells it of these, which are of one state, and writes down that it has heard.
    async fn tell(
        &self,
        remote: &Remote,
        rows: &[reservation::Model],
    ) -> Result<Result<(), Refusal>, Error> {
        let Some(state) = rows.first().map(|row| row.state) else {
            return Ok(Ok(()));
        };
        let heard = match state {
            ReservationState::Commit => remote.commit(rows).await,
            ReservationState::Release => remote.release(rows).await,
            // What is only intended is never taken up as that.
            ReservationState::Held | ReservationState::Intended => {
                remote.reserve(rows, self.clock.now() + HELD_FOR).await
            }
        };
        let db = self.store.writer();
        match (&heard, state) {
            (Err(_), _) => {}
            (Ok(()), ReservationState::Commit | ReservationState::Release) => {
                store::reservation::forget(db, rows).await?;
            }
            (Ok(()), _) => {
                let due_at = queue::time(db, self.clock.queue()).await? + RENEWED_AFTER;
                store::reservation::renewed(db, rows, due_at).await?;
            }
        }
        Ok(heard)
    }

    async fn put_off(&self, row: &reservation::Model, refusal: &Refusal) -> Result<(), Error> {
        let pause = TimeDelta::from_std(pause_after(row.attempts)).unwrap_or(REFUSED_PAUSE);
        let (pause, refused) = match refusal {
            Refusal::Away(_) => (pause, None),
            _ => (REFUSED_PAUSE, Some(refusal.to_string())),
        };
        if let (Some(words), None) = (&refused, &row.last_error) {
            let (job_id, state) = (row.job_id, <&str>::from(row.state));
            tracing::warn!(
                job_id,
                state,
                words,
                "Billing does not take what a job costs"
            );
        }
        let db = self.store.writer();
        let due_at = queue::time(db, self.clock.queue()).await? + pause;
        store::reservation::put_off(db, row, due_at, refused).await
    }

    /// Whether there is something that somebody must set right.
    async fn note_refused(&self) -> Result<(), Error> {
        let refused = store::reservation::refused(self.store.reader()).await?;
        let found = refused.map(|id| (Ailment::BillingRefuses, format!("job {id}, for one")));
        self.health.note(&[Ailment::BillingRefuses], found);
        Ok(())
    }
}
