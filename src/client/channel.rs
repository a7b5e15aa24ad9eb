//! The channel below the stubs: repeats a call that failed in passing.

use std::future::poll_fn;
use std::iter::successors;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::{Service, StdError, http};
use tonic::{Code, Status, TimeoutExpired};

use super::repeatable::{CREATE_REQUEST, is_repeatable};
use super::retry::{Backoff, RetryPolicy};
use super::{Plain, idempotency};

/// The flag and the length before a message.
const PREFIX_BYTES: usize = 5;
const TOO_LATE: &str = "no answer came in time";

/// A connection whose calls are repeated where that does no harm. Clones are cheap and share the connection.
#[derive(Clone, Debug)]
pub struct RetryingChannel {
    channel: Plain,
    policy: RetryPolicy,
    max_message_bytes: usize,
}

/// How one try ended.
enum AttemptResult {
    /// With an answer for the caller, which may be an error.
    Answered(http::Response<Collected<Bytes>>),
    /// Without one; another try may bring it.
    Failed(Status),
    /// Without one, and there is no time for another try.
    TimedOut,
}

impl RetryingChannel {
    pub(super) fn new(channel: Plain, policy: RetryPolicy, max_message_bytes: usize) -> Self {
        Self {
            channel,
            policy,
            max_message_bytes,
        }
    }

    async fn answer(self, call: http::Request<Body>) -> Result<http::Response<Body>, StdError> {
        if !is_repeatable(call.uri().path()) {
            return send_once(self.channel, call).await;
        }
        let (head, body) = call.into_parts();
        let mut body = body.collect().await?.to_bytes();
        if head.uri.path() == CREATE_REQUEST {
            match idempotency::with_key(&body) {
                Some(keyed) => body = keyed,
                None => {
                    let once = http::Request::from_parts(head, whole(body));
                    return send_once(self.channel, once).await;
                }
            }
        }
        self.repeat(&head, &body).await
    }

    /// Sends the call until there is an answer or the time is up.
    async fn repeat(
        self,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<http::Response<Body>, StdError> {
        let mut backoff = Backoff::start(self.policy, timeout_of(&head.headers));
        let mut last = Status::deadline_exceeded(TOO_LATE);
        loop {
            let call = http::Request::from_parts(head.clone(), whole(body.clone()));
            match self.attempt(call, &backoff).await {
                AttemptResult::Answered(response) => return Ok(response.map(Body::new)),
                AttemptResult::Failed(status) => last = status,
                // What went wrong before tells more than that the time is up.
                AttemptResult::TimedOut => return Ok(last.into_http()),
            }
            if !backoff.wait(&last).await {
                return Ok(last.into_http());
            }
        }
    }

    async fn attempt(&self, call: http::Request<Body>, backoff: &Backoff) -> AttemptResult {
        let exchange = async {
            let (head, body) = send(self.channel.clone(), call).await?.into_parts();
            let body = Limited::new(body, self.max_message_bytes.saturating_add(PREFIX_BYTES));
            let body = body.collect().await?;
            Ok::<_, StdError>(http::Response::from_parts(head, body))
        };
        match tokio::time::timeout_at(backoff.give_up, exchange).await {
            Ok(Ok(response)) => match failure(&response) {
                Some(status) => AttemptResult::Failed(status),
                None => AttemptResult::Answered(response),
            },
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                AttemptResult::Answered(too_large(self.max_message_bytes))
            }
            // The connection keeps the caller's timeout too, and may be the first to find that it has passed.
            Ok(Err(_)) if Instant::now() >= backoff.give_up => AttemptResult::TimedOut,
            Ok(Err(error)) => AttemptResult::Failed(Status::from_error(error)),
            Err(_) => AttemptResult::TimedOut,
        }
    }
}

impl Service<http::Request<Body>> for RetryingChannel {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always: each try waits for the connection itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: http::Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(call))
    }
}

async fn send(
    mut channel: Plain,
    call: http::Request<Body>,
) -> Result<http::Response<Body>, StdError> {
    poll_fn(|context| channel.poll_ready(context)).await?;
    Ok(channel.call(call).await?.map(Body::new))
}

/// The same; the caller's own timeout is told as what it is, which tonic would call a cancellation.
async fn send_once(
    channel: Plain,
    call: http::Request<Body>,
) -> Result<http::Response<Body>, StdError> {
    match send(channel, call).await {
        Err(error) if is_timeout(error.as_ref()) => {
            Ok(Status::deadline_exceeded(TOO_LATE).into_http())
        }
        sent => sent,
    }
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|it| it.is::<TimeoutExpired>())
}

fn whole(body: Bytes) -> Body {
    Body::new(Full::new(body))
}

/// The error in an answer that another try may do without: the server, or what stands before it, is unavailable.
fn failure(response: &http::Response<Collected<Bytes>>) -> Option<Status> {
    let at_once = Status::from_header_map(response.headers());
    let at_the_end = || response.body().trailers().and_then(Status::from_header_map);
    match at_once.or_else(at_the_end) {
        Some(status) => (status.code() == Code::Unavailable).then_some(status),
        None => unanswered(response.status()),
    }
}

/// What an answer that is not of gRPC means, after the mapping of HTTP codes in the gRPC specification.
fn unanswered(code: http::StatusCode) -> Option<Status> {
    use http::StatusCode;
    match code {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Some(Status::unavailable(format!("the answer was HTTP {code}")))
        }
        // The connection was closed before the status came.
        StatusCode::OK => Some(Status::unknown("the answer broke off before its end")),
        _ => None,
    }
}

fn too_large(bytes: usize) -> http::Response<Collected<Bytes>> {
    let text = format!("the answer is larger than {bytes} bytes");
    Status::resource_exhausted(text).into_http()
}

/// The timeout that the caller gave this call: a number of at most eight digits and a unit.
fn timeout_of(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(60 * 60),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit.saturating_mul(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_timeout_is_read_in_every_unit() {
        let read = |value: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            timeout_of(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("5m"), Some(Duration::from_millis(5)));
        assert_eq!(read("6u"), Some(Duration::from_micros(6)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for value in ["", "m", "5", "xm", "5 m", "-5m"] {
            assert_eq!(read(value), None, "{value:?}");
        }
        assert_eq!(timeout_of(&http::HeaderMap::new()), None);
    }
}
