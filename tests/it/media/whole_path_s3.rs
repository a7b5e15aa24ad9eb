//! From a prompt to a picture in a bucket: the server's links lead to the service that keeps it.

use std::time::Duration;

use atelier::rpc::proto::{CreateRequestRequest, JobStatus, ListFeaturesRequest};
use reqwest::StatusCode;
use sha2::{Digest, Sha256};

use crate::support::bucket::{keep_media_in, serve_bucket};
use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::http::called;
use crate::support::server::TestServer;

on_both_databases! {
    async fn a_picture_is_kept_in_a_bucket_and_its_presigned_link_opens_it(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| {
            config.catalogue.install_starter = true;
            keep_media_in(&bucket, config);
            config.storage.download_url_ttl = Duration::from_secs(4 * 24 * 60 * 60);
        })
        .await;
        let listed = server.features().list_features(ListFeaturesRequest::default()).await;
        let feature = listed.unwrap().into_inner().features.remove(0);
        let (_, jobs) = server
            .create(CreateRequestRequest {
                user_id: USER,
                feature_id: feature.id,
                user_prompt: "Xin chào".to_owned(),
                ..Default::default()
            })
            .await;
        let last = server.watch(jobs[0].id).await.transitions().await.pop().unwrap();
        assert_eq!(last.job.unwrap().status(), JobStatus::Completed);

        let media = &last.media[0];
        let endpoint = bucket.endpoint.unwrap();
        assert!(media.media_url.starts_with(&format!("{endpoint}{}/jobs/", bucket.bucket)), "{}", media.media_url);
        let answer = reqwest::get(&media.download_url).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert_eq!(called(&answer), format!("xin-chào-{}-1.png", media.request_id));
        let listed = server.media_of(jobs[0].id).await.pop().unwrap();
        assert_eq!(listed.download_url, media.download_url);
        let content = answer.bytes().await.unwrap();
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, media.sha256);
        assert_eq!(reqwest::get(&media.media_url).await.unwrap().status(), StatusCode::FORBIDDEN, "unsigned");
    }
}
