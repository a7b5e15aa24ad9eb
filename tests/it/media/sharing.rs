//! Public links: what whoever has one sees, what of a file it does not tell, and when it leads nowhere.

mod embedding;
mod ending;
mod guarded;

use std::fs;

use atelier::rpc::proto::{
    CreateFeatureRequest, CreateRequestRequest, ErrorReason, FeatureProperties, GenerationInput,
    GetMediaRequest, Media, MediaRole, MediaType, OutputSettings, Share, ShareMediaRequest,
    ShareMediaResponse,
};
use codec::{Format, provenance, samples::ffmpeg};
use reqwest::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HOST, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::client::browser::page::Page;
use crate::support::bucket::{keep_media_in, serve_bucket};
use crate::support::client::{Client, request_for, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::identity::{asks, by, token};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const PROMPT: &str = "Xin chào";

on_both_databases! {
    async fn whoever_has_the_link_sees_a_page_with_the_picture_and_nothing_of_its_making(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (share, url) = share(&server, &ShareMediaRequest { title: "Grand <opening>".to_owned(), ..of(&media) }).await;
        assert!(url.starts_with(&format!("{}/s/", server.url())), "{url}");
        assert_eq!((share.media_id, share.title.as_str(), share.show_recipe), (media.id, "Grand <opening>", false));
        assert!(share.create_time.is_some() && share.expire_time.is_none() && share.revoke_time.is_none());

        let page = get(&url).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_protected(&page, "public, max-age=60");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; img-src 'self'; media-src 'self'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"));
        let page = page.text().await.unwrap();
        for part in [
            "<title>Grand &lt;opening&gt;</title>".to_owned(),
            format!("<meta property=\"og:image\" content=\"{url}/file.png\">"),
            "<meta property=\"og:image:width\" content=\"64\">".to_owned(),
            "<meta name=\"robots\" content=\"noindex\">".to_owned(),
        ] {
            assert!(page.contains(&part), "{part}: {page}");
        }
        assert!(!page.contains(PROMPT) && !page.contains("<opening>"), "{page}");

        let file = get(&format!("{url}/file.png")).await;
        assert_protected(&file, "public, max-age=60");
        assert_eq!(file.headers()[CONTENT_TYPE], "image/png");
        assert_eq!(file.headers()[CONTENT_DISPOSITION], "inline; filename=\"shared.png\"");
        let etag = file.headers()[ETAG].to_str().unwrap().to_owned();
        let content = file.bytes().await.unwrap();
        assert_eq!(etag, format!("\"{}\"", digest(&content)));
        assert_eq!(content.len() as i64, share.file_size);
        let whole = server.content_of(&media).await;
        assert!(provenance::read(&whole).is_some());
        assert_eq!(provenance::read(&content), None);
        assert_eq!(pixels(&content), pixels(&whole));
    }

    async fn the_usual_title_tells_nothing(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (share, url) = share(&server, &of(&media)).await;
        assert_eq!(share.title, "");
        let page = get(&url).await.text().await.unwrap();
        assert!(page.contains("<meta property=\"og:title\" content=\"Made with Atelier\">"), "{page}");
    }

    async fn no_file_tells_how_it_was_made_unless_its_owner_says_so(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        assert_all_formats_are_bared(&server).await;
    }

    async fn no_file_in_a_bucket_tells_how_it_was_made_unless_its_owner_says_so(db: TestDatabase) {
        let root = tempfile::tempdir().unwrap();
        let bucket = serve_bucket(&root).await;
        let server = TestServer::start_with(&db, |config| keep_media_in(&bucket, config)).await;
        assert_all_formats_are_bared(&server).await;
    }

    async fn a_file_is_sent_in_parts_and_only_to_whom_it_is_new(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        let url = format!("{url}/file.png");
        let whole = get(&url).await;
        let etag = whole.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(whole.headers()[ACCEPT_RANGES], "bytes");
        let whole = whole.bytes().await.unwrap();
        let head = send(browser().request(Method::HEAD, &url)).await;
        assert_eq!((head.status(), head.headers()[CONTENT_LENGTH].to_str().unwrap()), (StatusCode::OK, &*whole.len().to_string()));
        assert_eq!(head.headers()[ETAG], etag);
        assert_eq!(head.bytes().await.unwrap(), "");
        let known = send(browser().get(&url).header(IF_NONE_MATCH, &etag)).await;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert_protected(&known, "public, max-age=60");
        // That of the file with its recipe is another.
        let stored = send(browser().get(&url).header(IF_NONE_MATCH, format!("\"{}\"", media.sha256))).await;
        assert_eq!(stored.status(), StatusCode::OK);
        let part = send(browser().get(&url).header(RANGE, "bytes=30-49").header(IF_RANGE, &etag)).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 30-49/{}", whole.len()));
        assert_eq!(part.bytes().await.unwrap(), whole[30..50]);
        let beyond = send(browser().get(&url).header(RANGE, format!("bytes={}-", whole.len()))).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{}", whole.len()));
    }

    async fn a_picture_is_shown_no_larger_than_its_owner_wants(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let mut feature = drawn("drawn", MediaType::Image, &["png"]);
        let properties = feature.properties.as_mut().unwrap();
        (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![16, 32], false);
        let feature = server.add_feature(feature).await.id;
        let media = server.made(asked(feature, None)).await.media();
        let original = media.iter().find(|it| it.role() == MediaRole::Original).unwrap();
        for (max_size, width, name) in [(0, 96, "file.png"), (96, 96, "file.png"), (95, 32, "file.jpg"), (31, 16, "file.jpg")] {
            let (share, url) = share(&server, &ShareMediaRequest { max_size, ..of(original) }).await;
            assert_eq!(share.max_size, max_size);
            assert!(get(&url).await.text().await.unwrap().contains(&format!("<meta property=\"og:image:width\" content=\"{width}\">")));
            let sent = get(&format!("{url}/{name}")).await.bytes().await.unwrap();
            assert_eq!(image::load_from_memory(&sent).unwrap().width(), width, "{max_size}");
        }
        let small = refusal(try_share(&server, &ShareMediaRequest { max_size: 15, ..of(original) }).await);
        small.is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields(["max_size"]);

        // What is shown goes when it is deleted by itself, and nothing larger comes in its place.
        let (_, url) = share(&server, &ShareMediaRequest { max_size: 20, ..of(original) }).await;
        let thumbnail = media.iter().find(|it| it.width == 16).unwrap();
        let id = thumbnail.id;
        server.media().delete_media(atelier::rpc::proto::DeleteMediaRequest { id }).await.unwrap();
        assert_eq!(get(&url).await.status(), StatusCode::NOT_FOUND);
    }

    async fn what_may_not_be_is_refused_all_at_once(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let wrong = ShareMediaRequest {
            title: format!("x\n{}", "x".repeat(200)),
            max_size: -1,
            expire_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..of(&media)
        };
        let refused = refusal(try_share(&server, &wrong).await);
        refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields(["max_size", "title", "title", "expire_time"]);
        let nobody = ShareMediaRequest { media_id: 999_999, ..Default::default() };
        refusal(try_share(&server, &nobody).await).is(Code::NotFound, ErrorReason::MediaNotFound);
    }

    async fn what_cannot_be_bared_is_shared_as_it_is_or_not_at_all(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.webm");
        fs::write(&file, ffmpeg("-f lavfi -i testsrc=size=64x48:rate=10:duration=0.5", "webm")).unwrap();
        let feature = CreateFeatureRequest {
            category: MediaType::Video.into(),
            ..crate::support::client::scripted_feature("clips")
        };
        let feature = server.add_feature(feature).await.id;
        let media = server.made(scripted_request(feature, &Script::delivering(&file))).await.media().remove(0);
        assert_eq!(media.format, "webm");
        refusal(try_share(&server, &of(&media)).await)
            .is(Code::FailedPrecondition, ErrorReason::MetadataNotRemovable)
            .with("media_id", media.id);
        let (_, url) = share(&server, &ShareMediaRequest { show_recipe: true, ..of(&media) }).await;
        let sent = get(&format!("{url}/file.webm")).await.bytes().await.unwrap();
        assert_eq!(sent, fs::read(&file).unwrap());
    }

    async fn a_user_shares_what_is_his_own_and_a_service_what_is_anybodys(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let asking = server.beside(atelier::server::Role::Api, &db, asks).await;
        let (own, other, service) = (token("user", "7"), token("user", "8"), token("service", "shop"));
        let theirs = refusal(asking.media().share_media(by(&other, of(&media))).await);
        theirs.is(Code::NotFound, ErrorReason::MediaNotFound);
        let mut ids = Vec::new();
        for token in [&own, &service] {
            let shared = asking.media().share_media(by(token, of(&media))).await.unwrap().into_inner();
            ids.push(shared.share.unwrap().id);
        }
        let list = |token: &str| by(token, atelier::rpc::proto::ListSharesRequest { media_id: media.id, ..Default::default() });
        refusal(asking.media().list_shares(list(&other)).await).is(Code::NotFound, ErrorReason::MediaNotFound);
        assert_eq!(asking.media().list_shares(list(&own)).await.unwrap().into_inner().shares.len(), 2);
        let end = |token: &str| by(token, atelier::rpc::proto::UnshareMediaRequest { share_id: ids[1] });
        refusal(asking.media().unshare_media(end(&other)).await).is(Code::NotFound, ErrorReason::ShareNotFound);
        asking.media().unshare_media(end(&own)).await.unwrap();
        asking.stop().await;
    }

    async fn pages_are_sent_under_the_servers_own_names_only(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &of(&media)).await;
        for path in ["", "/file.png"] {
            let foreign = send(browser().get(format!("{url}{path}")).header(HOST, "evil.example.com")).await;
            assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
        }
        let posted = send(browser().post(&url)).await;
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_picture_and_runs_nothing_of_the_title() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let (server, media) = with_a_picture(&db).await;
    let title =
        "\"><script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">";
    let asked = ShareMediaRequest {
        title: title.to_owned(),
        ..of(&media)
    };
    let (_, url) = share(&server, &asked).await;
    let mut page = Page::open("shared", &url);
    let seen = page.tells("seen").await;
    assert_eq!(seen["title"], title, "{seen}");
    assert_eq!(seen["heading"], title);
    assert_eq!(seen["pictures"], serde_json::json!([[64, 64]]));
    assert_eq!(
        seen["background"], "rgb(17, 17, 17)",
        "its own style is let in"
    );
    assert_eq!(seen["complaints"], serde_json::json!([]));
    page.closes().await;
}

fn of(media: &Media) -> ShareMediaRequest {
    ShareMediaRequest {
        media_id: media.id,
        ..Default::default()
    }
}

async fn try_share(
    server: &Client,
    asked: &ShareMediaRequest,
) -> Result<ShareMediaResponse, tonic::Status> {
    let shared = within(server.media().share_media(asked.clone())).await;
    shared.map(tonic::Response::into_inner)
}

/// The share and its link.
async fn share(server: &Client, asked: &ShareMediaRequest) -> (Share, String) {
    let shared = try_share(server, asked).await.unwrap();
    (shared.share.unwrap(), shared.share_url)
}

async fn send(call: RequestBuilder) -> Response {
    within(call.send()).await.unwrap()
}

async fn get(url: &str) -> Response {
    send(browser().get(url)).await
}

fn digest(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has(content: &[u8], words: &str) -> bool {
    let words = words.as_bytes();
    content.windows(words.len()).any(|part| part == words)
}

fn pixels(content: &[u8]) -> image::RgbaImage {
    image::load_from_memory(content).unwrap().to_rgba8()
}

fn assert_protected(answer: &Response, caching: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", caching),
    ] {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    assert!(
        answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; img-src 'self'; media-src 'self'")
    );
    assert!(answer.headers().get(CACHE_CONTROL).is_some());
}

async fn assert_all_formats_are_bared(server: &TestServer) {
    let mut formats = Vec::new();
    for media in all_formats(server).await {
        assert_bared(server, &media).await;
        formats.push(media.format);
    }
    formats.sort();
    assert_eq!(formats, ["flac", "gif", "jpg", "mp4", "png", "wav", "webp"]);
}

/// The media has a recipe, and tells it to whoever has a link only where its owner says so.
async fn assert_bared(server: &TestServer, media: &Media) {
    let whole = server.content_of(media).await;
    let format = &media.format;
    let recipe = provenance::read(&whole);
    assert!(recipe.is_some(), "{format}");
    for show_recipe in [false, true] {
        let asked = ShareMediaRequest {
            show_recipe,
            ..of(media)
        };
        let (share, url) = share(server, &asked).await;
        let file = format!("{url}/file.{format}");
        assert!(
            get(&url)
                .await
                .text()
                .await
                .unwrap()
                .contains(&format!("\"{file}\""))
        );
        let answer = get(&file).await;
        assert_eq!(answer.status(), StatusCode::OK, "{format}");
        assert_eq!(
            answer.headers()[CONTENT_LENGTH],
            share.file_size.to_string()
        );
        let etag = answer.headers()[ETAG].clone();
        let sent = answer.bytes().await.unwrap();
        assert_eq!(etag, format!("\"{}\"", digest(&sent)));
        assert_eq!(sent.len() as i64, share.file_size);
        assert_eq!(
            provenance::read(&sent),
            recipe.clone().filter(|_| show_recipe),
            "{format}"
        );
        assert_eq!(*sent == *whole, show_recipe, "{format}");
        assert_eq!(codec::sniff(&sent).unwrap().as_str(), format);
        assert!(show_recipe || !has(&sent, PROMPT), "{format}");
        assert_parts(&file, &sent).await;
    }
}

/// Parts around everything that may have been cut are those of what is sent as a whole.
async fn assert_parts(url: &str, whole: &[u8]) {
    let size = whole.len();
    for (from, to) in [
        (0, 40),
        (10, 4_000),
        (size / 2, size / 2),
        (size - 600, size - 1),
    ] {
        let to = to.min(size - 1);
        let part = send(
            browser()
                .get(url)
                .header(RANGE, format!("bytes={from}-{to}")),
        )
        .await;
        assert_eq!(
            part.status(),
            StatusCode::PARTIAL_CONTENT,
            "{url} {from}-{to}"
        );
        assert_eq!(
            part.bytes().await.unwrap(),
            whole[from..=to],
            "{url} {from}-{to}"
        );
    }
}

fn drawn(name: &str, category: MediaType, formats: &[&str]) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        category: category.into(),
        properties: Some(FeatureProperties {
            provider: "builtin".to_owned(),
            formats: formats.iter().map(|&format| format.to_owned()).collect(),
            omit_thumbnails: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Something small in all formats of its feature.
fn asked(feature: i64, output: Option<OutputSettings>) -> CreateRequestRequest {
    let output = output.unwrap_or(OutputSettings {
        width: Some(96),
        height: Some(64),
        ..Default::default()
    });
    CreateRequestRequest {
        input: Some(GenerationInput {
            seed: Some(7),
            output: Some(output),
            ..Default::default()
        }),
        ..request_for(feature)
    }
}

/// Media of the built-in provider in every format that has a recipe.
async fn all_formats(server: &TestServer) -> Vec<Media> {
    let mut all = Vec::new();
    for (category, formats) in [
        (MediaType::Image, &["png", "jpg", "webp"][..]),
        (MediaType::Video, &["mp4", "gif"]),
        (MediaType::Audio, &["wav", "flac"]),
    ] {
        let feature = server
            .add_feature(drawn(formats[0], category, formats))
            .await
            .id;
        let of_sound = category == MediaType::Audio;
        let output = OutputSettings {
            width: (!of_sound).then_some(96),
            height: (!of_sound).then_some(64),
            duration_seconds: (category != MediaType::Image).then_some(1),
            formats: formats.iter().map(|&format| format.to_owned()).collect(),
            ..Default::default()
        };
        let media = server.made(asked(feature, Some(output))).await.media();
        let kept = [MediaRole::Original, MediaRole::Format];
        all.extend(media.into_iter().filter(|it| kept.contains(&it.role())));
    }
    all
}

/// A server, and a picture that holds a recipe.
async fn with_a_picture(db: &TestDatabase) -> (TestServer, Media) {
    let server = TestServer::start(db).await;
    let media = picture(&server).await;
    (server, media)
}

async fn picture(server: &Client) -> Media {
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    let made = server.made(scripted_request(feature, &script)).await;
    let media = made.media().remove(0);
    assert_eq!(media.format, Format::Png.as_str());
    media
}

async fn media_of(server: &Client, id: i64) -> Media {
    let asked = GetMediaRequest {
        id,
        ..Default::default()
    };
    let media = server.media().get_media(asked).await.unwrap();
    media.into_inner().media.unwrap()
}
