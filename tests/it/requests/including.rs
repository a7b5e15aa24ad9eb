//! What GetRequest and ListRequests tell beside the requests, when they are asked to.

use atelier::rpc::proto::{
    CancelJobRequest, CreateRequestRequest, DeleteJobRequest, DeleteMediaRequest,
    DeleteRequestRequest, GenerationInput, GetRequestRequest, Job, ListJobsRequest,
    ListMediaRequest, ListRequestsRequest, Media, MediaRole, MediaType, Request, RequestInclude,
    RetryJobRequest,
};
use atelier::server::Role;
use codec::Format;

use crate::support::client::{Client, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::recording::{Recording, scripted_feature_of};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

const ALL: [RequestInclude; 3] = [
    RequestInclude::Jobs,
    RequestInclude::Media,
    RequestInclude::Cover,
];

on_both_databases! {
    async fn a_history_with_its_jobs_and_media_is_one_call(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature_with_thumbnails(&server).await;
        let script = Script::new(&["several"]);
        for variations in [2, 1, 3] {
            let (_, jobs) = server.create(asked(feature, &script, variations)).await;
            for job in jobs {
                server.completed(job.id).await;
            }
        }
        let listed = list(&server, &ALL).await;
        assert_eq!(listed.iter().map(|request| request.jobs.len()).collect::<Vec<_>>(), [3, 1, 2]);
        for request in &listed {
            let mut jobs = jobs_of(&server, request.id).await;
            jobs.reverse();
            assert_eq!(request.jobs, jobs);
            assert!(jobs.is_sorted_by_key(|job| job.variation) && jobs.iter().all(|job| job.input.is_none()));
            assert_media(&server, request).await;
            assert_eq!(cover_of(request), request.media[2].id, "the larger thumbnail of the first output");
            let alone = get(&server, request.id, &ALL).await;
            assert_eq!(without_links(alone), without_links(request.clone()));
        }
    }

    async fn only_what_is_asked_for_is_told(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature_with_thumbnails(&server).await;
        let script = Script::new(&[]);
        let job = server.made(scripted_request(feature, &script)).await.job;
        for include in [&[][..], &ALL[..1], &ALL[1..2], &ALL[2..], &[ALL[0], ALL[2], ALL[0]]] {
            let told = get(&server, job.request_id, include).await;
            let has = |what| include.contains(&what);
            assert_eq!(told.jobs.len(), usize::from(has(RequestInclude::Jobs)), "{include:?}");
            assert_eq!(told.media.len(), 3 * usize::from(has(RequestInclude::Media)), "{include:?}");
            assert_eq!(told.cover.is_some(), has(RequestInclude::Cover), "{include:?}");
            assert_eq!(without_links(list(&server, include).await.remove(0)), without_links(told));
        }
    }

    async fn an_include_that_does_not_exist_is_refused_with_all_else(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let include = vec![RequestInclude::Jobs.into(), 0, 99];
        let wrong = GetRequestRequest { id: 0, include: include.clone(), ..Default::default() };
        refusal(server.requests().get_request(wrong).await).of_fields(["id", "include[1]", "include[2]"]);
        let wrong = ListRequestsRequest { page_size: -1, include, ..Default::default() };
        refusal(server.requests().list_requests(wrong).await).of_fields(["page_size", "include[1]", "include[2]"]);
    }

    async fn jobs_that_do_not_count_are_left_out(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (request, jobs) = server.create(asked(feature, &Script::new(&[]), 3)).await;
        let cancel = CancelJobRequest { id: jobs[0].id, ..Default::default() };
        server.jobs().cancel_job(cancel).await.unwrap();
        let retried = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        let retried = retried.into_inner().job.unwrap().id;
        server.jobs().delete_job(DeleteJobRequest { id: jobs[1].id }).await.unwrap();

        let told = get(&server, request.id, &ALL).await;
        let ids = |request: &Request| request.jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(&told), [retried, jobs[2].id], "in order of variation");
        assert_eq!((told.media.len(), told.cover), (0, None));
        assert!(told.jobs.iter().all(|job| !job.waiting_reason.is_empty()), "there is no worker");
        let listed = jobs_of(&server, request.id).await;
        assert!(told.jobs.iter().all(|job| listed.contains(job)));

        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        let told = get(&server, request.id, &ALL).await;
        assert_eq!(ids(&told), [retried, jobs[2].id], "those that were deleted with it");
    }

    async fn a_deleted_request_is_told_with_what_was_deleted_with_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = feature_with_thumbnails(&server).await;
        let script = Script::new(&[]);
        let made = server.made(scripted_request(feature, &script)).await;
        let gone = made.media().pop().unwrap();
        server.media().delete_media(DeleteMediaRequest { id: gone.id }).await.unwrap();
        let before = get(&server, made.job.request_id, &ALL).await;
        let delete = DeleteRequestRequest { id: before.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();

        let after = get(&server, before.id, &ALL).await;
        let media = |request: &Request| request.media.iter().map(|media| media.id).collect::<Vec<_>>();
        assert_eq!((media(&after), cover_of(&after)), (media(&before), cover_of(&before)));
        assert!(after.media.iter().all(|media| media.download_url.is_empty() && media.delete_time == after.delete_time));
    }

    async fn the_cover_is_of_the_first_variation_that_has_media(db: TestDatabase) {
        let api = TestServer::start_api(&db).await;
        let feature = feature_with_thumbnails(&api).await;
        let script = Script::new(&[]);
        let (request, jobs) = api.create(asked(feature, &script, 3)).await;
        let cancel = CancelJobRequest { id: jobs[0].id, ..Default::default() };
        api.jobs().cancel_job(cancel).await.unwrap();
        let worker = api.beside(Role::Worker, &db, |_| ()).await;
        for job in &jobs[1..] {
            api.completed(job.id).await;
        }
        let cover = async || get(&api, request.id, &[RequestInclude::Cover]).await.cover.map(|media| media.id);
        let (second, third) = (api.media_of(jobs[1].id).await, api.media_of(jobs[2].id).await);
        // Newest first: the larger thumbnail, the smaller, the original.
        for media in second.iter().chain(&third) {
            assert_eq!(cover().await, Some(media.id), "{media:?}");
            api.media().delete_media(DeleteMediaRequest { id: media.id }).await.unwrap();
        }
        assert_eq!(cover().await, None);
        worker.stop().await;
    }

    async fn a_video_is_covered_by_its_poster_where_there_is_no_thumbnail(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let recording = Recording::video(Format::Mp4, (96, 64), 20, 30);
        let mut feature = scripted_feature_of(MediaType::Video, "recorded");
        let properties = feature.properties.get_or_insert_default();
        (properties.make_poster, properties.make_preview) = (true, true);
        let feature = server.add_feature(feature).await.id;
        let script = recording.script();
        let request = server.made(scripted_request(feature, &script)).await.job.request_id;
        let cover = async || get(&server, request, &[RequestInclude::Cover]).await.cover.unwrap();
        let poster = cover().await;
        assert_eq!((poster.role(), poster.media_type()), (MediaRole::Poster, MediaType::Image));
        server.media().delete_media(DeleteMediaRequest { id: poster.id }).await.unwrap();
        assert_eq!(cover().await.role(), MediaRole::Original);
    }

    async fn what_is_included_counts_for_the_length_of_a_page(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&[]);
        let mut all = Vec::new();
        for _ in 0..6 {
            all.insert(0, server.create(asked(feature, &script, 16)).await.0.id);
        }
        // Too many jobs to be read at once, and short enough for one page.
        let (whole, token) = page(&server, 6, "").await;
        assert_eq!(ids(&whole), all);
        assert!(token.is_empty() && whole.iter().all(|request| request.jobs.len() == 16));
        // 480 KB for each request: four fit into 2 MiB.
        let words = "x".repeat(30_000);
        db.execute(&format!("UPDATE generation_jobs SET output_metadata = '{{\"words\": \"{words}\"}}'")).await;
        let (first, token) = page(&server, 6, "").await;
        assert_eq!(ids(&first), all[..4]);
        let (second, token) = page(&server, 6, &token).await;
        assert_eq!(ids(&second), all[4..]);
        assert!(token.is_empty() && second.iter().all(|request| request.jobs.len() == 16));
    }
}

/// A feature whose pictures have two thumbnails, of which the larger is made last.
async fn feature_with_thumbnails(client: &Client) -> i64 {
    let mut feature = scripted_feature("pictures");
    let properties = feature.properties.get_or_insert_default();
    (properties.thumbnail_sizes, properties.omit_thumbnails) = (vec![16, 48], false);
    client.add_feature(feature).await.id
}

fn asked(feature: i64, script: &Script, variations: i32) -> CreateRequestRequest {
    CreateRequestRequest {
        input: Some(GenerationInput {
            variations,
            extra: Some(script.extra()),
            ..Default::default()
        }),
        ..scripted_request(feature, script)
    }
}

async fn get(client: &Client, id: i64, include: &[RequestInclude]) -> Request {
    let include = include.iter().map(|it| (*it).into()).collect();
    let request = GetRequestRequest {
        id,
        include,
        ..Default::default()
    };
    let found = client.requests().get_request(request).await;
    found.unwrap().into_inner().request.unwrap()
}

async fn list(client: &Client, include: &[RequestInclude]) -> Vec<Request> {
    let request = ListRequestsRequest {
        include: include.iter().map(|it| (*it).into()).collect(),
        ..Default::default()
    };
    let listed = client.requests().list_requests(request).await;
    listed.unwrap().into_inner().requests
}

/// One page of requests with their jobs, and the token of the next.
async fn page(client: &Client, page_size: i32, token: &str) -> (Vec<Request>, String) {
    let request = ListRequestsRequest {
        page_size,
        page_token: token.to_owned(),
        include: vec![RequestInclude::Jobs.into()],
        ..Default::default()
    };
    let listed = client.requests().list_requests(request).await;
    let listed = listed.unwrap().into_inner();
    (listed.requests, listed.next_page_token)
}

fn cover_of(request: &Request) -> i64 {
    request.cover.as_ref().unwrap().id
}

fn ids(requests: &[Request]) -> Vec<i64> {
    requests.iter().map(|request| request.id).collect()
}

async fn jobs_of(client: &Client, request_id: i64) -> Vec<Job> {
    let request = ListJobsRequest {
        request_id,
        ..Default::default()
    };
    let listed = client.jobs().list_jobs(request).await;
    listed.unwrap().into_inner().jobs
}

/// All media of the request, each original followed by its two thumbnails, and links that open them.
async fn assert_media(client: &Client, request: &Request) {
    let of_request = ListMediaRequest {
        request_id: request.id,
        ..Default::default()
    };
    let listed = client.media().list_media(of_request).await;
    let mut listed: Vec<i64> = (listed.unwrap().into_inner().media.iter())
        .map(|media| media.id)
        .collect();
    let mut told: Vec<i64> = request.media.iter().map(|media| media.id).collect();
    listed.sort_unstable();
    let outputs = request.media.chunks(3);
    let places = request.jobs.iter().flat_map(|job| [job.id; 3]);
    for (output, job) in outputs.zip(places) {
        let roles = [
            MediaRole::Original,
            MediaRole::Thumbnail,
            MediaRole::Thumbnail,
        ];
        assert!(output.iter().map(Media::role).eq(roles), "{output:?}");
        assert!(output.iter().all(|media| media.job_id == Some(job)));
        assert!(
            output[1..]
                .iter()
                .all(|it| it.original_id == Some(output[0].id))
        );
        assert!(output.iter().all(|media| !media.download_url.is_empty()));
    }
    told.sort_unstable();
    assert_eq!(told, listed);
}

/// Links are made for each answer.
fn without_links(mut request: Request) -> Request {
    for media in request.media.iter_mut().chain(&mut request.cover) {
        media.download_url.clear();
        media.download_url_expire_time = None;
    }
    request
}
