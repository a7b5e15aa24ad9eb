//! Hearing what other replicas tell, and noticing when nothing can be heard: a connection may be dead without a sign of it, and
//! a pooler that keeps no sessions forgets who listens, without a word.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    domain::Error,
    store::{
        Store, Trouble, report,
        wake_up::{self, Heard, Listener},
    },
};

use super::Events;

/// Pause before a broken connection to the database is tried again.
const RECONNECT: Duration = Duration::from_secs(1);
/// After so long a silence the process tells itself something.
const SILENCE: Duration = Duration::from_secs(1);
/// How long that may take to be heard.
const ECHO_TIME: Duration = Duration::from_millis(1_500);
/// So many connections in a row that nothing is heard of are not broken: what is before the server keeps no sessions.
const DEAF_AFTER: u32 = 2;
/// How often it is tried whether something can be heard where nothing ever was.
const DEAF_PAUSE: Duration = Duration::from_secs(30);

/// How a connection ended.
enum End {
    /// It broke.
    Broken,
    /// It went silent.
    Silent,
    /// Nothing was ever heard of it.
    Deaf,
}

/// What becomes of what a process tells itself.
enum Echo {
    Heard,
    Unheard,
    /// The database does not take it, which says nothing of the connection.
    NotSent,
    /// The connection broke.
    Broken(Error),
}

impl Events {
    pub(super) async fn listen(&self, store: &Store) {
        let mut trouble = Trouble::new("cannot listen to the other replicas");
        let mut unheard = 0;
        loop {
            let connected = Listener::connect(store, self.inner.origin).await;
            let pause = match trouble.pass(connected) {
                Some(None) => return,
                Some(Some(listener)) => match self.hear_all(store, listener, &mut unheard).await {
                    End::Broken => RECONNECT,
                    End::Silent => Duration::ZERO,
                    End::Deaf => DEAF_PAUSE,
                },
                None => RECONNECT,
            };
            sleep(pause).await;
        }
    }

    async fn hear_all(&self, store: &Store, mut listener: Listener, unheard: &mut u32) -> End {
        self.wake_all();
        let mut heard_any = false;
        loop {
            match timeout(SILENCE, listener.next()).await {
                Ok(Ok(heard)) => self.take_in(heard),
                Ok(Err(error)) => {
                    report(&error, "lost the connection to the other replicas");
                    return End::Broken;
                }
                Err(_) => match self.echo(store, &mut listener).await {
                    Echo::Heard => {}
                    Echo::NotSent => continue,
                    Echo::Unheard => {
                        *unheard = if heard_any { 1 } else { *unheard + 1 };
                        return end_of_silent(*unheard);
                    }
                    Echo::Broken(error) => {
                        report(&error, "lost the connection to the other replicas");
                        return End::Broken;
                    }
                },
            }
            heard_any = true;
            if std::mem::take(unheard) >= DEAF_AFTER {
                tracing::info!("the other replicas are heard again");
            }
        }
    }

    /// Has this process tell itself something, and hears whether it comes, or anything else.
    async fn echo(&self, store: &Store, listener: &mut Listener) -> Echo {
        let sent = timeout(ECHO_TIME, wake_up::send_echo(store, self.inner.origin)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Echo::NotSent;
        }
        match timeout(ECHO_TIME, listener.next()).await {
            Ok(Ok(heard)) => {
                self.take_in(heard);
                Echo::Heard
            }
            Ok(Err(error)) => Echo::Broken(error),
            Err(_) => Echo::Unheard,
        }
    }

    fn take_in(&self, heard: Heard) {
        match heard {
            Heard::Echo => {}
            Heard::WakeUp(Some(wake_up)) => self.hear(wake_up),
            Heard::WakeUp(None) => self.wake_all(),
        }
    }
}

/// What to do after so many connections that nothing was heard of in a row, the last of which may have been heard of before.
fn end_of_silent(unheard: u32) -> End {
    if unheard < DEAF_AFTER {
        tracing::warn!("the connection to the other replicas is silent: opening another");
        return End::Silent;
    }
    if unheard == DEAF_AFTER {
        tracing::warn!(
            "nothing is heard of other replicas, so their news come late: LISTEN needs a connection that a pooler keeps for it, \
             or that leads to the server itself; set database.listen_url"
        );
    }
    End::Deaf
}
