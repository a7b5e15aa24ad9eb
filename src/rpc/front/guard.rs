//! Who may call: programs on this machine or by the server's public name, and pages of the configured origins. A page of
//! anybody else could otherwise have a browser post to loopback, and spend money.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{FrontSettings, refusal::Refusal};

pub(super) async fn check(
    State(settings): State<FrontSettings>,
    call: Request,
    next: Next,
) -> Response {
    let refused = if !is_called_by_its_name(&settings, call.uri(), call.headers()) {
        "the call names a host that is not this server"
    } else if !comes_from_known_pages(&settings, call.headers()) {
        "pages of this origin may not call"
    } else {
        return next.run(call).await;
    };
    Refusal::foreign(refused).into_response()
}

/// What is left out is no name of ours, and every name that is given must be.
fn is_called_by_its_name(settings: &FrontSettings, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = uri
        .authority()
        .into_iter()
        .map(|it| Some(it.clone()))
        .chain(
            headers
                .get_all(header::HOST)
                .iter()
                .map(|host| host.to_str().ok()?.parse::<Authority>().ok()),
        );
    let mut names = named.by_ref().peekable();
    names.peek().is_some() && names.all(|name| name.is_some_and(|it| is_ours(settings, it.host())))
}

fn is_ours(settings: &FrontSettings, host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let public = settings.host.as_deref();
    is_loopback
        || host.eq_ignore_ascii_case("localhost")
        || public.is_some_and(|public| host.eq_ignore_ascii_case(public))
}

fn comes_from_known_pages(settings: &FrontSettings, headers: &HeaderMap) -> bool {
    let is_known = |origin: &[u8]| {
        let mut known = settings.origins.iter();
        known.any(|known| known == "*" || known.as_bytes() == origin)
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| is_known(origin.as_bytes()))
}
