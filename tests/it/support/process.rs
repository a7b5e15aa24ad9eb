//! The program itself, started as people start it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::database::TestDatabase;
use crate::support::script::scripted_settings;
use crate::support::server::{SIGNING_KEY, within};

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A command of the program on a database, without any other configuration.
pub(crate) fn atelier(db: &TestDatabase, arguments: &[&str]) -> Command {
    configured(Path::new("/dev/null"), db, arguments)
}

fn configured(file: &Path, db: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command
        .arg("--config")
        .arg(file)
        .args(["--database-url", &db.url])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Output {
    let ended = tokio::task::spawn_blocking(move || command.output());
    within(ended).await.unwrap().unwrap()
}

/// Asserts that a command has failed and said all of this.
pub(crate) fn refused(output: &Output, words: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for word in words {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
}

/// A server that is not started yet.
fn serving(file: &Path, db: &TestDatabase, media: &Path, settings: &[&str]) -> Command {
    let mut command = configured(file, db, &["serve", "--listen", "127.0.0.1:0"]);
    let folder_setting = format!("storage.folder={}", media.display());
    let spool = format!("executor.spool_folder={}", media.join("spool").display());
    let signing_key = format!("storage.signing_key={SIGNING_KEY}");
    let common = [
        folder_setting.as_str(),
        signing_key.as_str(),
        spool.as_str(),
        "storage.probe_interval=50ms",
        "catalogue.install_starter=false",
        "catalogue.install_previews=false",
        "identity.provision_users=true",
        "server.shutdown_delay=1ms",
        "executor.concurrency=4",
        "executor.poll_interval=50ms",
        "executor.lease=2s",
        "database.lock_timeout=1s",
        "executor.heartbeat=500ms",
        "executor.upkeep_interval=1s",
        "log.filter=info",
    ];
    for setting in common.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    for setting in scripted_settings() {
        command.args(["--set", &setting]);
    }
    command
}

/// The command, to which the signal is nothing that comes with a file that would become too large: the write fails, as on a full
/// disk.
fn deaf_to_limits(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .stdin(Stdio::null());
    shell
}

/// A running `atelier serve`, killed when this value is dropped.
pub(crate) struct Process {
    child: Child,
    client: Option<Client>,
    address: String,
    /// Holds the log.
    folder: TempDir,
}

impl Process {
    /// Starts a server with short leases and the scripted provider, and waits until it listens.
    pub(crate) async fn serve(db: &TestDatabase, media: &Path, settings: &[&str]) -> Self {
        Self::serve_configured(Path::new("/dev/null"), db, media, settings).await
    }

    /// The same for one that believes whom this certificate authority does, and nobody else.
    pub(crate) async fn serve_trusting(
        authority: &Path,
        db: &TestDatabase,
        media: &Path,
        settings: &[&str],
    ) -> Self {
        let trust = [("SSL_CERT_FILE", authority)];
        Self::start(Path::new("/dev/null"), &trust, db, media, settings).await
    }

    /// The same with a configuration file.
    pub(crate) async fn serve_configured(
        file: &Path,
        db: &TestDatabase,
        media: &Path,
        settings: &[&str],
    ) -> Self {
        Self::start(file, &[], db, media, settings).await
    }

    /// The same for one that goes out by this proxy.
    pub(crate) async fn serve_behind(
        proxy: &str,
        db: &TestDatabase,
        media: &Path,
        settings: &[&str],
    ) -> Self {
        let by = [("http_proxy", Path::new(proxy))];
        Self::start(Path::new("/dev/null"), &by, db, media, settings).await
    }

    /// The same for one on a machine whose clock is so many seconds ahead of this one's.
    pub(crate) async fn serve_ahead(
        db: &TestDatabase,
        media: &Path,
        settings: &[&str],
        seconds: i64,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/clock.c");
        // Whoever links Rust has it.
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", source, "-o"])
            .arg(&library);
        compiler.arg(format!("-DAHEAD={seconds}"));
        let compiled = run(compiler).await;
        assert!(compiled.status.success(), "{compiled:?}");
        let environment = [("LD_PRELOAD", library.as_path())];
        Self::start(Path::new("/dev/null"), &environment, db, media, settings).await
    }

    /// The same for one that outlives it when a file would become larger than it may, see [`Self::limit_files`].
    pub(crate) async fn serve_bounded(db: &TestDatabase, media: &Path, settings: &[&str]) -> Self {
        let command = serving(Path::new("/dev/null"), db, media, settings);
        Self::spawn(deaf_to_limits(&command)).await
    }

    /// The same for one that gives back memory as soon as it is free, so that what is resident is in use.
    pub(crate) async fn serve_lean(db: &TestDatabase, media: &Path, settings: &[&str]) -> Self {
        let allocator = [
            ("MALLOC_ARENA_MAX", Path::new("1")),
            ("MALLOC_TRIM_THRESHOLD_", Path::new("131072")),
            ("MALLOC_MMAP_THRESHOLD_", Path::new("131072")),
        ];
        Self::start(Path::new("/dev/null"), &allocator, db, media, settings).await
    }

    async fn start(
        file: &Path,
        environment: &[(&str, &Path)],
        db: &TestDatabase,
        media: &Path,
        settings: &[&str],
    ) -> Self {
        let mut command = serving(file, db, media, settings);
        command.envs(environment.iter().copied());
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let mut process = Self {
            child,
            client: None,
            address: String::new(),
            folder,
        };
        let line = tokio::task::spawn_blocking(|| first_line(output));
        let line = within(line).await.unwrap();
        let url = line.strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("it says {line:?}"));
        let (scheme, address) = url.split_once("://").unwrap();
        process.address = address.to_owned();
        if scheme == "http" {
            process.client = Some(Client::connect(url).await);
        }
        process
    }

    /// Where the server listens, such as `127.0.0.1:4711`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the process has logged until now.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// How often the log has these words.
    pub(crate) fn count_logged(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }

    /// Waits until the log has these words. A file gives no signal, so it is read again and again.
    pub(crate) async fn until_logged(&self, words: &str) {
        self.until_logged_often(words, 1).await;
    }

    /// The same, so often.
    pub(crate) async fn until_logged_often(&self, words: &str, times: usize) {
        within(async {
            while self.count_logged(words) < times {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has ever had resident, in KiB.
    pub(crate) fn most_memory(&self) -> u64 {
        self.memory_of("VmHWM:")
    }

    /// How much memory of the process is resident now, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    fn memory_of(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
    }

    /// Sends a signal by its name, such as TERM.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Bounds the bytes of every file that the process writes from now on.
    pub(crate) fn limit_files(&self, most: Option<u64>) {
        let most = most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        let limit = format!("--fsize={most}:unlimited");
        let id = self.id().to_string();
        let limited = Command::new("prlimit")
            .args(["--pid", &id, &limit])
            .status();
        assert!(limited.unwrap().success());
    }

    /// Kills the process where it is, as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        within(async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!(
                "the log of process {}:\n{}",
                self.child.id(),
                log.unwrap_or_default()
            );
        }
    }
}

/// Waits until each of the processes has logged these words once more for what happens now.
pub(crate) async fn until_all_log(processes: &[Process], words: &str, happens: impl FnOnce()) {
    let before = processes.iter().map(|process| process.count_logged(words));
    let before: Vec<usize> = before.collect();
    happens();
    for (process, before) in processes.iter().zip(before) {
        process.until_logged_often(words, before + 1).await;
    }
}

/// The first line that the server prints; all others are read too, so that it never waits for a reader.
fn first_line(output: impl Read + Send + 'static) -> String {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    line.trim_end().to_owned()
}
