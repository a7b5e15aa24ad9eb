//! FindMedia: from the bytes of a file to what made it.

use crate::{
    app::{App, FoundMedia},
    domain::{Caller, Checks, Error, Page, sha256_hex},
    rpc::{
        job,
        proto::{self, find_media_request::Subject},
        request,
    },
    store::PageRequest,
};

/// The digest of the file asked for, in lower-case digits.
pub(super) fn digest(subject: Option<Subject>, checks: &mut Checks) -> String {
    match subject {
        Some(Subject::Sha256(digits)) => {
            let is_digest =
                digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            checks.require(is_digest, "sha256", || {
                format!("must have 64 hexadecimal digits, got {digits:?}")
            });
            digits.to_ascii_lowercase()
        }
        Some(Subject::Content(content)) => {
            checks.require(!content.is_empty(), "content", || {
                "must not be empty".to_owned()
            });
            sha256_hex(&content)
        }
        None => {
            checks.add("subject", "is required: sha256 or content");
            String::new()
        }
    }
}

pub(super) async fn page(
    app: &App,
    caller: Caller,
    sha256: &str,
    page: PageRequest,
) -> Result<Page<proto::FoundMedia>, Error> {
    let page = app.find_media(caller, sha256, &page).await?;
    let requests = page.items.iter().map(|found| found.request.clone());
    let requests = request::messages(app, requests.collect(), caller).await?;
    let mut found = Vec::with_capacity(page.items.len());
    for (FoundMedia { media, job, .. }, request) in page.items.into_iter().zip(requests) {
        found.push(proto::FoundMedia {
            media: Some(super::message(app, media).await?),
            job: job.map(|job| job::brief_message(job, caller)),
            request: Some(request),
        });
    }
    Ok(Page {
        items: found,
        next_page_token: page.next_page_token,
    })
}
