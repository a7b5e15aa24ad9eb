//! A link that several want at the same time is followed once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OnceCell;
use url::Url;

use super::{FetchError, Fetched, Fetcher};

type Got = OnceCell<Result<Fetched, FetchError>>;

/// What is being fetched, by its link.
pub(super) type Links = Arc<Mutex<HashMap<String, Weak<Got>>>>;

/// What a link leads to, for all who hold this at the same time.
pub struct Shared {
    fetcher: Fetcher,
    got: Arc<Got>,
}

impl Fetcher {
    /// Joins those who want what this link leads to.
    pub fn share(&self, link: &str) -> Shared {
        let mut links = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, got| got.strong_count() > 0);
        let got = links.get(link).and_then(Weak::upgrade).unwrap_or_default();
        links.insert(link.to_owned(), Arc::downgrade(&got));
        Shared {
            fetcher: self.clone(),
            got,
        }
    }
}

impl Shared {
    /// Gets the picture of the link, which is this URL, if nobody has.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn fetch_picture(&self, url: &Url) -> Result<Fetched, FetchError> {
        let got = self.got.get_or_init(|| self.fetcher.fetch_picture(url));
        got.await.clone()
    }
}
