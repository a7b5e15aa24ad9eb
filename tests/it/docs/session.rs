//! The sessions in the documents, done again; and everything else that reflection and Python can reach.

mod likeness;
mod transcript;

use std::fs;
use std::path::Path;
use std::process::Command;

use atelier::rpc::proto::{JobStatus, ListJobsRequest};

use crate::docs::pages::{Page, pages, root};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::node::Node;
use crate::support::process::{Process, run};
use crate::support::python::python;
use likeness::{cursors, unlike};
use transcript::{Session, Shown, sessions};

/// Where the documents' servers listen: the program, and the proxy before it.
const ADDRESSES: [&str; 2] = ["127.0.0.1:50051", "127.0.0.1:8080"];

/// Fewer would mean that they were not found.
const LEAST_COMMANDS: usize = 8;

/// What the first command of a reader is: the program before it is installed.
const NOT_INSTALLED: &str = "cargo run --release -- ";

const SERVE: &str = "atelier serve";

/// What is shown and not run.
const NOT_RUN: [(&str, &str); 11] = [
    ("./scripts/test", "runs this test"),
    ("export", "holds for the reader's shell"),
    (
        "docker compose",
        "needs a container engine; `deployment` reads the file",
    ),
    ("python3 -m venv", "scripts/python-environment does it"),
    ("venv/bin/pip install", "scripts/python-environment does it"),
    (
        "venv/bin/python -m grpc_tools.protoc",
        "examples/python/stubs.py does it",
    ),
    ("mkdir", "goes with the one above"),
    ("scripts/web", "`browser` needs what it makes"),
    ("npm start", "`browser` serves the page itself"),
    ("npm ci", "scripts/web does it"),
    ("npm run generate", "scripts/web does it"),
];

/// How a command is done again.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// By tests/python/grpcurl.py, on a server of the page.
    Grpcurl,
    /// By the Python of the tests or by Node, on a server of the page.
    Example,
    /// It listens; only its arguments are checked, and its one line.
    Serve,
    /// In the page's folder.
    Shell,
    /// A command of the program in a session without output: only its arguments are checked.
    Arguments,
    NotRun,
}

fn way(session: &Session, command: &Shown) -> Option<Way> {
    let not_run = NOT_RUN.iter().any(|(words, _)| command.starts_with(words));
    if not_run {
        return Some(Way::NotRun);
    }
    match command.words[0].as_str() {
        "grpcurl" => Some(Way::Grpcurl),
        "venv/bin/python" | "node" => Some(Way::Example),
        "atelier" if command.starts_with(SERVE) => Some(Way::Serve),
        "atelier" | "sed" if session.shows_output() => Some(Way::Shell),
        "atelier" => Some(Way::Arguments),
        _ => None,
    }
}

/// The page's sessions, the program installed.
fn installed(page: &Page) -> Vec<Session> {
    sessions(&Page {
        path: page.path.clone(),
        text: page.text.replace(NOT_INSTALLED, "atelier "),
    })
}

/// All commands of a page that are done in one of these ways, in order.
fn commands(page: &Page, ways: &[Way]) -> Vec<Shown> {
    let sessions = installed(page);
    let commands = sessions.iter().flat_map(|session| {
        let of_way =
            |command: &&Shown| way(session, command).is_some_and(|way| ways.contains(&way));
        session.commands.iter().filter(of_way)
    });
    commands.cloned().collect()
}

#[test]
fn every_command_in_a_document_is_done_again_or_shows_nothing_that_could_be_wrong() {
    let mut wrong = Vec::new();
    for page in pages() {
        for session in installed(&page) {
            for command in &session.commands {
                let place = page.place(command.line);
                let listening = format!("listening on http://{}\n", ADDRESSES[0]);
                match way(&session, command) {
                    None => wrong.push(format!("{place}: no test runs it: {}", command.text)),
                    Some(Way::NotRun) if !command.output.is_empty() => {
                        wrong.push(format!(
                            "{place}: no test holds what it prints: {}",
                            command.text
                        ));
                    }
                    Some(Way::Serve) if !["", &listening].contains(&command.output.as_str()) => {
                        wrong.push(format!("{place}: it prints {listening}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// On SQLite as a reader begins: the identifiers of each page count from 1, and the user is recorded at first use.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_in_a_document_gives_what_the_document_shows() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let commands = commands(&page, &[Way::Grpcurl, Way::Example]);
        let snippets = page.blocks("python");
        if commands.is_empty() && snippets.is_empty() {
            continue;
        }
        count += commands.len();
        let db = TestDatabase::create(Backend::Sqlite).await;
        let folder = tempfile::tempdir().unwrap();
        let process = serve_with(&db, folder.path(), &settings_of(&page)).await;
        let mut known: Vec<(String, String)> = Vec::new();
        for mut command in commands {
            // A reader hands back the cursor that he got.
            for (shown, printed) in &known {
                let own = |word: &String| word.replace(shown, printed);
                command.words = command.words.iter().map(own).collect();
            }
            let printed = call(&command, &process, folder.path()).await;
            known.extend(cursors(&command.output, &printed));
            wrong.extend(difference(&page, &command, &printed));
        }
        for (line, code) in snippets {
            let (succeeded, printed) = snippet(&code, &process, folder.path()).await;
            if !succeeded || printed.is_empty() {
                wrong.push(format!("{}: it fails:\n{printed}", page.place(line)));
            }
        }
    }
    assert!(count >= LEAST_COMMANDS, "{count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// As whoever has made a picture before, as the first page begins.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_program_in_a_document_prints_what_the_document_shows() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        let commands = commands(&page, &[Way::Shell]);
        if !commands.is_empty() && page.path != Path::new("README.md") {
            shell("atelier generate --seed 7 'Xin chào'", folder.path()).await;
        }
        count += commands.len();
        for command in commands {
            let printed = shell(&command.text, folder.path()).await;
            wrong.extend(difference(&page, &command, &printed));
        }
    }
    assert!(count >= LEAST_COMMANDS, "{count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_line_in_a_document_is_one_that_the_program_takes() {
    for page in pages() {
        for command in commands(&page, &[Way::Serve, Way::Arguments]) {
            let mut program = Command::new(env!("CARGO_BIN_EXE_atelier"));
            program.args(&command.words[1..]).arg("--help");
            let output = run(program).await;
            assert!(
                output.status.success(),
                "{}: {output:?}",
                page.place(command.line)
            );
        }
    }
}

fn difference(page: &Page, command: &Shown, printed: &str) -> Option<String> {
    let difference = unlike(&command.output, printed)?;
    let place = page.place(command.line);
    Some(format!(
        "{place}: {}\n{difference}\nit printed:\n{printed}",
        command.text
    ))
}

/// Makes a call of a document on this server; its links lead to the document's.
async fn call(command: &Shown, process: &Process, folder: &Path) -> String {
    let own = |word: &String| {
        if ADDRESSES.contains(&word.as_str()) {
            process.address().to_owned()
        } else {
            word.clone()
        }
    };
    let mut words: Vec<_> = command.words[1..].iter().map(own).collect();
    let program = if command.words[0] == "grpcurl" {
        "tests/python/grpcurl.py".to_owned()
    } else {
        words.extend(["--server".to_owned(), process.address().to_owned()]);
        words.remove(0)
    };
    // What is written goes to the page's folder, and is shown as if it were the reader's.
    let out = words.iter().position(|word| word == "--out");
    let prefix = format!("{}/", folder.display());
    if let Some(out) = out {
        words[out + 1] = format!("{prefix}{}", words[out + 1]);
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let printed = if command.words[0] == "node" {
        let program = root().join(program);
        let node = Node::start(program.to_str().unwrap(), &words);
        node.ends().await.1.join("\n") + "\n"
    } else {
        python(&program, &words).await.1
    };
    printed
        .replace(process.address(), ADDRESSES[0])
        .replace(&prefix, "")
}

/// Runs Python of a document with the examples' stubs.
async fn snippet(code: &str, process: &Process, folder: &Path) -> (bool, String) {
    let stubs = root().join("examples/python");
    let code = code.replace(ADDRESSES[0], process.address());
    let file = folder.join("snippet.py");
    fs::write(
        &file,
        format!("import sys\nsys.path.insert(0, {stubs:?})\n{code}\n"),
    )
    .unwrap();
    python(file.to_str().unwrap(), &[]).await
}

/// What a shell prints that has the program on its path and nothing of the machine's settings.
async fn shell(text: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_atelier")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{{ {text}\n}} 2>&1")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("LANG", "C.UTF-8");
    String::from_utf8(run(command).await.stdout).unwrap()
}

on_both_databases! {
    async fn every_method_and_message_can_be_explored_and_called_with_reflection_alone(db: TestDatabase) {
        let media = tempfile::tempdir().unwrap();
        let keeping = ["billing.kind=ledger".to_owned()];
        let process = serve_with(&db, media.path(), &keeping).await;
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
        let picture = fs::read(out.join("1.png")).unwrap();
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
async fn serve(db: &TestDatabase, media: &Path) -> Process {
    serve_with(db, media, &[]).await
}

async fn serve_with(db: &TestDatabase, media: &Path, further: &[String]) -> Process {
    let mut settings = vec![
        "catalogue.install_starter=true",
        "front.enabled=true",
        "front.user=7",
    ];
    settings.extend(further.iter().map(String::as_str));
    Process::serve(db, media, &settings).await
}

/// What a page tells its server to keep of credits and to allow users. Its other settings need what a test has not, such as a certificate.
fn settings_of(page: &Page) -> Vec<String> {
    let told = commands(page, &[Way::Serve]).into_iter();
    let words = told.flat_map(|command| command.words);
    let told = |word: &String| ["billing.", "plans."].iter().any(|it| word.starts_with(it));
    words.filter(told).collect()
}
