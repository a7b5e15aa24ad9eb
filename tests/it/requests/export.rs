//! A user's data as a stream: all that he has, as he may see it, and nothing of others.

use std::collections::BTreeMap;

use atelier::rpc::proto::export_user_response::Part;
use atelier::rpc::proto::*;
use tonic::Code;

use crate::support::client::{Client, USER, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::ledger::{grant, with_ledger};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::uploads::picture_named;

on_both_databases! {
    async fn all_that_a_user_has_is_streamed_with_its_files_and_nothing_of_others(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        server.give(100, "start").await;
        server.credits().grant_credits(GrantCreditsRequest { user_id: 8, ..grant(100, "other") }).await.unwrap();
        let feature = server.priced_feature(1).await;
        let (succeeds, fails) = (Script::new(&["succeed"]), Script::new(&["fail"]));
        let other = CreateRequestRequest { user_id: 8, ..scripted_request(feature, &succeeds) };
        let other = server.create(other).await;
        server.completed(other.1[0].id).await;
        // More than are read at once, one of them deleted, and one with a retry.
        let mut made = BTreeMap::new();
        for index in 0..25 {
            let script = if index == 3 { &fails } else { &succeeds };
            let (request, jobs) = server.create(scripted_request(feature, script)).await;
            server.ended(jobs[0].id).await;
            made.insert(request.id, vec![jobs[0].id]);
        }
        let ids: Vec<i64> = made.keys().copied().collect();
        let retried = server.requests().retry_request(RetryRequestRequest { id: ids[3] }).await.unwrap();
        let retry = retried.into_inner().jobs[0].id;
        server.ended(retry).await;
        made.get_mut(&ids[3]).unwrap().push(retry);
        server.requests().delete_request(DeleteRequestRequest { id: ids[5], ..Default::default() }).await.unwrap();

        let media_id = server.media_of(made[&ids[0]][0]).await[0].id;
        let share = ShareMediaRequest { media_id, title: "a title of his".to_owned(), ..Default::default() };
        server.media().share_media(share).await.unwrap();
        let told = export(&server, USER, true).await;
        let (mut of_requests, mut order, mut files, mut transactions) = (BTreeMap::new(), Vec::new(), Vec::new(), 0);
        let mut shares = 0;
        for part in told {
            match part {
                Part::Request(request) => {
                    assert_eq!((request.user_id, request.system_prompt.as_str()), (USER, ""));
                    order.push(request.id);
                    of_requests.insert(request.id, Vec::new());
                }
                Part::Job(job) => {
                    assert_eq!(Some(&job.request_id), order.last());
                    of_requests.get_mut(&job.request_id).unwrap().push(job.id);
                }
                Part::Media(media) => {
                    assert_eq!(Some(&media.request_id), order.last());
                    files.push((media, Vec::new()));
                }
                Part::Chunk(chunk) => {
                    assert!(chunk.len() <= 64 << 10);
                    files.last_mut().unwrap().1.extend(chunk);
                }
                Part::Share(share) => {
                    let of = files.last().map(|(media, _): &(Media, Vec<u8>)| media.id);
                    assert_eq!((Some(share.media_id), share.title.as_str()), (of, "a title of his"));
                    shares += 1;
                }
                Part::Upload(upload) => panic!("upload {} was given by nobody", upload.id),
                Part::Transaction(transaction) => {
                    assert_eq!(transaction.user_id, USER);
                    transactions += 1;
                }
            }
        }
        assert_eq!(of_requests, made);
        assert_eq!(order.last(), Some(&ids[5]), "what is deleted comes last");
        assert!(files.len() >= 24);
        for (media, content) in &files {
            assert_eq!(content.len() as i64, media.file_size, "media {}", media.id);
        }
        let first = &files[0];
        assert_eq!(server.content_of(&first.0).await, first.1);
        assert_eq!((transactions, shares), (1 + 26 * 2, 1));
    }

    async fn a_file_that_is_gone_is_told_by_its_row_alone_and_without_files_there_are_none(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let (_, jobs) = server.create(scripted_request(feature, &script)).await;
        server.completed(jobs[0].id).await;
        let kinds = |parts: &[Part]| parts.iter().map(|part| match part {
            Part::Request(_) => 'r',
            Part::Job(_) => 'j',
            Part::Media(_) => 'm',
            Part::Chunk(_) => 'c',
            Part::Share(_) => 's',
            Part::Upload(_) => 'u',
            Part::Transaction(_) => 't',
        }).collect::<String>();
        server.upload(USER, &picture_named("export")).await;
        assert_eq!(kinds(&export(&server, USER, false).await), "rjmu");
        assert_eq!(kinds(&export(&server, USER, true).await), "rjmcuc");
        std::fs::remove_dir_all(server.media_folder().join("jobs")).unwrap();
        assert_eq!(kinds(&export(&server, USER, true).await), "rjmuc");
        assert_eq!(kinds(&export(&server, 99, true).await), "", "there is nothing of a stranger");
        let nobody = server.admin().export_user(ExportUserRequest::default()).await;
        refusal(nobody.map(|_| ())).is(Code::InvalidArgument, ErrorReason::ValidationFailed).of_fields(["user_id"]);
    }
}

async fn export(client: &Client, user_id: i64, files: bool) -> Vec<Part> {
    let asked = ExportUserRequest {
        user_id,
        omit_files: !files,
    };
    let read = async {
        let mut stream = client
            .admin()
            .export_user(asked)
            .await
            .unwrap()
            .into_inner();
        let mut parts = Vec::new();
        while let Some(part) = stream.message().await.unwrap() {
            parts.push(part.part.unwrap());
        }
        parts
    };
    within(read).await
}
