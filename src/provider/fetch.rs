//! Gets files by links: those of requests, which strangers write, and those that a service answers with. What may be reached
//! is decided by address when the connection is made, see docs/operations.md#links-of-requests.

mod error;
mod guard;
mod shared;

use std::{sync::Arc, time::Duration};

use codec::{Format, Kind};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response,
    header::{HeaderMap, LOCATION},
    redirect::Policy,
};
use tempfile::TempDir;
use tokio::{fs::File, io::AsyncWriteExt, time};
use url::{Host, Origin, Url};

use crate::domain::AddressRules;

use super::HeldFile;
use guard::{Guard, System};

pub use error::{FetchError, Unfetched};
pub use guard::Lookup;
pub use shared::Shared;

const MAX_REDIRECTS: usize = 5;
/// Between tries of what broke off or was away.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may be silent, before its answer too.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// By so many bytes a file's type is known.
const HEAD: usize = 4_096;

/// Bounds of one file.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Its size.
    pub bytes: u64,
    /// How long getting it may take, with all tries.
    pub time: Duration,
}

/// A file that was got, and what it really is.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub file: HeldFile,
    /// By its first bytes, whatever the server calls it.
    pub format: Format,
}

/// Gets files. Clones share connections.
#[derive(Clone)]
pub struct Fetcher {
    client: Client,
    rules: Arc<AddressRules>,
    lookup: Arc<dyn Lookup>,
    limits: FetchLimits,
    own: Option<Own>,
    shared: shared::Links,
}

/// What an operator has configured: it may be anywhere, and gets the credentials.
#[derive(Clone)]
struct Own {
    origins: Vec<Origin>,
    client: Client,
    headers: HeaderMap,
}

impl Fetcher {
    /// Gets files from where the rules permit.
    ///
    /// # Errors
    /// When there is no client to be had, as without any root certificate.
    pub fn new(rules: AddressRules, limits: FetchLimits) -> Result<Self, reqwest::Error> {
        Self::looking_up(rules, limits, Arc::new(System))
    }

    /// The same, by addresses that others know than the system.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn looking_up(
        rules: AddressRules,
        limits: FetchLimits,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(rules);
        let guard = Guard {
            rules: rules.clone(),
            lookup: lookup.clone(),
        };
        Ok(Self {
            client: builder().dns_resolver(Arc::new(guard)).build()?,
            rules,
            lookup,
            limits,
            own: None,
            shared: shared::Links::default(),
        })
    }

    /// The same for files of so many bytes.
    #[must_use]
    pub fn up_to(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// The same, and from the origin of this URL wherever it is, which alone gets these headers.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn trusting(self, own: &Url, headers: HeaderMap) -> Result<Self, reqwest::Error> {
        let own = Own {
            origins: vec![own.origin()],
            // Out by the proxy by which the calls go out.
            client: plain_builder().build()?,
            headers,
        };
        Ok(Self {
            own: Some(own),
            ..self
        })
    }

    /// The same, which trusts the origins of these URLs as well as its own.
    #[must_use]
    pub fn also_trusting(mut self, urls: &[Url]) -> Self {
        if let Some(own) = &mut self.own {
            own.origins.extend(urls.iter().map(Url::origin));
        }
        self
    }

    /// Whether this URL is asked for with the headers, wherever it is.
    pub fn trusts(&self, url: &Url) -> bool {
        self.own_of(url).is_some()
    }

    fn own_of(&self, url: &Url) -> Option<&Own> {
        let own = self.own.as_ref();
        own.filter(|own| own.origins.contains(&url.origin()))
    }

    /// The same, which sends these headers to whom it trusts.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        if let Some(own) = &mut self.own {
            own.headers = headers;
        }
        self
    }

    /// A request to where the rules permit, for what is no file.
    ///
    /// # Errors
    /// When they do not.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, FetchError> {
        self.judge(url)?;
        Ok(self.client.request(method, url.clone()))
    }

    /// The same of the addresses that its name has, for a link that a service is to follow. One that has none here may have
    /// some there.
    ///
    /// # Errors
    /// Why not.
    pub async fn judge_resolved(&self, url: &Url) -> Result<(), FetchError> {
        self.judge(url)?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        let Ok(found) = self.lookup.addresses(name).await else {
            return Ok(());
        };
        match found
            .iter()
            .all(|address| self.rules.permit(name, address.ip()))
        {
            true => Ok(()),
            false => Err(FetchError::new(url, Unfetched::Forbidden)),
        }
    }

    /// Most bytes of one file.
    pub fn max_bytes(&self) -> u64 {
        self.limits.bytes
    }

    /// Gets a file of one of these kinds.
    ///
    /// # Errors
    /// [`FetchError`], after three tries where another may help.
    pub async fn fetch(&self, url: &Url, kinds: &[Kind]) -> Result<Fetched, FetchError> {
        let tries = async {
            for pause in PAUSES {
                match self.try_to_fetch(url, kinds).await {
                    Err(error) if error.why.is_passing() => time::sleep(pause).await,
                    ended => return ended,
                }
            }
            self.try_to_fetch(url, kinds).await
        };
        let ended = time::timeout(self.limits.time, tries).await;
        ended.unwrap_or_else(|_| Err(FetchError::new(url, Unfetched::TimedOut)))
    }

    /// Gets a picture.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn fetch_picture(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.fetch(url, &[Kind::Image]).await
    }

    async fn try_to_fetch(&self, url: &Url, kinds: &[Kind]) -> Result<Fetched, FetchError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&url).await?;
            match redirection(&url, &answer)? {
                Some(next) => url = next,
                None => return self.receive(&url, answer, kinds).await,
            }
        }
        Err(FetchError::new(&url, Unfetched::Redirected))
    }

    async fn ask(&self, url: &Url) -> Result<Response, FetchError> {
        let request = match self.own_of(url) {
            Some(own) => own.client.get(url.clone()).headers(own.headers.clone()),
            None => {
                self.judge(url)?;
                self.client.get(url.clone())
            }
        };
        let answer = request.send().await;
        answer.map_err(|error| FetchError::of_client(url, error))
    }

    /// Whether a file could be got from there, as far as that can be told without a resolver: it does not see addresses without
    /// a name.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, url: &Url) -> Result<(), FetchError> {
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none();
        let permitted = match url.host() {
            Some(Host::Ipv4(address)) => self.rules.permit(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.rules.permit(&address.to_string(), address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        match (plain, permitted) {
            (false, _) => Err(FetchError::new(url, Unfetched::NotPlain)),
            (true, false) => Err(FetchError::new(url, Unfetched::Forbidden)),
            (true, true) => Ok(()),
        }
    }

    async fn receive(
        &self,
        url: &Url,
        mut answer: Response,
        kinds: &[Kind],
    ) -> Result<Fetched, FetchError> {
        let fails = |why| FetchError::new(url, why);
        let unwritable =
            |error: std::io::Error| FetchError::new(url, Unfetched::Unkept(error.kind()));
        let most = self.limits.bytes;
        Unfetched::of_status(answer.status()).map_or(Ok(()), |why| Err(fails(why)))?;
        if answer.content_length().is_some_and(|length| length > most) {
            return Err(fails(Unfetched::TooLarge(most)));
        }
        let folder = TempDir::with_prefix("atelier-").map_err(unwritable)?;
        let path = folder.path().join("file");
        let mut file = File::create(&path).await.map_err(unwritable)?;
        let of_kind = |head: &[u8]| {
            codec::sniff(head).filter(|format| {
                // Whether there are pictures in it may stand further behind; whoever reads the whole will see.
                let is_open = matches!(format, Format::Mp4 | Format::Webm);
                kinds.contains(&format.kind()) || is_open && kinds.contains(&Kind::Audio)
            })
        };
        let (mut head, mut size) = (Vec::new(), 0);
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| FetchError::of_client(url, error))?
        {
            size += chunk.len() as u64;
            if size > most {
                return Err(fails(Unfetched::TooLarge(most)));
            }
            head.extend(chunk.iter().take(HEAD - head.len()));
            if head.len() == HEAD && of_kind(&head).is_none() {
                return Err(fails(Unfetched::OtherType));
            }
            file.write_all(&chunk).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        Ok(Fetched {
            file: HeldFile::new(path, Arc::new(folder)),
            format: of_kind(&head).ok_or_else(|| fails(Unfetched::OtherType))?,
        })
    }
}

/// A client whose addresses are judged: a proxy would resolve names by itself.
pub(crate) fn builder() -> ClientBuilder {
    plain_builder().no_proxy()
}

/// A client that follows nothing and tells nobody where it was.
fn plain_builder() -> ClientBuilder {
    // An error says that another part of the process was first, and its choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
}

/// Where the answer leads to, if it is not the file itself.
fn redirection(url: &Url, answer: &Response) -> Result<Option<Url>, FetchError> {
    let location = answer.headers().get(LOCATION);
    let Some(location) = location.filter(|_| answer.status().is_redirection()) else {
        return Ok(None);
    };
    let next = location.to_str().ok().and_then(|to| url.join(to).ok());
    let next = next.ok_or_else(|| FetchError::new(url, Unfetched::NotPlain))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(FetchError::new(&next, Unfetched::NotPlain));
    }
    Ok(Some(next))
}
