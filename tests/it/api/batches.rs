//! BatchGet: rows by their ids, in the order asked for, with what is missing told apart.

use std::fmt::Debug;

use atelier::rpc::proto::{
    BatchGetJobsRequest, BatchGetMediaRequest, BatchGetRequestsRequest, BatchGetTemplatesRequest,
    DeleteJobRequest, DeleteMediaRequest, DeleteRequestRequest, DeleteTemplateRequest,
    GetMediaRequest, GetTemplateRequest, Job, Media,
};
use tonic::{Response, Status};

use crate::support::client::{Client, plain_template, request_for, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::{Refusal, refusal};
use crate::support::script::Script;
use crate::support::server::TestServer;

/// No row has it.
const UNKNOWN: i64 = 999_999;

on_both_databases! {
    async fn rows_come_in_the_order_asked_for_as_a_get_tells_them(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let shelf = Shelf::fill(&server).await;
        for rows in Rows::ALL {
            let [first, second, deleted] = shelf.ids(rows);
            let asked = vec![deleted, UNKNOWN, first, second, first, UNKNOWN, deleted];
            let (told, missing) = shelf.batch(rows, asked).await.unwrap();
            let mut expected = Vec::new();
            for id in [deleted, first, second] {
                expected.push(shelf.get(rows, id).await);
            }
            assert_eq!((told, missing), (expected, vec![UNKNOWN]), "{rows:?}");
        }
    }

    async fn ids_out_of_their_bounds_are_refused_by_their_place(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let shelf = Shelf::fill(&server).await;
        for rows in Rows::ALL {
            let refused = async |ids| -> Refusal { refusal(shelf.batch(rows, ids).await) };
            refused(vec![]).await.says("ids", "must have 1 to 100 entries, has 0");
            refused(vec![1; 101]).await.says("ids", "must have 1 to 100 entries, has 101");
            refused(vec![1, 2, 3, -4, 5, 0]).await.of_fields(["ids[3]", "ids[5]"]);
            let (told, missing) = shelf.batch(rows, (1_000_000..1_000_100).collect()).await.unwrap();
            assert_eq!((told.len(), missing.len()), (0, 100), "{rows:?}");
        }
    }

    async fn rows_that_are_too_long_together_are_left_for_another_call(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(server.create(request_for(feature)).await.1[0].id);
        }
        // 600 KB each: three fit into 2 MiB.
        let words = "x".repeat(600_000);
        db.execute(&format!("UPDATE generation_jobs SET output_metadata = '{{\"words\": \"{words}\"}}'")).await;
        let ask = async |ids: &[i64]| {
            let request = BatchGetJobsRequest { ids: ids.to_vec(), ..Default::default() };
            server.jobs().batch_get_jobs(request).await.unwrap().into_inner()
        };
        let first = ask(&ids).await;
        assert_eq!(first.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), ids[..3]);
        assert_eq!((&first.left_out_ids[..], first.missing_ids.len()), (&ids[3..], 0));
        let rest = ask(&first.left_out_ids).await;
        assert_eq!((rest.jobs.len(), rest.left_out_ids.len()), (2, 0));
    }
}

#[derive(Clone, Copy, Debug)]
enum Rows {
    Templates,
    Requests,
    Jobs,
    Media,
}

impl Rows {
    const ALL: [Self; 4] = [Self::Templates, Self::Requests, Self::Jobs, Self::Media];
}

/// Two live rows and a deleted one of each kind.
struct Shelf<'a> {
    client: &'a Client,
    templates: Vec<i64>,
    jobs: Vec<Job>,
    media: Vec<i64>,
}

impl<'a> Shelf<'a> {
    async fn fill(client: &'a Client) -> Self {
        let feature = client.scripted_feature().await;
        let script = Script::new(&[]);
        let mut shelf = Self {
            client,
            templates: Vec::new(),
            jobs: Vec::new(),
            media: Vec::new(),
        };
        for name in ["one", "two", "three"] {
            let template = client.add_template(plain_template(feature, name)).await;
            shelf.templates.push(template.id);
            let made = client.made(scripted_request(feature, &script)).await;
            shelf.media.push(made.media()[0].id);
            shelf.jobs.push(made.job);
        }
        shelf.delete_last().await;
        shelf
    }

    async fn delete_last(&self) {
        let [_, _, template] = self.ids(Rows::Templates);
        let delete = DeleteTemplateRequest {
            id: template,
            ..Default::default()
        };
        self.client
            .templates()
            .delete_template(delete)
            .await
            .unwrap();
        let [_, _, id] = self.ids(Rows::Media);
        let delete = DeleteMediaRequest { id };
        self.client.media().delete_media(delete).await.unwrap();
        let [_, _, id] = self.ids(Rows::Jobs);
        self.client
            .jobs()
            .delete_job(DeleteJobRequest { id })
            .await
            .unwrap();
        let [_, _, request] = self.ids(Rows::Requests);
        let delete = DeleteRequestRequest {
            id: request,
            ..Default::default()
        };
        self.client.requests().delete_request(delete).await.unwrap();
    }

    fn ids(&self, rows: Rows) -> [i64; 3] {
        let ids: Vec<i64> = match rows {
            Rows::Templates => self.templates.clone(),
            Rows::Requests => self.jobs.iter().map(|job| job.request_id).collect(),
            Rows::Jobs => self.jobs.iter().map(|job| job.id).collect(),
            Rows::Media => self.media.clone(),
        };
        ids.try_into().unwrap()
    }

    /// What is told of the rows, and which are missing.
    async fn batch(&self, rows: Rows, ids: Vec<i64>) -> Result<(Vec<String>, Vec<i64>), Status> {
        let client = self.client;
        Ok(match rows {
            Rows::Templates => {
                let request = BatchGetTemplatesRequest {
                    ids,
                    ..Default::default()
                };
                let answer = client.templates().batch_get_templates(request).await;
                let answer = answer.map(Response::into_inner)?;
                (texts(&answer.templates), answer.missing_ids)
            }
            Rows::Requests => {
                let request = BatchGetRequestsRequest {
                    ids,
                    ..Default::default()
                };
                let answer = client.requests().batch_get_requests(request).await;
                let answer = answer.map(Response::into_inner)?;
                (texts(&answer.requests), answer.missing_ids)
            }
            Rows::Jobs => {
                let request = BatchGetJobsRequest {
                    ids,
                    ..Default::default()
                };
                let answer = client.jobs().batch_get_jobs(request).await;
                let answer = answer.map(Response::into_inner)?;
                (texts(&answer.jobs), answer.missing_ids)
            }
            Rows::Media => {
                let request = BatchGetMediaRequest {
                    ids,
                    ..Default::default()
                };
                let answer = client.media().batch_get_media(request).await;
                let answer = answer.map(Response::into_inner)?;
                let media = answer.media.into_iter().map(without_link);
                (texts(&media.collect::<Vec<_>>()), answer.missing_ids)
            }
        })
    }

    /// What a Get tells of a row; of a job all but its input.
    async fn get(&self, rows: Rows, id: i64) -> String {
        let client = self.client;
        match rows {
            Rows::Templates => {
                let found = client
                    .templates()
                    .get_template(GetTemplateRequest {
                        id,
                        ..Default::default()
                    })
                    .await;
                text(&found.unwrap().into_inner().template.unwrap())
            }
            Rows::Requests => text(&client.request(id).await),
            Rows::Jobs => text(&Job {
                input: None,
                ..client.job(id).await
            }),
            Rows::Media => {
                let found = client
                    .media()
                    .get_media(GetMediaRequest {
                        id,
                        ..Default::default()
                    })
                    .await;
                text(&without_link(found.unwrap().into_inner().media.unwrap()))
            }
        }
    }
}

fn texts(rows: &[impl Debug]) -> Vec<String> {
    rows.iter().map(text).collect()
}

fn text(row: &impl Debug) -> String {
    format!("{row:?}")
}

/// Links are made for each answer; deleted media have none.
fn without_link(media: Media) -> Media {
    assert_eq!(media.download_url.is_empty(), media.delete_time.is_some());
    Media {
        download_url: String::new(),
        download_url_expire_time: None,
        ..media
    }
}
