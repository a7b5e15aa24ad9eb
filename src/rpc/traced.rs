//! The span of a call, which is over when its answer is: by OpenTelemetry's conventions for rpcs and for HTTP.

use axum::{
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use tonic::{Code, Status};

use crate::{
    domain::Trace,
    traces::{Traced, Traces},
};

use super::{access, call::code_name};

/// By which grpc-web is told from gRPC: what ends its answers is within them.
const GRPC_WEB: &str = "application/grpc-web";

/// A call under way.
pub(super) struct CallSpan {
    traced: Traced,
    /// Of a call by gRPC, while nobody knows how it ends.
    is_open: bool,
}

impl CallSpan {
    /// Of an rpc of the contracts, or a call of plain HTTP to what `place` of ours names; `None` where no spans are sent, or of
    /// what is neither. From here on `trace` is the call's own place in the caller's trace.
    pub(super) fn begin(
        traces: &Traces,
        (method, path): (&Method, &str),
        place: Option<&str>,
        trace: &mut Trace,
    ) -> Option<Self> {
        if !traces.are_sent() {
            return None;
        }
        let rpc = access::name(path).and_then(|_| path.strip_prefix('/')?.split_once('/'));
        let traced = match (rpc, place) {
            (Some((service, rpc)), _) => {
                let traced = traces.call(format!("{service}/{rpc}"), trace);
                traced.set("rpc.system", "grpc");
                traced.set("rpc.service", service.to_owned());
                traced.set("rpc.method", rpc.to_owned());
                traced
            }
            (None, Some(place)) => {
                let traced = traces.call(format!("{method} /{place}"), trace);
                traced.set("http.request.method", method.to_string());
                traced.set("http.route", format!("/{place}"));
                traced
            }
            (None, None) => return None,
        };
        let is_open = rpc.is_some();
        Some(Self { traced, is_open })
    }

    /// The call names, makes or changes this.
    pub(super) fn is_about(&self, key: &'static str, id: Option<i64>) {
        if let Some(id) = id {
            self.traced.set(key, id);
        }
    }

    /// The head of the answer is there.
    pub(super) fn answered(&mut self, response: &Response) {
        let status = response.status();
        let headers = response.headers();
        let is_web = headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(GRPC_WEB.as_bytes()));
        if !self.is_open || status != StatusCode::OK {
            self.is_open = false;
            let code = i64::from(status.as_u16());
            self.traced.set("http.response.status_code", code);
            if status.is_server_error() {
                self.traced.fail("");
            }
        } else if is_web && Status::from_header_map(headers).is_none() {
            self.ended(Code::Ok);
        } else {
            self.told(headers);
        }
    }

    /// These, the head or the trailers of the answer, may tell how the call has ended.
    pub(super) fn told(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers).filter(|_| self.is_open) {
            self.ended(status.code());
        }
    }

    fn ended(&mut self, code: Code) {
        self.is_open = false;
        self.traced
            .set("rpc.grpc.status_code", i64::from(code as i32));
        // What the server is to blame for, as the conventions have it.
        if matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ) {
            self.traced.fail(code_name(code));
        }
    }
}

impl Drop for CallSpan {
    /// The caller has gone away.
    fn drop(&mut self) {
        if self.is_open {
            self.ended(Code::Cancelled);
        }
    }
}
