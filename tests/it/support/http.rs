//! Plain HTTP, as browsers speak it.

use percent_encoding::percent_decode_str;
use reqwest::header::CONTENT_DISPOSITION;
use url::Url;

use crate::support::server::within;

/// A client of plain HTTP.
pub(crate) fn browser() -> reqwest::Client {
    client().no_proxy().build().unwrap()
}

/// What every client is made from: each needs a provider of TLS, even where none is spoken.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // Fails where another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

pub(crate) async fn get(url: Url) -> reqwest::Response {
    within(browser().get(url).send()).await.unwrap()
}

/// What a browser would call the file if it were kept.
pub(crate) fn called(answer: &reqwest::Response) -> String {
    let disposition = answer.headers()[CONTENT_DISPOSITION].to_str().unwrap();
    let (_, name) = disposition.split_once("; filename*=UTF-8''").unwrap();
    percent_decode_str(name).decode_utf8().unwrap().into_owned()
}
