//! Ending in two steps: the soft token asks everything to finish, the hard token cuts off what has not.

use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What closing the database and the connections may take after the grace for work has passed.
pub const CLOSING: Duration = Duration::from_secs(5);

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM, as service managers send it.
    Terminate,
}

impl Signal {
    /// The exit code of a process that the signal ended: 128 plus its number.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// The two tokens that everything long-running watches. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that the first SIGINT or SIGTERM begins and that may take `grace`; a second signal ends the process at
    /// once. Needs a Tokio runtime; fails when the handlers cannot be installed.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let shutdown = Self::new();
        let signals = signals()?;
        let obeying = shutdown.clone();
        tokio::spawn(async move {
            let last = obeying.obey(signals, grace).await;
            if let Some(signal) = last {
                std::process::exit(signal.exit_code());
            }
        });
        Ok(shutdown)
    }

    /// Cancelled when everything should finish what it does and take on nothing new.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when whatever still runs must stop where it is.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// The signal that began the shutdown, if one did.
    pub fn signal(&self) -> Option<Signal> {
        self.signal.get().copied()
    }

    /// Begins the shutdown, and cuts off what still runs after `grace`.
    pub async fn begin(&self, grace: Duration) {
        self.soft.cancel();
        tokio::time::sleep(grace).await;
        self.hard.cancel();
    }

    /// Begins with the first signal; returns the second one, or `None` if no more signals can come.
    async fn obey(&self, signals: impl Stream<Item = Signal>, grace: Duration) -> Option<Signal> {
        let mut signals = pin!(signals);
        let first = signals.next().await?;
        self.signal.get_or_init(|| first);
        tokio::select! {
            second = signals.next() => return second,
            () = self.begin(grace) => {}
        }
        signals.next().await
    }
}

/// The signals that this process receives from now on.
fn signals() -> io::Result<impl Stream<Item = Signal> + Send> {
    let of = |kind, name| {
        signal(kind).map(|receiver| {
            futures::stream::unfold(receiver, move |mut receiver| async move {
                receiver.recv().await.map(|()| (name, receiver))
            })
            .boxed()
        })
    };
    Ok(futures::stream::select(
        of(SignalKind::interrupt(), Signal::Interrupt)?,
        of(SignalKind::terminate(), Signal::Terminate)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn nothing_begins_without_a_signal() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.obey(stream::empty(), LONG).await, None);
        assert!(!shutdown.soft().is_cancelled());
    }

    #[tokio::test]
    async fn the_first_signal_asks_and_leaves_time() {
        let shutdown = Shutdown::new();
        let obeying = shutdown.clone();
        let signals = stream::iter([Signal::Terminate]).chain(stream::pending());
        let task = tokio::spawn(async move { obeying.obey(signals, LONG).await });
        shutdown.soft().cancelled().await;
        assert_eq!(shutdown.signal(), Some(Signal::Terminate));
        assert!(!shutdown.hard().is_cancelled());
        assert!(!task.is_finished());
        task.abort();
    }

    #[tokio::test]
    async fn what_still_runs_after_the_grace_is_cut_off() {
        let shutdown = Shutdown::new();
        let obeying = shutdown.clone();
        let signals = stream::iter([Signal::Interrupt]).chain(stream::pending());
        let task =
            tokio::spawn(async move { obeying.obey(signals, Duration::from_millis(1)).await });
        shutdown.hard().cancelled().await;
        assert!(shutdown.soft().is_cancelled());
        task.abort();
    }

    #[tokio::test]
    async fn the_second_signal_does_not_wait_for_the_grace() {
        let shutdown = Shutdown::new();
        let last = shutdown
            .obey(stream::iter([Signal::Interrupt, Signal::Terminate]), LONG)
            .await;
        assert_eq!(last, Some(Signal::Terminate));
        assert_eq!(last.map(Signal::exit_code), Some(143));
        assert!(!shutdown.hard().is_cancelled());
    }
}
