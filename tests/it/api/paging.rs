//! Keyset pages: whatever happens between two pages, nothing comes twice and nothing is missed.

use std::collections::BTreeSet;

use atelier::domain;
use atelier::entity::feature;
use atelier::rpc::proto::{
    CreateFeatureRequest, CreateTemplateRequest, ErrorReason, JobStatus, ListFeaturesRequest,
    ListJobsRequest, ListMediaRequest, ListRequestsRequest, ListTemplatesRequest, MediaType,
    RequestStatus, TemplateData,
};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, EntityTrait};
use tonic::{Code, Status};

use crate::support::client::{USER, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

const ROWS: usize = 7;
const LISTS: [List; 5] = [
    List::Features,
    List::Templates,
    List::Requests,
    List::Jobs,
    List::Media,
];

on_both_databases! {
    async fn pages_of_any_size_give_every_row_once_and_in_order(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            let whole = shelf.page(list, 1_000, "", false).await.unwrap();
            assert_eq!((whole.ids.len(), whole.next.as_str()), (ROWS, ""), "{list:?}");
            for size in [1, 2, 3, 6, 7, 8] {
                assert_eq!(shelf.walk(list, size, 0).await, whole.ids, "{list:?} by {size}");
            }
        }
    }

    async fn rows_inserted_between_pages_make_nothing_come_twice_or_not_at_all(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            let before = shelf.page(list, 1_000, "", false).await.unwrap().ids;
            let walked = shelf.walk(list, 2, 3).await;
            let once: BTreeSet<i64> = walked.iter().copied().collect();
            assert_eq!(once.len(), walked.len(), "{list:?} repeats a row: {walked:?}");
            assert!(before.iter().all(|id| once.contains(id)), "{list:?} misses of {before:?}: {walked:?}");
        }
    }

    async fn a_token_that_was_changed_is_refused(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            let token = shelf.page(list, 2, "", false).await.unwrap().next;
            let mut flipped = token.clone().into_bytes();
            let last = flipped.len() - 1;
            flipped[last / 2] = if flipped[last / 2] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(flipped).unwrap();
            for changed in [flipped.as_str(), &token[..last], "nonsense", "🦆", " "] {
                refusal(shelf.page(list, 2, changed, false).await)
                    .is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
            }
        }
    }

    async fn a_token_belongs_to_its_list_and_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            let token = shelf.page(list, 2, "", false).await.unwrap().next;
            // The size is not part of what it belongs to.
            assert_eq!(shelf.page(list, 5, &token, false).await.unwrap().ids.len(), 5);
            refusal(shelf.page(list, 2, &token, true).await)
                .is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
            for other in LISTS.into_iter().filter(|other| *other != list) {
                refusal(shelf.page(other, 2, &token, false).await)
                    .is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
            }
        }
    }

    async fn a_negative_page_size_is_refused(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            for size in [-1, i32::MIN] {
                refusal(shelf.page(list, size, "", false).await).of_fields(["page_size"]);
            }
        }
    }

    async fn no_page_size_means_fifty_and_too_large_a_one_a_thousand(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        insert_features(&db, 1_005).await;
        let mut features = server.features();
        for (page_size, expected) in [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            let request = ListFeaturesRequest { page_size, ..Default::default() };
            let listed = features.list_features(request).await.unwrap().into_inner();
            assert_eq!(listed.features.len(), expected, "page_size {page_size}");
        }
        let first = ListFeaturesRequest { page_size: 1_000, ..Default::default() };
        let page_token = features.list_features(first.clone()).await.unwrap().into_inner().next_page_token;
        let rest = ListFeaturesRequest { page_token, ..first };
        let rest = features.list_features(rest).await.unwrap().into_inner();
        assert_eq!((rest.features.len(), rest.next_page_token.as_str()), (5, ""));
    }

    async fn a_status_that_does_not_exist_is_refused(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let requests = ListRequestsRequest { statuses: vec![99], ..Default::default() };
        refusal(server.requests().list_requests(requests).await).of_fields(["statuses[0]"]);
        let jobs = ListJobsRequest { statuses: vec![99], request_id: -1, ..Default::default() };
        refusal(server.jobs().list_jobs(jobs).await).of_fields(["statuses[0]", "request_id"]);
        let media = ListMediaRequest { media_type: 99, ..Default::default() };
        refusal(server.media().list_media(media).await).of_fields(["media_type"]);
        let features = ListFeaturesRequest { category: 99, ..Default::default() };
        refusal(server.features().list_features(features).await).of_fields(["category"]);
    }

    async fn filters_show_what_they_name_and_nothing_else(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        for list in LISTS {
            let page = shelf.page(list, 0, "", true).await.unwrap();
            assert!(page.ids.is_empty() && page.next.is_empty(), "{list:?}: {page:?}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Features,
    Templates,
    Requests,
    Jobs,
    Media,
}

#[derive(Debug)]
struct Page {
    ids: Vec<i64>,
    next: String,
}

/// A server with [`ROWS`] rows of everything: each request has one job, and that one media.
struct Shelf {
    server: TestServer,
    script: Script,
    feature: i64,
}

impl Shelf {
    async fn fill(db: &TestDatabase) -> Self {
        let server = TestServer::start(db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let shelf = Self {
            server,
            script,
            feature,
        };
        for row in 1..ROWS {
            shelf.add(List::Features, row).await;
        }
        for row in 0..ROWS {
            shelf.add(List::Templates, row).await;
            shelf.add(List::Media, row).await;
        }
        shelf
    }

    /// Adds a row to the list, and to those that it hangs on.
    async fn add(&self, list: List, row: usize) {
        let name = format!("row_{row}");
        // Some before the others in display order, some at the same place, some after.
        let order_index = row as i32 % 3 - 1;
        match list {
            List::Features => {
                let feature = CreateFeatureRequest {
                    order_index,
                    ..scripted_feature(&name)
                };
                self.server
                    .features()
                    .create_feature(feature)
                    .await
                    .unwrap();
            }
            List::Templates => {
                let template = CreateTemplateRequest {
                    feature_id: self.feature,
                    name,
                    order_index,
                    template_data: Some(TemplateData::default()),
                    ..Default::default()
                };
                let created = self.server.templates().create_template(template).await;
                created.unwrap();
            }
            List::Requests | List::Jobs | List::Media => {
                let asked = scripted_request(self.feature, &self.script);
                let (_, jobs) = self.server.create(asked).await;
                self.server.ended(jobs[0].id).await;
            }
        }
    }

    /// All rows by pages of `size`; a row is inserted after each of the first `insertions` pages.
    async fn walk(&self, list: List, size: i32, insertions: usize) -> Vec<i64> {
        let (mut ids, mut token) = (Vec::new(), String::new());
        for number in 0.. {
            let page = self.page(list, size, &token, false).await.unwrap();
            assert!(page.ids.len() <= size as usize);
            ids.extend(page.ids);
            token = page.next;
            if token.is_empty() {
                break;
            }
            if number < insertions {
                self.add(list, 1_000 + number).await;
            }
        }
        ids
    }

    /// One page, either of everything or `narrowed` by a filter that nothing fits.
    async fn page(
        &self,
        list: List,
        size: i32,
        token: &str,
        narrowed: bool,
    ) -> Result<Page, Status> {
        let server = &self.server;
        let (page_size, page_token) = (size, token.to_owned());
        match list {
            List::Features => {
                let request = ListFeaturesRequest {
                    page_size,
                    page_token,
                    is_active: narrowed.then_some(false),
                    ..Default::default()
                };
                let page = server.features().list_features(request).await?.into_inner();
                Ok(Page {
                    ids: page.features.iter().map(|row| row.id).collect(),
                    next: page.next_page_token,
                })
            }
            List::Templates => {
                let request = ListTemplatesRequest {
                    page_size,
                    page_token,
                    feature_id: if narrowed { self.feature + 1 } else { 0 },
                    ..Default::default()
                };
                let page = server.templates().list_templates(request).await?;
                let page = page.into_inner();
                Ok(Page {
                    ids: page.templates.iter().map(|row| row.id).collect(),
                    next: page.next_page_token,
                })
            }
            List::Requests => {
                let status = narrowed.then_some(RequestStatus::Cancelled);
                let request = ListRequestsRequest {
                    page_size,
                    page_token,
                    statuses: status.into_iter().map(i32::from).collect(),
                    ..Default::default()
                };
                let page = server.requests().list_requests(request).await?.into_inner();
                Ok(Page {
                    ids: page.requests.iter().map(|row| row.id).collect(),
                    next: page.next_page_token,
                })
            }
            List::Jobs => {
                let status = narrowed.then_some(JobStatus::Pending);
                let request = ListJobsRequest {
                    page_size,
                    page_token,
                    user_id: USER,
                    statuses: status.into_iter().map(i32::from).collect(),
                    ..Default::default()
                };
                let page = server.jobs().list_jobs(request).await?.into_inner();
                Ok(Page {
                    ids: page.jobs.iter().map(|row| row.id).collect(),
                    next: page.next_page_token,
                })
            }
            List::Media => {
                let media_type = if narrowed {
                    MediaType::Video
                } else {
                    MediaType::Unspecified
                };
                let request = ListMediaRequest {
                    page_size,
                    page_token,
                    user_id: USER,
                    media_type: media_type.into(),
                    ..Default::default()
                };
                let page = server.media().list_media(request).await?.into_inner();
                Ok(Page {
                    ids: page.media.iter().map(|row| row.id).collect(),
                    next: page.next_page_token,
                })
            }
        }
    }
}

async fn insert_features(db: &TestDatabase, count: usize) {
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let row = |index: usize| feature::ActiveModel {
        name: Set(format!("feature_{index}")),
        category: Set(domain::MediaType::Image),
        is_active: Set(true),
        order_index: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let rows: Vec<_> = (0..count).map(row).collect();
    let connection = db.connect().await;
    for batch in rows.chunks(500) {
        let insert = feature::Entity::insert_many(batch.to_vec());
        insert.exec_without_returning(&connection).await.unwrap();
    }
}
