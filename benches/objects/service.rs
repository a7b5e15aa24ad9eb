//! The server that is measured, on a PostgreSQL that keeps what it is told.

use std::path::Path;
use std::time::Duration;

use atelier::app::App;
use atelier::config::Config;
use atelier::domain::sha256_hex;
use atelier::media::StorageKey;
use atelier::server::{Role, Server};
use bytes::Bytes;
use codec::Format;
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use uuid::Uuid;

use crate::durable::DURABLE;
use crate::postgres::Cluster;

/// Whose everything is.
pub(crate) const USER: i64 = 1;
/// What ended longer ago is purged.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A server that answers clients, and its database.
pub(crate) struct Service {
    server: Server,
    media: TempDir,
    cluster: Cluster,
}

/// A file in the storage that a media has.
pub(crate) struct StoredMedia {
    pub id: i64,
    pub content: Bytes,
    /// Where it stands below the folder.
    pub key: String,
    /// What a link to it has after the server's address.
    pub link: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::with(DURABLE).await;
        let media = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.shutdown_delay = Duration::ZERO;
        config.database.url = cluster.url().parse().unwrap();
        config.storage.folder = media.path().to_owned();
        config.identity.provision_users = Some(true);
        config.uploads.max_bytes = 1 << 30;
        config.uploads.max_total = 1 << 40;
        config.retention.archive_requests = Duration::ZERO;
        config.retention.deleted_media = Duration::ZERO;
        config.retention.idempotency_keys = Duration::ZERO;
        config.retention.purge_jobs = KEPT;
        let server = Server::start(config, Role::Api).await.unwrap();
        let service = Self {
            server,
            media,
            cluster,
        };
        let user = format!("INSERT INTO users (id) VALUES ({USER})");
        let db = service.app().store.writer();
        db.execute_unprepared(&user).await.unwrap();
        service
    }

    pub(crate) fn app(&self) -> &App {
        self.server.app()
    }

    pub(crate) fn url(&self) -> String {
        self.server.url().unwrap()
    }

    /// Such as `127.0.0.1:50051`.
    pub(crate) fn address(&self) -> String {
        self.server.local_addr().unwrap().to_string()
    }

    pub(crate) fn database_url(&self) -> String {
        self.cluster.url()
    }

    pub(crate) fn media_folder(&self) -> &Path {
        self.media.path()
    }

    pub(crate) async fn stop(self) {
        self.server.hand_back().await;
    }

    /// Stores a file of so many bytes of noise as that of a media, as a job would.
    pub(crate) async fn add_media(&self, size: usize) -> StoredMedia {
        let app = self.app();
        let content = Bytes::from(noise(size));
        let key = StorageKey::for_output(1, &Uuid::new_v4().to_string(), 0, Format::Png);
        app.storage.put(&key, content.clone(), None).await.unwrap();
        let id = self.insert_media(&key, &content).await;
        let link = app.storage.download_url(id, &key, app.clock.now()).await;
        let link = link.unwrap().url;
        let link = link.strip_prefix(&self.url()).unwrap().to_owned();
        StoredMedia {
            id,
            content,
            key: key.path().to_owned(),
            link,
        }
    }

    async fn insert_media(&self, key: &StorageKey, content: &Bytes) -> i64 {
        let insert = format!(
            "WITH asked AS (
                 INSERT INTO generation_requests (user_id, feature_id, user_prompt, status)
                 SELECT {USER}, MIN(id), 'noise', 'completed' FROM generation_features RETURNING id)
             INSERT INTO generation_media
                 (request_id, media_url, media_type, blurhash, role, metadata, storage_key, sha256, file_size)
             SELECT id, 'x', 'image', 'L', 'original', '{{}}', '{key}', '{sha256}', {size} FROM asked RETURNING id",
            sha256 = sha256_hex(content),
            size = content.len(),
        );
        let db = self.app().store.writer();
        let insert = Statement::from_string(db.get_database_backend(), insert);
        let inserted = db.query_one_raw(insert).await.unwrap();
        inserted.unwrap().try_get_by_index(0).unwrap()
    }
}

/// What nothing makes smaller, the same each time (xorshift64).
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    };
    std::iter::from_fn(next).flatten().take(size).collect()
}
