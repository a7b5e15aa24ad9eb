//! What requests for one popular feature cost PostgreSQL beside their rows: each keeps the feature from being deleted until it is
//! committed, by a lock that it shares with others, and whoever comes to share one makes a MultiXact.

use atelier::rpc::proto::CreateRequestRequest;
use futures::future::join_all;

use crate::support::client::{USER, request_for};
use crate::support::database::TestDatabase;
use crate::support::postgres::Cluster;
use crate::support::server::{TestServer, within};

const CALLERS: i64 = 64;
const REQUESTS: i64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_for_one_feature_on_two_servers_make_far_fewer_multixacts_than_requests() {
    // The numbers are those of a whole server.
    let cluster = Cluster::with("").await;
    let db = TestDatabase::on_server(cluster.url());
    let servers = [
        TestServer::start_api(&db).await,
        TestServer::start_api(&db).await,
    ];
    let feature = servers[0].scripted_feature().await;
    let before = next(&db).await;
    let servers = &servers;
    let callers = (0..CALLERS).map(|caller| async move {
        let server = &servers[usize::try_from(caller % 2).unwrap()];
        for _ in 0..REQUESTS {
            let asked = CreateRequestRequest {
                user_id: USER + caller,
                ..request_for(feature)
            };
            server.create(asked).await;
        }
    });
    within(join_all(callers)).await;
    let after = next(&db).await;
    let (requests, made) = (CALLERS * REQUESTS, after.0 - before.0);
    println!(
        "{made} MultiXacts with {} members for {requests} requests",
        after.1 - before.1
    );
    // One for each would be what requests make that are stored one by one.
    assert!(made <= requests / 4, "{made}");
}

/// The numbers of the next MultiXact and of its first member, which a checkpoint writes down.
async fn next(db: &TestDatabase) -> (i64, i64) {
    db.execute("CHECKPOINT").await;
    let number = async |name| {
        let query = format!("SELECT {name}::text FROM pg_control_checkpoint()");
        db.texts(&query).await[0].parse().unwrap()
    };
    (
        number("next_multixact_id").await,
        number("next_multi_offset").await,
    )
}
