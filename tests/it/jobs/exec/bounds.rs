//! Commands that fail, hang, take too much or will not die: each ends in its reason, and the next job runs.

use std::time::Duration;

use atelier::config::ExecConfig;
use atelier::rpc::proto::JobStatus;
use atelier::server::Role;

use super::studio::{PROVIDER, SOUND, Studio, feature, order, serve};
use crate::jobs::leases::steal_lease;
use crate::support::client::request_for;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::server::TestServer;

/// Starts processes in every way in which one can get away, all deaf to SIGTERM, and hangs. Each leaves its id.
const BROOD: &str = r#"
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)

def live(name):
    with open('$STUDIO/pid-' + name, 'w') as trace:
        trace.write(str(os.getpid()) + '\n')
    while True:
        time.sleep(60)

if os.fork() == 0:
    live('forked')
if os.fork() == 0:
    os.setsid()
    live('in-a-session-of-its-own')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        live('forked-twice')
    os._exit(0)
if os.fork() == 0:
    if os.fork() == 0:
        os.setpgid(0, 0)
        live('in-a-group-of-its-own')
    live('its-parent')
live('head')
"#;
const BROOD_SIZE: usize = 6;

on_both_databases! {
    async fn a_failure_is_told_with_the_end_of_what_the_command_said(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell("echo picture > \"$1/a.png\"; echo 'no such model' >&2; exit 3");
        let detail = fails(&db, &studio, command, "PROVIDER_FAILED").await;
        assert_eq!(detail, "no such model\n\nthe command ended with exit code 3");
    }

    async fn a_signal_of_its_own_making_is_a_failure(db: TestDatabase) {
        let studio = Studio::new();
        let detail = fails(&db, &studio, studio.shell("kill -s ABRT $$"), "PROVIDER_FAILED").await;
        assert_eq!(detail, "signal 6 ended the command");
    }

    async fn a_command_that_costs_money_is_not_run_again_after_it_was_cut_off(db: TestDatabase) {
        let studio = Studio::new();
        let script = "echo run >> $STUDIO/runs; kill -s KILL $$";
        let command = ExecConfig { repeatable: false, ..studio.shell(script) };
        fails(&db, &studio, command, "PROVIDER_OUTCOME_UNKNOWN").await;
        assert_eq!(studio.read("runs"), "run\n");
    }

    async fn a_command_that_makes_nothing_or_a_link_made_no_output(db: TestDatabase) {
        for script in ["true", "ln -s /etc/passwd \"$1/a.png\""] {
            let studio = Studio::new();
            let server = serve(&db, &studio, studio.shell(script)).await;
            let mut feature = feature(PROVIDER);
            feature.name = format!("{script:.2}").replace(' ', "");
            let feature = server.add_feature(feature).await;
            let (_, jobs) = server.create(request_for(feature.id)).await;
            let ended = server.ended(jobs[0].id).await;
            assert_eq!(ended.code(), "PROVIDER_NO_OUTPUT", "{script}");
            server.stop().await;
        }
    }

    async fn a_command_that_forks_and_hangs_is_dead_with_its_brood_when_its_time_is_up(db: TestDatabase) {
        let studio = Studio::new();
        let mut command = studio.python(BROOD);
        command.timeout = Duration::from_secs(3);
        fails(&db, &studio, command, "JOB_TIMED_OUT").await;
        assert_eq!(studio.processes().len(), BROOD_SIZE);
        studio.assert_all_dead();
    }

    async fn what_a_command_leaves_running_is_ended_with_it(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell(
            "setsid bash -c 'echo $$ > $STUDIO/pid-1; sleep 60' & until [ -s $STUDIO/pid-1 ]; do sleep 0.01; done
             cp $STUDIO/picture.png \"$1\"/",
        );
        let server = serve(&db, &studio, command).await;
        let job = order(&server, PROVIDER).await;
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!(studio.processes().len(), 1);
        studio.assert_all_dead();
    }

    async fn a_command_that_fills_its_folder_is_ended(db: TestDatabase) {
        let many = "i=0; while :; do head -c 300000 /dev/zero > \"$1/$i\"; i=$((i+1)); done";
        let long = "head -c 1000000000 /dev/zero > \"$1/a.png\"";
        let scratch = "head -c 1000000000 /dev/zero > \"$TMPDIR/a\"";
        for script in [many, long, scratch] {
            let studio = Studio::new();
            let mut command = studio.shell(script);
            command.output_bytes = 1 << 20;
            let detail = fails(&db, &studio, command, "PROVIDER_LIMIT_EXCEEDED").await;
            assert!(detail.contains("1048576 are allowed") || detail.contains("signal 25"), "{detail}");
        }
    }

    async fn a_command_that_makes_files_without_end_is_ended(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.python("import sys\ni = 0\nwhile True:\n    open(f'{sys.argv[1]}/{i}', 'w').close()\n    i += 1");
        let detail = fails(&db, &studio, command, "PROVIDER_LIMIT_EXCEEDED").await;
        assert!(detail.contains("more than 10000 files"), "{detail}");
    }

    async fn a_command_that_goes_on_after_its_file_was_cut_off_has_exceeded_its_limit(db: TestDatabase) {
        // Python ignores SIGXFSZ.
        let studio = Studio::new();
        let mut command = studio.python(
            "import sys\ntry:\n    open(sys.argv[1] + '/a.png', 'wb', 0).write(b'x' * 2000000)\nexcept OSError:\n    pass",
        );
        command.output_bytes = 1 << 20;
        fails(&db, &studio, command, "PROVIDER_LIMIT_EXCEEDED").await;
    }

    async fn a_command_that_eats_memory_is_ended_also_if_its_children_do(db: TestDatabase) {
        for script in [
            "x = []\nwhile True:\n    x.append(b'x' * 1000000)",
            "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        x = b'x' * 20000000\n        time.sleep(60)\n\
             time.sleep(60)",
        ] {
            let studio = Studio::new();
            let mut command = studio.python(script);
            command.memory = 96 << 20;
            let detail = fails(&db, &studio, command, "PROVIDER_LIMIT_EXCEEDED").await;
            assert!(detail.contains("of memory"), "{detail}");
        }
    }

    async fn a_command_that_starts_process_after_process_is_ended(db: TestDatabase) {
        let studio = Studio::new();
        let script = "for i in {1..400}; do sleep 60 & done; echo $! > $STUDIO/pid-last; wait";
        let detail = fails(&db, &studio, studio.shell(script), "PROVIDER_LIMIT_EXCEEDED").await;
        assert!(detail.ends_with("more than 256 processes"), "{detail}");
        studio.assert_all_dead();
    }

    async fn a_command_that_talks_without_end_neither_blocks_nor_is_kept(db: TestDatabase) {
        for script in ["yes 'on and on' >&2", "yes 'progress 0.5 and on'"] {
            let studio = Studio::new();
            let mut command = studio.shell(script);
            command.timeout = Duration::from_secs(1);
            let detail = fails(&db, &studio, command, "JOB_TIMED_OUT").await;
            assert!(detail.len() < 4_000, "{} bytes", detail.len());
            assert!(detail.ends_with("the command took longer than 1 s"), "{detail}");
        }
    }

    async fn a_lost_lease_ends_the_command(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.python(BROOD);
        let configure = studio.configure(command);
        let server = TestServer::start_as(Role::All, &db, |config| {
            configure(config);
            config.executor.heartbeat = Duration::from_millis(100);
        }).await;
        let job = order(&server, PROVIDER).await;
        studio.wait_for("pid-", BROOD_SIZE).await;
        steal_lease(&db, job.id).await;
        studio.all_dead().await;
        assert_eq!(make_sound(&server).await, JobStatus::Completed);
        assert_eq!(server.job(job.id).await.status(), JobStatus::Processing);
    }

    async fn a_server_that_stops_ends_the_command_and_hands_the_job_back(db: TestDatabase) {
        let studio = Studio::new();
        let server = serve(&db, &studio, studio.python(BROOD)).await;
        let api = server.beside(Role::Api, &db, |_| ()).await;
        let job = order(&server, PROVIDER).await;
        studio.wait_for("pid-", BROOD_SIZE).await;
        server.stop().await;
        studio.assert_all_dead();
        let job = api.job(job.id).await;
        assert_eq!((job.status(), job.attempt), (JobStatus::Pending, 0));
    }

    async fn a_command_that_kills_its_supervisor_fails_once_and_leaves_nothing(db: TestDatabase) {
        let (studio, media) = (Studio::new(), tempfile::tempdir().unwrap());
        let kill = format!("import glob\nwhile len(glob.glob('$STUDIO/pid-*')) < {}:\n    time.sleep(0.01)\n\
            os.kill(os.getppid(), signal.SIGKILL)\nlive('head')", BROOD_SIZE - 1);
        let brood = BROOD.replace("live('head')", &kill);
        let script = format!("open('$STUDIO/runs', 'a').write('run\\n')\n{brood}");
        // Landlock would not let it.
        let process = serve_program(&studio, &script, &db, media.path(), "sandbox = false").await;
        let feature = process.add_feature(feature(PROVIDER)).await;
        let job = process.create(request_for(feature.id)).await.1.remove(0);
        let ended = process.ended(job.id).await;
        assert_eq!((ended.code(), ended.job.attempt), ("PROVIDER_FAILED", 1), "{:?}", ended.job);
        let detail = &ended.job.error.as_ref().unwrap().detail;
        assert!(detail.contains("the supervisor is lost: signal: 9"), "{detail}");
        // The head may have been ended before it told of itself.
        assert!(studio.processes().len() >= BROOD_SIZE - 1);
        studio.assert_all_dead();
        assert_eq!(studio.read("runs"), "run\n");
    }

    async fn a_command_gains_no_privileges_and_leaves_no_core(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell(
            "grep NoNewPrivs < /proc/$$/status > $STUDIO/kept; ulimit -c >> $STUDIO/kept; ulimit -d >> $STUDIO/kept
             ulimit -u > $STUDIO/threads; cp $STUDIO/picture.png \"$1\"/",
        );
        let kibibytes = (2 * command.memory + (4 << 30)) >> 10;
        let server = serve(&db, &studio, command).await;
        let job = order(&server, PROVIDER).await;
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
        assert_eq!(studio.read("kept"), format!("NoNewPrivs:\t1\n0\n{kibibytes}\n"));
        let threads: u64 = studio.read("threads").trim().parse().unwrap();
        assert!((1..=1 << 20).contains(&threads), "{threads}");
    }

    async fn a_killed_server_leaves_nothing_and_its_job_is_run_again(db: TestDatabase) {
        let (studio, media) = (Studio::new(), tempfile::tempdir().unwrap());
        // The second run finds the trace of the first.
        let script = format!("import os, shutil, sys\nif os.path.exists('$STUDIO/again'):\n    \
            shutil.copy('$STUDIO/picture.png', sys.argv[1])\n    sys.exit()\n\
            open('$STUDIO/folder', 'w').write(os.getcwd() + '\\n'){BROOD}");
        let first = serve_program(&studio, &script, &db, media.path(), "").await;
        let feature = first.add_feature(feature(PROVIDER)).await;
        let job = first.create(request_for(feature.id)).await.1.remove(0);
        studio.wait_for("pid-", BROOD_SIZE).await;
        let folder = studio.read("folder");
        first.kill();
        studio.all_dead().await;
        gone(folder.trim()).await;

        std::fs::write(studio.path("again"), "").unwrap();
        let file = studio.path("atelier.toml");
        let second = Process::serve_configured(&file, &db, media.path(), &[]).await;
        let ended = second.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 2), "{:?}", ended.job);
    }
}

/// The program itself, whose provider `studio` is this script in Python, with further keys of its table.
pub(super) async fn serve_program(
    studio: &Studio,
    script: &str,
    db: &TestDatabase,
    media: &std::path::Path,
    keys: &str,
) -> Process {
    let file = studio.path("atelier.toml");
    let program = studio.python(script);
    let (command, readable, writable) = (program.command, program.readable, program.writable);
    let table = format!(
        "[providers.{PROVIDER}]\nkind = \"exec\"\ncommand = \"{command}\"\nargs = [\"{{{{ output }}}}\"]\nmakes = [\"image\"]\n\
         readable = {readable:?}\nwritable = {writable:?}\n{keys}\n"
    );
    std::fs::write(&file, table).unwrap();
    Process::serve_configured(&file, db, media, &[]).await
}

/// Lets the command fail for this reason, shows that nothing holds up the next job, and returns the words for operators.
async fn fails(db: &TestDatabase, studio: &Studio, command: ExecConfig, code: &str) -> String {
    let server = serve(db, studio, command).await;
    let mut feature = feature(PROVIDER);
    feature.name = format!("{:08x}", rand::random::<u32>());
    let feature = server.add_feature(feature).await;
    let (_, jobs) = server.create(request_for(feature.id)).await;
    let ended = server.ended(jobs[0].id).await;
    assert_eq!(
        (ended.code(), ended.job.status()),
        (code, JobStatus::Failed),
        "{:?}",
        ended.job.error
    );
    assert_eq!(make_sound(&server).await, JobStatus::Completed);
    server.stop().await;
    ended.job.error.unwrap().detail
}

/// Runs a job of a command that does what it should.
async fn make_sound(server: &TestServer) -> JobStatus {
    let mut feature = feature(SOUND);
    feature.name = format!("{:08x}", rand::random::<u32>());
    let feature = server.add_feature(feature).await;
    let (_, jobs) = server.create(request_for(feature.id)).await;
    server.ended(jobs[0].id).await.job.status()
}

/// Waits until the path does not exist. A folder gives no signal.
async fn gone(path: &str) {
    crate::support::server::within(async {
        while std::path::Path::new(path).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
