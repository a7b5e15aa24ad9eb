//! What a token says, once its signature is known to be of one of our keys.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;
use serde_json::Value;

use super::{
    SCOPE_PREFIX,
    key::Key,
    keys::Keys,
    principal::{Principal, Proof, Role},
};
use crate::domain::Error;

/// Longest token; all headers of a call together may be twice as long.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest name of a client or a plan.
const MAX_NAME_CHARS: usize = 64;
/// Most projects of a user.
const MOST_PROJECTS: usize = 1_000;

/// What tokens are checked by.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// One of these has signed it.
    pub keys: Keys,
    /// Who makes tokens; `None`: whoever has a key.
    pub issuer: Option<String>,
    /// Whom they are made for: this server.
    pub audience: String,
    /// How far the clock of the issuer may be from ours.
    pub skew: Duration,
}

/// As they are written, since what is wrong with one is to be told by its name. The library has checked `iss` and `aud`.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    nbf: Value,
    #[serde(default)]
    plan: Value,
    #[serde(default)]
    projects: Value,
}

impl Tokens {
    /// Who has shown this token.
    ///
    /// # Errors
    /// Why it is not believed, without a word of what it says.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Principal, Error> {
        let claims = self.signed(token).await?;
        let skew = TimeDelta::from_std(self.skew).unwrap_or_default();
        let ends = time(&claims.exp)?.ok_or_else(|| invalid("it has no exp, and so no end"))?;
        let until = ends.checked_add_signed(skew).unwrap_or(ends);
        if until <= now {
            return Err(Error::CredentialsExpired);
        }
        if time(&claims.nbf)?.is_some_and(|begins| begins - skew > now) {
            return Err(invalid("its time has not come yet (nbf)"));
        }
        let (role, client) = role(&claims.scope, &claims.sub)?;
        Ok(Principal {
            role,
            proof: Proof::Token,
            until: Some(until),
            plan: plan(&claims.plan)?,
            projects: projects(&claims.projects)?,
            client: Some(client),
        })
    }

    /// The claims of a token that one of the keys has signed for us.
    async fn signed(&self, token: &str) -> Result<Claims, Error> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid("it is too long"));
        }
        let unreadable = "it is no JWT that is signed by HS256, RS256, ES256 or EdDSA";
        let header = decode_header(token).map_err(|_| invalid(unreadable))?;
        let keys = self.keys.suiting(header.alg, header.kid.as_deref()).await;
        let keys = keys.map_err(Error::CredentialsUnverifiable)?;
        // Of several keys that might have signed it, one that did tells what else is wrong.
        let mut wrong = ErrorKind::InvalidSignature;
        for key in &keys {
            match decode::<Claims>(token, &key.decoding, &self.validation(key)) {
                Ok(token) => return Ok(token.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => wrong = error.into_kind(),
            }
        }
        Err(invalid(told(&wrong)))
    }

    /// Times are checked by the server's clock, and not by the library.
    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithm);
        validation.validate_exp = false;
        validation.set_audience(&[&self.audience]);
        let mut required = vec!["aud"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn told(wrong: &ErrorKind) -> &'static str {
    match wrong {
        ErrorKind::InvalidAudience => "it is made for another audience (aud)",
        ErrorKind::InvalidIssuer => "another has issued it (iss)",
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            match claim.as_str() {
                "iss" => "it does not say who has issued it (iss)",
                _ => "it does not say for whom it is made (aud)",
            }
        }
        ErrorKind::InvalidSignature => "no key of this server has signed it",
        _ => "it cannot be read",
    }
}

fn invalid(why: &'static str) -> Error {
    Error::CredentialsInvalid(why)
}

/// Seconds since 1970, perhaps with a fraction.
fn time(claim: &Value) -> Result<Option<DateTime<Utc>>, Error> {
    if claim.is_null() {
        return Ok(None);
    }
    let seconds = claim.as_f64().filter(|seconds| *seconds >= 0.0);
    // Beyond what a time can be, the cast ends at the greatest number, which is none either.
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds as i64, 0));
    let wrong = || invalid("a time in it is no number of seconds since 1970 (exp, nbf)");
    time.map(Some).ok_or_else(wrong)
}

/// What the scope lets its bearer do, the most if it names several; and whose idempotency keys his are.
fn role(scope: &Value, subject: &Value) -> Result<(Role, String), Error> {
    let scope = scope.as_str().unwrap_or_default();
    let has = |role| {
        let mut named = scope.split(' ');
        named.any(|it| it.strip_prefix(SCOPE_PREFIX) == Some(role))
    };
    let subject = subject.as_str().unwrap_or_default();
    if has("admin") {
        return Ok((Role::Admin, format!("admin:{}", name(subject)?)));
    }
    if has("service") {
        return Ok((Role::Service, format!("service:{}", name(subject)?)));
    }
    if has("user") {
        let id = user_id(subject).ok_or_else(|| invalid("its sub is no id of a user"))?;
        return Ok((Role::User(id), format!("user:{id}")));
    }
    Err(invalid(
        "its scope has none of generation.user, generation.service and generation.admin",
    ))
}

/// Written in the one way in which a number is.
fn user_id(subject: &str) -> Option<i64> {
    let digits = subject.bytes().all(|byte| byte.is_ascii_digit());
    let id = subject.parse::<i64>().ok().filter(|_| digits)?;
    (id > 0 && !subject.starts_with('0')).then_some(id)
}

fn name(subject: &str) -> Result<&str, Error> {
    let is_name = (1..=MAX_NAME_CHARS).contains(&subject.len())
        && subject.bytes().all(|byte| byte.is_ascii_graphic());
    match is_name {
        true => Ok(subject),
        false => Err(invalid(
            "its sub is no name of a client: 1 to 64 visible ASCII characters",
        )),
    }
}

fn plan(claim: &Value) -> Result<Option<String>, Error> {
    match claim {
        Value::Null => Ok(None),
        Value::String(plan) if (1..=MAX_NAME_CHARS).contains(&plan.chars().count()) => {
            Ok(Some(plan.clone()))
        }
        _ => Err(invalid("its plan is no text of 1 to 64 characters")),
    }
}

/// Numbers, or text of them, as what counts in doubles writes large ones.
fn projects(claim: &Value) -> Result<BTreeSet<i64>, Error> {
    let wrong = || invalid("its projects are no list of up to 1000 ids");
    let listed = match claim {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Array(listed) if listed.len() <= MOST_PROJECTS => listed,
        _ => return Err(wrong()),
    };
    let id = |value: &Value| {
        let id = value.as_i64().or_else(|| user_id(value.as_str()?));
        id.filter(|id| *id > 0).ok_or_else(wrong)
    };
    listed.iter().map(id).collect()
}

#[cfg(test)]
mod tests;
