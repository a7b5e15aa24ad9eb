//! Where a file comes from: the media that have its bytes, with their jobs and requests.

use std::collections::BTreeMap;

use crate::{
    app::App,
    domain::{Caller, Error, Page},
    entity::{job, request},
    store::{self, PageRequest},
};

/// Media, and where they come from.
#[derive(Clone, Debug)]
pub struct FoundMedia {
    /// Live.
    pub media: store::media::Shown,
    /// Without its input; `None` once it has been purged.
    pub job: Option<job::Model>,
    /// The one that it was made for.
    pub request: request::Model,
}

impl App {
    /// The live media with exactly the bytes of a file, newest first. `sha256` has lower-case digits.
    pub async fn find_media(
        &self,
        caller: Caller,
        sha256: &str,
        page: &PageRequest,
    ) -> Result<Page<FoundMedia>, Error> {
        let db = self.store.reader();
        let page = store::media::with_content(db, caller, sha256, page).await?;
        let jobs = page.items.iter().filter_map(|media| media.job_id);
        let jobs = store::job::find_all(db, caller, jobs).await?;
        let jobs: BTreeMap<_, _> = jobs.into_iter().map(|job| (job.id, job)).collect();
        let requests = page.items.iter().map(|media| media.request_id);
        let requests = store::request::find_all(db, caller, requests).await?;
        let requests: BTreeMap<_, _> = requests.into_iter().map(|it| (it.id, it)).collect();
        // What has been purged since the media were read is gone with its request.
        let found = page.items.into_iter().filter_map(|media| {
            Some(FoundMedia {
                job: media.job_id.and_then(|id| jobs.get(&id)).cloned(),
                request: requests.get(&media.request_id)?.clone(),
                media,
            })
        });
        Ok(Page {
            items: found.collect(),
            next_page_token: page.next_page_token,
        })
    }
}
