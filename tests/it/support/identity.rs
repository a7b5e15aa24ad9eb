//! Servers that ask who calls, and tokens for them.

use std::time::Duration;

use atelier::app::Clock;
use atelier::config::Config;
use atelier::identity::Issuer;
use chrono::TimeDelta;
use secrecy::SecretString;

/// What the tests sign tokens with.
pub(crate) const SECRET: &str = "a secret of the tests, and of nothing else";

/// Has the server ask.
pub(crate) fn asks(config: &mut Config) {
    config.auth.secret = Some(SecretString::from(SECRET));
    config.auth.clock_skew = Duration::from_millis(1);
}

/// A token that holds for an hour. `role` is `user`, `service` or `admin`.
pub(crate) fn token(role: &str, subject: &str) -> String {
    signed(role, subject, TimeDelta::zero(), Duration::from_secs(3_600))
}

/// A user's with a plan, which holds for an hour.
pub(crate) fn token_with_plan(user: i64, plan: &str) -> String {
    let secret = SecretString::from(SECRET);
    let issuer = Issuer {
        plan: Some(plan),
        ..issuer(&secret)
    };
    let from = Clock::system().now();
    let times = (from, Duration::from_secs(3_600));
    issuer.token(&user.to_string(), "user", times).unwrap()
}

/// One that did not hold for long, and does not any more.
pub(crate) fn expired(role: &str, subject: &str) -> String {
    signed(
        role,
        subject,
        TimeDelta::seconds(-60),
        Duration::from_secs(1),
    )
}

/// One that holds for so long from now.
pub(crate) fn brief(role: &str, subject: &str, lifetime: Duration) -> String {
    signed(role, subject, TimeDelta::zero(), lifetime)
}

fn issuer(secret: &SecretString) -> Issuer<'_> {
    Issuer {
        secret,
        issuer: None,
        audience: "atelier",
        plan: None,
    }
}

fn signed(role: &str, subject: &str, ago: TimeDelta, lifetime: Duration) -> String {
    let from = Clock::system().now() + ago;
    issuer(&SecretString::from(SECRET))
        .token(subject, role, (from, lifetime))
        .unwrap()
}

/// The call, with this token.
pub(crate) fn by<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    call.metadata_mut().insert("authorization", value);
    call
}
