//! What the database does by itself: statements on the specification's tables, by PostgreSQL's own load generator.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::postgres::binaries;
use crate::service::{Service, USERS};

/// A request and its job, each by a statement of its own in one transaction.
pub(crate) const TWO_STATEMENTS: &str = "BEGIN;
INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (:user, 1, 'x') RETURNING id \\gset
INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
    VALUES (:id, :user, 1, 'image', '{}');
COMMIT;";

/// The same by one statement.
pub(crate) const ONE_STATEMENT: &str = "WITH request AS (
    INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (:user, 1, 'x') RETURNING id, user_id)
INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
    SELECT id, user_id, 1, 'image', '{}' FROM request;";

/// A request of a hundred jobs.
pub(crate) const HUNDRED: &str = "WITH request AS (
    INSERT INTO generation_requests (user_id, feature_id, user_prompt) VALUES (:user, 1, 'x') RETURNING id, user_id)
INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json)
    SELECT id, user_id, 1, 'image', '{}' FROM request, generate_series(1, 100);";

/// Jobs that a worker takes and ends at once.
pub(crate) const AT_ONCE: usize = 50;

/// They are taken, and then completed.
pub(crate) const TAKE_AND_COMPLETE: &str = "WITH next AS MATERIALIZED (
    SELECT id FROM generation_jobs WHERE status = 'pending' AND deleted_at IS NULL
    ORDER BY priority DESC LIMIT 50 FOR UPDATE SKIP LOCKED)
UPDATE generation_jobs SET status = 'processing', worker_id = :client_id, started_at = NOW(), updated_at = NOW()
    WHERE id IN (SELECT id FROM next);
UPDATE generation_jobs SET status = 'completed', completed_at = NOW(), updated_at = NOW()
    WHERE worker_id = ':client_id' AND status = 'processing' AND deleted_at IS NULL;";

/// How long pgbench goes on.
pub(crate) enum Until {
    Passed(Duration),
    /// So many times for each client.
    Done(usize),
}

/// How often in a second the script was run.
pub(crate) fn rate(service: &Service, script: &str, clients: usize, until: Until) -> f64 {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "\\set user random(1, {USERS})\n{script}").unwrap();
    // Some systems have it apart from the server.
    let beside = binaries().map(|programs| programs.join("pgbench"));
    let program = beside.filter(|program| program.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "pgbench".into()));
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.arg(format!("--client={clients}"));
    match until {
        Until::Passed(window) => {
            let seconds = window.as_secs().max(1);
            command.arg(format!("--time={seconds}"))
        }
        Until::Done(times) => command.arg(format!("--transactions={times}")),
    };
    command.arg(format!("--file={}", file.path().display()));
    command.args(["--host=127.0.0.1", "--username=postgres"]);
    command.arg(format!("--port={}", service.port()));
    let output = command.arg("specification").output();
    let output = output.expect("pgbench comes with PostgreSQL");
    let told = String::from_utf8_lossy(&output.stdout);
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split_whitespace().next());
    let rate = rate.and_then(|rate| rate.parse().ok());
    rate.unwrap_or_else(|| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)))
}
