//! Plans that keep requests for a time.

use atelier::domain::RetentionStep;
use atelier::rpc::proto::{GetLimitsRequest, UndeleteRequestRequest};

use crate::support::client::{USER, request_for};
use crate::support::database::on_both_databases;
use crate::support::plans::{configure, plan};

use super::*;

const STEP: RetentionStep = RetentionStep::PlanRequests;

on_both_databases! {
    async fn requests_of_a_plan_are_deleted_when_their_time_is_over_and_others_stay(db: TestDatabase) {
        let server = keeping(&db, |config| {
            configure(config, [plan("free", |it| it.retention = DAY * 30), plan("pro", |_| ())]);
            config.retention.deleted_media = DAY * 10;
        }).await;
        let feature = server.scripted_feature().await;
        let (free, _, media) = made(&server, feature).await;
        let pro = server.create(proto::CreateRequestRequest { plan: "pro".to_owned(), ..request_for(feature) }).await.0;
        run_all(&server).await;
        let limits = async |plan: &str| {
            let asked = GetLimitsRequest { user_id: USER, plan: plan.to_owned() };
            server.credits().get_limits(asked).await.unwrap().into_inner().retention_seconds
        };
        assert_eq!((limits("free").await, limits("pro").await), (30 * 86_400, 0));
        pass(&server, 29);
        assert_eq!(due_then_done(&server, STEP).await, 0);
        let waiting = server.create(request_for(feature)).await.0;
        pass(&server, 2);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        let deleted = server.request(free.id).await;
        assert!(deleted.delete_time.is_some());
        assert_eq!(server.media_row(media.id).await.delete_time, deleted.delete_time, "its media went with it");
        for kept in [pro.id, waiting.id] {
            assert_eq!(server.request(kept).await.delete_time, None);
        }

        server.requests().undelete_request(UndeleteRequestRequest { id: free.id }).await.unwrap();
        assert_eq!(due_then_done(&server, STEP).await, 0, "its time begins anew");
        assert_eq!(server.content_of(&media).await, b"x");
        pass(&server, 31);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        pass(&server, 11);
        run(&server).await;
        assert!(server.media_row(media.id).await.content_delete_time.is_some());
    }
}
