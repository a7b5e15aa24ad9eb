//! What a command may reach of the machine. Each case holds on any kernel: what landlock has not there is expected to go.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use atelier::config::ExecConfig;
use atelier::provider::exec;
use atelier::rpc::proto::{ErrorReason, JobStatus};
use rustix::process::{Pid, Signal, kill_process};
use tonic::Code;

use super::bounds::serve_program;
use super::studio::{PROVIDER, Studio, feature, order, serve};
use crate::support::client::request_for;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::refusal::refusal;

/// Tries everything, and tells of each whether it went.
const PROWLER: &str = r#"
import json, os, shutil, socket, subprocess, sys

def went(act):
    try:
        act()
        return True
    except PermissionError:
        return False

def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as it:
        it.connect(address)

def bind():
    with socket.socket() as it:
        it.bind(('127.0.0.1', 0))

def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))

told = {
    'file of others': went(lambda: open('$FOREIGN/secret').read()),
    'file in the folder of others': went(lambda: write('$FOREIGN/made')),
    'folder of others': went(lambda: os.listdir('$FOREIGN')),
    'environment of the server': went(lambda: open('/proc/$SERVER/environ', 'rb').read()),
    'memory of the server': went(lambda: open('/proc/$SERVER/mem', 'rb')),
    'words of the server': went(lambda: open('/proc/$SERVER/cmdline', 'rb').read()),
    'folder of the supervisor': went(lambda: os.listdir(f'/proc/{os.getppid()}')),
    'writing to the system': went(lambda: os.close(os.open('/usr/bin/env', os.O_WRONLY | os.O_APPEND))),
    'connection of TCP': went(lambda: connect(socket.AF_INET, ('127.0.0.1', $PORT))),
    'port of TCP': went(bind),
    'signal to the server': went(lambda: os.kill($SERVER, 0)),
    'signal to the supervisor': went(lambda: os.kill(os.getppid(), 0)),
    'abstract socket': went(lambda: connect(socket.AF_UNIX, '\0$ABSTRACT')),
    'socket of a path': went(lambda: connect(socket.AF_UNIX, '$FOREIGN/socket')),
    'datagram': went(lambda: connect(socket.AF_INET, ('127.0.0.1', $PORT), socket.SOCK_DGRAM)),
    'file of the system': went(lambda: open('/etc/passwd').read()),
    'program of the system': went(lambda: subprocess.run(['/usr/bin/env', 'true'], check=True)),
    'process of its own': went(lambda: open('/proc/self/status').read()),
    'device': went(lambda: (open('/dev/null', 'w').write('x'), open('/dev/urandom', 'rb').read(1))),
    'folder of its own': went(lambda: write('made')),
    'temporary file': went(lambda: write(os.environ['TMPDIR'] + '/made')),
}
json.dump(told, open('$STUDIO/told', 'w'))
shutil.copy('$STUDIO/picture.png', sys.argv[1])
"#;

/// What a sandbox refuses, by what the system needs for that; all else of the prowler goes.
const REFUSED: [(&str, &[&str]); 3] = [
    (
        "files",
        &[
            "file of others",
            "file in the folder of others",
            "folder of others",
            "environment of the server",
            "memory of the server",
            "words of the server",
            "folder of the supervisor",
            "writing to the system",
        ],
    ),
    ("TCP", &["connection of TCP", "port of TCP"]),
    (
        "signals",
        &[
            "signal to the server",
            "signal to the supervisor",
            "abstract socket",
        ],
    ),
];

/// What a command of this configuration could not reach.
async fn prowl(db: &TestDatabase, change: impl FnOnce(&mut ExecConfig)) -> Vec<String> {
    let (studio, foreign) = (Studio::new(), tempfile::tempdir().unwrap());
    fs::write(foreign.path().join("secret"), "key").unwrap();
    let _of_path = UnixListener::bind(foreign.path().join("socket")).unwrap();
    let name = format!("atelier-{:016x}", rand::random::<u64>());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let script = PROWLER
        .replace("$FOREIGN", &foreign.path().to_string_lossy())
        .replace("$SERVER", &std::process::id().to_string())
        .replace("$PORT", &port.to_string())
        .replace("$ABSTRACT", &name);
    let mut command = studio.python(&script);
    change(&mut command);
    let server = serve(db, &studio, command).await;
    let job = order(&server, PROVIDER).await;
    let ended = server.ended(job.id).await;
    assert_eq!(ended.job.status(), JobStatus::Completed, "{:?}", ended.job);
    server.stop().await;
    let told: BTreeMap<String, bool> = serde_json::from_str(&studio.read("told")).unwrap();
    assert_eq!(told.len(), 21);
    let refused = told.into_iter().filter(|(_, went)| !went);
    refused.map(|(what, _)| what).collect()
}

/// What this system refuses of these kinds.
fn refused(kinds: &[&str]) -> Vec<String> {
    let lacking = exec::unconfined().unwrap_or_default();
    let held = REFUSED
        .iter()
        .filter(|(kind, _)| kinds.contains(kind) && !lacking.contains(kind));
    let mut refused: Vec<_> = held
        .flat_map(|(_, what)| *what)
        .map(ToString::to_string)
        .collect();
    refused.sort_unstable();
    refused
}

on_both_databases! {
    async fn a_command_reaches_the_system_and_its_own_folder_and_nothing_else(db: TestDatabase) {
        assert_eq!(prowl(&db, |_| ()).await, refused(&["files", "TCP", "signals"]));
    }

    async fn a_command_with_the_network_may_use_tcp_and_no_more_files(db: TestDatabase) {
        assert_eq!(prowl(&db, |command| command.network = true).await, refused(&["files", "signals"]));
    }

    async fn a_command_without_a_sandbox_reaches_what_its_user_does(db: TestDatabase) {
        let refused = prowl(&db, |command| command.sandbox = false).await;
        // What another user than root may not without any sandbox.
        let of_root = ["writing to the system", "memory of the server"];
        assert!(refused.iter().all(|what| of_root.contains(&what.as_str())), "{refused:?}");
    }

    async fn a_path_that_the_sandbox_is_to_let_through_must_be_there(db: TestDatabase) {
        let studio = Studio::new();
        let mut command = studio.sound();
        command.readable.push("/srv/models-of-nobody".into());
        let server = serve(&db, &studio, command).await;
        let feature = server.add_feature(feature(PROVIDER)).await;
        let refused = refusal(server.requests().create_request(request_for(feature.id)).await);
        refused.is(Code::FailedPrecondition, ErrorReason::ProviderNotReady);
    }

    async fn a_supervisor_that_is_asked_to_end_interrupts_the_attempt_and_does_not_fail_it(db: TestDatabase) {
        let studio = Studio::new();
        let command = studio.shell(
            "[ -e $STUDIO/again ] && exec cp $STUDIO/picture.png \"$1\"/; echo $PPID > $STUDIO/pid-supervisor; sleep 60",
        );
        let server = serve(&db, &studio, command).await;
        let job = order(&server, PROVIDER).await;
        studio.wait_for("pid-supervisor", 1).await;
        fs::write(studio.path("again"), "").unwrap();
        signal(studio.processes()[0], Signal::TERM);
        let ended = server.ended(job.id).await;
        assert_eq!((ended.job.status(), ended.job.attempt), (JobStatus::Completed, 2), "{:?}", ended.job);
    }

    async fn a_command_dies_with_its_supervisor_also_where_nobody_is_left_to_end_it(db: TestDatabase) {
        let (studio, media) = (Studio::new(), tempfile::tempdir().unwrap());
        let script = "import os, time\nfor name, pid in [('head', os.getpid()), ('supervisor', os.getppid())]:\n    \
            open('$STUDIO/pid-' + name, 'w').write(f'{pid}\\n')\nwhile True:\n    time.sleep(60)";
        let process = serve_program(&studio, script, &db, media.path(), "").await;
        let feature = process.add_feature(feature(PROVIDER)).await;
        process.create(request_for(feature.id)).await;
        studio.wait_for("pid-", 2).await;
        let supervisor = studio.read("pid-supervisor").trim().parse().unwrap();
        // It cannot notice the end of the server, nor the server its end.
        signal(supervisor, Signal::STOP);
        process.kill();
        signal(supervisor, Signal::KILL);
        studio.all_dead().await;
    }
}

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}
