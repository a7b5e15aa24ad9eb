//! nginx, which sends the files of a folder.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to start.
const START_TIME: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// nginx ends when standard input does, which is when this process does, however that is.
const SUPERVISOR: &str = "nginx -p . -e stderr -c nginx.conf & cat >/dev/null; kill $!; wait";

pub(crate) struct Nginx {
    /// Such as `127.0.0.1:80`.
    pub address: String,
    supervisor: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Sends what is in the folder, as nginx is set up for files of a disk by default: with `sendfile`, and a worker for each core.
    pub(crate) fn start(files: &Path) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = port.local_addr().unwrap().to_string();
        drop(port);
        let folder = tempfile::tempdir().unwrap();
        let settings = configuration(&address, files);
        fs::write(folder.path().join("nginx.conf"), settings).unwrap();
        let found = Command::new("nginx")
            .arg("-v")
            .stderr(Stdio::null())
            .status();
        if let Err(error) = found {
            panic!(
                "nginx is needed to compare with, install it (Debian's package is nginx): {error}"
            );
        }
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let ended = supervisor.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < START_TIME,
                "nginx does not start"
            );
            sleep(LOOK_AGAIN);
        }
        Self {
            address,
            supervisor,
            _folder: folder,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn configuration(address: &str, files: &Path) -> String {
    let files = files.display();
    // The folder is its owner's alone.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    format!(
        "{user}
        daemon off;
        worker_processes auto;
        pid nginx.pid;
        error_log stderr;
        events {{}}
        http {{
            access_log off;
            sendfile on;
            tcp_nopush on;
            keepalive_requests 1000000;
            client_body_temp_path .;
            proxy_temp_path .;
            fastcgi_temp_path .;
            uwsgi_temp_path .;
            scgi_temp_path .;
            server {{
                listen {address};
                root {files};
            }}
        }}"
    )
}
