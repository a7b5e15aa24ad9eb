//! The client of `billing.v1.BillingService`: each call within the deadline, repeated while there is time, and not made at all
//! while Billing is away.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt;
use url::Url;

use super::{
    breaker::{Breaker, Passed},
    proto::{
        CommitRequest, GetBalanceRequest, ReleaseRequest, Reservation, ReserveRequest,
        billing_service_client::BillingServiceClient,
    },
};
use crate::{
    domain::{Balance, printable},
    entity::reservation,
};

/// Most reservations of one call. A request has no more jobs.
pub const AT_ONCE: usize = 100;
/// Pauses before a call is repeated that found nobody.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];
/// How often a connection is asked whether it is alive, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// By which Billing says that a user has too few credits.
const DOMAIN: &str = "billing";
const INSUFFICIENT: &str = "CREDITS_INSUFFICIENT";
/// Most characters of what Billing says that are kept.
const MAX_WORDS: usize = 500;

type Client = BillingServiceClient<Channel>;

/// How Billing is reached, and what is done while it is not.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Its base.
    pub url: Url,
    /// What every call shows.
    pub token: Option<SecretString>,
    /// How long an answer may take, with all tries.
    pub deadline: Duration,
    /// Credits that jobs may cost in all that are accepted while it is away, and that it has not heard of; 0 refuses them.
    pub accept_unreserved: i64,
}

/// Why Billing cannot be called as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The URL is none that can be called.
    #[error("billing.url is not a URL such as https://billing.internal")]
    Url(#[source] tonic::transport::Error),
    /// The token cannot be sent.
    #[error("billing.token has characters that no header takes")]
    Token,
}

/// Why Billing has not done what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A user has too few credits.
    #[error("{needed} credits are needed, and {available} are there")]
    Insufficient {
        /// For all together.
        needed: i64,
        /// What the user has.
        available: i64,
    },
    /// It never will. In its own words, for operators.
    #[error("{0}")]
    Final(String),
    /// It is away, and may have done it. For operators.
    #[error("{0}")]
    Away(String),
}

/// Billing, as a service of its own. Clones share the connection.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
    purpose: Purpose,
}

/// What Billing is called for. One does not count as failed because the other has: what it cannot be told of one job keeps no
/// other from being asked for.
#[derive(Clone, Copy)]
enum Purpose {
    Ask,
    Tell,
}

struct Shared {
    client: Client,
    token: Option<MetadataValue<Ascii>>,
    deadline: Duration,
    accept_unreserved: i64,
    breakers: [Mutex<Breaker>; 2],
    bell: Notify,
}

impl Remote {
    /// Connects with the first call. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When it cannot be called as it is configured.
    pub fn new(settings: RemoteSettings) -> Result<Self, RemoteError> {
        let token = settings.token.as_ref().map(bearer).transpose()?;
        let channel = endpoint(&settings).map_err(RemoteError::Url)?;
        let shared = Shared {
            client: Client::new(channel.connect_lazy()),
            token,
            deadline: settings.deadline,
            accept_unreserved: settings.accept_unreserved,
            breakers: Default::default(),
            bell: Notify::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            purpose: Purpose::Ask,
        })
    }

    /// The same, to tell it what has become of jobs.
    pub(crate) fn to_tell(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            purpose: Purpose::Tell,
        }
    }

    /// Has these held until then, all or none.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn reserve(
        &self,
        reservations: &[reservation::Model],
        expires_at: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let message = ReserveRequest {
            reservations: messages(reservations),
            expire_time: Some(timestamp(expires_at)),
        };
        let call = |mut client: Client, call| async move { client.reserve(call).await };
        self.ask(message, call).await.map(drop)
    }

    /// Takes what these jobs have cost.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn commit(&self, reservations: &[reservation::Model]) -> Result<(), Refusal> {
        let message = CommitRequest {
            reservations: messages(reservations),
        };
        let call = |mut client: Client, call| async move { client.commit(call).await };
        self.ask(message, call).await.map(drop)
    }

    /// Gives back what was held for these, whether or not it was.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn release(&self, reservations: &[reservation::Model]) -> Result<(), Refusal> {
        let message = ReleaseRequest {
            reservations: messages(reservations),
        };
        let call = |mut client: Client, call| async move { client.release(call).await };
        self.ask(message, call).await.map(drop)
    }

    /// How many credits a user has.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn balance(&self, user_id: i64) -> Result<Balance, Refusal> {
        let call = |mut client: Client, call| async move { client.get_balance(call).await };
        let told = self.ask(GetBalanceRequest { user_id }, call).await?;
        Ok(Balance {
            available: told.available,
            reserved: told.reserved,
            next_expiry: None,
        })
    }

    /// Whether it has failed so often that only trials are made.
    pub fn is_away(&self) -> bool {
        lock(self.breaker()).is_away()
    }

    /// Whether a call would not be made now.
    pub fn is_shut(&self) -> bool {
        lock(self.breaker()).is_shut(Instant::now())
    }

    /// Credits that jobs may cost in all that are accepted while it is away; 0 refuses them.
    pub fn accept_unreserved(&self) -> i64 {
        self.shared.accept_unreserved
    }

    /// Tells that there is something to tell it.
    pub fn wake(&self) {
        self.shared.bell.notify_one();
    }

    /// Waits until there is.
    pub async fn woken(&self) {
        self.shared.bell.notified().await;
    }

    async fn ask<M: Clone, T, F>(
        &self,
        message: M,
        call: impl Fn(Client, Request<M>) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let call_passed = Call::begin(self.breaker())
            .ok_or_else(|| Refusal::Away("Billing has not answered lately".to_owned()))?;
        let answered = timeout(self.shared.deadline, self.repeat(message, call)).await;
        let answer = answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        let answer = answer.map(Response::into_inner).map_err(refusal);
        let has_answered = !matches!(answer, Err(Refusal::Away(_)));
        call_passed.end(has_answered);
        if has_answered {
            self.is_there();
        }
        answer
    }

    /// Calls again where nobody was found, which changes nothing if somebody was.
    async fn repeat<M: Clone, T, F>(
        &self,
        message: M,
        call: impl Fn(Client, Request<M>) -> F,
    ) -> Result<Response<T>, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = call(self.shared.client.clone(), self.request(message.clone())).await;
            let passing = matches!(&answer, Err(status) if status.code() == Code::Unavailable);
            match pauses.next() {
                Some(pause) if passing => sleep(*pause).await,
                _ => return answer,
            }
        }
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(self.shared.deadline);
        if let Some(token) = &self.shared.token {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        request
    }

    /// An answer tells for both purposes that it is not away.
    fn is_there(&self) {
        for breaker in &self.shared.breakers {
            lock(breaker).hear(Passed::default(), Some(true), Instant::now());
        }
    }

    fn breaker(&self) -> &Mutex<Breaker> {
        &self.shared.breakers[self.purpose as usize]
    }
}

/// Does not tell the token.
impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Remote").finish_non_exhaustive()
    }
}

/// A call that the breaker has let pass, and hears of when it ends or is given up.
struct Call<'a> {
    breaker: &'a Mutex<Breaker>,
    passed: Passed,
    answered: Option<bool>,
}

impl<'a> Call<'a> {
    fn begin(breaker: &'a Mutex<Breaker>) -> Option<Self> {
        let passed = lock(breaker).pass(Instant::now())?;
        Some(Self {
            breaker,
            passed,
            answered: None,
        })
    }

    fn end(mut self, answered: bool) {
        self.answered = Some(answered);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        lock(self.breaker).hear(self.passed, self.answered, Instant::now());
    }
}

/// What is in it is whole between two calls.
fn lock(breaker: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}

fn endpoint(settings: &RemoteSettings) -> Result<Endpoint, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(settings.url.to_string())?;
    if settings.url.scheme() == "https" {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(endpoint
        .connect_timeout(settings.deadline)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT))
}

fn bearer(token: &SecretString) -> Result<MetadataValue<Ascii>, RemoteError> {
    let value = format!("Bearer {}", token.expose_secret()).parse();
    let mut value: MetadataValue<Ascii> = value.map_err(|_| RemoteError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn refusal(status: Status) -> Refusal {
    let words: String = printable(status.message())
        .chars()
        .take(MAX_WORDS)
        .collect();
    let told = format!("{:?}: {words}", status.code());
    match status.code() {
        Code::ResourceExhausted => insufficient(&status).unwrap_or(Refusal::Away(told)),
        Code::InvalidArgument | Code::FailedPrecondition => Refusal::Final(told),
        _ => Refusal::Away(told),
    }
}

/// `None` if it is exhausted itself.
fn insufficient(status: &Status) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    if (info.domain.as_str(), info.reason.as_str()) != (DOMAIN, INSUFFICIENT) {
        return None;
    }
    let number = |key: &str| info.metadata.get(key)?.parse().ok();
    Some(Refusal::Insufficient {
        needed: number("needed")?,
        available: number("available")?,
    })
}

fn messages(reservations: &[reservation::Model]) -> Vec<Reservation> {
    let message = |it: &reservation::Model| Reservation {
        reservation_id: it.reservation_id.clone(),
        job_id: it.job_id,
        request_id: it.request_id,
        user_id: it.user_id,
        amount: it.amount,
    };
    reservations.iter().map(message).collect()
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn exhausted(domain: &str, metadata: &[(&str, &str)]) -> Status {
        let metadata = metadata.iter();
        let metadata = metadata.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let details = ErrorDetails::with_error_info(
            INSUFFICIENT,
            domain,
            metadata.collect::<std::collections::HashMap<_, _>>(),
        );
        Status::with_error_details(Code::ResourceExhausted, "no", details)
    }

    #[test]
    fn only_with_its_details_an_exhausted_answer_is_about_credits() {
        let told = [("needed", "14"), ("available", "-3")];
        let expected = Refusal::Insufficient {
            needed: 14,
            available: -3,
        };
        assert_eq!(refusal(exhausted(DOMAIN, &told)), expected);
        for other in [
            exhausted("else", &told),
            exhausted(DOMAIN, &told[..1]),
            exhausted(DOMAIN, &[("needed", "a"), ("available", "1")]),
            Status::resource_exhausted("too many calls"),
        ] {
            assert!(matches!(refusal(other), Refusal::Away(_)));
        }
    }

    #[test]
    fn what_is_not_said_to_be_final_may_pass() {
        for code in (0..17).map(Code::from).filter(|code| *code != Code::Ok) {
            let is_final = matches!(code, Code::InvalidArgument | Code::FailedPrecondition);
            let heard = refusal(Status::new(code, "a\nb"));
            assert_eq!(matches!(heard, Refusal::Final(_)), is_final, "{code:?}");
            assert!(!heard.to_string().contains('\n'), "{heard}");
        }
    }
}
