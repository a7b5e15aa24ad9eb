//! Each filter of a list shows what it names, newest first, in pages of one as at once, and counts tell the same.

use std::collections::BTreeMap;

use atelier::rpc::proto::{
    CountJobsRequest, CountRequestsRequest, CreateRequestRequest, DeleteRequestRequest, JobStatus,
    ListJobsRequest, ListMediaRequest, ListRequestsRequest, ListTemplatesRequest, MediaRole,
    MediaType, RequestOrder, RequestStatus, RetryJobRequest,
};
use prost_types::Timestamp;
use serde_json::json;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::server::TestServer;
use crate::support::structure::structure;

/// The names of what a list shows, newest first, by the filter given; pages of one must join to the same.
macro_rules! shown {
    ($shelf:expr, $client:ident.$list:ident, $items:ident, $filter:expr) => {{
        let (mut pages, filter) = (Vec::new(), $filter);
        for page_size in [0, 1] {
            let (mut names, mut page_token) = (Vec::new(), String::new());
            loop {
                let mut request = filter.clone();
                (request.page_size, request.page_token) = (page_size, page_token);
                let page = $shelf
                    .server
                    .$client()
                    .$list(request)
                    .await
                    .unwrap()
                    .into_inner();
                assert!(page_size == 0 || page.$items.len() <= 1, "{filter:?}");
                names.extend(
                    page.$items
                        .iter()
                        .map(|item| $shelf.$items[&item.id].as_str()),
                );
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            pages.push(names.join(" "));
        }
        assert_eq!(pages[0], pages[1], "{filter:?}");
        pages.remove(0)
    }};
}

on_both_databases! {
    async fn jobs_are_listed_and_counted_by_each_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let all = ListJobsRequest::default;
        for (filter, expected) in [
            (all(), "b2 c b a"),
            (ListJobsRequest { show_deleted: true, ..all() }, "b2 d c b a"),
            (ListJobsRequest { template_id: shelf.bold, ..all() }, "a"),
            (ListJobsRequest { template_id: shelf.bold, show_deleted: true, ..all() }, "d a"),
            (ListJobsRequest { create_time_end: year_2021(), ..all() }, "a"),
            (ListJobsRequest { create_time_start: year_2021(), ..all() }, "b2 c b"),
            (ListJobsRequest { create_time_start: year_2021(), create_time_end: year_2021(), ..all() }, ""),
            (ListJobsRequest { error_code: "X".to_owned(), ..all() }, "b"),
            (ListJobsRequest { error_code: "x".to_owned(), ..all() }, ""),
            (ListJobsRequest { is_superseded: Some(true), ..all() }, "b"),
            (ListJobsRequest { is_superseded: Some(false), ..all() }, "b2 c a"),
            (ListJobsRequest { is_superseded: Some(false), user_id: USER, feature_id: shelf.poster, ..all() }, "b2 a"),
            (ListJobsRequest { category: MediaType::Audio.into(), project_id: 3, ..all() }, ""),
            (ListJobsRequest { category: MediaType::Audio.into(), ..all() }, "c"),
            (ListJobsRequest { project_id: 3, ..all() }, "a"),
        ] {
            assert_eq!(shown!(shelf, jobs.list_jobs, jobs, filter.clone()), expected, "{filter:?}");
            let counted = shelf.server.jobs().count_jobs(count_of_jobs(&filter)).await.unwrap().into_inner();
            for (status, count) in [
                (JobStatus::Pending, counted.pending),
                (JobStatus::Failed, counted.failed),
                (JobStatus::Cancelled, counted.cancelled),
            ] {
                let of_status = ListJobsRequest { statuses: vec![status.into()], ..filter.clone() };
                assert_eq!(names(&shown!(shelf, jobs.list_jobs, jobs, of_status)), count, "{status:?} {filter:?}");
            }
            assert_eq!(counted.total, names(expected), "{filter:?}");
        }
        let two = ListJobsRequest { statuses: vec![JobStatus::Failed.into(), JobStatus::Cancelled.into()], ..all() };
        assert_eq!(shown!(shelf, jobs.list_jobs, jobs, two), "b");
    }

    async fn requests_are_listed_and_counted_by_each_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let all = ListRequestsRequest::default;
        let mine = || ListRequestsRequest { user_id: USER, ..all() };
        for (filter, expected) in [
            (all(), "c b a"),
            (mine(), "b a"),
            (ListRequestsRequest { show_deleted: true, ..all() }, "d c b a"),
            (ListRequestsRequest { show_only_deleted: true, ..all() }, "d"),
            (ListRequestsRequest { show_only_deleted: true, ..mine() }, "d"),
            (ListRequestsRequest { template_id: shelf.bold, ..all() }, "a"),
            (ListRequestsRequest { template_id: shelf.bold, show_only_deleted: true, ..all() }, "d"),
            (ListRequestsRequest { feature_id: shelf.poster, create_time_start: year_2021(), ..all() }, "b"),
            (ListRequestsRequest { create_time_end: year_2021(), ..all() }, "a"),
            (ListRequestsRequest { project_id: 3, ..all() }, "a"),
        ] {
            assert_eq!(shown!(shelf, requests.list_requests, requests, filter.clone()), expected, "{filter:?}");
            let counted = shelf.server.requests().count_requests(count_of_requests(&filter)).await.unwrap();
            assert_eq!(counted.into_inner().total, names(expected), "{filter:?}");
        }
        let statuses = |statuses: &[RequestStatus]| statuses.iter().map(|it| (*it).into()).collect();
        for (filter, expected) in [
            (ListRequestsRequest { statuses: statuses(&[RequestStatus::Pending]), ..all() }, "c b a"),
            (ListRequestsRequest { statuses: statuses(&[RequestStatus::Failed, RequestStatus::Completed]), ..all() }, ""),
            (ListRequestsRequest { statuses: statuses(&[RequestStatus::Failed, RequestStatus::Pending]), ..mine() }, "b a"),
            (ListRequestsRequest { text: "PHỞ".to_owned(), ..mine() }, "a"),
            (ListRequestsRequest { text: "phở".to_owned(), show_deleted: true, ..mine() }, "d a"),
            (ListRequestsRequest { has_failed_jobs: Some(true), ..all() }, ""),
            (ListRequestsRequest { has_failed_jobs: Some(false), ..mine() }, "b a"),
            (ListRequestsRequest { metadata_key: "order".to_owned(), metadata_value: "17".to_owned(), ..mine() }, "a"),
            (ListRequestsRequest { metadata_key: "order".to_owned(), metadata_value: "1".to_owned(), ..mine() }, ""),
            (ListRequestsRequest { order: RequestOrder::Updated.into(), ..mine() }, "a b"),
            (ListRequestsRequest { order: RequestOrder::Updated.into(), text: "o".to_owned(), ..mine() }, "b"),
        ] {
            assert_eq!(shown!(shelf, requests.list_requests, requests, filter.clone()), expected, "{filter:?}");
        }
    }

    async fn media_are_listed_by_each_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let all = ListMediaRequest::default;
        let roles = |roles: &[MediaRole]| roles.iter().map(|it| (*it).into()).collect();
        let [a, b, c] = ["a", "b", "c"].map(|name| shelf.request(name));
        for (filter, expected) in [
            (all(), "c_original b2_thumbnail b2_original a_thumbnail a_original"),
            (ListMediaRequest { feature_id: shelf.sound, ..all() }, "c_original"),
            (ListMediaRequest { template_id: shelf.bold, ..all() }, "a_thumbnail a_original"),
            (ListMediaRequest { project_id: 3, ..all() }, "a_thumbnail a_original"),
            (ListMediaRequest { project_id: 4, ..all() }, ""),
            (ListMediaRequest { user_id: USER + 1, ..all() }, "c_original"),
            (ListMediaRequest { create_time_end: year_2021(), ..all() }, "a_thumbnail a_original"),
            (ListMediaRequest { create_time_start: year_2021(), ..all() }, "c_original b2_thumbnail b2_original"),
            (ListMediaRequest { roles: roles(&[MediaRole::Thumbnail]), ..all() }, "b2_thumbnail a_thumbnail"),
            (ListMediaRequest { roles: roles(&[MediaRole::Thumbnail, MediaRole::Original]), request_ids: vec![a, c], ..all() },
                "c_original a_thumbnail a_original"),
            (ListMediaRequest { roles: roles(&[MediaRole::Poster]), ..all() }, ""),
            (ListMediaRequest { request_ids: vec![b, 4_711], ..all() }, "b2_thumbnail b2_original"),
            (ListMediaRequest { request_ids: vec![b, a], request_id: b, ..all() }, "b2_thumbnail b2_original"),
            (ListMediaRequest { request_ids: vec![b], request_id: a, ..all() }, ""),
            (ListMediaRequest { media_type: MediaType::Audio.into(), ..all() }, "c_original"),
        ] {
            assert_eq!(shown!(shelf, media.list_media, media, filter.clone()), expected, "{filter:?}");
        }
    }

    async fn templates_are_listed_by_each_filter(db: TestDatabase) {
        let shelf = Shelf::fill(&db).await;
        let all = ListTemplatesRequest::default;
        for (filter, expected) in [
            (all(), "poster/bold poster/calm sound/bold other/bold"),
            (ListTemplatesRequest { category: MediaType::Image.into(), ..all() }, "poster/bold poster/calm other/bold"),
            (ListTemplatesRequest { category: MediaType::Audio.into(), ..all() }, "sound/bold"),
            (ListTemplatesRequest { category: MediaType::Video.into(), ..all() }, ""),
            (ListTemplatesRequest { feature_ids: vec![shelf.sound, shelf.poster], ..all() }, "poster/bold poster/calm sound/bold"),
            (ListTemplatesRequest { feature_ids: vec![shelf.sound, 4_711], ..all() }, "sound/bold"),
            (ListTemplatesRequest { feature_ids: vec![shelf.sound], feature_id: shelf.poster, ..all() }, ""),
            (ListTemplatesRequest { name: "bold".to_owned(), ..all() }, "poster/bold sound/bold other/bold"),
            (ListTemplatesRequest { name: "Bold".to_owned(), ..all() }, ""),
            (ListTemplatesRequest { name: "bold".to_owned(), feature_ids: vec![shelf.poster], ..all() }, "poster/bold"),
            (ListTemplatesRequest { name: "bold".to_owned(), category: MediaType::Audio.into(), ..all() }, "sound/bold"),
        ] {
            assert_eq!(shown!(shelf, templates.list_templates, templates, filter.clone()), expected, "{filter:?}");
        }
    }
}

/// Three features and four templates; requests `a` to `d` with a job each, of which `d` is deleted and `b` was tried again,
/// which made the job `b2`; media of some.
struct Shelf {
    server: TestServer,
    poster: i64,
    sound: i64,
    bold: i64,
    templates: BTreeMap<i64, String>,
    requests: BTreeMap<i64, String>,
    jobs: BTreeMap<i64, String>,
    media: BTreeMap<i64, String>,
}

impl Shelf {
    async fn fill(db: &TestDatabase) -> Self {
        let server = TestServer::start_api(db).await;
        let mut features = BTreeMap::new();
        for (name, category) in [
            ("poster", MediaType::Image),
            ("sound", MediaType::Audio),
            ("other", MediaType::Image),
        ] {
            let mut feature = scripted_feature(name);
            feature.category = category.into();
            features.insert(name, server.add_feature(feature).await.id);
        }
        let mut templates = BTreeMap::new();
        for name in ["poster/bold", "poster/calm", "sound/bold", "other/bold"] {
            let (feature, own) = name.split_once('/').unwrap();
            let made = server.add_template(plain_template(features[feature], own));
            templates.insert(made.await.id, name.to_owned());
        }
        let mut shelf = Self {
            poster: features["poster"],
            sound: features["sound"],
            bold: *templates.keys().next().unwrap(),
            server,
            templates,
            requests: BTreeMap::new(),
            jobs: BTreeMap::new(),
            media: BTreeMap::new(),
        };
        shelf.add_requests(db).await;
        shelf.add_media(db).await;
        shelf
    }

    async fn add_requests(&mut self, db: &TestDatabase) {
        let (bold, poster) = (Some(self.bold), self.poster);
        let noodles = |project_id| CreateRequestRequest {
            user_prompt: "Một tô phở".to_owned(),
            template_id: bold,
            project_id,
            metadata: Some(structure(&json!({ "order": "17" }))),
            ..request_for(poster)
        };
        let theirs = CreateRequestRequest {
            user_id: USER + 1,
            ..request_for(self.sound)
        };
        for (name, asked) in [
            ("a", noodles(Some(3))),
            ("b", request_for(poster)),
            ("c", theirs),
            ("d", noodles(None)),
        ] {
            let (request, jobs) = self.server.create(asked).await;
            self.requests.insert(request.id, name.to_owned());
            self.jobs.insert(jobs[0].id, name.to_owned());
        }
        let (a, b) = (self.request("a"), self.request("b"));
        for change in [
            format!("UPDATE generation_requests SET created_at = '2020-01-01T00:00:00+00:00', updated_at = '2100-01-01T00:00:00+00:00' WHERE id = {a}"),
            format!("UPDATE generation_jobs SET created_at = '2020-01-01T00:00:00+00:00' WHERE request_id = {a}"),
            format!(
                "UPDATE generation_jobs SET status = 'failed', completed_at = created_at, error_code = 'X', error_message = 'x'
                 WHERE request_id = {b}"
            ),
        ] {
            db.execute(&change).await;
        }
        let id = self.job("b");
        let retried = self.server.jobs().retry_job(RetryJobRequest { id }).await;
        let retried = retried.unwrap().into_inner().job.unwrap().id;
        self.jobs.insert(retried, "b2".to_owned());
        let delete = DeleteRequestRequest {
            id: self.request("d"),
            ..Default::default()
        };
        let deleted = self.server.requests().delete_request(delete).await;
        deleted.unwrap();
    }

    async fn add_media(&mut self, db: &TestDatabase) {
        let files = [
            ("a", "original", "image", "2020-01-01"),
            ("a", "thumbnail", "image", "2020-01-01"),
            ("b2", "original", "image", "2022-01-01"),
            ("b2", "thumbnail", "image", "2022-01-01"),
            ("c", "original", "audio", "2022-01-01"),
            ("d", "original", "image", "2022-01-01"),
        ];
        for ((job, role, kind, day), id) in files.into_iter().zip(1..) {
            let job_id = self.job(job);
            db.execute(&format!(
                "INSERT INTO generation_media (id, request_id, job_id, media_url, media_type, blurhash, role, created_at)
                 SELECT {id}, request_id, id, 'http://media/{id}', '{kind}', 'L', '{role}', '{day}T00:00:00+00:00'
                 FROM generation_jobs WHERE id = {job_id}"
            )).await;
            self.media.insert(id, format!("{job}_{role}"));
        }
    }

    fn request(&self, name: &str) -> i64 {
        id_of(&self.requests, name)
    }

    fn job(&self, name: &str) -> i64 {
        id_of(&self.jobs, name)
    }
}

fn id_of(named: &BTreeMap<i64, String>, name: &str) -> i64 {
    let found = named.iter().find(|(_, own)| *own == name);
    *found.unwrap().0
}

fn names(shown: &str) -> i64 {
    shown.split_whitespace().count() as i64
}

fn year_2021() -> Option<Timestamp> {
    Some(Timestamp {
        seconds: 1_609_459_200,
        nanos: 0,
    })
}

fn count_of_jobs(list: &ListJobsRequest) -> CountJobsRequest {
    let list = list.clone();
    CountJobsRequest {
        request_id: list.request_id,
        user_id: list.user_id,
        feature_id: list.feature_id,
        project_id: list.project_id,
        category: list.category,
        worker_id: list.worker_id,
        show_deleted: list.show_deleted,
        template_id: list.template_id,
        create_time_start: list.create_time_start,
        create_time_end: list.create_time_end,
        error_code: list.error_code,
        is_superseded: list.is_superseded,
        show_previews: list.show_previews,
    }
}

fn count_of_requests(list: &ListRequestsRequest) -> CountRequestsRequest {
    CountRequestsRequest {
        user_id: list.user_id,
        project_id: list.project_id,
        feature_id: list.feature_id,
        template_id: list.template_id,
        create_time_start: list.create_time_start,
        create_time_end: list.create_time_end,
        show_deleted: list.show_deleted,
        show_only_deleted: list.show_only_deleted,
        show_previews: list.show_previews,
        show_archived: list.show_archived,
    }
}
