//! What pages are told that embed a link (oEmbed 1.0), and what posters are shown.

use serde_json::{Value, json};
use url::Url;

use super::*;

on_both_databases! {
    async fn a_page_is_told_how_to_embed_a_link_of_ours_and_no_other(db: TestDatabase) {
        let (server, media) = with_a_picture(&db).await;
        let (_, url) = share(&server, &ShareMediaRequest { title: "Tea & \"cake\"".to_owned(), ..of(&media) }).await;
        let page = get(&url).await.text().await.unwrap();
        let href = page.split_once("application/json+oembed\" href=\"").unwrap().1.split_once('"').unwrap().0;
        let answer = get(&href.replace("&amp;", "&")).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        assert_protected(&answer, "public, max-age=60");
        let told: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(told, json!({
            "type": "photo", "version": "1.0", "title": "Tea & \"cake\"", "url": format!("{url}/file.png"),
            "width": 64, "height": 64, "provider_name": "Atelier", "provider_url": format!("{}/", server.url()),
            "cache_age": 60,
        }));
        let smaller = embedded(&server, &url, "&maxwidth=32&maxheight=100").await;
        assert_eq!((&smaller["type"], &smaller["width"], &smaller["height"]), (&json!("rich"), &json!(32), &json!(32)));
        assert_eq!(
            smaller["html"],
            format!("<img src=\"{url}/file.png\" alt=\"Tea &amp; &quot;cake&quot;\" width=\"32\" height=\"32\">")
        );

        let asked = async |query: &str| get(&format!("{}/oembed?{query}", server.url())).await.status();
        let escape = |url: &str| url::form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
        assert_eq!(asked(&format!("url={}&format=xml", escape(&url))).await, StatusCode::NOT_IMPLEMENTED);
        for foreign in [
            "", "https://example.com/", &format!("{}/s/{}", server.url(), "A".repeat(32)), &server.url(),
            &url.replace("127.0.0.1", "localhost"), &format!("{url}/file.png"), &media.download_url,
        ] {
            assert_eq!(asked(&format!("url={}&format=json", escape(foreign))).await, StatusCode::NOT_FOUND, "{foreign}");
        }
        assert_eq!(asked("format=json").await, StatusCode::NOT_FOUND);
        let id = media.id;
        server.media().delete_media(atelier::rpc::proto::DeleteMediaRequest { id }).await.unwrap();
        assert_eq!(asked(&format!("url={}", escape(&url))).await, StatusCode::NOT_FOUND);
    }

    async fn videos_and_sound_are_shown_with_their_posters(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        for (category, format, kind) in [(MediaType::Video, "mp4", "video"), (MediaType::Audio, "wav", "rich")] {
            let mut feature = drawn(format, category, &[format]);
            feature.properties.as_mut().unwrap().make_poster = true;
            let feature = server.add_feature(feature).await.id;
            let of_sound = category == MediaType::Audio;
            let output = OutputSettings {
                width: (!of_sound).then_some(96),
                height: (!of_sound).then_some(64),
                duration_seconds: Some(1),
                ..Default::default()
            };
            let media = server.made(asked(feature, Some(output))).await.media();
            let original = media.iter().find(|it| it.role() == MediaRole::Original).unwrap();
            let poster = media.iter().find(|it| it.role() == MediaRole::Poster).unwrap();
            let (_, url) = share(&server, &of(original)).await;
            let page = get(&url).await.text().await.unwrap();
            let og = if of_sound { "audio" } else { "video" };
            for part in [
                format!("<meta property=\"og:{og}\" content=\"{url}/file.{format}\">"),
                format!("<meta property=\"og:image\" content=\"{url}/poster.{}\">", poster.format),
                format!("<{og} src="),
            ] {
                assert!(page.contains(&part), "{part}: {page}");
            }
            let sent = get(&format!("{url}/poster.{}", poster.format)).await;
            assert_protected(&sent, "public, max-age=60");
            let sent = image::load_from_memory(&sent.bytes().await.unwrap()).unwrap();
            assert_eq!((sent.width(), sent.height()), (poster.width as u32, poster.height as u32));

            let told = embedded(&server, &url, "").await;
            assert_eq!(told["type"], kind);
            assert_eq!(told["thumbnail_url"], format!("{url}/poster.{}", poster.format));
            assert!(told["html"].as_str().unwrap().starts_with(&format!("<{og} src=\"{url}/file.{format}\" controls")));
            let narrow = embedded(&server, &url, "&maxwidth=48").await;
            assert_eq!(narrow["width"], 48);
            assert_eq!(narrow.get("thumbnail_url"), None, "it is larger than asked for");
            let refused = refusal(try_share(&server, &ShareMediaRequest { max_size: 64, ..of(original) }).await);
            refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields(["max_size"]);
            // A page without its poster is still a page.
            let id = poster.id;
            server.media().delete_media(atelier::rpc::proto::DeleteMediaRequest { id }).await.unwrap();
            assert!(!get(&url).await.text().await.unwrap().contains("og:image"));
            assert_eq!(get(&format!("{url}/poster.{}", poster.format)).await.status(), StatusCode::NOT_FOUND);
            assert!(media_of(&server, original.id).await.delete_time.is_none());
        }
    }
}

async fn embedded(server: &TestServer, url: &str, more: &str) -> Value {
    let mut asked: Url = format!("{}/oembed", server.url()).parse().unwrap();
    asked.query_pairs_mut().append_pair("url", url);
    let answer = get(&format!("{asked}{more}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
