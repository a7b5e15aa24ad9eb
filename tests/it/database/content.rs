//! The equal files of a user are found by an index, however many he and all others have, and with no statement more.

use atelier::domain::JsonMap;
use sea_orm::ConnectionTrait;

use crate::support::bench::{Bench, lease, output};
use crate::support::database::{Backend, TestDatabase};

use super::plans::explain;
use super::statements::Wire;

/// 200 users with 100 files each, of which every tenth is equal to all others' tenth.
const MANY: &str = "
    INSERT INTO generation_media (request_id, owner_id, media_url, media_type, blurhash, storage_key, sha256, file_size, metadata)
        SELECT 1, n, 'x', 'image', 'L', 'jobs/000/000/001/x' || n || '-' || i || '.png',
            lpad(CASE WHEN i % 10 = 0 THEN 'e' ELSE n || 'x' || i END, 64, '0'), 1, '{\"format\": \"png\"}'
        FROM generate_series(1, 200) AS n, generate_series(1, 100) AS i ORDER BY i, n;
    ANALYZE";

#[tokio::test(flavor = "multi_thread")]
async fn the_equal_files_of_a_user_are_found_by_an_index() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let wire = Wire::before(&db).await;
    let bench = Bench::at(&wire.url, 1).await;
    let database = db.connect().await;
    let mut taken = Vec::new();
    // The first prepares the statements.
    for (content, many) in [('c', ""), ('d', ""), ('e', MANY)] {
        let job = bench.request(1, 0).await[0].id;
        let claimed = bench.claim(1).await.remove(0);
        assert_eq!(claimed.id, job);
        for statement in many.split_terminator(';') {
            database.execute_unprepared(statement).await.unwrap();
        }
        let lease = lease(&claimed);
        let mut equal = output(&lease);
        equal.file.inspected.facts.sha256 = format!("{content:0>64}");
        let key = &equal.file.key;
        bench.app.storage.put(key, "x".into(), None).await.unwrap();
        wire.take();
        let equal = [equal];
        let completed = bench.app.complete_job(&lease, &equal, JsonMap::new());
        assert!(completed.await.unwrap().is_some());
        taken.push(wire.take());
    }
    assert_eq!(
        taken[1], taken[2],
        "to share an object takes a statement more"
    );
    let newest = "SELECT storage_key FROM generation_media ORDER BY id DESC LIMIT 1";
    assert_eq!(db.texts(newest).await, ["jobs/000/000/001/x1-100.png"]);
    let insert = taken[2].iter();
    let insert = insert.filter(|text| text.contains("INTO generation_media"));
    let insert: Vec<_> = insert.collect();
    assert_eq!(insert.len(), 1);
    let plan = explain(&database, 0, insert[0]).await;
    let index = "Index Scan using idx_generation_media_content";
    assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
}
