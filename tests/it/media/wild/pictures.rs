//! Pictures of the wild.

use atelier::rpc::proto::{MediaRole, MediaType};
use codec::provenance;
use codec::samples::ffmpeg;
use image::{Rgb, RgbImage};
use serde_json::json;

use super::{Wild, case, told, told_of_job};
use crate::support::client::USER;
use crate::support::database::on_both_databases;
use crate::support::server::TestServer;
use crate::support::structure::value;

const IMAGE: MediaType = MediaType::Image;

on_both_databases! {
    async fn an_animation_is_kept_with_its_recipe_and_not_made_into_a_still(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let content = case("anim.webp");
        let (job, media) = wild.taken(IMAGE, &content, &["webp", "png", "jpg"]).await;
        let roles: Vec<_> = media.iter().map(|it| it.role()).collect();
        assert_eq!(roles, [MediaRole::Original, MediaRole::Thumbnail]);
        let kept = wild.content(&media[0]).await;
        assert!(provenance::read(&kept).is_some(), "its recipe");
        for part in [b"ANIM".as_slice(), b"ANMF"] {
            let count = |file: &[u8]| file.windows(4).filter(|it| *it == part).count();
            assert_eq!(count(&kept), count(&content));
        }
        let reason = "It would lose its animation.";
        let omitted = json!([
            { "index": 0, "role": "format", "format": "png", "reason": reason },
            { "index": 0, "role": "format", "format": "jpg", "reason": reason },
        ]);
        assert_eq!(told_of_job(&job, "omitted"), Some(&value(&omitted)));
    }

    async fn the_clip_of_a_motion_photo_is_cut_off_and_told(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let content = case("motion.jpg");
        let (job, media) = wild.taken(IMAGE, &content, &[]).await;
        assert_eq!((media[0].format.as_str(), media[0].width, media[0].height), ("jpg", 120, 80));
        let kept = wild.content(&media[0]).await;
        assert!(is_alone(&kept));
        let remarks = json!([{ "index": 0, "remark": "The clip that came behind the photo was cut off." }]);
        assert_eq!(told_of_job(&job, "remarks"), Some(&value(&remarks)));
        let upload = server.upload(USER, &content).await;
        assert!(upload.file_size < kept.len() as i64, "without the clip, and there is no recipe");
        let page = [&content, b"<html>".as_slice()].concat();
        let cut = wild.original(IMAGE, &page).await;
        assert!(is_alone(&wild.content(&cut).await), "what was behind the clip is gone with it");
    }

    async fn a_picture_that_is_shown_as_far_as_it_goes_says_that_it_is_damaged(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let whole = ffmpeg("-f lavfi -i testsrc2=size=320x240 -frames:v 1", "jpg");
        let media = wild.original(IMAGE, &whole).await;
        assert_eq!(told(&media, "damaged"), None);
        let half = [&whole[..whole.len() / 2], b"\xff\xd9"].concat();
        let media = wild.original(IMAGE, &half).await;
        assert!(told(&media, "damaged").is_some(), "{media:?}");
        assert_eq!(server.upload(USER, &whole).await.damaged, None);
        let upload = server.upload(USER, &half).await;
        assert!(upload.damaged.as_ref().is_some_and(|how| !how.is_empty()), "{upload:?}");
        assert_eq!(server.find_upload(upload.id).await.unwrap().damaged, upload.damaged);
        assert_eq!(server.upload(USER, &half).await.damaged, upload.damaged, "given again");
    }

    async fn a_webp_lies_the_way_its_exif_says_however_that_begins(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        let pixels = RgbImage::from_fn(60, 40, |x, y| Rgb([(x * 4) as u8, (y * 6) as u8, 99]));
        let plain = codec::picture::encode(&pixels, codec::Format::Webp).unwrap();
        let extended = provenance::embed(&plain, codec::Format::Webp, "{}").unwrap();
        // One tag: a quarter turn.
        let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        for prefix in [b"".as_slice(), b"Exif\0\0"] {
            let mut content = extended.to_vec();
            content[20] |= 0x08;
            content.extend(b"EXIF");
            content.extend(((prefix.len() + exif.len()) as u32).to_le_bytes());
            content.extend([prefix, exif].concat());
            let size = content.len() as u32 - 8;
            content[4..8].copy_from_slice(&size.to_le_bytes());
            let (_, media) = wild.taken(IMAGE, &content, &["webp", "png"]).await;
            let sizes: Vec<_> = media.iter().map(|it| (it.width, it.height)).collect();
            assert_eq!(sizes, [(40, 60), (40, 60), (40, 60)], "{prefix:?}");
        }
    }
}

/// Whether nothing stands behind the photo.
fn is_alone(photo: &[u8]) -> bool {
    photo.ends_with(b"\xff\xd9") && !photo.windows(4).any(|it| it == b"ftyp")
}
