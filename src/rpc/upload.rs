//! Uploads between the contract and the domain.

use codec::Format;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::{Status, Streaming};

use crate::{
    app::App,
    domain::{Announced, Caller, Checks, Error, Flaw, MediaType, Page, Problem, Resource},
    entity::upload,
    identity::Principal,
    media::{StorageKey, Ticket},
    store::{self, PageRequest},
};

use super::{
    call,
    media::media_type,
    proto::{self, upload_media_request::Part},
    time::timestamp,
};

const MAX_NAME_CHARS: usize = 255;
const MAX_TOKEN_BYTES: usize = 2_048;

/// Takes a file from a stream, and keeps it.
pub(super) async fn take(
    app: &App,
    principal: &Principal,
    mut parts: Streaming<proto::UploadMediaRequest>,
) -> Result<upload::Model, Status> {
    let first = parts.message().await?.and_then(|first| first.part);
    let announced = match first {
        Some(Part::Head(head)) => announced(principal, head)?,
        Some(Part::Chunk(chunk)) if chunk.is_empty() => {
            return Err(out_of_turn("chunk", Flaw::Required, "must not be empty").into());
        }
        Some(Part::Chunk(_)) | None => {
            return Err(out_of_turn("head", Flaw::Required, "must come first").into());
        }
    };
    let mut incoming = app.begin_upload(announced).await?;
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Chunk(chunk)) if !chunk.is_empty() => incoming.push(&chunk).await?,
            Some(Part::Head(_)) => {
                return Err(out_of_turn("head", Flaw::Duplicate, "must come once").into());
            }
            Some(Part::Chunk(_)) | None => {
                return Err(out_of_turn("chunk", Flaw::Required, "must not be empty").into());
            }
        }
    }
    Ok(app.keep_upload(incoming, None).await?)
}

fn out_of_turn(field: &str, flaw: Flaw, words: &str) -> Error {
    let mut checks = Checks::default();
    checks.add(field, flaw.says(words));
    Error::Validation(checks.into_violations())
}

fn announced(principal: &Principal, head: proto::UploadHead) -> Result<Announced, Error> {
    let user_id = principal.acts_for(head.user_id)?;
    let mut checks = Checks::default();
    checks.id("head.user_id", user_id);
    let file_size = u64::try_from(head.file_size).unwrap_or_else(|_| {
        checks.add("head.file_size", Problem::negative(head.file_size));
        0
    });
    checks.text("head.file_name", &head.file_name, MAX_NAME_CHARS);
    let announced = Announced {
        user_id,
        file_size: Some(file_size).filter(|size| *size > 0),
        sha256: digest("head.sha256", head.sha256, &mut checks),
        file_name: head.file_name,
    };
    checks.finish(announced)
}

/// What is said of a file that is to be put.
pub(super) fn announced_put(
    principal: &Principal,
    request: proto::CreateUploadUrlRequest,
) -> Result<(Announced, Format), Error> {
    let user_id = principal.acts_for(request.user_id)?;
    let mut checks = Checks::default();
    checks.id("user_id", user_id);
    let file_size = u64::try_from(request.file_size).unwrap_or_default();
    checks.require(file_size > 0, "file_size", || {
        let words = format!("must be positive, got {}", request.file_size);
        Flaw::OutOfRange.says(words).min(1).found(request.file_size)
    });
    checks.text("file_name", &request.file_name, MAX_NAME_CHARS);
    let announced = Announced {
        user_id,
        file_size: Some(file_size),
        sha256: digest("sha256", request.sha256, &mut checks),
        file_name: request.file_name,
    };
    let format = Format::of_content_type(&request.content_type);
    checks.require(format.is_some(), "content_type", || {
        let types = Format::ALL.map(|format| format.content_type().to_owned());
        let words = format!("must be one of {}", types.join(", "));
        Flaw::NotOneOf
            .says(words)
            .allowed(types)
            .found(&request.content_type)
    });
    checks.finish((announced, format.unwrap_or(Format::Png)))
}

/// The digest that a file must have, in lower-case digits.
fn digest(field: &str, digits: Option<String>, checks: &mut Checks) -> Option<String> {
    let digits = digits?;
    let is_digest = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    checks.require(is_digest, field, || {
        let words = format!("must have 64 hexadecimal digits, got {digits:?}");
        Flaw::Malformed.says(words).found(&digits)
    });
    Some(digits.to_ascii_lowercase())
}

/// What an upload token stands for.
pub(super) fn ticket(app: &App, token: &str) -> Result<Ticket, Error> {
    let mut checks = Checks::default();
    checks.require(!token.is_empty(), "upload_token", || {
        Flaw::Required.says("must not be empty")
    });
    checks.require(token.len() <= MAX_TOKEN_BYTES, "upload_token", || {
        let bytes = token.len();
        let words = format!("must have at most {MAX_TOKEN_BYTES} bytes, has {bytes}");
        Flaw::TooLong.says(words).max(MAX_TOKEN_BYTES).found(bytes)
    });
    checks.finish(())?;
    app.read_ticket(token)
}

/// The identifier of an upload, which the log then names.
pub(super) fn required_id(id: i64) -> Result<i64, Error> {
    let mut checks = Checks::default();
    checks.id("id", id);
    call::note(Resource::Upload, id);
    checks.finish(id)
}

pub(super) async fn page(
    app: &App,
    caller: Caller,
    filter: &store::upload::Filter,
    page: PageRequest,
) -> Result<Page<proto::Upload>, Error> {
    let page = store::upload::list(app.store.reader(), caller, filter, &page).await?;
    let items = stream::iter(page.items).then(|upload| message(app, upload));
    Ok(Page {
        items: items.try_collect().await?,
        next_page_token: page.next_page_token,
    })
}

/// The same of an upload that a call has made, or found again, which the log then names.
pub(super) async fn given(app: &App, upload: upload::Model) -> Result<proto::Upload, Error> {
    call::note(Resource::Upload, upload.id);
    message(app, upload).await
}

pub(super) async fn message(app: &App, upload: upload::Model) -> Result<proto::Upload, Error> {
    let key = StorageKey::from_path(&upload.storage_key).map_err(Error::internal)?;
    let link = app.storage.upload_url(upload.id, &key, app.clock.now());
    // Health tells that the storage is away; all but the link can be had.
    let link = link.await.ok();
    let (kind, content_type) = (key.format().kind(), key.content_type());
    Ok(proto::Upload {
        id: upload.id,
        user_id: upload.user_id,
        url: app.storage.object_url(&key),
        media_type: media_type(MediaType::from(kind)).into(),
        format: upload.format,
        content_type: content_type.to_owned(),
        file_size: upload.file_size,
        sha256: upload.sha256,
        file_name: upload.file_name.unwrap_or_default(),
        width: upload.width.unwrap_or_default(),
        height: upload.height.unwrap_or_default(),
        duration_ms: upload.duration_ms,
        damaged: upload.damaged,
        download_url_expire_time: link.as_ref().map(|link| timestamp(link.expires_at)),
        download_url: link.map(|link| link.url).unwrap_or_default(),
        create_time: Some(timestamp(upload.created_at)),
        update_time: Some(timestamp(upload.updated_at)),
    })
}
