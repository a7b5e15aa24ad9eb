//! Billing, as a service of its own: it keeps the contract of `billing.v1.BillingService` in memory, and what goes wrong is
//! scripted. Its credits outlast its process, as those of a database would.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use atelier::billing::proto::billing_service_server::{BillingService, BillingServiceServer};
use atelier::billing::proto::{
    CommitRequest, CommitResponse, GetBalanceRequest, GetBalanceResponse, ReleaseRequest,
    ReleaseResponse, Reservation, ReserveRequest, ReserveResponse,
};
use atelier::config::{BillingKind, Config};
use secrecy::SecretString;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::server::within;

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What every call must show.
pub(crate) const TOKEN: &str = "a token of the tests";

/// What Billing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rpc {
    Reserve,
    Commit,
    Release,
    Balance,
}

/// What happens to a call instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done.
    Unavailable,
    /// It is done, and the answer lost.
    Lost,
    /// It is neither done nor answered.
    Hang,
    /// It is done and not answered.
    DoneAndHang,
    /// It is not answered, and done only when all that it is about has been released.
    LateAfterRelease,
    /// It is done when [`BillingStandIn::let_pass`] says so.
    Held,
}

/// Where a reservation stands that is not unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    Committed,
    Released,
}

#[derive(Default)]
struct Books {
    credits: BTreeMap<i64, i64>,
    known: BTreeMap<String, (Reservation, Standing)>,
    calls: Vec<(Rpc, BTreeSet<i64>)>,
    faults: Vec<(Rpc, Fault)>,
    /// Jobs of which nothing is taken.
    refused: BTreeSet<i64>,
    /// Jobs that it fails over.
    broken: BTreeSet<i64>,
    /// What a client that keeps the contract would not have asked for.
    breaches: Vec<String>,
}

/// What outlasts the service's process.
struct Kept {
    books: Mutex<Books>,
    changed: watch::Sender<u64>,
    gate: watch::Sender<bool>,
}

/// The service. It ends when this value is dropped.
pub(crate) struct BillingStandIn {
    kept: Arc<Kept>,
    /// PEM of its certificate and key, if it speaks TLS.
    certificate: Option<(String, String)>,
    address: SocketAddr,
    /// Its process, so to speak: with it go all of its connections.
    process: Option<Runtime>,
}

impl BillingStandIn {
    /// Users with so many credits each; others are unknown.
    pub(crate) fn start(credits: &[(i64, i64)]) -> Self {
        Self::start_with(credits, None)
    }

    /// The same over TLS, with a certificate for `localhost` of its own.
    pub(crate) fn start_with_tls(credits: &[(i64, i64)]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = (made.cert.pem(), made.signing_key.serialize_pem());
        Self::start_with(credits, Some(certificate))
    }

    fn start_with(credits: &[(i64, i64)], certificate: Option<(String, String)>) -> Self {
        let books = Books {
            credits: credits.iter().copied().collect(),
            ..Books::default()
        };
        let kept = Arc::new(Kept {
            books: Mutex::new(books),
            changed: watch::Sender::new(0),
            gate: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let process = Some(serve(kept.clone(), listener, certificate.as_ref()));
        Self {
            kept,
            certificate,
            address,
            process,
        }
    }

    /// Kills it where it is.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }

    /// Starts it again where it was. What held the port gives no signal when it has gone, so it is tried again and again.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        let listener = within(async {
            loop {
                match TcpListener::bind(self.address) {
                    Ok(listener) => return listener,
                    Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
                }
            }
        });
        let listener = listener.await;
        let certificate = self.certificate.as_ref();
        self.process = Some(serve(self.kept.clone(), listener, certificate));
    }

    pub(crate) fn url(&self) -> String {
        match self.certificate {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// By which it is believed.
    pub(crate) fn certificate(&self) -> &str {
        self.certificate.as_ref().map_or("", |(own, _)| own)
    }

    /// Has a server ask it.
    pub(crate) fn asked_by(&self, config: &mut Config) {
        config.billing.kind = BillingKind::Remote;
        config.billing.url = Some(self.url().parse().unwrap());
        config.billing.token = Some(SecretString::from(TOKEN));
        config.billing.deadline = Duration::from_secs(5);
    }

    /// The same as settings of the command line.
    pub(crate) fn settings(&self) -> Vec<String> {
        vec![
            "billing.kind=remote".to_owned(),
            format!("billing.url={}", self.url()),
            format!("billing.token={TOKEN}"),
        ]
    }

    /// The next call of this kind meets a fault; after those that were scripted before.
    pub(crate) fn next(&self, rpc: Rpc, fault: Fault) {
        self.books().faults.push((rpc, fault));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.books().faults.clear();
    }

    /// What was held up by [`Fault::Held`] goes on, now and later.
    pub(crate) fn let_pass(&self) {
        self.kept.gate.send_replace(true);
    }

    pub(crate) fn give(&self, user_id: i64, amount: i64) {
        *self.books().credits.entry(user_id).or_default() += amount;
    }

    /// Whether it takes anything of this job.
    pub(crate) fn refuse(&self, job_id: i64, refused: bool) {
        let mut books = self.books();
        match refused {
            true => books.refused.insert(job_id),
            false => books.refused.remove(&job_id),
        };
    }

    /// It has a fault that this job meets.
    pub(crate) fn fail_over(&self, job_id: i64) {
        self.books().broken.insert(job_id);
    }

    /// The time of all that is held is over.
    pub(crate) fn expire(&self) {
        let mut books = self.books();
        books
            .known
            .retain(|_, (_, standing)| *standing != Standing::Held);
    }

    /// What a user may spend, and what is held.
    pub(crate) fn balance(&self, user_id: i64) -> (i64, i64) {
        let books = self.books();
        (books.available(user_id), books.sum(user_id, Standing::Held))
    }

    /// Where the reservations of a job stand, in no order.
    pub(crate) fn standings(&self, job_id: i64) -> Vec<Standing> {
        self.books().standings(job_id)
    }

    /// How many reservations stand so.
    pub(crate) fn count(&self, standing: Standing) -> usize {
        let books = self.books();
        let known = books.known.values();
        known.filter(|(_, it)| *it == standing).count()
    }

    /// The jobs of each call of this kind so far.
    pub(crate) fn calls(&self, rpc: Rpc) -> Vec<BTreeSet<i64>> {
        let books = self.books();
        let calls = books.calls.iter().filter(|(called, _)| *called == rpc);
        calls.map(|(_, jobs)| jobs.clone()).collect()
    }

    /// Waits until it is as `enough` says.
    pub(crate) async fn until(&self, enough: impl Fn(&Self) -> bool) {
        let mut changed = self.kept.changed.subscribe();
        within(async {
            while !enough(self) {
                changed.changed().await.unwrap();
            }
        })
        .await;
    }

    /// Waits until a job stands so, and nothing else.
    pub(crate) async fn until_stands(&self, job_id: i64, standing: Standing) {
        self.until(|it| it.standings(job_id) == [standing]).await;
    }

    /// Asserts that it was asked for nothing that goes against the contract.
    pub(crate) fn assert_kept(&self) {
        let breaches = &self.books().breaches;
        assert!(breaches.is_empty(), "{breaches:#?}");
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.kept.books.lock().unwrap()
    }
}

impl Drop for BillingStandIn {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(
    kept: Arc<Kept>,
    listener: TcpListener,
    certificate: Option<&(String, String)>,
) -> Runtime {
    let identity = certificate.map(|(own, key)| Identity::from_pem(own, key));
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    listener.set_nonblocking(true).unwrap();
    process.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let service = BillingServiceServer::new(Desk(kept));
        let incoming = TcpIncoming::from(listener);
        let mut server = Server::builder();
        if let Some(identity) = identity {
            let tls = ServerTlsConfig::new().identity(identity);
            server = server.tls_config(tls).unwrap();
        }
        let served = server.add_service(service).serve_with_incoming(incoming);
        served.await.unwrap();
    });
    process
}

impl Books {
    fn sum(&self, user_id: i64, standing: Standing) -> i64 {
        let known = self.known.values();
        let of_user = known.filter(|(it, stands)| (it.user_id, *stands) == (user_id, standing));
        of_user.map(|(it, _)| it.amount).sum()
    }

    fn available(&self, user_id: i64) -> i64 {
        let credits = self.credits.get(&user_id).copied().unwrap_or_default();
        credits - self.sum(user_id, Standing::Held) - self.sum(user_id, Standing::Committed)
    }

    fn standings(&self, job_id: i64) -> Vec<Standing> {
        let known = self.known.values();
        let of_job = known.filter(|(it, _)| it.job_id == job_id);
        of_job.map(|(_, standing)| *standing).collect()
    }

    fn standing(&self, reservation: &Reservation) -> Option<Standing> {
        let known = self.known.get(&reservation.reservation_id);
        known.map(|(_, standing)| *standing)
    }

    fn set(&mut self, reservations: &[Reservation], standing: Standing) {
        for it in reservations {
            let named = it.reservation_id.clone();
            self.known.insert(named, (it.clone(), standing));
        }
    }

    /// What every call is held against.
    fn check(&mut self, reservations: &[Reservation]) -> Result<(), Status> {
        let mut wrong = Vec::new();
        if reservations.is_empty() || reservations.len() > 100 {
            wrong.push(format!("{} reservations", reservations.len()));
        }
        for it in reservations {
            let known = self.known.get(&it.reservation_id);
            if known.is_some_and(|(known, _)| known != it) || it.amount <= 0 {
                wrong.push(format!("{it:?}"));
            }
        }
        if let Some(wrong) = wrong.pop() {
            self.breaches.push(wrong.clone());
            return Err(Status::invalid_argument(wrong));
        }
        if reservations
            .iter()
            .any(|it| self.broken.contains(&it.job_id))
        {
            return Err(Status::internal("a fault"));
        }
        let mut refused = reservations.iter();
        match refused.find(|it| self.is_refused(it)) {
            Some(it) => Err(Status::failed_precondition(format!(
                "user {} is\nunknown",
                it.user_id
            ))),
            None => Ok(()),
        }
    }

    fn is_refused(&self, it: &Reservation) -> bool {
        self.refused.contains(&it.job_id) || !self.credits.contains_key(&it.user_id)
    }

    fn reserve(&mut self, reservations: &[Reservation]) -> Result<(), Status> {
        self.check(reservations)?;
        let new = reservations.iter();
        let new = new.filter(|it| self.standing(it).is_none());
        let new: Vec<Reservation> = new.cloned().collect();
        let mut needed: BTreeMap<i64, i64> = BTreeMap::new();
        for it in &new {
            *needed.entry(it.user_id).or_default() += it.amount;
        }
        for (user, needed) in needed {
            let available = self.available(user);
            if needed > available {
                return Err(insufficient(needed, available));
            }
        }
        self.set(&new, Standing::Held);
        Ok(())
    }

    /// Makes all of them that, unless one of them is the opposite.
    fn end(
        &mut self,
        reservations: &[Reservation],
        standing: Standing,
        opposite: Standing,
    ) -> Result<(), Status> {
        self.check(reservations)?;
        let mut ended = reservations.iter();
        if let Some(it) = ended.find(|it| self.standing(it) == Some(opposite)) {
            let breach = format!("{standing:?} after {opposite:?}: {it:?}");
            self.breaches.push(breach.clone());
            return Err(Status::failed_precondition(breach));
        }
        self.set(reservations, standing);
        Ok(())
    }

    fn next_fault(&mut self, rpc: Rpc) -> Option<Fault> {
        let next = self.faults.iter().position(|(of, _)| *of == rpc)?;
        Some(self.faults.remove(next).1)
    }
}

fn insufficient(needed: i64, available: i64) -> Status {
    let metadata = HashMap::from([
        ("needed".to_owned(), needed.to_string()),
        ("available".to_owned(), available.to_string()),
    ]);
    let details = ErrorDetails::with_error_info("CREDITS_INSUFFICIENT", "billing", metadata);
    Status::with_error_details(Code::ResourceExhausted, "too few credits", details)
}

/// Where calls come in.
struct Desk(Arc<Kept>);

impl Desk {
    async fn answer<T>(
        &self,
        rpc: Rpc,
        reservations: Vec<Reservation>,
        work: impl Fn(&mut Books) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        let fault = {
            let mut books = self.0.books.lock().unwrap();
            let jobs = reservations.iter().map(|it| it.job_id).collect();
            books.calls.push((rpc, jobs));
            books.next_fault(rpc)
        };
        self.tell();
        match fault {
            Some(Fault::Unavailable) => return Err(Status::unavailable("not now")),
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::LateAfterRelease) => self.until_released(&reservations).await,
            Some(Fault::Held) => self.until_let_pass().await,
            Some(Fault::Lost | Fault::DoneAndHang) | None => {}
        }
        let done = work(&mut self.0.books.lock().unwrap());
        self.tell();
        match fault {
            Some(Fault::Lost) => Err(Status::unavailable("the answer got lost")),
            Some(Fault::DoneAndHang | Fault::LateAfterRelease) => std::future::pending().await,
            _ => done.map(Response::new),
        }
    }

    fn tell(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    async fn until_released(&self, reservations: &[Reservation]) {
        let mut changed = self.0.changed.subscribe();
        let is_released = || {
            let books = self.0.books.lock().unwrap();
            let mut all = reservations.iter();
            all.all(|it| books.standing(it) == Some(Standing::Released))
        };
        while !is_released() {
            changed.changed().await.unwrap();
        }
    }

    async fn until_let_pass(&self) {
        let mut gate = self.0.gate.subscribe();
        gate.wait_for(|open| *open).await.unwrap();
    }
}

fn check_token<M>(call: &Request<M>) -> Result<(), Status> {
    let shown = call.metadata().get("authorization");
    match shown.is_some_and(|shown| shown == format!("Bearer {TOKEN}").as_str()) {
        true => Ok(()),
        false => Err(Status::unauthenticated("who calls?")),
    }
}

#[tonic::async_trait]
impl BillingService for Desk {
    async fn reserve(
        &self,
        call: Request<ReserveRequest>,
    ) -> Result<Response<ReserveResponse>, Status> {
        check_token(&call)?;
        let asked = call.into_inner().reservations;
        let (desk, reservations) = (Self(self.0.clone()), asked.clone());
        let work = move |books: &mut Books| books.reserve(&asked).map(|()| ReserveResponse {});
        // It goes on although its caller has gone.
        let answer = async move { desk.answer(Rpc::Reserve, reservations, work).await };
        tokio::spawn(answer).await.unwrap()
    }

    async fn commit(
        &self,
        call: Request<CommitRequest>,
    ) -> Result<Response<CommitResponse>, Status> {
        check_token(&call)?;
        let asked = call.into_inner().reservations;
        let work = |books: &mut Books| {
            let ended = books.end(&asked, Standing::Committed, Standing::Released);
            ended.map(|()| CommitResponse {})
        };
        self.answer(Rpc::Commit, asked.clone(), work).await
    }

    async fn release(
        &self,
        call: Request<ReleaseRequest>,
    ) -> Result<Response<ReleaseResponse>, Status> {
        check_token(&call)?;
        let asked = call.into_inner().reservations;
        let work = |books: &mut Books| {
            let ended = books.end(&asked, Standing::Released, Standing::Committed);
            ended.map(|()| ReleaseResponse {})
        };
        self.answer(Rpc::Release, asked.clone(), work).await
    }

    async fn get_balance(
        &self,
        call: Request<GetBalanceRequest>,
    ) -> Result<Response<GetBalanceResponse>, Status> {
        check_token(&call)?;
        let user_id = call.get_ref().user_id;
        let work = |books: &mut Books| match books.credits.contains_key(&user_id) {
            true => Ok(GetBalanceResponse {
                available: books.available(user_id),
                reserved: books.sum(user_id, Standing::Held),
            }),
            false => Err(Status::failed_precondition("no such user")),
        };
        self.answer(Rpc::Balance, Vec::new(), work).await
    }
}
