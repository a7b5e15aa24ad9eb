//! A PgBouncer between the program and PostgreSQL, with fewer sessions than the program wants.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use url::Url;

use crate::support::database::TestDatabase;
use crate::support::postgres::give_up_root;

pub(crate) const SESSIONS: u32 = 4;

/// A PgBouncer that ends with this value.
pub(crate) struct Pooler {
    /// The database, reached through it.
    pub db: TestDatabase,
    settings: String,
    running: Running,
}

/// Killed when this value is dropped.
struct Running {
    child: Child,
    /// Has the settings, and is of the user that it runs as.
    _folder: TempDir,
}

impl Pooler {
    /// One that keeps a session for a connection.
    pub(crate) fn before(db: &TestDatabase) -> Self {
        Self::in_mode(db, "session")
    }

    pub(crate) fn in_mode(db: &TestDatabase, mode: &str) -> Self {
        let mut url = Url::parse(&db.url).unwrap();
        let (host, port) = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listening = listener.local_addr().unwrap().port();
        drop(listener);
        let password = url
            .password()
            .map(|password| format!(" password={password}"));
        let password = password.unwrap_or_default();
        let settings = format!(
            "[databases]\n* = host={host} port={port} user={}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listening}\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 100\nunix_socket_dir =\n",
            url.username()
        );
        url.set_port(Some(listening)).unwrap();
        Self {
            db: TestDatabase::on_server(url.into()),
            running: Running::start(&settings),
            settings,
        }
    }

    /// Kills it where it is.
    pub(crate) fn kill(&mut self) {
        self.running.child.kill().unwrap();
        self.running.child.wait().unwrap();
    }

    /// Has it run again, at the same port.
    pub(crate) fn start(&mut self) {
        self.running = Running::start(&self.settings);
    }
}

impl Running {
    fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new("pgbouncer");
        command
            .arg("-q")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        give_up_root(&mut command, folder.path()).unwrap();
        let child = command.spawn();
        Self {
            child: child.expect("pgbouncer must be installed, see scripts/test"),
            _folder: folder,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
