//! Connections that can be cut: each has a task of its own, which would wait for a client that does not read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};
use tonic::transport::server::Connected;

/// How long the last answers may take to reach their clients.
const DELIVERY_TIME: Duration = Duration::from_secs(2);

/// Keeps count of the calls that are not answered yet.
pub(super) async fn track(State(calls): State<TaskTracker>, call: Request, next: Next) -> Response {
    let _unanswered = calls.token();
    next.run(call).await
}

/// Waits until the server stops, every call is answered, and the answers had time to arrive. A connection that is still
/// open then belongs to a client that does not read.
pub(super) async fn drained(stopping: CancellationToken, calls: TaskTracker) {
    stopping.cancelled().await;
    calls.close();
    calls.wait().await;
    tokio::time::sleep(DELIVERY_TIME).await;
}

/// A connection that fails once its token is cancelled.
pub(super) struct Severable<IO> {
    io: IO,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<IO> Severable<IO> {
    pub(super) fn new(io: IO, sever: CancellationToken) -> Self {
        Self {
            io,
            severed: Box::pin(sever.cancelled_owned()),
        }
    }

    /// Fails if the connection is cut, else has the task woken when that happens.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.severed.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<IO: Connected> Connected for Severable<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Severable<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Severable<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
