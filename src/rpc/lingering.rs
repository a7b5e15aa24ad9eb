//! Calls over HTTP/1.1 are heard out although they were answered before they had come whole: a client that still sends would
//! find its connection reset, and never read why it was refused. Over HTTP/2 it is told to stop.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request, http::Version, middleware::Next, response::Response};
use bytes::Bytes;
use futures::StreamExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{runtime::Handle, time::timeout};

/// Bytes of a call that are read for nothing; whoever sends more may find the connection reset.
const MOST: u64 = 64 * 1024 * 1024;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(10);

pub(super) async fn hear_out(call: Request, next: Next) -> Response {
    let call = match call.version() {
        Version::HTTP_2 => call,
        _ => call.map(|body| {
            let ended = false;
            Body::new(HeardOut { body, ended })
        }),
    };
    next.run(call).await
}

/// The body of a call, the rest of which is read when nobody wants it any more.
struct HeardOut {
    body: Body,
    ended: bool,
}

impl HttpBody for HeardOut {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for HeardOut {
    fn drop(&mut self) {
        let is_over = self.ended || self.body.is_end_stream();
        if is_over || self.body.size_hint().lower() > MOST {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let rest = mem::take(&mut self.body);
            runtime.spawn(timeout(LONGEST, read(rest)));
        }
    }
}

async fn read(rest: Body) {
    let (mut rest, mut left) = (rest.into_data_stream(), MOST);
    while let Some(Ok(bytes)) = rest.next().await {
        let Some(less) = left.checked_sub(bytes.len() as u64) else {
            break;
        };
        left = less;
    }
}
