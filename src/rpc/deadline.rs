//! How long a call may take: until its answer begins, until that ends where the caller says, and until its message has come.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request, http::HeaderMap, middleware::Next, response::Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tonic::Status;

use crate::domain::Error;

use super::{http, stopping};

/// Longer than any answer takes to begin, whatever the caller grants it.
const LONGEST_CALL: Duration = Duration::from_secs(300);
/// How long a message may take that has no bytes, and what it gains by each.
const MESSAGE_TIME: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: u64 = 4 * 1024;
const OVER: &str = "the time that the call may take is over";
const SLOW: &str = "the message comes too slowly";

/// Ends calls when the time is over that the caller gives, streams too; and those whose answer has not begun when the server gives
/// no more. Messages must come at a pace.
pub(super) async fn keep(call: Request, next: Next) -> Response {
    let began = Instant::now();
    let granted = granted(call.headers());
    let slow = Arc::<AtomicBool>::default();
    // What asks for reflection asks on when it has read the answer.
    let is_dialogue = call.uri().path().starts_with("/grpc.reflection.");
    let format = http::grpc_format(call.headers());
    let call = match is_dialogue {
        true => call,
        false => call.map(|body| Body::new(Paced::new(body, slow.clone()))),
    };
    let Some(format) = format else {
        return next.run(call).await;
    };
    let time = granted.map_or(LONGEST_CALL, |time| time.min(LONGEST_CALL));
    let refuse = |why| http::refuse_call(Status::from(Error::DeadlineExceeded(why)), format);
    match timeout(time, next.run(call)).await {
        // Whatever the library has made of a message that it could not read on.
        Ok(_) if slow.load(Ordering::Relaxed) => refuse(SLOW),
        Ok(answer) => match granted {
            Some(time) if !answer.body().is_end_stream() => {
                stopping::ended_by(answer, async move {
                    sleep_until(began + time).await;
                    Error::DeadlineExceeded(OVER)
                })
            }
            _ => answer,
        },
        Err(_) => refuse(OVER),
    }
}

/// The `grpc-timeout` of a call: up to eight digits and a unit.
pub(super) fn granted(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The body of a call, which fails when it comes too slowly.
struct Paced {
    body: Body,
    /// From when it was first waited for.
    time: Option<Pin<Box<Sleep>>>,
    /// Whether it has failed so.
    slow: Arc<AtomicBool>,
}

impl Paced {
    fn new(body: Body, slow: Arc<AtomicBool>) -> Self {
        let time = None;
        Self { body, time, slow }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        let time = this
            .time
            .get_or_insert_with(|| Box::pin(sleep(MESSAGE_TIME)));
        if let Poll::Ready(frame) = polled {
            let bytes = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref());
            if let Some(bytes) = bytes {
                let gained = Duration::from_millis(bytes.len() as u64 * 1_000 / BYTES_PER_SECOND);
                let until = time.deadline() + gained;
                time.as_mut().reset(until);
            }
            return Poll::Ready(frame);
        }
        ready!(time.as_mut().poll(context));
        this.slow.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(Error::DeadlineExceeded(SLOW)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_time_of_a_call_is_read_as_grpc_writes_it() {
        let granted = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            granted(&headers)
        };
        assert_eq!(granted("2S"), Some(Duration::from_secs(2)));
        assert_eq!(
            granted("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        assert_eq!(granted("7M"), Some(Duration::from_secs(420)));
        assert_eq!(granted("150m"), Some(Duration::from_millis(150)));
        assert_eq!(granted("3u"), Some(Duration::from_micros(3)));
        assert_eq!(granted("4n"), Some(Duration::from_nanos(4)));
        for wrong in ["", "S", "5", "5s", "-1S", "+1S", "1 S", "123456789S", "ế"] {
            let value = axum::http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)]);
            assert_eq!(super::granted(&headers), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_fails_and_each_byte_that_comes_gives_it_time() {
        let begun = stream::iter([Ok::<_, axum::Error>(Bytes::from(vec![0; 4_096]))]);
        let body = Body::from_stream(begun.chain(stream::pending()));
        let slow = Arc::<AtomicBool>::default();
        let mut body = Paced {
            time: Some(Box::pin(sleep(Duration::from_millis(50)))),
            ..Paced::new(body, slow.clone())
        };
        let until = body.time.as_ref().unwrap().deadline();
        assert!(body.frame().await.unwrap().is_ok());
        let time = body.time.as_mut().unwrap();
        assert_eq!(time.deadline() - until, Duration::from_secs(1));
        time.as_mut().reset(until);
        assert!(!slow.load(Ordering::Relaxed));
        body.frame().await.unwrap().unwrap_err();
        assert!(slow.load(Ordering::Relaxed));
    }
}
