//! What one process does for all.

use std::time::Duration;

use atelier::app::Chore;
use atelier::domain::Error;
use tokio::sync::Notify;

use crate::support::bench::Bench;
use crate::support::database::on_both_databases;
use crate::support::server::within;

const PAUSE: Duration = Duration::from_secs(60);

on_both_databases! {
    async fn one_process_at_a_time_does_what_one_is_enough_for_and_once_in_its_time(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let (first, second) = (bench.app.clone(), bench.app.clone());
        let (begun, go_on) = (Notify::new(), Notify::new());
        let work = async {
            begun.notify_one();
            go_on.notified().await;
            Ok(1)
        };
        let other = async {
            begun.notified().await;
            let same = second.in_turn(Chore::FoldTrends, PAUSE, async { Ok(2) }).await;
            let another = second.in_turn(Chore::SweepStorage, PAUSE, async { Ok(3) }).await;
            go_on.notify_one();
            (same.unwrap(), another.unwrap())
        };
        let (done, others) = within(async {
            tokio::join!(first.in_turn(Chore::FoldTrends, PAUSE, work), other)
        }).await;
        assert_eq!((done.unwrap(), others), (Some(1), (None, Some(3))));

        let again = async || second.in_turn(Chore::FoldTrends, PAUSE, async { Ok(4) }).await.unwrap();
        bench.pass(50);
        assert_eq!(again().await, None);
        bench.pass(10);
        assert_eq!(again().await, Some(4));
    }

    async fn who_fails_has_had_his_turn_and_who_is_lost_keeps_it_for_a_while(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let app = &bench.app;
        let failing = app.in_turn(Chore::FoldTrends, PAUSE, async {
            Err::<i32, _>(Error::internal("a defect"))
        });
        assert!(failing.await.is_err());
        let again = async || app.in_turn(Chore::FoldTrends, PAUSE, async { Ok(1) }).await.unwrap();
        assert_eq!(again().await, None);
        bench.pass(60);
        assert_eq!(again().await, Some(1));

        bench.pass(60);
        let begun = Notify::new();
        let endless = async {
            begun.notify_one();
            std::future::pending::<Result<i32, Error>>().await
        };
        tokio::select! {
            ended = app.in_turn(Chore::FoldTrends, PAUSE, endless) => panic!("{ended:?}"),
            () = within(begun.notified()) => {}
        }
        bench.pass(119);
        assert_eq!(again().await, None);
        bench.pass(2);
        assert_eq!(again().await, Some(1));
    }
}
