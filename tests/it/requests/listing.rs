//! ListRequests and CountRequests: each filter shows what it names, and nothing else.

use atelier::rpc::proto::{
    CancelJobRequest, CountRequestsRequest, CountRequestsResponse, CreateRequestRequest,
    DeleteRequestRequest, ListRequestsRequest, Request, RequestStatus,
};
use prost_types::Timestamp;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::TestServer;

/// The last second that a Timestamp may say.
const LAST_SECOND: i64 = 253_402_300_799;

on_both_databases! {
    async fn each_filter_shows_what_it_names_newest_first(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let [plain, styled, cancelled] = three_requests(&server).await;
        let all = ListRequestsRequest::default;
        for (filter, expected) in [
            (all(), vec![&cancelled, &styled, &plain]),
            (ListRequestsRequest { user_id: USER, ..all() }, vec![&styled, &plain]),
            (ListRequestsRequest { user_id: USER + 1, ..all() }, vec![&cancelled]),
            (ListRequestsRequest { project_id: 3, ..all() }, vec![&styled]),
            (ListRequestsRequest { feature_id: styled.feature_id, ..all() }, vec![&cancelled, &styled]),
            (ListRequestsRequest { template_id: styled.template_id.unwrap(), ..all() }, vec![&styled]),
            (ListRequestsRequest { statuses: vec![RequestStatus::Cancelled.into()], ..all() }, vec![&cancelled]),
            (ListRequestsRequest { statuses: vec![RequestStatus::Pending.into()], ..all() }, vec![&styled, &plain]),
            (ListRequestsRequest { user_id: USER, feature_id: styled.feature_id, ..all() }, vec![&styled]),
            (ListRequestsRequest { user_id: USER, project_id: 4, ..all() }, vec![]),
        ] {
            assert_eq!(ids(&server, filter.clone()).await, ids_of(&expected), "{filter:?}");
        }
    }

    async fn a_count_tells_every_status_of_what_the_filter_names(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let [plain, styled, cancelled] = three_requests(&server).await;
        let all = CountRequestsRequest::default;
        let counts = |pending, cancelled| CountRequestsResponse {
            total: pending + cancelled, pending, cancelled, ..Default::default()
        };
        for (filter, expected) in [
            (all(), counts(2, 1)),
            (CountRequestsRequest { user_id: USER, ..all() }, counts(2, 0)),
            (CountRequestsRequest { user_id: USER + 1, ..all() }, counts(0, 1)),
            (CountRequestsRequest { user_id: USER + 2, ..all() }, counts(0, 0)),
            (CountRequestsRequest { project_id: 3, ..all() }, counts(1, 0)),
            (CountRequestsRequest { feature_id: styled.feature_id, ..all() }, counts(1, 1)),
            (CountRequestsRequest { template_id: styled.template_id.unwrap(), ..all() }, counts(1, 0)),
            (CountRequestsRequest { create_time_start: styled.create_time, ..all() }, counts(1, 1)),
            (CountRequestsRequest { create_time_end: styled.create_time, ..all() }, counts(1, 0)),
        ] {
            assert_eq!(count(&server, filter).await, expected, "{filter:?}");
        }
        let delete = DeleteRequestRequest { id: plain.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        assert_eq!(count(&server, all()).await, counts(1, 1));
        assert_eq!(count(&server, CountRequestsRequest { show_deleted: true, ..all() }).await, counts(1, 2));
        assert_eq!(cancelled.status(), RequestStatus::Cancelled);
    }

    async fn a_count_s_filter_out_of_its_bounds_is_refused_with_all_the_others(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = CountRequestsRequest {
            user_id: -1, project_id: -1, feature_id: -1, template_id: -1,
            create_time_start: Some(at(i64::MAX, 0)), create_time_end: Some(at(0, -1)), ..Default::default()
        };
        refusal(server.requests().count_requests(wrong).await).of_fields([
            "user_id", "project_id", "feature_id", "template_id", "create_time_start", "create_time_end",
        ]);
    }

    async fn a_time_range_has_its_start_and_not_its_end(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let [first, second, third] = three_requests(&server).await;
        let times = [&first, &second, &third].map(|request| request.create_time.unwrap());
        assert!(times.is_sorted_by(|left, right| nanos(*left) < nanos(*right)), "{times:?}");
        let (second_at, third_at) = (Some(times[1]), Some(times[2]));
        for (start, end, expected) in [
            (second_at, third_at, vec![&second]),
            (second_at, None, vec![&third, &second]),
            (None, second_at, vec![&first]),
            (second_at, second_at, vec![]),
            // A nanosecond later is after it, which a time of microseconds must not forget.
            (second_at.map(a_nanosecond_later), None, vec![&third]),
            (None, second_at.map(a_nanosecond_later), vec![&second, &first]),
            (Some(at(-62_135_596_800, 0)), Some(at(LAST_SECOND, 999_999_999)), vec![&third, &second, &first]),
            (Some(at(LAST_SECOND, 999_999_999)), None, vec![]),
            (None, Some(at(-62_135_596_800, 0)), vec![]),
            (Some(at(0, 0)), Some(at(1, 0)), vec![]),
        ] {
            let filter = ListRequestsRequest { create_time_start: start, create_time_end: end, ..Default::default() };
            assert_eq!(ids(&server, filter).await, ids_of(&expected), "{start:?} {end:?}");
        }
    }

    async fn a_page_token_belongs_to_its_time_range(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        three_requests(&server).await;
        let early = ListRequestsRequest { create_time_start: Some(at(0, 0)), page_size: 1, ..Default::default() };
        let first = server.requests().list_requests(early.clone()).await.unwrap().into_inner();
        let second = ListRequestsRequest { page_token: first.next_page_token.clone(), ..early.clone() };
        let second = server.requests().list_requests(second).await.unwrap().into_inner();
        assert!(second.requests[0].id < first.requests[0].id);
        let moved = ListRequestsRequest {
            create_time_start: Some(at(1, 0)), page_token: first.next_page_token, ..early
        };
        refusal(server.requests().list_requests(moved).await)
            .is(tonic::Code::InvalidArgument, atelier::rpc::proto::ErrorReason::InvalidPageToken);
    }

    async fn a_filter_out_of_its_bounds_is_refused_with_all_the_others(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = ListRequestsRequest {
            page_size: -1,
            user_id: -1,
            project_id: i64::MIN,
            feature_id: -1,
            template_id: -1,
            statuses: vec![-1],
            create_time_start: Some(at(i64::MAX, 0)),
            create_time_end: Some(at(0, i32::MIN)),
            ..Default::default()
        };
        refusal(server.requests().list_requests(wrong).await).of_fields([
            "page_size", "user_id", "project_id", "feature_id", "template_id", "create_time_start",
            "create_time_end", "statuses[0]",
        ]);
        for absurd in [
            at(i64::MIN, 0), at(-62_135_596_801, 0), at(LAST_SECOND + 1, 0), at(0, -1), at(0, 1_000_000_000),
            at(i64::MAX, i32::MAX),
        ] {
            let filter = ListRequestsRequest { create_time_end: Some(absurd), ..Default::default() };
            refusal(server.requests().list_requests(filter).await).of_fields(["create_time_end"]);
        }
        let backwards = ListRequestsRequest {
            create_time_start: Some(at(7, 1)), create_time_end: Some(at(7, 0)), ..Default::default()
        };
        refusal(server.requests().list_requests(backwards).await).of_fields(["create_time_end"]);
    }
}

/// A plain one; one with a project and a template, for another feature; and a cancelled one for that, of another user.
async fn three_requests(server: &TestServer) -> [Request; 3] {
    let first = server.scripted_feature().await;
    let (plain, _) = server.create(request_for(first)).await;

    let second = server.add_feature(scripted_feature("second")).await.id;
    let template = server
        .add_template(plain_template(second, "style"))
        .await
        .id;
    let styled = CreateRequestRequest {
        project_id: Some(3),
        template_id: Some(template),
        ..request_for(second)
    };
    let (styled, _) = server.create(styled).await;

    let theirs = CreateRequestRequest {
        user_id: USER + 1,
        ..request_for(second)
    };
    let (theirs, jobs) = server.create(theirs).await;
    let cancel = CancelJobRequest {
        id: jobs[0].id,
        ..Default::default()
    };
    server.jobs().cancel_job(cancel).await.unwrap();
    [plain, styled, server.request(theirs.id).await]
}

async fn ids(server: &TestServer, filter: ListRequestsRequest) -> Vec<i64> {
    let listed = server.requests().list_requests(filter).await.unwrap();
    let listed = listed.into_inner();
    listed.requests.iter().map(|request| request.id).collect()
}

async fn count(server: &TestServer, filter: CountRequestsRequest) -> CountRequestsResponse {
    let counted = server.requests().count_requests(filter).await;
    counted.unwrap().into_inner()
}

fn ids_of(requests: &[&Request]) -> Vec<i64> {
    requests.iter().map(|request| request.id).collect()
}

fn at(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp { seconds, nanos }
}

fn a_nanosecond_later(time: Timestamp) -> Timestamp {
    at(time.seconds, time.nanos + 1)
}

fn nanos(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}
