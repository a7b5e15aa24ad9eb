//! PostgreSQL for tests: one private cluster for each test process, a fresh database for each test.
//!
//! `TEST_DATABASE_URL` names a server to use instead of a private cluster; the role in it must be allowed to create
//! databases. Without it the server's programs are looked for where systems install them. Tests never skip: where there
//! is no PostgreSQL they fail and say why.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};
use url::Url;
use uuid::Uuid;

/// Another process may take the free port between the look for it and the start of the server.
const START_ATTEMPTS: usize = 5;

/// How long a server may take to accept a connection before the tests call it unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An empty database of its own on the test server; dropped with this value.
pub(crate) struct PostgresDatabase {
    pub url: String,
    name: String,
}

/// Creates an empty database, starting the server first if this is the first call in the process.
pub(crate) async fn database() -> PostgresDatabase {
    // On a thread that may wait: the first call starts the cluster.
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    let server = server.unwrap_or_else(|reason| panic!("no PostgreSQL to test on: {reason}"));
    let name = format!("atelier_test_{}", Uuid::new_v4().simple());
    execute(server.url.as_str(), &format!("CREATE DATABASE {name}"))
        .await
        .unwrap_or_else(|error| panic!("cannot create a test database: {error}"));
    let mut url = server.url.clone();
    url.set_path(&name);
    PostgresDatabase {
        url: url.into(),
        name,
    }
}

impl Drop for PostgresDatabase {
    /// Drops the database with whatever is still connected to it; hundreds of them would fill the disk.
    fn drop(&mut self) {
        let Ok(server) = server() else { return };
        let url = server.url.to_string();
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A runtime of its own, because a drop cannot wait for the one it may be running on.
        let dropped = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?
                .block_on(execute(&url, &statement))
                .map_err(|error| error.to_string())
        })
        .join();
        if !matches!(dropped, Ok(Ok(()))) {
            eprintln!("the test database {} stays: {dropped:?}", self.name);
        }
    }
}

async fn execute(url: &str, statement: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false);
    let connection = Database::connect(options).await?;
    connection.execute_unprepared(statement).await?;
    connection.close().await
}

struct Server {
    /// Where databases are created and dropped from.
    url: Url,
    /// Holds the pipe whose end stops the private cluster.
    _cluster: Option<Cluster>,
}

/// The server of this process, or why there is none, which each test that needs one says.
fn server() -> Result<&'static Server, &'static String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(find_server).as_ref()
}

fn find_server() -> Result<Server, String> {
    if let Ok(url) = env::var("TEST_DATABASE_URL") {
        let url = Url::parse(&url).map_err(|error| format!("TEST_DATABASE_URL: {error}"))?;
        return Ok(Server {
            url,
            _cluster: None,
        });
    }
    let cluster = Cluster::start("")?;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port);
    Ok(Server {
        url: Url::parse(&url).map_err(|error| error.to_string())?,
        _cluster: Some(cluster),
    })
}

/// A private cluster, which ends when this process does or `supervisor` is dropped.
pub(crate) struct Cluster {
    port: u16,
    folder: PathBuf,
    supervisor: Child,
    output: BufReader<ChildStdout>,
}

impl Cluster {
    /// One of the test's own, with these further lines in its configuration. `{folder}` stands for a folder of its own.
    pub(crate) async fn with(settings: &'static str) -> Self {
        let started = tokio::task::spawn_blocking(|| Self::start(settings)).await;
        let started = started.unwrap();
        started.unwrap_or_else(|reason| panic!("no PostgreSQL to test on: {reason}"))
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where `{folder}` in the settings leads.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the server, or starts it again: `stop`, `start`.
    pub(crate) fn tell(&mut self, command: &str) {
        let input = self.supervisor.stdin.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
        wait_until_ready(&mut self.output).unwrap();
    }

    /// Starts the server again with these lines as what it admits (`pg_hba.conf`), and these more in its configuration.
    pub(crate) fn reconfigure(&mut self, admits: &str, settings: &str) {
        let data = self.folder.join("data");
        fs::write(data.join("pg_hba.conf"), admits).unwrap();
        let configuration = data.join("postgresql.conf");
        let before = fs::read_to_string(&configuration).unwrap();
        fs::write(configuration, format!("{before}\n{settings}\n")).unwrap();
        self.tell("stop");
        self.tell("start");
    }

    fn start(settings: &str) -> Result<Self, String> {
        let binaries = binaries().ok_or(
            "initdb, pg_ctl and postgres are neither in PATH nor where systems install them; \
             install the PostgreSQL server or name one in TEST_DATABASE_URL",
        )?;
        let mut attempt = 1;
        loop {
            match Self::start_on_a_free_port(&binaries, settings) {
                Err(reason) if port_was_taken(&reason) && attempt < START_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_on_a_free_port(binaries: &Path, settings: &str) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        // The supervisor removes the folder, as it outlives this process.
        let folder = tempfile::Builder::new()
            .prefix("atelier-postgres-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?
            .keep();
        let mut command = Command::new("sh");
        command
            .args(["-c", include_str!("postgres/supervisor.sh")])
            .env("BINARIES", binaries)
            .env("FOLDER", &folder)
            .env("PORT", port.to_string())
            .env(
                "SETTINGS",
                settings.replace("{folder}", &folder.to_string_lossy()),
            )
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own process group, so that an interrupt from the terminal does not stop it before it has cleaned up.
            .process_group(0);
        give_up_root(&mut command, &folder)?;
        let mut supervisor = command
            .spawn()
            .map_err(|error| format!("sh cannot be run: {error}"))?;
        let output = supervisor.stdout.take().ok_or("the output is not piped")?;
        let mut output = BufReader::new(output);
        if let Err(reason) = wait_until_ready(&mut output) {
            let _ = supervisor.wait();
            return Err(reason);
        }
        Ok(Self {
            port,
            folder,
            supervisor,
            output,
        })
    }

    /// Ends the cluster as the death of this process would.
    fn abandon(mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().unwrap();
    }
}

fn wait_until_ready(output: &mut BufReader<ChildStdout>) -> Result<(), String> {
    let mut said = String::new();
    for line in output.lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line == "ready" {
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(said)
}

fn port_was_taken(reason: &str) -> bool {
    reason.contains("Address already in use")
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// PostgreSQL refuses to run as root: hands the folder and the process to an unprivileged user then.
pub(crate) fn give_up_root(command: &mut Command, folder: &Path) -> Result<(), String> {
    let owner = fs::metadata(folder).map_err(|error| error.to_string())?;
    if owner.uid() != 0 {
        return Ok(());
    }
    let (user, group) = unprivileged_user()
        .ok_or("running as root, and /etc/passwd has neither a user postgres nor nobody")?;
    chown(folder, Some(user), Some(group))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    command.uid(user).gid(group);
    Ok(())
}

/// The user and group ids of `postgres`, or else of `nobody`.
fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields.as_slice() {
                [user, _, uid, gid, ..] if user == name => {
                    Some((uid.parse().ok()?, gid.parse().ok()?))
                }
                _ => None,
            }
        })
    })
}

/// The folder of the server's programs: from PATH, else the newest version installed in one of the usual places.
/// Where the programs of a server are.
pub(crate) fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .find(|folder| is_complete(folder))
        .or_else(|| {
            let mut installed: Vec<PathBuf> = [
                ("/usr/lib/postgresql", "", "bin"),
                ("/usr", "pgsql-", "bin"),
                ("/usr/libexec", "postgresql", ""),
                ("/opt/homebrew/opt", "postgresql", "bin"),
                ("/usr/local/opt", "postgresql", "bin"),
            ]
            .iter()
            .flat_map(|(parent, prefix, below)| versions(parent, prefix, below))
            .filter(|folder| is_complete(folder))
            .collect();
            installed.sort_by_key(|folder| version(folder));
            installed.pop()
        })
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

fn versions(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(below))
        .collect()
}

/// The number in the folder's path, such as 15 in `/usr/lib/postgresql/15/bin`; 0 where there is none.
fn version(folder: &Path) -> u32 {
    let path = folder.to_string_lossy();
    let digits: String = path.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[test]
fn a_cluster_and_its_folder_end_with_the_process_that_started_it() {
    let cluster = Cluster::start("").unwrap();
    let (folder, port) = (cluster.folder.clone(), cluster.port);
    assert!(folder.exists());
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());

    cluster.abandon();

    assert!(!folder.exists(), "{} was left behind", folder.display());
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
