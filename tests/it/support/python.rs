//! The Python environment of the tests, and programs that run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::sync::OnceCell;

use crate::support::server::within;

/// The interpreter, in an environment that is made at its first use.
async fn interpreter() -> &'static Path {
    static INTERPRETER: OnceCell<PathBuf> = OnceCell::const_new();
    INTERPRETER
        .get_or_init(|| async {
            let making = tokio::task::spawn_blocking(|| {
                Command::new(root().join("scripts/python-environment")).output()
            });
            // Not within the deadline of a test: it may download packages.
            let output = making.await.unwrap().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "no Python environment: {told}");
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
        })
        .await
}

/// The folder of the programs that its packages bring.
pub(crate) async fn programs() -> &'static Path {
    interpreter().await.parent().unwrap()
}

/// Runs a program of this repository to its end. Returns whether it succeeded, and all that it printed.
pub(crate) async fn python(program: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(interpreter().await);
    command.arg(root().join(program)).args(arguments);
    // What a shell has set must not lead the calls past the test's server.
    for proxy in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "grpc_proxy",
    ] {
        command.env_remove(proxy);
    }
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = within(ended).await.unwrap().unwrap();
    let mut printed = String::from_utf8(output.stdout).unwrap();
    printed.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), printed)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
