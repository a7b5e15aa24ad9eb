//! What goes wrong, as a script says.

use std::{io, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_LENGTH},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;

/// Bytes of an answer that nobody can mean.
const HUGE: u64 = 10_000_000_000;

/// What happens to one call instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// The right answer comes after so many milliseconds.
    Delay(u64),
    /// This answer comes.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Its body.
        #[serde(default)]
        body: String,
    },
    /// The connection breaks behind the first bytes of the answer.
    Cut,
    /// No answer comes.
    Hang,
    /// The answer does not end.
    Endless,
    /// The answer comes byte by byte, with so many milliseconds between them, and does not end.
    Drip(u64),
    /// The answer says that it has 10 GB, and begins to bring them.
    Huge,
    /// Of a webhook: it is not sent.
    Lost,
    /// Of a webhook: it is sent twice.
    Twice,
    /// Of a webhook: it is not what was signed.
    Forged,
    /// It happens to the next call of this kind, instead of one that has something made.
    On {
        /// Which one.
        call: Step,
        /// What happens to it.
        fault: Box<Fault>,
    },
}

/// The kinds of calls that a fault can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Has something made.
    Submit,
    /// Asks how it is.
    Poll,
    /// Gets what was made, or where it is.
    Result,
    /// Gets a file.
    File,
    /// Stops it.
    Cancel,
    /// It is the service that calls.
    Webhook,
}

impl Fault {
    /// Which call it happens to.
    pub(super) fn step(&self) -> Step {
        match self {
            Self::On { call, .. } => *call,
            _ => Step::Submit,
        }
    }

    /// The answer, unless the right one is to be given.
    pub(super) async fn happen(self) -> Option<Response> {
        match self {
            Self::None | Self::Lost | Self::Twice | Self::Forged => None,
            Self::Delay(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                None
            }
            Self::Answer {
                status,
                headers,
                body,
            } => Some(answer(status, headers, body)),
            Self::Cut => {
                let parts = [Ok(Bytes::from_static(b"{")), Err(io::Error::other("cut"))];
                Some(Body::from_stream(stream::iter(parts)).into_response())
            }
            Self::On { fault, .. } => Box::pin(fault.happen()).await,
            Self::Hang => std::future::pending().await,
            Self::Endless => Some(blanks(1 << 16, Duration::ZERO).into_response()),
            Self::Drip(milliseconds) => {
                Some(blanks(1, Duration::from_millis(milliseconds)).into_response())
            }
            Self::Huge => {
                let size = [(CONTENT_LENGTH, HUGE.to_string())];
                Some((size, blanks(1 << 16, Duration::ZERO)).into_response())
            }
        }
    }
}

/// So many blanks after each pause, without an end.
fn blanks(size: usize, pause: Duration) -> Body {
    let chunk = Bytes::from(vec![b' '; size]);
    let chunks = stream::unfold(chunk, move |chunk: Bytes| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((io::Result::Ok(chunk.clone()), chunk))
    });
    Body::from_stream(chunks)
}

fn answer(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, body).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}
