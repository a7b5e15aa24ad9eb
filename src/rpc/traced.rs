//! The span of a call, which is over when its answer is: by OpenTelemetry's conventions for rpcs and for HTTP.

use axum::http::Method;
use tonic::Code;

use crate::{
    domain::Trace,
    traces::{Traced, Traces},
};

use super::{access, ending::End};

/// A call under way.
pub(super) struct CallSpan(Traced);

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
        Some(Self(traced))
    }

    /// The call names, makes or changes this.
    pub(super) fn is_about(&self, key: &'static str, id: Option<i64>) {
        if let Some(id) = id {
            self.0.set(key, id);
        }
    }

    /// It is over. What the server is to blame for has failed, as the conventions have it.
    pub(super) fn ended(&self, end: End) {
        match end {
            End::Http(status) => {
                let code = i64::from(status.as_u16());
                self.0.set("http.response.status_code", code);
                if status.is_server_error() {
                    self.0.fail("");
                }
            }
            End::Rpc(code) => {
                self.0.set("rpc.grpc.status_code", i64::from(code as i32));
                if is_fault(code) {
                    self.0.fail(end.to_string());
                }
            }
        }
    }
}

fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
