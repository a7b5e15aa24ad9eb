//! What a client still sends when it has its answer already.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

/// How much is taken in of a body that nobody reads, and for how long. What is longer is told to stop.
const MOST: usize = 256 * 1024;
const TIME: Duration = Duration::from_secs(1);

/// The body of a call, of which the rest is taken in when it is let go. HTTP/2 would reset the stream behind the answer
/// instead (RFC 9113, section 8.1), and there are clients, curl 7.88 for one, that lose the answer to that.
pub(super) struct Unread(Option<Incoming>);

impl Unread {
    pub(super) fn of(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.0.as_ref().map(Body::size_hint);
        known.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        // Without a runtime the connection has ended too.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(timeout(TIME, pass_over(Limited::new(rest, MOST))));
        }
    }
}

/// Until the end, or what is wrong with it.
async fn pass_over(mut rest: Limited<Incoming>) {
    while let Some(Ok(_)) = rest.frame().await {}
}
