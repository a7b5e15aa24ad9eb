mod find;

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    app::App,
    domain::{Caller, Checks, Error, JsonMap, MediaRole, MediaType, Page},
    entity::media,
    media::{ByteRange, StorageError, StorageKey, StoredObject},
    store::{self, PageRequest},
};

use super::{
    caller, json,
    page::{any_or, bounded_page, page_request},
    proto::{self, download_media_response::Part, media_service_server::MediaService},
    required_id,
    stopping::until_stopped,
    time::timestamp,
};

/// Largest part of a download.
const CHUNK: usize = 64 * 1024;

pub(super) struct MediaFiles {
    pub(super) app: App,
}

type Parts = Pin<Box<dyn Stream<Item = Result<proto::DownloadMediaResponse, Status>> + Send>>;

#[tonic::async_trait]
impl MediaService for MediaFiles {
    async fn get_media(
        &self,
        request: Request<proto::GetMediaRequest>,
    ) -> Result<Response<proto::GetMediaResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let media = store::media::find(self.app.store.reader(), caller, id).await?;
        Ok(Response::new(proto::GetMediaResponse {
            media: Some(message(&self.app, media).await?),
        }))
    }

    async fn list_media(
        &self,
        request: Request<proto::ListMediaRequest>,
    ) -> Result<Response<proto::ListMediaResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token, &mut checks);
        checks.optional_id("request_id", request.request_id);
        checks.optional_id("job_id", request.job_id);
        checks.optional_id("user_id", request.user_id);
        let filter = store::media::Filter {
            request_id: any_or(request.request_id),
            job_id: any_or(request.job_id),
            user_id: any_or(request.user_id),
            media_type: media_type_from("media_type", request.media_type, &mut checks),
            role: role_from(request.role, &mut checks),
            show_deleted: request.show_deleted,
        };
        checks.finish(())?;
        let page = bounded_page(page, |page| self.page(caller, &filter, page)).await?;
        Ok(Response::new(proto::ListMediaResponse {
            media: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn find_media(
        &self,
        request: Request<proto::FindMediaRequest>,
    ) -> Result<Response<proto::FindMediaResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let mut checks = Checks::default();
        let page = page_request(request.page_size, request.page_token, &mut checks);
        let sha256 = find::digest(request.subject, &mut checks);
        checks.finish(())?;
        let page = bounded_page(page, |page| find::page(&self.app, caller, &sha256, page)).await?;
        Ok(Response::new(proto::FindMediaResponse {
            found: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_media(
        &self,
        request: Request<proto::DeleteMediaRequest>,
    ) -> Result<Response<proto::DeleteMediaResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let media = self.app.delete_media(caller, id).await?;
        Ok(Response::new(proto::DeleteMediaResponse {
            media: Some(message(&self.app, media).await?),
        }))
    }

    async fn undelete_media(
        &self,
        request: Request<proto::UndeleteMediaRequest>,
    ) -> Result<Response<proto::UndeleteMediaResponse>, Status> {
        let caller = caller(&request);
        let id = required_id(request.get_ref().id)?;
        let media = self.app.undelete_media(caller, id).await?;
        Ok(Response::new(proto::UndeleteMediaResponse {
            media: Some(message(&self.app, media).await?),
        }))
    }

    type DownloadMediaStream = Parts;

    async fn download_media(
        &self,
        request: Request<proto::DownloadMediaRequest>,
    ) -> Result<Response<Self::DownloadMediaStream>, Status> {
        let caller = caller(&request);
        let proto::DownloadMediaRequest { id, offset } = request.into_inner();
        let mut checks = Checks::default();
        checks.id("id", id);
        let start = u64::try_from(offset).unwrap_or_else(|_| {
            checks.add("offset", format!("must not be negative, got {offset}"));
            0
        });
        checks.finish(())?;
        let media = store::media::find_live(self.app.store.reader(), caller, id).await?;
        let object = self.open(&media, start).await?;
        let head = proto::DownloadMediaResponse {
            part: Some(Part::Media(message(&self.app, media).await?)),
            offset,
        };
        let stopping = self.app.stopping.clone();
        Ok(Response::new(parts(head, object, stopping)))
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
        match self.app.storage.open_object(&key, rest).await {
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
        caller: Caller,
        filter: &store::media::Filter,
        page: PageRequest,
    ) -> Result<Page<proto::Media>, Error> {
        let page = store::media::list(self.app.store.reader(), caller, filter, &page).await?;
        Ok(Page {
            items: messages(&self.app, page.items).await?,
            next_page_token: page.next_page_token,
        })
    }
}

/// The facts, then the file, or nothing of it; broken off when the server stops.
fn parts(
    head: proto::DownloadMediaResponse,
    object: Option<StoredObject>,
    stopping: CancellationToken,
) -> Parts {
    let bytes = object.map_or_else(|| stream::empty().boxed(), |object| object.stream);
    let mut offset = head.offset;
    let chunks = until_stopped(bytes.map_err(Error::from), stopping)
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
    Box::pin(stream::once(std::future::ready(Ok(head))).chain(chunks))
}

fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut chunks = Vec::with_capacity(bytes.len() / CHUNK + 1);
    while bytes.len() > CHUNK {
        chunks.push(bytes.split_to(CHUNK));
    }
    chunks.push(bytes);
    chunks
}

/// Where the file of a row stands; `None` for a row that Atelier did not write.
fn storage_key(media: &media::Model) -> Result<Option<StorageKey>, Error> {
    let path = media.storage_key.as_deref();
    path.map(StorageKey::from_path)
        .transpose()
        .map_err(Error::internal)
}

pub(super) async fn messages(
    app: &App,
    media: Vec<media::Model>,
) -> Result<Vec<proto::Media>, Error> {
    stream::iter(media)
        .then(|media| message(app, media))
        .try_collect()
        .await
}

async fn message(app: &App, media: media::Model) -> Result<proto::Media, Error> {
    let link = match storage_key(&media)? {
        Some(key) if media.deleted_at.is_none() => {
            Some(app.storage.download_url(&key, app.clock.now()).await?)
        }
        _ => None,
    };
    let metadata = match media.metadata {
        Some(Value::Object(metadata)) => metadata,
        _ => JsonMap::new(),
    };
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let number = |key: &str| metadata.get(key).and_then(Value::as_i64);
    let small = |key: &str| {
        number(key)
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(0)
    };
    Ok(proto::Media {
        id: media.id,
        request_id: media.request_id,
        job_id: media.job_id,
        media_type: media_type(media.media_type).into(),
        media_url: media.media_url,
        download_url_expire_time: link.as_ref().map(|link| timestamp(link.expires_at)),
        download_url: link.map(|link| link.url).unwrap_or_default(),
        file_size: media.file_size.unwrap_or(0),
        duration_seconds: media.duration,
        role: role(media.role).into(),
        format: text("format"),
        width: small("width"),
        height: small("height"),
        duration_ms: number("duration_ms"),
        frame_rate: metadata.get("fps").and_then(Value::as_f64).unwrap_or(0.0),
        video_codec: text("video_codec"),
        audio_codec: text("audio_codec"),
        channels: small("channels"),
        sample_rate: small("sample_rate"),
        original_id: number("original_id"),
        sha256: text("sha256"),
        seed: number("seed"),
        blurhash: media.blurhash,
        tiny_preview: media.tiny_preview_base64.unwrap_or_default(),
        metadata: Some(json::to_struct(remainder(&metadata))),
        create_time: Some(timestamp(media.created_at)),
        update_time: Some(timestamp(media.updated_at)),
        delete_time: media.deleted_at.map(timestamp),
    })
}

/// What no field of the message tells already.
fn remainder(metadata: &JsonMap) -> JsonMap {
    const TOLD: [&str; 13] = [
        "role",
        "format",
        "width",
        "height",
        "duration_ms",
        "fps",
        "video_codec",
        "audio_codec",
        "channels",
        "sample_rate",
        "sha256",
        "seed",
        "original_id",
    ];
    let untold = metadata
        .iter()
        .filter(|(key, _)| !TOLD.contains(&key.as_str()));
    untold
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn role(role: MediaRole) -> proto::MediaRole {
    match role {
        MediaRole::Original => proto::MediaRole::Original,
        MediaRole::Format => proto::MediaRole::Format,
        MediaRole::Thumbnail => proto::MediaRole::Thumbnail,
        MediaRole::Preview => proto::MediaRole::Preview,
        MediaRole::Poster => proto::MediaRole::Poster,
    }
}

/// The role in a filter; unspecified means any.
fn role_from(role: i32, checks: &mut Checks) -> Option<MediaRole> {
    match proto::MediaRole::try_from(role) {
        Ok(proto::MediaRole::Unspecified) => None,
        Ok(proto::MediaRole::Original) => Some(MediaRole::Original),
        Ok(proto::MediaRole::Format) => Some(MediaRole::Format),
        Ok(proto::MediaRole::Thumbnail) => Some(MediaRole::Thumbnail),
        Ok(proto::MediaRole::Preview) => Some(MediaRole::Preview),
        Ok(proto::MediaRole::Poster) => Some(MediaRole::Poster),
        Err(_) => {
            checks.add("role", format!("must be a value of MediaRole, got {role}"));
            None
        }
    }
}

pub(super) fn media_type(media_type: MediaType) -> proto::MediaType {
    match media_type {
        MediaType::Image => proto::MediaType::Image,
        MediaType::Video => proto::MediaType::Video,
        MediaType::Audio => proto::MediaType::Audio,
    }
}

/// The type in a filter or a draft; unspecified means none.
pub(super) fn media_type_from(
    field: &str,
    media_type: i32,
    checks: &mut Checks,
) -> Option<MediaType> {
    match proto::MediaType::try_from(media_type) {
        Ok(proto::MediaType::Unspecified) => None,
        Ok(proto::MediaType::Image) => Some(MediaType::Image),
        Ok(proto::MediaType::Video) => Some(MediaType::Video),
        Ok(proto::MediaType::Audio) => Some(MediaType::Audio),
        Err(_) => {
            checks.add(
                field,
                format!("must be a value of MediaType, got {media_type}"),
            );
            None
        }
    }
}
