//! Public links to media, see docs/sharing.md: their pages, the files on these, and what other pages are told to embed them.
//!
//! A link that leads nowhere, whyever that is, gets the same answer to the byte.

mod oembed;
mod page;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use super::{come_again, file::File, file::unsatisfiable, protect};
use crate::{
    app::{App, OpenFile, OpenShare},
    domain::{Error, ShareToken, with_causes},
    media::StorageError,
};

#[cfg(any(test, fuzzing))]
pub(in crate::rpc) use oembed::read as read_oembed;

/// Links begin with this path.
pub(super) const SHARES: &str = "/s/";
/// How many seconds others may keep an answer, by which time an end or a deletion shows everywhere.
const MOST_KEPT: i64 = 60;
/// What a page says that was given no title. The prompt is nobody's business.
const USUAL_TITLE: &str = "Made with Atelier";
/// What every answer tells crawlers that list pages. Previews of links come all the same.
const UNLISTED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-robots-tag"),
    HeaderValue::from_static("noindex"),
);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/s/{token}", get(show))
        .route("/s/{token}/{file}", get(send))
        .route("/oembed", get(oembed::tell))
        // What the router answers by itself is said under the same protection.
        .layer(middleware::map_response(guard_every))
}

/// A path among those of links that leads nowhere, whatever it is.
pub(super) fn nowhere() -> Response {
    protected(Unanswered::Nowhere.into_response(), page::policy())
}

/// Why there is no answer.
enum Unanswered {
    /// The link leads nowhere.
    Nowhere,
    /// That cannot be told right now.
    Unknown,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        tracing::debug!(
            error = with_causes(&error),
            "cannot tell what a share opens"
        );
        Self::Unknown
    }
}

/// What the link with this token leads to, and the token.
async fn open(app: &App, token: &str) -> Result<(ShareToken, OpenShare), Unanswered> {
    let token = ShareToken::read(token).ok_or(Unanswered::Nowhere)?;
    let share = app.open_share(&token).await?;
    Ok((token, share.ok_or(Unanswered::Nowhere)?))
}

async fn show(State(app): State<App>, uri: Uri) -> Response {
    // As it came: another spelling is another token.
    let token = uri.path().strip_prefix(SHARES).unwrap_or_default();
    let answer = match open(&app, token).await {
        Ok((token, share)) => {
            let kept = kept(&app, &share);
            let page = page::of(&app.settings.url, &token, &share);
            ([(header::CACHE_CONTROL, kept)], Html(page)).into_response()
        }
        Err(unanswered) => unanswered.into_response(),
    };
    protected(answer, page::policy())
}

async fn send(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().strip_prefix(SHARES).unwrap_or_default();
    let (token, name) = path.split_once('/').unwrap_or((path, ""));
    let answer = match open(&app, token).await {
        Ok((_, share)) => send_named(&app, &share, name, &headers).await,
        Err(unanswered) => Err(unanswered),
    };
    let is_page = answer.is_err();
    let answer = answer.unwrap_or_else(Unanswered::into_response);
    match is_page {
        true => protected(answer, page::policy()),
        false => guarded(answer),
    }
}

async fn send_named(
    app: &App,
    share: &OpenShare,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Unanswered> {
    let files = [Some(&share.file), share.poster.as_ref()];
    let names = ["file", "poster"].into_iter().zip(files);
    let found = names
        .filter_map(|(stem, file)| Some((stem, file?)))
        .find(|(stem, file)| file_name(stem, file) == name);
    let (_, OpenFile { key, shared, .. }) = found.ok_or(Unanswered::Nowhere)?;
    let file = File::shared(app, key.clone(), shared, seconds_kept(app, share));
    match file.send(headers).await {
        Ok(sent) => Ok(sent),
        Err(StorageError::OutOfRange { total, .. }) => Ok(unsatisfiable(total)),
        Err(StorageError::NotFound { .. }) => Err(Unanswered::Nowhere),
        Err(error) => Err(Error::from(error).into()),
    }
}

/// Such as `file.png`.
fn file_name(stem: &str, file: &OpenFile) -> String {
    format!("{stem}.{}", file.key.format())
}

fn title(share: &OpenShare) -> &str {
    share.share.title.as_deref().unwrap_or(USUAL_TITLE)
}

/// Where the link's page is.
pub(in crate::rpc) fn address(base: &url::Url, token: &ShareToken) -> String {
    let base = base.as_str().trim_end_matches('/');
    format!("{base}{SHARES}{}", token.as_str())
}

fn seconds_kept(app: &App, share: &OpenShare) -> i64 {
    let ends = share.share.expires_at;
    let remaining = ends.map(|ends| (ends - app.clock.now()).num_seconds());
    remaining.unwrap_or(MOST_KEPT).clamp(0, MOST_KEPT)
}

fn kept(app: &App, share: &OpenShare) -> String {
    format!("public, max-age={}", seconds_kept(app, share))
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        match self {
            Self::Nowhere => {
                let kept = format!("public, max-age={MOST_KEPT}");
                let kept = [(header::CACHE_CONTROL, kept)];
                (StatusCode::NOT_FOUND, kept, Html(page::NOWHERE)).into_response()
            }
            Self::Unknown => {
                let unkept = [(header::CACHE_CONTROL, "no-store")];
                let answer = come_again("this cannot be shown right now\n".to_owned());
                (unkept, answer).into_response()
            }
        }
    }
}

async fn guard_every(answer: Response) -> Response {
    guarded(answer)
}

/// As every file that a link opens is sent, see [`protect`].
fn guarded(mut answer: Response) -> Response {
    protect(answer.headers_mut());
    let fields = answer.headers_mut();
    fields.insert(UNLISTED.0, UNLISTED.1);
    // What is no part of the file may change with the file.
    let caching = fields.entry(header::CACHE_CONTROL);
    caching.or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The same with what a page of ours may show and run.
fn protected(answer: Response, policy: &HeaderValue) -> Response {
    let mut answer = guarded(answer);
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    answer
}
