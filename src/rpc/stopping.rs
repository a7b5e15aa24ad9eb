//! Ends what streams before it is done: when the server stops, so that open streams do not hold the shutdown up, or when the time
//! of a call is over.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::domain::Error;

use super::http;

/// The stream, broken off with an error when the server stops.
pub(super) fn until_stopped<T>(
    stream: impl Stream<Item = Result<T, Error>> + Send + 'static,
    stopping: CancellationToken,
) -> impl Stream<Item = Result<T, Error>> + Send {
    until(stream, async move {
        stopping.cancelled().await;
        Error::ShuttingDown
    })
}

/// The stream, broken off with the error that comes.
pub(super) fn until<T>(
    stream: impl Stream<Item = Result<T, Error>> + Send + 'static,
    end: impl Future<Output = Error> + Send + 'static,
) -> impl Stream<Item = Result<T, Error>> + Send {
    stream::unfold(Some((stream.boxed(), Box::pin(end))), |state| async {
        let (mut stream, mut end) = state?;
        tokio::select! {
            biased;
            error = &mut end => Some((Err(error), None)),
            item = stream.next() => item.map(|item| (item, Some((stream, end)))),
        }
    })
}

/// Breaks off the streams of services that are not our own and know nothing of `stopping`.
pub(super) async fn end_when_stopped(
    State(stopping): State<CancellationToken>,
    response: Response,
) -> Response {
    ended_by(response, async move {
        stopping.cancelled().await;
        Error::ShuttingDown
    })
}

/// The answer to a call, whose body ends with the error that comes as soon as it has nothing to send.
pub(super) fn ended_by(
    answer: Response,
    end: impl Future<Output = Error> + Send + 'static,
) -> Response {
    let format = answer.headers().get(header::CONTENT_TYPE).cloned();
    let end = end.boxed();
    answer.map(|body| {
        Body::new(EndedBy {
            body,
            end: Some(end),
            format,
        })
    })
}

struct EndedBy {
    body: Body,
    /// `None` when it has come.
    end: Option<BoxFuture<'static, Error>>,
    /// Of the answer, which tells how its end is written.
    format: Option<HeaderValue>,
}

impl HttpBody for EndedBy {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let Some(end) = &mut this.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let error = ready!(end.as_mut().poll(context));
        this.end = None;
        let last = http::last_frame(&Status::from(error), this.format.as_ref());
        Poll::Ready(last.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
