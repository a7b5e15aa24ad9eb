//! The exec provider: what a command is given, what becomes of its output, and that nothing of it stays behind.

mod bounds;
mod pictures;
mod readiness;
mod sandbox;
mod studio;

use std::collections::BTreeMap;

use atelier::domain::command::{Argument, PromptBy};
use atelier::rpc::proto::{CreateRequestRequest, JobStatus, WatchJobEvent};

use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::server::TestServer;
use crate::support::watching::Ended;
use studio::{PROVIDER, Studio, feature, order, serve};

/// Nothing of it means anything to a command that takes it as it is.
const PROMPT: &str =
    "--out=/tmp/x 'a  b' \"c\" $(touch owned) `id` ; * \\ \n-rf {{ seed }} Xin chào";

const DUMP_ARGUMENTS: &str = "
import json, shutil, sys
json.dump(sys.argv[1:], open('$STUDIO/arguments', 'w'))
shutil.copy('$STUDIO/picture.png', sys.argv[1])
";

on_both_databases! {
    async fn each_argument_arrives_as_one_and_never_passes_a_shell(db: TestDatabase) {
        let studio = Studio::new();
        let mut command = studio.python(DUMP_ARGUMENTS);
        let one = |template: &str| Argument::One(template.to_owned());
        command.args.extend([
            one("{{ prompt }}"),
            one("{{ negative_prompt }}"),
            one("a 'quoted' word"),
            Argument::Optional(vec!["--style".to_owned(), "{{ style.look }}".to_owned()]),
            Argument::Optional(vec!["--seed".to_owned(), "{{ seed }}".to_owned()]),
        ]);
        let server = serve(&db, &studio, command).await;
        let ended = make(&server, PROMPT).await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let arguments: Vec<String> = serde_json::from_str(&studio.read("arguments")).unwrap();
        let seed = server.media_of(ended.job.id).await[0].seed.unwrap().to_string();
        assert_eq!(arguments[1..], [PROMPT, "", "a 'quoted' word", "--seed", seed.as_str()]);
    }

    async fn the_prompt_comes_on_standard_input_or_in_a_file_or_not_at_all(db: TestDatabase) {
        for (form, expected) in [
            (PromptBy::Stdin, [PROMPT, ""]),
            (PromptBy::File, ["", PROMPT]),
            (PromptBy::None, ["", ""]),
        ] {
            let studio = Studio::new();
            let mut command = studio.shell(
                "cat > $STUDIO/stdin; cat \"${2:-/dev/null}\" > $STUDIO/file; cp $STUDIO/picture.png \"$1\"/",
            );
            command.prompt = form;
            command.args.push(Argument::One("{{ prompt_file }}".to_owned()));
            let server = serve(&db, &studio, command).await;
            let ended = make_as(&server, &format!("{form:?}").to_lowercase(), PROMPT).await;
            assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
            assert_eq!([studio.read("stdin"), studio.read("file")], expected, "{form:?}");
            server.stop().await;
        }
    }

    async fn a_command_gets_nothing_of_the_servers_environment_but_what_is_named(db: TestDatabase) {
        let studio = Studio::new();
        // As the shell was started, before it or Python adds to it.
        let mut command = studio.shell(
            "tr '\\0' '\\n' < /proc/$$/environ > $STUDIO/environment; pwd > $STUDIO/folder
             cp $STUDIO/picture.png \"$1\"/",
        );
        // Cargo sets both for tests.
        command.pass_environment = vec!["CARGO_PKG_NAME".to_owned()];
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let server = serve(&db, &studio, command).await;
        assert_eq!(make(&server, "x").await.job.status(), JobStatus::Completed);
        let environment = studio.read("environment");
        let variables: BTreeMap<_, _> = environment.lines().filter_map(|line| line.split_once('=')).collect();
        let names: Vec<_> = variables.keys().copied().collect();
        assert_eq!(names, ["CARGO_PKG_NAME", "HOME", "LANG", "PATH", "TMPDIR"]);
        let home = variables["HOME"];
        assert_eq!(home, studio.read("folder").trim());
        assert!(variables["TMPDIR"].starts_with(home));
        assert!(!std::path::Path::new(home).exists(), "the folder of the run is still there");
    }

    async fn outputs_are_the_regular_files_of_the_folder_in_order(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell(
            "cd \"$1\"; cp $STUDIO/picture.png b.png; cp $STUDIO/picture.png a.dat; cp $STUDIO/picture.png .c.png
             mkdir d.png; ln -s /etc/passwd e.png; mkfifo f.png; echo x > $TMPDIR/scratch",
        );
        let server = serve(&db, &studio, command).await;
        let ended = make(&server, "x").await;
        assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
        let media = server.media_of(ended.job.id).await;
        assert_eq!(media.len(), 2);
        assert!(media.iter().all(|media| (media.width, media.height) == (32, 16)), "{media:?}");
    }

    async fn progress_lines_are_shown_to_whoever_watches(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell(
            "echo noise; printf 'progress 0.25 drawing \\033[2Jhills\\n'
             until [ -e $STUDIO/gate ]; do sleep 0.02; done; cp $STUDIO/picture.png \"$1\"/",
        );
        let server = serve(&db, &studio, command).await;
        let job = order(&server, PROVIDER).await;
        let mut watch = server.watch(job.id).await;
        let shown = loop {
            let message = watch.next().await.unwrap().unwrap();
            let job = message.job.clone().unwrap();
            if message.event() == WatchJobEvent::Progress && job.progress > 0.0 {
                break job;
            }
        };
        // A tenth is kept for what comes after the provider.
        assert_eq!((shown.progress, shown.progress_message.as_str()), (0.225, r"drawing \u{1b}[2Jhills"));
        std::fs::write(studio.path("gate"), "").unwrap();
        assert_eq!(server.ended(job.id).await.job.status(), JobStatus::Completed);
    }
}

/// Each write waits for the disk there, and keeps all others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_written_once_a_second_on_sqlite() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let studio = Studio::new();
    let command = studio.shell(
        "for n in $(seq 10 69); do echo \"progress 0.$n drawing\"; sleep 0.05; done; cp $STUDIO/picture.png \"$1\"/",
    );
    let server = TestServer::start_with(&db, |config| {
        studio.configure(command)(config);
        config.executor.heartbeat = config.executor.lease / 2;
    });
    let server = server.await;
    db.execute(
        "CREATE TABLE writes (job_id BIGINT);
         CREATE TRIGGER noted AFTER UPDATE OF progress ON generation_jobs
         WHEN NEW.progress <> OLD.progress AND NEW.status = OLD.status
         BEGIN INSERT INTO writes VALUES (NEW.id); END",
    )
    .await;
    let job = order(&server, PROVIDER).await;
    let ended = server.ended(job.id).await;
    assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
    let writes = db.texts("SELECT CAST(job_id AS TEXT) FROM writes").await;
    let seconds = "SELECT CAST(ROUND((julianday(completed_at) - julianday(started_at)) * 86400) AS TEXT) FROM generation_jobs";
    let seconds = db.texts(seconds).await[0].clone();
    let most = seconds.parse::<f64>().unwrap() + 1.0;
    assert!(
        writes.len() >= 2 && writes.len() as f64 <= most,
        "{} in {seconds} s",
        writes.len()
    );
}

/// Makes a picture of the prompt with the studio's command.
async fn make(server: &TestServer, prompt: &str) -> Ended {
    make_as(server, PROVIDER, prompt).await
}

/// The same with a feature of another name.
async fn make_as(server: &TestServer, name: &str, prompt: &str) -> Ended {
    let mut feature = feature(PROVIDER);
    feature.name = name.to_owned();
    let feature = server.add_feature(feature).await;
    let asked = CreateRequestRequest {
        user_prompt: prompt.to_owned(),
        ..request_for(feature.id)
    };
    let (_, jobs) = server.create(asked).await;
    server.ended(jobs[0].id).await
}
