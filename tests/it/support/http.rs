//! Plain HTTP, as browsers speak it.

use url::Url;

use crate::support::server::within;

/// A client of plain HTTP.
pub(crate) fn browser() -> reqwest::Client {
    // Needed even where no TLS is spoken; fails where another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn get(url: Url) -> reqwest::Response {
    within(browser().get(url).send()).await.unwrap()
}
