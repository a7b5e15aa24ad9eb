//! From a prompt to a picture with the built-in provider and the starter catalogue, over gRPC and plain HTTP.

use atelier::media::{LinkSettings, Storage, StorageKey, StorageSettings};
use atelier::rpc::proto::{
    CreateRequestRequest, DownloadMediaRequest, Feature, GenerationInput, GetMediaRequest,
    JobStatus, ListFeaturesRequest, ListJobsRequest, ListMediaRequest, ListRequestsRequest,
    ListTemplatesRequest, Media, MediaRole, MediaType, RequestStatus, Template, WatchJobResponse,
    download_media_response::Part,
};
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::time::Duration;
use url::Url;

use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::http::{browser, get};
use crate::support::server::{SIGNING_KEY, TestServer, within};
use crate::support::watching::{revisions, statuses};

const PROMPT: &str = "Khai trương quán cà phê: giảm 50% cả tuần";

on_both_databases! {
    async fn a_prompt_becomes_pictures_that_can_be_watched_listed_and_downloaded(db: TestDatabase) {
        let server = with_catalogue(&db).await;
        let (feature, template) = a_style(&server).await;

        let (request, jobs) = server.create(banner(&feature, Some(&template))).await;
        assert_eq!(request.user_prompt, PROMPT);
        assert_eq!(request.status(), RequestStatus::Pending);
        assert_eq!(jobs.iter().map(|job| job.variation).collect::<Vec<_>>(), [0, 1]);

        let mut media = Vec::new();
        for job in &jobs {
            let transitions = server.watch(job.id).await.transitions().await;
            media.extend(made_by(job.id, &transitions));
        }
        let all = media.clone();
        media.retain(|media| media.role() == MediaRole::Original);
        for media in &media {
            assert_picture(media, request.id);
            let content = download(&server, media).await;
            assert_is_content_of(&content, media);
            assert_link_opens(&server, media, &content).await;
        }
        assert_ne!(media[0].sha256, media[1].sha256, "both variations look alike");
        assert_eq!(media[1].seed.unwrap(), media[0].seed.unwrap() + 1);
        assert_request_is_completed(&server, request.id).await;
        assert_lists_agree(&server, request.id, &all).await;
    }

    async fn a_link_that_was_changed_or_is_too_old_is_refused(db: TestDatabase) {
        let server = with_catalogue(&db).await;
        let (feature, _) = a_style(&server).await;
        let (_, jobs) = server.create(banner(&feature, None)).await;
        let transitions = server.watch(jobs[0].id).await.transitions().await;
        let media = made_by(jobs[0].id, &transitions).remove(0);
        let link = Url::parse(&media.download_url).unwrap();
        assert_eq!(get(link.clone()).await.status(), StatusCode::OK);

        let mut later = link.clone();
        let expires = media.download_url_expire_time.unwrap().seconds;
        let query = link.query().unwrap().replace(&expires.to_string(), &(expires + 1).to_string());
        later.set_query(Some(&query));
        assert_eq!(get(later).await.status(), StatusCode::FORBIDDEN);

        let mut unsigned = link.clone();
        unsigned.set_query(None);
        assert!(get(unsigned).await.status().is_client_error());

        let expired = link_of_1970(&server, &link).await;
        assert_eq!(get(expired).await.status(), StatusCode::FORBIDDEN);
    }

    async fn the_server_says_over_plain_http_that_it_is_healthy(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let url = Url::parse(&server.url()).unwrap();
        assert_eq!(get(url.join("/healthz").unwrap()).await.status(), StatusCode::OK);
        assert_eq!(get(url.join("/nothing/here").unwrap()).await.status(), StatusCode::NOT_FOUND);
    }

    async fn an_empty_database_gets_the_catalogue_once(db: TestDatabase) {
        let server = with_catalogue(&db).await;
        let features = catalogue(&server).await;
        assert!(features.len() >= 3, "{features:?}");
        for category in [MediaType::Image, MediaType::Video, MediaType::Audio] {
            assert!(features.iter().any(|feature| feature.category() == category), "{features:?}");
        }
        for feature in &features {
            let templates = templates_of(&server, feature.id).await;
            assert!(templates.len() >= 4, "{} has {templates:?}", feature.name);
            assert!(templates.iter().all(|template| !template.tags.is_empty()));
        }
        server.stop().await;

        let again = with_catalogue(&db).await;
        assert_eq!(catalogue(&again).await, features);
    }
}

async fn with_catalogue(db: &crate::support::database::TestDatabase) -> TestServer {
    TestServer::start_with(db, |config| config.catalogue.install_starter = true).await
}

async fn catalogue(server: &TestServer) -> Vec<Feature> {
    let request = ListFeaturesRequest::default();
    let listed = server.features().list_features(request).await;
    listed.unwrap().into_inner().features
}

async fn templates_of(server: &TestServer, feature_id: i64) -> Vec<Template> {
    let request = ListTemplatesRequest {
        feature_id,
        ..Default::default()
    };
    let listed = server.templates().list_templates(request).await;
    listed.unwrap().into_inner().templates
}

/// A feature of the catalogue, and a template of it that asks for nothing but a prompt.
async fn a_style(server: &TestServer) -> (Feature, Template) {
    for feature in catalogue(server).await {
        let templates = templates_of(server, feature.id).await;
        let undemanding = templates.into_iter().find(|template| {
            let data = template.template_data.clone().unwrap_or_default();
            let mut variables = data.variables.iter();
            variables.all(|variable| !variable.is_required || variable.default_value.is_some())
        });
        if let Some(template) = undemanding {
            return (feature, template);
        }
    }
    panic!("every template of the catalogue demands a variable");
}

/// Two variations of the prompt.
fn banner(feature: &Feature, template: Option<&Template>) -> CreateRequestRequest {
    CreateRequestRequest {
        user_id: USER,
        feature_id: feature.id,
        template_id: template.map(|template| template.id),
        user_prompt: format!("  {PROMPT} \n"),
        input: Some(GenerationInput {
            variations: 2,
            seed: Some(41),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What the transitions of a job that runs smoothly deliver.
fn made_by(job_id: i64, transitions: &[WatchJobResponse]) -> Vec<Media> {
    let (pending, processing) = (JobStatus::Pending, JobStatus::Processing);
    assert_eq!(
        statuses(transitions),
        [pending, processing, JobStatus::Completed],
        "{transitions:?}"
    );
    assert_eq!(revisions(transitions), [1, 2, 3]);
    let (last, before) = transitions.split_last().unwrap();
    assert!(before.iter().all(|message| message.media.is_empty()));
    let job = last.job.as_ref().unwrap();
    assert_eq!((job.id, job.progress, job.attempt), (job_id, 1.0, 1));
    assert!(job.end_time.is_some() && job.start_time.is_some() && job.error.is_none());
    let roles: Vec<_> = last.media.iter().map(Media::role).collect();
    assert_eq!(roles, [MediaRole::Original, MediaRole::Thumbnail]);
    assert!(last.media.iter().all(|media| media.job_id == Some(job_id)));
    last.media.clone()
}

fn assert_picture(media: &Media, request_id: i64) {
    assert_eq!(media.request_id, request_id);
    assert_eq!(media.media_type(), MediaType::Image);
    assert_eq!(media.role(), MediaRole::Original);
    // 4x3 components: 1 for their number, 1 for the maximum, 4 for the mean, 2 for each other.
    assert_eq!(media.blurhash.len(), 28, "{media:?}");
    assert!(matches!(media.format.as_str(), "png" | "jpg" | "webp"));
    assert!(media.width >= 64 && media.height >= 64);
    assert!(media.tiny_preview.starts_with("data:image/"), "{media:?}");
    assert!(media.tiny_preview.len() <= 1_024);
    let link = Url::parse(&media.download_url).unwrap();
    let file = format!("/media/{}.{}", media.id, media.format);
    assert_eq!(link.path(), file, "it names the media");
    let lasting = Url::parse(&media.media_url).unwrap();
    assert_eq!(lasting.origin(), link.origin());
    assert!(
        lasting.path().starts_with("/media/jobs/"),
        "no path of the server's"
    );
    assert_eq!(media.duration_seconds, None);
}

async fn download(server: &TestServer, media: &Media) -> Vec<u8> {
    let request = DownloadMediaRequest {
        id: media.id,
        offset: 0,
    };
    let opened = within(server.media().download_media(request)).await;
    let mut stream = opened.unwrap().into_inner();
    let first = within(stream.message()).await.unwrap().unwrap();
    let Some(Part::Media(told)) = first.part else {
        panic!("the first message is not the media: {first:?}");
    };
    assert_eq!((told.id, told.file_size), (media.id, media.file_size));
    let mut content = Vec::new();
    while let Some(message) = within(stream.message()).await.unwrap() {
        let Some(Part::Chunk(chunk)) = message.part else {
            panic!("not a chunk: {message:?}");
        };
        assert!((1..=64 * 1024).contains(&chunk.len()));
        content.extend_from_slice(&chunk);
    }
    content
}

fn assert_is_content_of(content: &[u8], media: &Media) {
    assert_eq!(content.len(), media.file_size as usize);
    let digest: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, media.sha256);
    let picture = image::load_from_memory(content).unwrap();
    let size = (media.width as u32, media.height as u32);
    assert_eq!((picture.width(), picture.height()), size);
}

/// The link gives the bytes to whoever has it, as a whole and in part.
async fn assert_link_opens(server: &TestServer, media: &Media, content: &[u8]) {
    assert!(media.download_url.starts_with(&server.url()), "{media:?}");
    let link = Url::parse(&media.download_url).unwrap();
    let whole = get(link.clone()).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let content_type = match media.format.as_str() {
        "jpg" => "image/jpeg".to_owned(),
        other => format!("image/{other}"),
    };
    assert_eq!(whole.headers()[CONTENT_TYPE], content_type);
    assert_eq!(whole.headers()[ACCEPT_RANGES], "bytes");
    assert_eq!(whole.headers()[CONTENT_LENGTH], content.len().to_string());
    assert!(whole.bytes().await.unwrap() == content);

    let part = browser().get(link).header(RANGE, "bytes=10-19");
    let part = within(part.send()).await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let range = format!("bytes 10-19/{}", content.len());
    assert_eq!(part.headers()[CONTENT_RANGE], range);
    assert!(part.bytes().await.unwrap() == content[10..20]);
}

async fn assert_request_is_completed(server: &TestServer, id: i64) {
    let request = server.request(id).await;
    assert_eq!(request.status(), RequestStatus::Completed);
    let counts = request.job_counts.unwrap();
    assert_eq!(
        (counts.completed, counts.pending, counts.processing),
        (2, 0, 0)
    );
    assert_eq!((counts.failed, counts.cancelled), (0, 0));
}

/// The same job, media and request appear wherever they can be asked for.
async fn assert_lists_agree(server: &TestServer, request_id: i64, media: &[Media]) {
    let requests = ListRequestsRequest {
        statuses: vec![RequestStatus::Completed.into()],
        ..Default::default()
    };
    let requests = server.requests().list_requests(requests).await;
    let requests = requests.unwrap().into_inner().requests;
    assert_eq!(
        requests.iter().map(|r| r.id).collect::<Vec<_>>(),
        [request_id]
    );

    let jobs = ListJobsRequest {
        request_id,
        ..Default::default()
    };
    let jobs = server.jobs().list_jobs(jobs).await.unwrap().into_inner();
    let newest_first: Vec<_> = jobs.jobs.iter().map(|job| Some(job.id)).collect();
    assert_eq!(
        newest_first,
        [media[media.len() - 1].job_id, media[0].job_id]
    );

    let listed = ListMediaRequest {
        request_id,
        ..Default::default()
    };
    let listed = server
        .media()
        .list_media(listed)
        .await
        .unwrap()
        .into_inner();
    let mut ids: Vec<_> = listed.media.iter().map(|media| media.id).collect();
    assert!(ids.is_sorted_by(|left, right| left > right), "{ids:?}");
    ids.sort_unstable();
    let mut made: Vec<_> = media.iter().map(|media| media.id).collect();
    made.sort_unstable();
    assert_eq!(ids, made);

    for media in media {
        let request = GetMediaRequest {
            id: media.id,
            ..Default::default()
        };
        let found = server.media().get_media(request).await;
        let found = found.unwrap().into_inner().media.unwrap();
        assert_eq!(
            (&found.sha256, &found.blurhash),
            (&media.sha256, &media.blurhash)
        );
        assert_eq!(found.media_url, media.media_url);
    }
}

/// A genuine link to the same object that ended long ago.
async fn link_of_1970(server: &TestServer, link: &Url) -> Url {
    let folder = server.media_folder().to_owned();
    let links = LinkSettings {
        server_url: Url::parse(&server.url()).unwrap(),
        public_url: None,
        signing_key: Some(SecretString::from(SIGNING_KEY)),
        lifetime: Duration::from_secs(60),
    };
    let storage = Storage::open(&StorageSettings::Local { folder }, links).unwrap();
    let path = link.path().strip_prefix("/media/").unwrap();
    let (id, format) = path.split_once('.').unwrap();
    let key = StorageKey::from_path(&format!("jobs/000/000/001/a-0.{format}"));
    let (id, epoch) = (id.parse().unwrap(), DateTime::<Utc>::UNIX_EPOCH);
    let signed = storage
        .download_url(id, &key.unwrap(), epoch)
        .await
        .unwrap();
    Url::parse(&signed.url).unwrap()
}
