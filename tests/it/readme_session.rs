//! The session in README with grpcurl, done again; and everything else that reflection and Python can reach.

mod likeness;
mod transcript;

use atelier::rpc::proto::{JobStatus, ListJobsRequest};

use crate::database::{Backend, TestDatabase, on_both_databases};
use crate::process::Process;
use crate::python::python;
use likeness::unlike;
use transcript::transcript;

const README: &str = include_str!("../../README.md");

/// Where README's server listens.
const ADDRESS: &str = "127.0.0.1:50051";

/// Fewer would mean that they were not found.
const LEAST_COMMANDS: usize = 8;

/// On SQLite as README begins: the identifiers count from 1, and the user is recorded at first use.
#[tokio::test(flavor = "multi_thread")]
async fn every_grpcurl_command_of_the_readme_gives_what_the_readme_shows() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let media = tempfile::tempdir().unwrap();
    let process = serve(&db, media.path()).await;
    let commands = transcript(README, "grpcurl");
    assert!(commands.len() >= LEAST_COMMANDS, "{commands:#?}");
    let mut wrong = Vec::new();
    for command in commands {
        let words = command.words.iter().map(String::as_str);
        let words: Vec<_> = words
            .map(|word| {
                if word == ADDRESS {
                    process.address()
                } else {
                    word
                }
            })
            .collect();
        let (_, printed) = python("tests/python/grpcurl.py", &words[1..]).await;
        // README's links lead to README's server.
        let printed = printed.replace(process.address(), ADDRESS);
        if let Some(difference) = unlike(&command.output, &printed) {
            let shown = command.words.join(" ");
            wrong.push(format!(
                "README.md:{}: {shown}\n{difference}\nit printed:\n{printed}",
                command.line
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

on_both_databases! {
    async fn every_method_and_message_can_be_explored_and_called_with_reflection_alone(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = serve(&db, media.path()).await;
        let (succeeded, printed) = python("tests/python/explore.py", &[process.address()]).await;
        assert!(succeeded, "{printed}");
        assert!(printed.lines().count() > 10, "{printed}");
    }

    async fn the_python_example_makes_a_picture(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = serve(&db, media.path()).await;
        let out = media.path().join("out");
        let arguments = ["--server", process.address(), "--out", out.to_str().unwrap(), "Trà đá"];
        let (succeeded, printed) = python("examples/python/generate.py", &arguments).await;
        assert!(succeeded, "{printed}");
        let picture = std::fs::read(out.join("1.png")).unwrap();
        assert!(image::load_from_memory(&picture).is_ok(), "{printed}");
        let jobs = process.jobs().list_jobs(ListJobsRequest::default()).await;
        let jobs = jobs.unwrap().into_inner().jobs;
        assert_eq!(jobs.len(), 1, "{printed}");
        assert_eq!(jobs[0].status(), JobStatus::Completed);
    }

    async fn the_python_example_says_what_the_server_refuses(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let process = serve(&db, media.path()).await;
        let (succeeded, printed) = python("examples/python/generate.py", &["--server", process.address(), " "]).await;
        assert!(!succeeded);
        assert!(printed.contains("INVALID_ARGUMENT: user_prompt: must not be empty"), "{printed}");
    }
}

/// The program with the catalogue that it comes with.
async fn serve(db: &TestDatabase, media: &std::path::Path) -> Process {
    Process::serve(db, media, &["catalogue.install_starter=true"]).await
}
