//! Ends what streams when the server stops, so that open streams do not hold the shutdown up.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{body::Body, extract::State, response::Response};
use futures::{Stream, StreamExt, stream};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::domain::Error;

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
    response.map(|body| {
        Body::new(UntilStopped {
            body,
            stopping: Box::pin(stopping.cancelled_owned()),
            ended: false,
        })
    })
}

/// The body of a gRPC answer. When the server stops, it ends with a status as soon as it has nothing to send.
struct UntilStopped {
    body: Body,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl HttpBody for UntilStopped {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.stopping.as_mut().poll(context));
        self.ended = true;
        Poll::Ready(shutting_down().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn shutting_down() -> Option<Frame<bytes::Bytes>> {
    let mut trailers = axum::http::HeaderMap::new();
    let status = Status::from(Error::ShuttingDown);
    status.add_header(&mut trailers).ok()?;
    Some(Frame::trailers(trailers))
}
