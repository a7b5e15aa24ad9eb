//! A user's data as a stream: his requests, each with its jobs and media, and the files of these, then what he gave, and the
//! movements of his credits.
//! It is read as it is taken, a page at a time.

use std::collections::{BTreeMap, VecDeque};

use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::{
    app::App,
    domain::{Error, View},
    entity,
    media::{Storage, StorageError, StorageKey},
    rpc::{
        credit, job, media,
        proto::{self, export_user_response::Part},
        request, upload,
        view::Viewed,
    },
    store,
};

/// Requests that are read at once.
const REQUESTS: u64 = 20;
/// Movements of credits that are read at once.
const TRANSACTIONS: u64 = 500;

/// The user reads what is told, so nothing is that users are not told.
const VIEW: View = View::User;

#[derive(Clone)]
pub(super) struct Export {
    pub(super) app: App,
    pub(super) user_id: i64,
    pub(super) with_files: bool,
}

/// What comes next, and the file behind it.
struct Item {
    part: Part,
    file: Option<StorageKey>,
}

/// Where the reading stands.
#[derive(Clone, Copy)]
enum Place {
    Live(i64),
    Deleted(i64),
    Uploads(i64),
    Credits(i64),
    End,
}

impl Export {
    pub(super) fn parts(self) -> impl Stream<Item = Result<Part, Error>> + Send {
        let storage = self.app.storage.clone();
        let pages = stream::try_unfold((self, Place::Live(0)), |(export, place)| async move {
            match place {
                Place::End => Ok::<_, Error>(None),
                _ => {
                    let (items, next) = export.page(place).await?;
                    Ok(Some((items, (export, next))))
                }
            }
        });
        let items = pages.map_ok(|items| stream::iter(items).map(Ok::<_, Error>));
        items
            .try_flatten()
            .map_ok(move |item| {
                let file = item.file.map(|key| contents(storage.clone(), key));
                let file =
                    file.map_or_else(|| stream::empty().left_stream(), StreamExt::right_stream);
                stream::once(std::future::ready(Ok(item.part))).chain(file)
            })
            .try_flatten()
    }

    async fn page(&self, place: Place) -> Result<(VecDeque<Item>, Place), Error> {
        let db = self.app.store.reader();
        let (live, after) = match place {
            Place::Live(after) => (true, after),
            Place::Deleted(after) => (false, after),
            Place::Uploads(after) => return self.uploads(after).await,
            Place::Credits(after) => return self.transactions(after).await,
            Place::End => return Ok((VecDeque::new(), Place::End)),
        };
        let found = store::export::requests(db, self.user_id, (live, after), REQUESTS).await?;
        let next = match (found.last().map(|request| request.id), live) {
            (Some(last), true) => Place::Live(last),
            (Some(last), false) => Place::Deleted(last),
            (None, true) => Place::Deleted(0),
            (None, false) => Place::Uploads(0),
        };
        Ok((self.items(found).await?, next))
    }

    /// Each request with what is its.
    async fn items(&self, found: Vec<entity::request::Model>) -> Result<VecDeque<Item>, Error> {
        let db = self.app.store.reader();
        let ids: Vec<i64> = found.iter().map(|request| request.id).collect();
        let jobs = store::export::jobs(db, &ids).await?;
        let files = store::export::media(db, &ids).await?;
        let mut items: Vec<(i64, Item)> = Vec::new();
        let bare = |part| Item { part, file: None };
        for request in request::messages(&self.app, found, VIEW).await? {
            items.push((request.id, bare(Part::Request(request))));
        }
        for found in jobs {
            let request_id = found.request_id;
            let job = job::message(found, VIEW).seen(VIEW);
            items.push((request_id, bare(Part::Job(job))));
        }
        let media_ids: Vec<i64> = files.iter().map(|media| media.id).collect();
        let mut of_media: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for found in store::export::shares(db, &media_ids).await? {
            let of = of_media.entry(found.media_id).or_default();
            of.push(bare(Part::Share(media::share_message(found))));
        }
        for found in files {
            let (request_id, media_id) = (found.request_id, found.id);
            let file = media::storage_key(&found)?.filter(|_| self.with_files);
            let part = Part::Media(media::message(&self.app, found, VIEW).await?);
            items.push((request_id, Item { part, file }));
            let shares = of_media.remove(&media_id).unwrap_or_default();
            items.extend(shares.into_iter().map(|item| (request_id, item)));
        }
        // Stable: a request comes before its jobs, and these before its media.
        items.sort_by_key(|(request, _)| *request);
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }

    async fn uploads(&self, after: i64) -> Result<(VecDeque<Item>, Place), Error> {
        let db = self.app.store.reader();
        let found = store::export::uploads(db, self.user_id, after, REQUESTS).await?;
        let next = found.last();
        let next = next.map_or(Place::Credits(0), |last| Place::Uploads(last.id));
        let mut items = VecDeque::with_capacity(found.len());
        for found in found {
            let file = StorageKey::from_path(&found.storage_key).map_err(Error::internal)?;
            let file = Some(file).filter(|_| self.with_files);
            let part = Part::Upload(upload::message(&self.app, found).await?);
            items.push_back(Item { part, file });
        }
        Ok((items, next))
    }

    async fn transactions(&self, after: i64) -> Result<(VecDeque<Item>, Place), Error> {
        let db = self.app.store.reader();
        let found = store::export::transactions(db, self.user_id, after, TRANSACTIONS).await?;
        let next = found
            .last()
            .map_or(Place::End, |last| Place::Credits(last.id));
        let items = found.into_iter().map(|found| Item {
            part: Part::Transaction(credit::message(found)),
            file: None,
        });
        Ok((items.collect(), next))
    }
}

/// The file; nothing of one that is gone.
fn contents(storage: Storage, key: StorageKey) -> impl Stream<Item = Result<Part, Error>> + Send {
    let opened = async move {
        match storage.open_object(&key, None).await {
            Ok(object) => Ok(object.stream.map_err(Error::from).left_stream()),
            Err(StorageError::NotFound { .. }) => Ok(stream::empty().right_stream()),
            Err(error) => Err(Error::from(error)),
        }
    };
    let bytes = stream::once(opened).try_flatten();
    bytes
        .map_ok(|bytes| {
            let chunks = media::split(bytes).into_iter();
            stream::iter(chunks.map(|chunk| Ok(Part::Chunk(chunk.into()))))
        })
        .try_flatten()
}

pub(super) fn response(part: Part) -> proto::ExportUserResponse {
    proto::ExportUserResponse { part: Some(part) }
}
