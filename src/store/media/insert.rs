//! New media. Equal files of a user are one object: a row names that which another of his has named before, see
//! docs/media.md#objects.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};
use serde::Serialize;

use crate::{
    domain::{Error, MediaMetadata, MediaRole, MediaType},
    entity::job,
    store::{Transaction, queue::dialect::Dialect},
};

/// A file that a job made, as its row describes it.
#[derive(Clone, Debug, Serialize)]
pub struct NewMedia {
    /// Stable address of the stored file.
    pub media_url: String,
    /// Path of the object in the media storage.
    pub storage_key: String,
    /// What the file is.
    pub media_type: MediaType,
    /// What it is to the job.
    pub role: MediaRole,
    /// Bytes.
    pub file_size: i64,
    /// Whole seconds, rounded up.
    pub duration: Option<i32>,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// What else is known of it.
    pub metadata: MediaMetadata,
    /// Never empty.
    pub blurhash: String,
    /// A data URL.
    pub tiny_preview: String,
}

/// A file that has a row now.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Added {
    /// Of the row.
    pub id: i64,
    /// The object that the row names: the one given, or that of a live media of the user with the same bytes.
    pub storage_key: String,
}

/// A file with the job that made it.
#[derive(Serialize)]
struct File<'a> {
    place: usize,
    owner_id: i64,
    request_id: i64,
    job_id: i64,
    format: Option<&'a str>,
    #[serde(flatten)]
    media: &'a NewMedia,
}

/// The fields of these that the statement reads, with the types that they have in PostgreSQL.
const FIELDS: &str = "place bigint, owner_id bigint, request_id bigint, job_id bigint, format text, media_url text, storage_key text, \
                      media_type text, role text, file_size bigint, duration integer, sha256 text, metadata jsonb, blurhash text, \
                      tiny_preview text";

/// Adds files of jobs, in one statement, and returns them job by job in the same order. A media whose object is shared keeps it
/// until the transaction ends: whoever would delete it waits, and finds the new row then.
pub async fn insert(
    tx: &Transaction,
    made: &[(&job::Model, Vec<NewMedia>)],
    now: DateTime<Utc>,
) -> Result<Vec<Vec<Added>>, Error> {
    let files = made
        .iter()
        .flat_map(|(job, media)| media.iter().map(move |media| (job, media)));
    let file = |(place, (job, media)): (usize, (&&job::Model, _))| file(place, job, media);
    let files: Vec<File<'_>> = files.enumerate().map(file).collect();
    let mut added = Vec::new();
    if !files.is_empty() {
        let files = serde_json::to_string(&files).map_err(Error::internal)?;
        let backend = tx.get_database_backend();
        let values: [Value; 2] = [files.into(), now.into()];
        let insert = Statement::from_sql_and_values(backend, insertion(backend), values);
        added = Added::find_by_statement(insert).all(tx).await?;
    }
    // Numbers are given in the order of the files.
    added.sort_unstable_by_key(|added| added.id);
    let mut added = added.into_iter();
    let of_job = |(_, media): &(_, Vec<NewMedia>)| added.by_ref().take(media.len()).collect();
    Ok(made.iter().map(of_job).collect())
}

fn file<'a>(place: usize, job: &job::Model, media: &'a NewMedia) -> File<'a> {
    File {
        place,
        owner_id: job.user_id,
        request_id: job.request_id,
        job_id: job.id,
        format: media.metadata.format.as_deref(),
        media,
    }
}

/// The statement, whose text is the same however many files there are. Of equal ones of a user the first is what all name.
fn insertion(backend: DbBackend) -> String {
    let media_type = match backend {
        DbBackend::Postgres => "CAST(file.media_type AS generation_media_type_enum)",
        _ => "file.media_type",
    };
    let first = |field: &str| {
        format!(
            "first_value(file.{field}) OVER (
                 PARTITION BY file.owner_id, file.sha256, file.file_size, file.format ORDER BY file.place)"
        )
    };
    format!(
        "INSERT INTO generation_media (owner_id, request_id, job_id, created_at, updated_at, media_url, storage_key, media_type,
             role, file_size, duration, sha256, metadata, blurhash, tiny_preview_base64)
         SELECT file.owner_id, file.request_id, file.job_id, $2, $2, COALESCE(same.media_url, {media_url}),
             COALESCE(same.storage_key, {storage_key}), {media_type}, file.role, file.file_size, file.duration, file.sha256,
             file.metadata, file.blurhash, file.tiny_preview
         FROM (SELECT * FROM {files}) AS file {same} ORDER BY file.place
         RETURNING id, storage_key",
        media_url = first("media_url"),
        storage_key = first("storage_key"),
        files = Dialect::of_backend(backend).records("$1", FIELDS),
        same = join_same(backend),
    )
}

/// The user's newest live media with the same bytes as a `file`, as `same`. One that is just being deleted is passed over: its
/// object may go.
fn join_same(backend: DbBackend) -> String {
    let one = format!(
        "FROM generation_media AS live {by_content}
         WHERE live.owner_id = file.owner_id AND live.sha256 = file.sha256 AND live.deleted_at IS NULL
             AND live.storage_key IS NOT NULL AND live.file_size = file.file_size
             AND live.metadata ->> 'format' = file.format
         ORDER BY live.id DESC LIMIT 1",
        by_content = Dialect::of_backend(backend).indexed_by("idx_generation_media_content"),
    );
    match backend {
        DbBackend::Postgres => format!(
            "LEFT JOIN LATERAL (SELECT live.media_url, live.storage_key {one} FOR SHARE SKIP LOCKED) AS same ON TRUE"
        ),
        _ => format!("LEFT JOIN generation_media AS same ON same.id = (SELECT live.id {one})"),
    }
}
