//! Media between the contract and the domain. What the row knows of the file is spread over fields; the rest stays
//! `metadata`.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::{
    app::{App, FoundMedia},
    domain::{
        Checks, Error, Flaw, MediaMetadata, MediaRole, MediaType, Problem, RetentionStep, View,
        etag, sha256_hex, to_map,
    },
    entity::media,
    media::StorageKey,
    store::{self, media::Shown},
};

use crate::rpc::{
    job, json,
    page::{any_of, any_of_ids, any_or},
    proto::{self, find_media_request::Subject},
    request,
    retention::purge_time,
    time::{time_range, timestamp},
    view::Viewed,
};

pub(super) fn filter_from(
    request: &proto::ListMediaRequest,
    checks: &mut Checks,
) -> store::media::Filter {
    for (field, id) in [
        ("request_id", request.request_id),
        ("job_id", request.job_id),
        ("user_id", request.user_id),
        ("feature_id", request.feature_id),
        ("template_id", request.template_id),
        ("project_id", request.project_id),
    ] {
        checks.optional_id(field, id);
    }
    let (created_from, created_before) =
        time_range(request.create_time_start, request.create_time_end, checks);
    store::media::Filter {
        request_id: any_or(request.request_id),
        request_ids: any_of_ids("request_ids", &request.request_ids, checks),
        feature_id: any_or(request.feature_id),
        template_id: any_or(request.template_id),
        project_id: any_or(request.project_id),
        created_from,
        created_before,
        job_id: any_or(request.job_id),
        user_id: any_or(request.user_id),
        media_type: media_type_from("media_type", request.media_type, checks),
        roles: any_of("roles", "MediaRole", &request.roles, role_from, checks),
        show_deleted: request.show_deleted,
        show_previews: request.show_previews,
    }
}

/// The digest of the file asked for, in lower-case digits.
pub(super) fn digest(subject: Option<Subject>, checks: &mut Checks) -> String {
    match subject {
        Some(Subject::Sha256(digits)) => {
            let is_digest =
                digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            checks.require(is_digest, "sha256", || {
                let words = format!("must have 64 hexadecimal digits, got {digits:?}");
                Flaw::Malformed.says(words).found(&digits)
            });
            digits.to_ascii_lowercase()
        }
        Some(Subject::Content(content)) => {
            checks.require(!content.is_empty(), "content", || {
                Flaw::Required.says("must not be empty")
            });
            sha256_hex(&content)
        }
        None => {
            checks.add(
                "subject",
                Flaw::Required.says("is required: sha256 or content"),
            );
            String::new()
        }
    }
}

/// Where the file of a row stands; `None` for a row that Atelier did not write.
pub(in crate::rpc) fn storage_key(media: &media::Model) -> Result<Option<StorageKey>, Error> {
    let path = media.storage_key.as_deref();
    path.map(StorageKey::from_path)
        .transpose()
        .map_err(Error::internal)
}

pub(super) async fn found_messages(
    app: &App,
    view: View,
    found: Vec<FoundMedia>,
) -> Result<Vec<proto::FoundMedia>, Error> {
    let requests = found.iter().map(|found| found.request.clone());
    let requests = request::messages(app, requests.collect(), view).await?;
    let mut messages = Vec::with_capacity(found.len());
    for (FoundMedia { media, job, .. }, request) in found.into_iter().zip(requests) {
        messages.push(proto::FoundMedia {
            media: Some(message(app, media, view).await?),
            job: job.map(|job| job::brief_message(job, view)),
            request: Some(request),
        });
    }
    Ok(messages)
}

pub(in crate::rpc) async fn messages(
    app: &App,
    media: Vec<Shown>,
    view: View,
) -> Result<Vec<proto::Media>, Error> {
    stream::iter(media)
        .then(|media| message(app, media, view))
        .try_collect()
        .await
}

pub(in crate::rpc) async fn message(
    app: &App,
    shown: Shown,
    view: View,
) -> Result<proto::Media, Error> {
    let Shown {
        media,
        user_id,
        feature_id,
        template_id,
        prompt_start,
    } = shown;
    let key = storage_key(&media)?;
    let link = match &key {
        // Health tells that the storage is away; all but the link can be had.
        Some(key) if media.deleted_at.is_none() => {
            let link = app.storage.download_url(media.id, key, app.clock.now());
            link.await.ok()
        }
        _ => None,
    };
    // Where it stands now: what is stored tells where that was when it was made.
    let media_url = key.map_or(media.media_url, |key| app.storage.object_url(&key));
    let metadata = match media.metadata {
        Some(Value::Object(metadata)) => MediaMetadata::read(metadata),
        _ => MediaMetadata::default(),
    };
    let message = proto::Media {
        id: media.id,
        request_id: media.request_id,
        job_id: media.job_id,
        media_type: media_type(media.media_type).into(),
        media_url,
        download_url_expire_time: link.as_ref().map(|link| timestamp(link.expires_at)),
        download_url: link.map(|link| link.url).unwrap_or_default(),
        file_size: media.file_size.unwrap_or(0),
        duration_seconds: media.duration,
        role: role(media.role).into(),
        format: metadata.format.unwrap_or_default(),
        width: metadata.width.unwrap_or_default(),
        height: metadata.height.unwrap_or_default(),
        duration_ms: metadata.duration_ms,
        frame_rate: metadata.fps.unwrap_or_default(),
        video_codec: metadata.video_codec.unwrap_or_default(),
        audio_codec: metadata.audio_codec.unwrap_or_default(),
        channels: metadata.channels.unwrap_or_default(),
        sample_rate: metadata.sample_rate.unwrap_or_default(),
        original_id: metadata.original_id,
        user_id,
        feature_id,
        template_id,
        variation: metadata.notes.variation,
        prompt_start,
        etag: etag(media.updated_at.timestamp_micros()),
        sha256: metadata.sha256.unwrap_or_default(),
        seed: metadata.seed,
        blurhash: media.blurhash,
        tiny_preview: media.tiny_preview_base64.unwrap_or_default(),
        metadata: Some(json::to_struct(to_map(metadata.notes))),
        create_time: Some(timestamp(media.created_at)),
        update_time: Some(timestamp(media.updated_at)),
        delete_time: media.deleted_at.map(timestamp),
        content_delete_time: media.content_deleted_at.map(timestamp),
        purge_time: match media.content_deleted_at {
            Some(_) => None,
            None => purge_time(app, RetentionStep::DeletedMedia, media.deleted_at),
        },
    };
    Ok(message.seen(view))
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

/// A role in a filter.
fn role_from(role: i32) -> Option<MediaRole> {
    match proto::MediaRole::try_from(role).ok()? {
        proto::MediaRole::Unspecified => None,
        proto::MediaRole::Original => Some(MediaRole::Original),
        proto::MediaRole::Format => Some(MediaRole::Format),
        proto::MediaRole::Thumbnail => Some(MediaRole::Thumbnail),
        proto::MediaRole::Preview => Some(MediaRole::Preview),
        proto::MediaRole::Poster => Some(MediaRole::Poster),
    }
}

pub(in crate::rpc) fn media_type(media_type: MediaType) -> proto::MediaType {
    match media_type {
        MediaType::Image => proto::MediaType::Image,
        MediaType::Video => proto::MediaType::Video,
        MediaType::Audio => proto::MediaType::Audio,
    }
}

/// The type in a filter or a draft; unspecified means none.
pub(in crate::rpc) fn media_type_from(
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
            checks.add(field, Problem::no_value_of("MediaType", media_type));
            None
        }
    }
}
