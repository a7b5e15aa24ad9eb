//! How a call ends, as metrics and spans have it: the head of its answer tells it, or trailers, or, in grpc-web, what stands for them
//! in the body.

use std::{fmt, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use http_body::Frame;
use tonic::{Code, Status};

use crate::metrics::Metrics;

use super::{call::code_name, http, traced::CallSpan};

/// How a call has ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// As gRPC tells it.
    Rpc(Code),
    /// Of what is no call of gRPC.
    Http(StatusCode),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc(code) => formatter.write_str(&code_name(*code)),
            Self::Http(status) => formatter.write_str(status.as_str()),
        }
    }
}

/// A call under way, whose end is told once. It is over for its caller when this is dropped.
pub(super) struct Ending {
    name: String,
    /// Until the answer, or its stream, began.
    took: Duration,
    metrics: Metrics,
    traced: Option<CallSpan>,
    /// The format of an answer by gRPC, while nobody knows how it ends.
    open: Option<HeaderValue>,
}

impl Ending {
    /// Of a call, the head of whose answer is there.
    pub(super) fn of(
        (name, took): (String, Duration),
        metrics: Metrics,
        traced: Option<CallSpan>,
        response: &Response,
    ) -> Self {
        let headers = response.headers();
        let status = response.status();
        let format = headers.get(CONTENT_TYPE).filter(|format| {
            status == StatusCode::OK && format.as_bytes().starts_with(b"application/grpc")
        });
        let mut ending = Self {
            name,
            took,
            metrics,
            traced,
            open: None,
        };
        match (Status::from_header_map(headers), format) {
            (Some(status), _) => ending.tell(End::Rpc(status.code())),
            (None, Some(format)) => ending.open = Some(format.clone()),
            (None, None) => ending.tell(End::Http(status)),
        }
        ending
    }

    /// This part of the answer may tell how the call ends.
    pub(super) fn see(&mut self, part: &Frame<Bytes>) {
        let Some(format) = &self.open else {
            return;
        };
        let code = match part.trailers_ref() {
            Some(trailers) => Status::from_header_map(trailers).map(|status| status.code()),
            None => part
                .data_ref()
                .and_then(|chunk| http::code_in(chunk, format)),
        };
        if let Some(code) = code {
            self.open = None;
            self.tell(End::Rpc(code));
        }
    }

    fn tell(&self, end: End) {
        self.metrics.called(&self.name, end.to_string(), self.took);
        if let Some(traced) = &self.traced {
            traced.ended(end);
        }
    }
}

impl Drop for Ending {
    /// The caller has gone away.
    fn drop(&mut self) {
        if self.open.is_some() {
            self.tell(End::Rpc(Code::Cancelled));
        }
    }
}
