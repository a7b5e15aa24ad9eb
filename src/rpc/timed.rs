//! Connections of peers that say nothing, or take nothing of what they asked for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a peer may take to say which protocol it speaks.
const FIRST_WORDS_TIME: Duration = Duration::from_secs(10);
/// The preface of HTTP/2 has so many bytes, and hardly a call of HTTP/1.1 has fewer.
const FIRST_WORDS: usize = 24;
/// How long a peer may take nothing of what is sent to it.
const UNREAD_TIME: Duration = Duration::from_secs(60);

type Timer = Pin<Box<Sleep>>;

/// How long a peer may keep the server waiting.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    first_words: Duration,
    unread: Duration,
}

pub(super) const PATIENCE: Patience = Patience {
    first_words: FIRST_WORDS_TIME,
    unread: UNREAD_TIME,
};

/// A connection that fails when its peer is silent at first, or reads nothing for long.
pub(super) struct Timed<IO> {
    io: IO,
    patience: Patience,
    /// `None` once the first words have come.
    silent: Option<Timer>,
    heard: usize,
    /// Runs while something waits to be sent.
    unread: Option<Timer>,
}

impl<IO> Timed<IO> {
    pub(super) fn new(io: IO, patience: Patience) -> Self {
        Self {
            io,
            patience,
            silent: Some(Box::pin(sleep(patience.first_words))),
            heard: 0,
            unread: None,
        }
    }

    fn timed_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let time = self.patience.unread;
        let unread = self.unread.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Timed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let Some(silent) = &mut self.silent else {
            return read;
        };
        if read.is_pending() {
            ready!(silent.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.heard += buffer.filled().len() - before;
        if self.heard >= FIRST_WORDS {
            self.silent = None;
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Timed<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.timed_write(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.timed_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SOON: Patience = Patience {
        first_words: Duration::from_millis(50),
        unread: Duration::from_millis(50),
    };

    #[tokio::test]
    async fn a_peer_that_says_too_little_at_first_is_given_up_and_one_that_falls_silent_later_is_not()
     {
        let (mut peer, io) = duplex(64);
        let mut io = Timed::new(io, SOON);
        peer.write_all(b"PRI * HTTP/2.0").await.unwrap();
        let error = io.read_exact(&mut [0; FIRST_WORDS]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (mut peer, io) = duplex(64);
        let mut io = Timed::new(io, SOON);
        peer.write_all(&[0; FIRST_WORDS]).await.unwrap();
        io.read_exact(&mut [0; FIRST_WORDS]).await.unwrap();
        let read = tokio::time::timeout(SOON.first_words * 4, io.read_u8()).await;
        assert!(read.is_err(), "it waits: {read:?}");
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_given_up_and_each_reading_gives_it_time_again() {
        let (mut peer, io) = duplex(8);
        let mut io = Timed::new(io, SOON);
        let error = io.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(io.unread.is_some());
        peer.read_exact(&mut [0; 8]).await.unwrap();
        io.write_all(&[0; 8]).await.unwrap();
        assert!(io.unread.is_none());
    }
}
