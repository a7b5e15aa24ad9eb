//! Finds out who calls, before a handler is asked, and whether he may ask it. What no principal goes with is refused.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Status;

use crate::{
    app::App,
    domain::{Caller, Error},
    identity::{Authentication, Principal, Proof, ShownKey},
};

use super::{access, certificate::PeerCertificate, front, http, rates::Rates};

/// What finds out who calls.
pub(super) struct Desk {
    pub(super) authentication: Authentication,
    pub(super) app: App,
    pub(super) rates: Rates,
}

/// Lets those calls through that are somebody's who may make them.
pub(super) async fn admit(
    State(desk): State<Arc<Desk>>,
    mut call: Request,
    next: Next,
) -> Response {
    let shown = Shown {
        headers: call.headers(),
        certificate: call.extensions().get(),
    };
    let admitted = desk.admit(shown, (call.method(), call.uri().path())).await;
    match admitted {
        Ok(principal) => {
            call.extensions_mut().insert(principal);
            next.run(call).await
        }
        Err(error) => refuse(error, &call),
    }
}

/// By what a call may show who makes it.
#[derive(Clone, Copy)]
struct Shown<'a> {
    headers: &'a HeaderMap,
    /// That of its connection.
    certificate: Option<&'a PeerCertificate>,
}

impl Desk {
    async fn admit(
        &self,
        shown: Shown<'_>,
        (method, path): (&Method, &str),
    ) -> Result<Principal, Error> {
        let principal = match self.authentication.asks() {
            true => self.believe(shown).await?,
            false => Principal::local(),
        };
        access::check(path, &principal)?;
        let class = access::class(method, path);
        self.rates.count(&self.app, &principal, class).await?;
        Ok(principal)
    }

    /// Who makes a call: by its token, which may be an API key, or else by the certificate of its connection. A token that is
    /// not believed makes nobody's call that of the certificate: whoever passes it on would lend his rights.
    async fn believe(&self, shown: Shown<'_>) -> Result<Principal, Error> {
        let Authentication {
            tokens,
            api_keys,
            certificates,
        } = &self.authentication;
        let Some(token) = bearer(shown.headers)? else {
            let certificate = shown.certificate.ok_or(Error::CredentialsMissing)?;
            return certificates.holder(certificate.names());
        };
        if *api_keys && let Some(key) = ShownKey::read(token)? {
            return self.app.key_holder(key).await;
        }
        let not_taken = match api_keys {
            true => "it is no API key, and no tokens are taken",
            false => "no tokens are taken, only certificates",
        };
        let not_taken = Error::CredentialsInvalid(not_taken);
        let tokens = tokens.as_ref().ok_or(not_taken)?;
        tokens.verify(token, self.app.clock.now()).await
    }
}

/// The token of a call, which has one at most.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::CredentialsInvalid("the call brings several"));
    }
    let text = value.to_str().ok();
    let parts = text.and_then(|text| text.trim().split_once(' '));
    let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim());
    let wrong = Error::CredentialsInvalid("`authorization` is not `Bearer` and a token");
    token.map(Some).ok_or(wrong)
}

fn refuse(error: Error, call: &Request) -> Response {
    if let Some(format) = http::grpc_format(call.headers()) {
        return http::refuse_call(Status::from(error), format);
    }
    let lacks_token = !matches!(
        error,
        Error::PermissionDenied(_) | Error::RateLimited { .. }
    );
    let mut answer = match front::is_path(call.uri().path()) {
        true => front::refuse(error),
        false => http::refuse_call(
            Status::from(error),
            HeaderValue::from_static("application/grpc"),
        ),
    };
    if lacks_token {
        let challenge = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer.into_response()
}

/// Who makes a call.
///
/// # Errors
/// Nobody has found out: a way to the handler leads past [`admit`].
pub(super) fn principal_of(extensions: &Extensions) -> Result<&Principal, Error> {
    extensions.get().ok_or(Error::CredentialsMissing)
}

/// The same of a call of gRPC.
pub(super) fn principal<T>(call: &tonic::Request<T>) -> Result<Principal, Error> {
    let principal = call.extensions().get::<Principal>();
    principal.cloned().ok_or(Error::CredentialsMissing)
}

/// Whose rows a call may see.
pub(super) fn caller<T>(call: &tonic::Request<T>) -> Result<Caller, Error> {
    Ok(principal(call)?.caller())
}

/// Comes when a stream to the caller must end that would go on, and says why.
pub(super) async fn end_of_stream(app: App, principal: Principal) -> Error {
    let stopping = app.stopping.clone();
    tokio::select! {
        () = stopping.cancelled() => Error::ShuttingDown,
        error = end_of_right(app, principal) => error,
    }
}

/// Comes when the caller may not call any more, and says why.
pub(super) async fn end_of_right(app: App, principal: Principal) -> Error {
    let expiry = async {
        match principal.left(app.clock.now()) {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
        Error::CredentialsExpired
    };
    match principal.proof {
        Proof::Reach | Proof::Token | Proof::Certificate => expiry.await,
        Proof::ApiKey(id) => tokio::select! {
            biased;
            end = expiry => end,
            // Apart: most principals have no key, and each call would have room for its reading.
            end = Box::pin(app.end_of_key(id)) => end,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_nobody_looked_at_is_nobodys() {
        let mut call = tonic::Request::new(());
        assert!(matches!(caller(&call), Err(Error::CredentialsMissing)));
        let unseen = principal_of(&Extensions::new()).cloned();
        assert!(matches!(unseen, Err(Error::CredentialsMissing)));
        call.extensions_mut().insert(Principal::local());
        assert_eq!(caller(&call).unwrap(), Caller::TrustedService);
    }

    #[test]
    fn a_bearer_is_one_token() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read(&[]).unwrap(), None);
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(read(&[value]).unwrap().unwrap(), "a.b.c", "{value}");
        }
        for values in [
            &["Basic a"][..],
            &["a.b.c"],
            &["Bearer"],
            &["Bearer a", "Bearer a"],
        ] {
            let refused = read(values);
            assert!(
                matches!(refused, Err(Error::CredentialsInvalid(_))),
                "{values:?}"
            );
        }
    }
}
