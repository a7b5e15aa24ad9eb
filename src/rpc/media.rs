//! The calls about media, with the download of a file in parts, and about uploads.

mod message;
mod share;

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Page, Problem, View},
    entity::media,
    media::{ByteRange, StorageError, StoredObject},
    store::{self, PageRequest},
};

use super::{
    authentication::{end_of_stream, principal},
    batch::{batch, batch_ids, entries_from},
    caller, check_id,
    page::{any_or, bounded_page, page_request},
    proto::{self, download_media_response::Part, media_service_server::MediaService},
    required_id,
    stopping::until,
    time::timestamp,
    upload,
    view::view_from,
};

use message::{digest, filter_from, found_messages};

pub(super) use share::message as share_message;

pub(super) use message::{media_type, media_type_from, message, messages, storage_key};

/// Largest part of a file in a message.
const CHUNK: usize = 64 * 1024;

pub(super) struct MediaFiles {
    pub(super) app: App,
}

type Parts = BoxStream<'static, Result<proto::DownloadMediaResponse, Status>>;

#[tonic::async_trait]
impl MediaService for MediaFiles {
    async fn get_media(
        &self,
        request: Request<proto::GetMediaRequest>,
    ) -> Result<Response<proto::GetMediaResponse>, Status> {
        let caller = caller(&request)?;
        let proto::GetMediaRequest { id, view } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let view = view_from(view, caller, &mut checks);
        checks.finish(())?;
        let media = store::media::find(self.app.store.reader(), caller, id).await?;
        Ok(Response::new(proto::GetMediaResponse {
            media: Some(message(&self.app, media, view).await?),
        }))
    }

    async fn batch_get_media(
        &self,
        request: Request<proto::BatchGetMediaRequest>,
    ) -> Result<Response<proto::BatchGetMediaResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let request = request.into_inner();
        let view = view_from(request.view, caller, &mut checks);
        let ids = batch_ids(request.ids, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        let found = store::media::find_all(db, caller, ids.iter().copied()).await?;
        let messages = messages(&self.app, found, view).await?;
        let batch = batch(ids, messages, |it| it.id);
        Ok(Response::new(proto::BatchGetMediaResponse {
            media: batch.items,
            missing_ids: batch.missing_ids,
            left_out_ids: batch.left_out_ids,
        }))
    }

    async fn list_media(
        &self,
        request: Request<proto::ListMediaRequest>,
    ) -> Result<Response<proto::ListMediaResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let mut request = request.into_inner();
        request.user_id = principal.acts_for(request.user_id)?;
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token.clone()),
            &mut checks,
        );
        let filter = filter_from(&request, &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page((caller, view), &filter, page)).await?;
        Ok(Response::new(proto::ListMediaResponse {
            media: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn find_media(
        &self,
        request: Request<proto::FindMediaRequest>,
    ) -> Result<Response<proto::FindMediaResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token),
            &mut checks,
        );
        let sha256 = digest(request.subject, &mut checks);
        let view = view_from(request.view, caller, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| self.found((caller, view), &sha256, page)).await?;
        Ok(Response::new(proto::FindMediaResponse {
            found: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_media(
        &self,
        request: Request<proto::DeleteMediaRequest>,
    ) -> Result<Response<proto::DeleteMediaResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let media = self.app.delete_media(caller, id).await?;
        Ok(Response::new(proto::DeleteMediaResponse {
            media: Some(message(&self.app, media, caller.view()).await?),
        }))
    }

    async fn undelete_media(
        &self,
        request: Request<proto::UndeleteMediaRequest>,
    ) -> Result<Response<proto::UndeleteMediaResponse>, Status> {
        let caller = caller(&request)?;
        let id = required_id(request.get_ref().id)?;
        let media = self.app.undelete_media(caller, id).await?;
        Ok(Response::new(proto::UndeleteMediaResponse {
            media: Some(message(&self.app, media, caller.view()).await?),
        }))
    }

    async fn batch_delete_media(
        &self,
        request: Request<proto::BatchDeleteMediaRequest>,
    ) -> Result<Response<proto::BatchDeleteMediaResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let entries = entries_from(request.into_inner().entries, &mut checks);
        checks.finish(())?;
        let media = self.app.delete_media_rows(caller, &entries).await?;
        Ok(Response::new(proto::BatchDeleteMediaResponse {
            media: messages(&self.app, media, caller.view()).await?,
        }))
    }

    async fn batch_undelete_media(
        &self,
        request: Request<proto::BatchUndeleteMediaRequest>,
    ) -> Result<Response<proto::BatchUndeleteMediaResponse>, Status> {
        let caller = caller(&request)?;
        let mut checks = Checks::default();
        let entries = entries_from(request.into_inner().entries, &mut checks);
        checks.finish(())?;
        let media = self.app.undelete_media_rows(caller, &entries).await?;
        Ok(Response::new(proto::BatchUndeleteMediaResponse {
            media: messages(&self.app, media, caller.view()).await?,
        }))
    }

    type DownloadMediaStream = Parts;

    async fn download_media(
        &self,
        request: Request<proto::DownloadMediaRequest>,
    ) -> Result<Response<Self::DownloadMediaStream>, Status> {
        let (principal, caller) = (principal(&request)?, caller(&request)?);
        let proto::DownloadMediaRequest { id, offset } = request.into_inner();
        let mut checks = Checks::default();
        check_id("id", id, &mut checks);
        let start = u64::try_from(offset).unwrap_or_else(|_| {
            checks.add("offset", Problem::negative(offset));
            0
        });
        checks.finish(())?;
        let media = store::media::find_live(self.app.store.reader(), caller, id).await?;
        let object = self.open(&media, start).await?;
        let head = proto::DownloadMediaResponse {
            part: Some(Part::Media(message(&self.app, media, caller.view()).await?)),
            offset,
        };
        let end = end_of_stream(self.app.clone(), principal);
        Ok(Response::new(parts(head, object, end)))
    }

    async fn share_media(
        &self,
        request: Request<proto::ShareMediaRequest>,
    ) -> Result<Response<proto::ShareMediaResponse>, Status> {
        let caller = caller(&request)?;
        let shared = self.share(caller, request.into_inner()).await?;
        Ok(Response::new(shared))
    }

    async fn unshare_media(
        &self,
        request: Request<proto::UnshareMediaRequest>,
    ) -> Result<Response<proto::UnshareMediaResponse>, Status> {
        let caller = caller(&request)?;
        let share = self.unshare(caller, request.get_ref().share_id).await?;
        Ok(Response::new(proto::UnshareMediaResponse {
            share: Some(share),
        }))
    }

    async fn list_shares(
        &self,
        request: Request<proto::ListSharesRequest>,
    ) -> Result<Response<proto::ListSharesResponse>, Status> {
        let caller = caller(&request)?;
        let page = self.shares(caller, request.into_inner()).await?;
        Ok(Response::new(proto::ListSharesResponse {
            shares: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn upload_media(
        &self,
        request: Request<Streaming<proto::UploadMediaRequest>>,
    ) -> Result<Response<proto::UploadMediaResponse>, Status> {
        let principal = principal(&request)?;
        let upload = upload::take(&self.app, &principal, request.into_inner()).await?;
        Ok(Response::new(proto::UploadMediaResponse {
            upload: Some(upload::given(&self.app, upload).await?),
        }))
    }

    async fn create_upload_url(
        &self,
        request: Request<proto::CreateUploadUrlRequest>,
    ) -> Result<Response<proto::CreateUploadUrlResponse>, Status> {
        let principal = principal(&request)?;
        let (announced, format) = upload::announced_put(&principal, request.into_inner())?;
        let (put, expires_at) = self.app.create_upload_url(announced, format).await?;
        Ok(Response::new(proto::CreateUploadUrlResponse {
            url: put.url,
            headers: put.headers.into_iter().collect(),
            upload_token: put.token,
            expire_time: Some(timestamp(expires_at)),
        }))
    }

    async fn complete_upload(
        &self,
        request: Request<proto::CompleteUploadRequest>,
    ) -> Result<Response<proto::CompleteUploadResponse>, Status> {
        let principal = principal(&request)?;
        let ticket = upload::ticket(&self.app, &request.get_ref().upload_token)?;
        principal.acts_for(ticket.announced.user_id)?;
        let upload = self.app.complete_upload(&ticket).await?;
        Ok(Response::new(proto::CompleteUploadResponse {
            upload: Some(upload::given(&self.app, upload).await?),
        }))
    }

    async fn get_upload(
        &self,
        request: Request<proto::GetUploadRequest>,
    ) -> Result<Response<proto::GetUploadResponse>, Status> {
        let caller = caller(&request)?;
        let id = upload::required_id(request.get_ref().id)?;
        let upload = store::upload::find(self.app.store.reader(), caller, id).await?;
        Ok(Response::new(proto::GetUploadResponse {
            upload: Some(upload::message(&self.app, upload).await?),
        }))
    }

    async fn list_uploads(
        &self,
        request: Request<proto::ListUploadsRequest>,
    ) -> Result<Response<proto::ListUploadsResponse>, Status> {
        let principal = principal(&request)?;
        let caller = principal.caller();
        let request = request.into_inner();
        let user_id = principal.acts_for(request.user_id)?;
        let mut checks = Checks::default();
        let page = page_request(
            self.app.sealer(caller),
            (request.page_size, request.page_token),
            &mut checks,
        );
        checks.optional_id("user_id", user_id);
        let user_id = any_or(user_id);
        let filter = checks.finish(store::upload::Filter { user_id })?;
        let page = bounded_page(page, |page| upload::page(&self.app, caller, &filter, page));
        let page = page.await?;
        Ok(Response::new(proto::ListUploadsResponse {
            uploads: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_upload(
        &self,
        request: Request<proto::DeleteUploadRequest>,
    ) -> Result<Response<proto::DeleteUploadResponse>, Status> {
        let caller = caller(&request)?;
        let id = upload::required_id(request.get_ref().id)?;
        self.app.delete_upload(caller, id).await?;
        Ok(Response::new(proto::DeleteUploadResponse {}))
    }
}

impl MediaFiles {
    /// The file from the offset on; `None` if it ends there.
    async fn open(&self, media: &media::Model, offset: u64) -> Result<Option<StoredObject>, Error> {
        let key = storage_key(media)?.ok_or(Error::MediaContentMissing(media.id))?;
        let rest = (offset > 0).then_some(ByteRange {
            start: offset,
            end: u64::MAX,
        });
        match self.app.storage.offer_object(&key, rest).await {
            Ok(object) => Ok(Some(object)),
            Err(StorageError::OutOfRange { total, .. }) if total == offset => Ok(None),
            Err(StorageError::OutOfRange { total, .. }) => Err(Error::OffsetAhead {
                id: media.id,
                file_size: total,
                offset,
            }),
            Err(StorageError::NotFound { .. }) => Err(Error::MediaContentMissing(media.id)),
            Err(error) => Err(error.into()),
        }
    }

    async fn page(
        &self,
        (caller, view): (Caller, View),
        filter: &store::media::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Media>, Error> {
        let page = store::media::list(self.app.store.reader(), caller, filter, &page).await?;
        Ok(Page {
            items: messages(&self.app, page.items, view).await?,
            next_page_token: page.next_page_token,
        })
    }

    async fn found(
        &self,
        (caller, view): (Caller, View),
        sha256: &str,
        page: PageRequest,
    ) -> Result<Page<proto::FoundMedia>, Error> {
        let page = self.app.find_media(caller, sha256, &page).await?;
        Ok(Page {
            items: found_messages(&self.app, view, page.items).await?,
            next_page_token: page.next_page_token,
        })
    }
}

/// The facts, then the file, or nothing of it; broken off with the error that comes.
fn parts(
    head: proto::DownloadMediaResponse,
    object: Option<StoredObject>,
    end: impl Future<Output = Error> + Send + 'static,
) -> Parts {
    let bytes = object.map_or_else(|| stream::empty().boxed(), |object| object.stream);
    let mut offset = head.offset;
    let chunks = until(bytes.map_err(Error::from), end)
        .map_err(Status::from)
        .map_ok(|bytes| stream::iter(split(bytes)).map(Ok))
        .try_flatten()
        .map_ok(move |chunk| {
            let chunk_offset = offset;
            offset = offset.saturating_add_unsigned(chunk.len() as u64);
            proto::DownloadMediaResponse {
                part: Some(Part::Chunk(chunk.into())),
                offset: chunk_offset,
            }
        });
    stream::once(std::future::ready(Ok(head)))
        .chain(chunks)
        .boxed()
}

/// As messages carry them.
pub(super) fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut chunks = Vec::with_capacity(bytes.len() / CHUNK + 1);
    while bytes.len() > CHUNK {
        chunks.push(bytes.split_to(CHUNK));
    }
    chunks.push(bytes);
    chunks
}
