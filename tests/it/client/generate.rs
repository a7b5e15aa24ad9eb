//! `atelier generate` when it does not come to its end.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use atelier::rpc::proto::{
    CreateTemplateRequest, GenerationInput, JobStatus, ListJobsRequest, ListMediaRequest,
    TemplateData,
};

use atelier::server::{Role, Server};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::operations::health::free_address;
use crate::support::client::{plain_template, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::{browser, called, get};
use crate::support::identity::{asks, token};
use crate::support::process::{atelier, refused, run};
use crate::support::proxy::{Fate, Relay};
use crate::support::script::{Script, scripted_settings};
use crate::support::server::{DEADLINE, TestServer, configuration, within};

const LOOK_AGAIN: Duration = Duration::from_millis(50);

on_both_databases! {
    async fn an_interrupt_cancels_the_jobs_that_run_and_those_that_wait(db: TestDatabase) {
        let script = Script::new(&["succeed"]).gated();
        let media = prepare(&db, &script).await;
        let mut command = generate(&db, media.path(), &["-n", "3", "--set", "executor.concurrency=1"]);
        let child = command.spawn().unwrap();
        script.wait_until_submitted(1).await;
        let output = interrupted(child).await;
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("error: interrupted; 3 jobs were cancelled"), "{said}");
        assert_all_cancelled(&db, 3).await;
    }

    async fn a_job_that_is_not_ready_in_time_is_cancelled(db: TestDatabase) {
        let script = Script::new(&["succeed"]).gated();
        let media = prepare(&db, &script).await;
        let output = run(generate(&db, media.path(), &["--timeout", "4s"])).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("error: gave up after 4s; 1 job was cancelled"), "{said}");
        assert_all_cancelled(&db, 1).await;
    }

    async fn a_server_that_does_not_answer_is_left_when_the_time_is_up(db: TestDatabase) {
        let script = Script::new(&["succeed"]);
        let media = prepare(&db, &script).await;
        let server = TestServer::start(&db).await;
        let out = media.path().join("out");
        // It asks for features and templates, creates, watches and downloads.
        for (answered, timeout) in [(0, "2s"), (4, "8s")] {
            let mut fates = vec![Fate::Passed; answered];
            fates.extend([Fate::Unanswered; 9]);
            let relay = Relay::start(server.channel(), fates).await;
            let arguments = ["--server", &relay.url(), "--timeout", timeout, "--out", out.to_str().unwrap()];
            let output = run(generate(&db, media.path(), &arguments)).await;
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(&format!("error: gave up after {timeout}")), "{said}");
            assert_eq!(relay.calls().len(), answered + 1);
            assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        }
    }

    async fn a_server_that_goes_away_is_waited_for_in_words(db: TestDatabase) {
        let script = Script::new(&["succeed"]).gated();
        let media = prepare(&db, &script).await;
        let server = TestServer::start(&db).await;
        let url = server.url();
        let child = generate(&db, media.path(), &["--server", &url, "--timeout", "15s"]).spawn().unwrap();
        script.wait_until_submitted(1).await;
        drop(server);
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = within(ended).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("waiting for the server"), "{said}");
        assert!(said.contains("Connection refused"), "{said}");
        assert!(said.contains("error: gave up after 15s"), "{said}");
    }

    async fn a_folder_that_cannot_be_written_to_is_told_before_anything_is_made(db: TestDatabase) {
        let script = Script::new(&["succeed"]);
        let media = prepare(&db, &script).await;
        let file = media.path().join("file");
        std::fs::write(&file, "").unwrap();
        let out = file.to_str().unwrap();
        let output = run(generate(&db, media.path(), &["--out", out])).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("error: cannot write {out}: ")), "{said}");
        assert_all_cancelled(&db, 0).await;
    }

    async fn files_go_to_the_folder_that_was_asked_for(db: TestDatabase) {
        let script = Script::new(&["succeed"]);
        let media = prepare(&db, &script).await;
        let folder = media.path().join("a/b");
        let out = folder.to_str().unwrap();
        let output = run(generate(&db, media.path(), &["-n", "2", "--out", out])).await;
        assert!(output.status.success(), "{output:?}");
        let files = std::fs::read_dir(&folder).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["trà-đá-1-1.png", "trà-đá-1-2.png"]);
        assert_eq!(names_by_link(&db, media.path()).await, names);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.ends_with("completed\n"), "its server was to stop, of which no log speaks: {said}");
    }

    async fn what_is_made_is_kept_where_nothing_can_be_printed(db: TestDatabase) {
        let script = Script::new(&["succeed"]);
        let media = prepare(&db, &script).await;
        let out = media.path().join("out");
        let loud = ["--set", "log.filter=info", "--out", out.to_str().unwrap()];
        let mut child = generate(&db, media.path(), &loud).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let ended = tokio::task::spawn_blocking(move || child.wait());
        assert_eq!(within(ended).await.unwrap().unwrap().code(), Some(0), "a reader may go away");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);

        let mut full = generate(&db, media.path(), &["--out", out.to_str().unwrap()]);
        full.stdout(std::fs::File::create("/dev/full").unwrap());
        let ended = tokio::task::spawn_blocking(move || full.spawn().unwrap().wait_with_output());
        let output = within(ended).await.unwrap().unwrap();
        refused(&output, &["error: cannot write to standard output: "]);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    }

    async fn a_server_that_asks_who_calls_is_shown_a_token(db: TestDatabase) {
        let script = Script::new(&["succeed", "succeed"]);
        let media = prepare(&db, &script).await;
        let trusting = TestServer::start(&db).await;
        let server = trusting.beside(Role::Api, &db, asks).await;
        let url = server.url();
        let ask = |arguments: &[&str]| generate(&db, media.path(), &[&["--server", &url], arguments].concat());
        refused(&run(ask(&[])).await, &["error: cannot list the features: the server asks who calls; --token-file or ATELIER_TOKEN tells it"]);

        let file = media.path().join("token");
        std::fs::write(&file, token("user", "7") + "\n").unwrap();
        let by_file = ["--token-file", file.to_str().unwrap()];
        let output = run(ask(&by_file)).await;
        assert!(output.status.success(), "{output:?}");
        let mut by_variable = ask(&["--user", "9"]);
        by_variable.env("ATELIER_TOKEN", token("service", "shop"));
        let output = run(by_variable).await;
        assert!(output.status.success(), "{output:?}");
        let listed = trusting.jobs().list_jobs(ListJobsRequest::default()).await.unwrap();
        let users: Vec<_> = listed.into_inner().jobs.iter().map(|job| job.user_id).collect();
        assert_eq!(users, [9, 7]);

        let foreign = run(ask(&[&by_file[..], &["--user", "9"]].concat())).await;
        refused(&foreign, &["error: cannot create the request: "]);
        std::fs::write(&file, "\n").unwrap();
        refused(&run(ask(&by_file)).await, &["error: ", "/token holds no token"]);
        let missing = ["--token-file", "/nowhere/token"];
        refused(&run(ask(&missing)).await, &["error: cannot read /nowhere/token: "]);
    }

    async fn a_person_is_told_what_the_provider_said_of_a_failure(db: TestDatabase) {
        let script = Script::new(&["fail"]);
        let media = prepare(&db, &script).await;
        let output = run(generate(&db, media.path(), &[])).await;
        refused(&output, &["variation 1 failed: PROVIDER_FAILED: ", "\n  the script says so\n"]);
    }

    async fn a_person_is_told_which_characters_are_left_out(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let mut command = atelier(&db, &["generate", "--json", "--aspect-ratio", "1:1", "Trà 🍵 茶"]);
        command.args(["--set", &format!("storage.folder={}", media.path().display())]);
        command.args(["--set", "identity.provision_users=true"]);
        let output = run(command).await;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.ends_with("\nvariation 1 is there without these characters of the prompt: 🍵茶\n"), "{said}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["omitted_characters"], serde_json::json!([{"variation": 0, "characters": "🍵茶"}]));
        let warning = "These characters are left out: 🍵茶";
        assert!(said.contains(&format!("warning: user_prompt: {warning}\n")), "{said}");
        let warning = serde_json::json!({"field": "user_prompt", "reason": "CHARACTERS_OMITTED", "message": warning});
        assert_eq!(told["warnings"], serde_json::json!([warning]));
    }

    async fn a_person_is_told_why_a_clip_is_silent(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        let ffmpeg = programs.path().join("ffmpeg");
        for (script, how) in [
            (None, "is not installed"),
            (Some("exec /bin/sleep 1000"), "took too long"),
            (Some("exit 1"), "failed"),
        ] {
            if let Some(script) = script {
                std::fs::write(&ffmpeg, format!("#!/bin/sh\n{script}\n")).unwrap();
                std::fs::set_permissions(&ffmpeg, Permissions::from_mode(0o755)).unwrap();
            }
            let clip = ["generate", "--json", "--feature", "short_video", "--template", "sale_countdown", "--duration", "1"];
            let mut command = atelier(&db, &[&clip[..], &["Trà đá"]].concat());
            let storage = format!("storage.folder={}", media.path().display());
            for setting in [&storage, "identity.provision_users=true", "limits.conversion_time=300ms"] {
                command.args(["--set", setting]);
            }
            command.env("PATH", programs.path());
            let output = run(command).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            let remark = format!("FFmpeg, which puts sound into clips, {how}.");
            assert!(said.ends_with(&format!("variation 1: {remark}\n")), "{said}");
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(told["remarks"], serde_json::json!([{ "variation": 0, "remark": remark }]));
        }
    }

    async fn each_format_is_a_file_of_the_same_name(db: TestDatabase) {
        let script = Script::new(&["several"]);
        let media = prepare(&db, &script).await;
        let out = media.path().join("out");
        let arguments = ["--json", "--format", "webp,png", "--format", "jpg", "--out", out.to_str().unwrap()];
        let output = run(generate(&db, media.path(), &arguments)).await;
        assert!(output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let files = told["results"].as_array().unwrap().iter().map(|result| {
            let path = Path::new(result["path"].as_str().unwrap());
            assert!(path.starts_with(&out) && image::open(path).is_ok(), "{result}");
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, result["role"].as_str().unwrap().to_owned())
        });
        // The provider makes PNG whatever it is asked for.
        let expected = ["1-1", "1-2", "1-3"].into_iter().flat_map(|place| {
            [("png", "original"), ("webp", "format"), ("jpg", "format")]
                .map(|(format, role)| (format!("trà-đá-1-{place}.{format}"), role.to_owned()))
        });
        assert_eq!(files.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert_eq!(told["omissions"], serde_json::json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_starting_is_waited_for_in_words() {
    let nowhere = TestDatabase::on_server("postgres://postgres@127.0.0.1:1/postgres".to_owned());
    let media = tempfile::tempdir().unwrap();
    let mut config = configuration(&nowhere, media.path());
    config.server.listen = free_address();
    config.database.connect_timeout = DEADLINE;
    let url = format!("http://{}", config.server.listen);
    let _starting = AbortOnDropHandle::new(tokio::spawn(Server::start(config, Role::Api)));
    within(async {
        while browser().get(format!("{url}/livez")).send().await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let arguments = ["--server", &url, "--timeout", "4s"];
    let output = run(generate(&nowhere, media.path(), &arguments)).await;
    refused(&output, &["error: gave up after 4s"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said
        .lines()
        .filter(|line| line.contains("waiting for the server"));
    let told: Vec<_> = lines
        .map(|line| line.contains("the server is starting"))
        .collect();
    assert_eq!(told, [true], "{said}");
}

/// A scripted feature with a template that brings the script. Returns a folder for the media.
async fn prepare(db: &TestDatabase, script: &Script) -> tempfile::TempDir {
    let server = TestServer::start_api(db).await;
    let feature = server.add_feature(scripted_feature("scripted")).await.id;
    let defaults = GenerationInput {
        extra: Some(script.extra()),
        ..Default::default()
    };
    let template_data = TemplateData {
        defaults: Some(defaults),
        ..Default::default()
    };
    let template = CreateTemplateRequest {
        template_data: Some(template_data),
        ..plain_template(feature, "script")
    };
    server.add_template(template).await;
    server.stop().await;
    tempfile::tempdir().unwrap()
}

fn generate(db: &TestDatabase, media: &Path, arguments: &[&str]) -> Command {
    let storage = format!("storage.folder={}", media.display());
    let mut command = atelier(db, &["generate", "--template", "script", "Trà đá"]);
    for setting in [
        storage.as_str(),
        "identity.provision_users=true",
        "catalogue.install_starter=false",
    ] {
        command.args(["--set", setting]);
    }
    for setting in scripted_settings() {
        command.args(["--set", &setting]);
    }
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn interrupted(child: Child) -> Output {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.unwrap().success());
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output());
    within(ended).await.unwrap().unwrap()
}

/// What the links call the files, in alphabetical order.
async fn names_by_link(db: &TestDatabase, media: &Path) -> Vec<String> {
    let folder = media.to_owned();
    let server = TestServer::start_with(db, |config| config.storage.folder = folder).await;
    let listed = server.media().list_media(ListMediaRequest::default()).await;
    let mut names = Vec::new();
    for media in listed.unwrap().into_inner().media {
        names.push(called(&get(media.download_url.parse().unwrap()).await));
    }
    names.sort();
    server.stop().await;
    names
}

/// The next start on this database finds nothing to do.
async fn assert_all_cancelled(db: &TestDatabase, jobs: usize) {
    let server = TestServer::start_api(db).await;
    let listed = server.jobs().list_jobs(ListJobsRequest::default()).await;
    let listed = listed.unwrap().into_inner().jobs;
    let statuses: Vec<_> = listed.iter().map(|job| job.status()).collect();
    assert_eq!(statuses, vec![JobStatus::Cancelled; jobs]);
    server.stop().await;
}
