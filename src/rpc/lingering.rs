//! Calls are heard out although they were answered before they had come whole. Over HTTP/1.1 a client that still sends would
//! find its connection reset, and never read why it was refused. Over HTTP/2 the stream would be reset behind the answer (RFC 9113,
//! 8.1), and there are clients, curl 7.88 for one, that lose the answer to that.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Version};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

/// What is read of a call for nothing.
#[derive(Clone, Copy)]
struct Bounds {
    bytes: usize,
    time: Duration,
}

/// Whoever sends more may find the connection reset.
const OF_CONNECTIONS: Bounds = Bounds {
    bytes: 64 * 1024 * 1024,
    time: Duration::from_secs(10),
};
/// Whoever sends more is told to stop.
const OF_STREAMS: Bounds = Bounds {
    bytes: 256 * 1024,
    time: Duration::from_secs(1),
};

/// The body of a call, the rest of which is read when nobody wants it any more.
pub(super) struct Lingering {
    /// `None` once it has ended.
    body: Option<Incoming>,
    bounds: Bounds,
}

pub(super) fn hear_out(call: Request<Incoming>) -> Request<Lingering> {
    let bounds = match call.version() {
        Version::HTTP_2 => OF_STREAMS,
        _ => OF_CONNECTIONS,
    };
    call.map(|body| Lingering {
        body: Some(body),
        bounds,
    })
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.body.as_ref().map(Body::size_hint);
        known.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Bounds { bytes, time } = self.bounds;
        let rest = self
            .body
            .take()
            .filter(|body| !body.is_end_stream() && body.size_hint().lower() <= bytes as u64);
        // Without a runtime the connection has ended too.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(timeout(time, pass_over(Limited::new(rest, bytes))));
        }
    }
}

/// Until the end, or what is wrong with it.
async fn pass_over(mut rest: Limited<Incoming>) {
    while let Some(Ok(_)) = rest.frame().await {}
}
