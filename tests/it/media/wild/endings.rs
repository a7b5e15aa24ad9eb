//! What stands behind the end of a file: one rule for all formats, see docs/media.md#behind-the-end.

use atelier::media::{Format, InspectError, Limits, inspect};
use atelier::rpc::proto::MediaType;
use codec::samples::ffmpeg;
use std::time::Duration;

use super::{Wild, is_of};
use crate::support::database::on_both_databases;
use crate::support::server::TestServer;

const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 16,
    max_frames: 200,
    max_length: Duration::from_secs(20),
    max_duration: Duration::from_secs(30),
};

/// A file of each format.
fn samples() -> Vec<(Format, Vec<u8>)> {
    let bars = "-f lavfi -i testsrc=size=48x32:rate=5:duration=1";
    let tone = "-f lavfi -i sine=duration=0.5";
    let arguments = |format: Format| match format {
        Format::Png | Format::Jpg | Format::Webp => {
            (format!("{bars} -frames:v 1"), format.as_str())
        }
        Format::Mp4 => (format!("{bars} {tone} -c:v libx264 -c:a aac"), "mp4"),
        Format::Gif => (bars.to_owned(), "gif"),
        Format::Webm => (format!("{bars} {tone} -c:v libvpx -c:a libopus"), "webm"),
        Format::Ogg => (format!("{tone} -c:a libvorbis"), "ogg"),
        Format::Weba => (format!("{tone} -c:a libopus"), "webm"),
        Format::Wav | Format::Flac | Format::Mp3 | Format::M4a => {
            (tone.to_owned(), format.as_str())
        }
    };
    let made = Format::ALL.into_iter().map(|format| {
        let (arguments, extension) = arguments(format);
        (format, ffmpeg(&arguments, extension))
    });
    made.collect()
}

fn id3v1() -> Vec<u8> {
    let mut tag = b"TAGWords".to_vec();
    tag.resize(128, b' ');
    tag
}

#[tokio::test]
async fn what_is_harmless_is_taken_behind_every_format_and_every_document_refused() {
    let mut archive = b"PK\x05\x06".to_vec();
    archive.resize(22, 0);
    for (format, content) in samples() {
        let whole = inspect(content.clone().into(), &LIMITS).await;
        let whole = whole.unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!(whole.facts.format, format);
        for rest in [b"\n".to_vec(), vec![0; 16], b" \r\n\0".to_vec(), id3v1()] {
            let name = rest.escape_ascii().to_string();
            let read = inspect([&content[..], &rest].concat().into(), &LIMITS).await;
            let read = read.unwrap_or_else(|error| panic!("{format} {name}: {error}"));
            assert_eq!(
                (read.blurhash, read.facts.duration),
                (whole.blurhash.clone(), whole.facts.duration)
            );
        }
        for rest in [
            b"<!doctype html><script>alert(1)</script>".as_slice(),
            b"\n<html>",
            b"#!/bin/sh\nexit\n",
            b"<?php",
            b"PK\x03\x04 and so on",
            &archive,
        ] {
            let refused = inspect([&content[..], rest].concat().into(), &LIMITS).await;
            let name = rest.escape_ascii();
            assert!(
                matches!(refused, Err(InspectError::Corrupt(_))),
                "{format} {name}: {refused:?}"
            );
        }
    }
}

on_both_databases! {
    async fn a_file_with_padding_behind_it_is_kept_and_one_with_a_page_is_not(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let wild = Wild::on(&server).await;
        for (format, content) in samples() {
            let kinds = [MediaType::Image, MediaType::Video, MediaType::Audio];
            let kind = kinds.into_iter().find(|kind| is_of(format, *kind)).unwrap();
            let padded = [&content, b"\n".as_slice()].concat();
            let media = wild.original(kind, &padded).await;
            assert_eq!(media.format, format.as_str());
            let kept = wild.content(&media).await;
            assert!(inspect(kept.into(), &LIMITS).await.is_ok(), "{format} with its recipe");
            wild.refused(kind, &[&content, b"<html>".as_slice()].concat()).await;
        }
    }
}
