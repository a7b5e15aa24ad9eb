//! What the log says of a call: everything that happens in it, its stream included, stands in a span that names the rpc.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::{Instrument, Span};

/// Most of a path that the log shows: one that is longer names nothing of ours.
const MAX_PATH_BYTES: usize = 100;

/// Answers a call within its span, which outlives the answer's head for as long as its body streams.
pub(super) async fn in_span(call: Request, next: Next) -> Response {
    let path = call.uri().path();
    let rpc = &path[..path.floor_char_boundary(MAX_PATH_BYTES)];
    let span = tracing::error_span!("call", rpc);
    let response = next.run(call).instrument(span.clone()).await;
    response.map(|body| Body::new(InSpan { body, span }))
}

struct InSpan {
    body: Body,
    span: Span,
}

impl HttpBody for InSpan {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { body, span } = self.get_mut();
        let _entered = span.enter();
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
