//! The files of `deploy/`: what they hand to the program is what it takes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use atelier::config::{Config, DatabaseBackend, Inputs, StorageBackend, parse_duration};
use atelier::shutdown::CLOSING;
use serde_json::Value as Json;

use crate::support::process::run;
use crate::support::python::python;

const PASSWORD: &str = "0123456789abcdef";

/// How much longer than the program's grace a service manager is to wait; closing takes a part of it.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_compose_file_configures_an_api_and_workers_on_postgresql_and_s3() {
    let compose = compose().await;
    for (service, role) in [("api", "api"), ("worker", "worker")] {
        let service = &compose["services"][service];
        let config = Config::load(&Inputs {
            file: Some("/dev/null".into()),
            environment: environment(service),
            ..Inputs::default()
        });
        let config = config.unwrap().config;
        assert_eq!(config.database.url.backend(), DatabaseBackend::Postgres);
        assert_eq!(config.storage.backend, StorageBackend::S3);
        assert!(config.provisions_users());
        assert_eq!(
            service["command"],
            serde_json::json!(["serve", "--role", role])
        );
        let grace = parse_duration(service["stop_grace_period"].as_str().unwrap()).unwrap();
        assert!(grace >= config.server.shutdown_grace + MARGIN);
        // The bucket, the server and the database are those that the file starts.
        let endpoint = config.storage.endpoint.unwrap();
        let aliases = &compose["services"]["s3"]["networks"]["default"]["aliases"];
        assert_eq!(aliases[0].as_str(), endpoint.host_str());
        assert!(config.database.url.redacted().contains("@postgres/atelier"));
        let making = compose["services"]["bucket"]["entrypoint"].to_string();
        assert!(making.contains(&format!("s3/{}", config.storage.bucket.unwrap())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_workers_have_spooled_outlives_their_containers() {
    let compose = compose().await;
    let spool = Config::default().executor.spool_folder;
    assert!(spool.is_relative());
    let folder = "/var/lib/atelier";
    assert!(read("deploy/Dockerfile").contains(&format!("WORKDIR {folder}\n")));
    assert_eq!(
        compose["services"]["worker"]["volumes"],
        serde_json::json!([format!("worker:{folder}")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_proxy_reaches_the_service_and_only_this_machine_the_proxy() {
    let compose = compose().await;
    let proxy = &compose["services"]["proxy"];
    assert_eq!(proxy["network_mode"], "service:api");
    assert_eq!(proxy["depends_on"]["api"]["restart"], true);
    let listen = Config::default().server.listen;
    let rules = read("deploy/Caddyfile");
    assert!(
        rules.contains(&format!("reverse_proxy h2c://{listen}")),
        "{rules}"
    );
    for (name, service) in compose["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(
                port.as_str().unwrap().starts_with("127.0.0.1:"),
                "{name}: {port}"
            );
        }
        for other in service["depends_on"]
            .as_object()
            .into_iter()
            .flat_map(|it| it.keys())
        {
            assert!(
                compose["services"][other].is_object(),
                "{name} depends on {other}"
            );
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            let known = match volume.strip_prefix("./") {
                Some(file) => root().join("deploy").join(file).exists(),
                None => compose["volumes"].get(volume).is_some(),
            };
            assert!(known, "{name} mounts {volume}");
        }
    }
}

#[tokio::test]
async fn the_unit_starts_the_program_and_leaves_it_time_to_stop() {
    let unit = read("deploy/atelier.service");
    let settings: BTreeMap<&str, &str> = unit
        .lines()
        .filter(|line| !line.starts_with(['#', '[']))
        .filter_map(|line| line.split_once('='))
        .collect();
    let words: Vec<&str> = settings["ExecStart"].split(' ').collect();
    assert_eq!(words[0], "/usr/local/bin/atelier");
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(&words[1..]).arg("--help");
    let output = run(command).await;
    assert!(output.status.success(), "{output:?}");
    let stop = settings["TimeoutStopSec"]
        .parse()
        .map(Duration::from_secs)
        .unwrap();
    assert!(stop >= Config::default().server.shutdown_grace + MARGIN);
    // What a wrong configuration exits with.
    assert_eq!(settings["RestartPreventExitStatus"], "2");
}

#[test]
fn the_image_is_built_with_the_least_compiler_or_a_newer_one() {
    let dockerfile = read("deploy/Dockerfile");
    let base = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("FROM rust:"));
    let version =
        |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let base = version(base.unwrap().split('-').next().unwrap());
    assert!(base >= version(env!("CARGO_PKG_RUST_VERSION")), "{base:?}");
}

#[tokio::test]
async fn the_image_asks_for_its_health_where_its_server_answers_in_every_role() {
    let dockerfile = read("deploy/Dockerfile");
    let environment: Vec<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let config = Config::load(&Inputs {
        file: Some("/dev/null".into()),
        environment,
        ..Inputs::default()
    });
    let listen = config.unwrap().config.health.listen.unwrap();
    assert!(listen.port() != 0 && listen.ip().is_unspecified());

    let check = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("HEALTHCHECK "));
    let (_, words) = check.unwrap().split_once("CMD ").unwrap();
    let words: Vec<String> = serde_json::from_str(words).unwrap();
    assert_eq!(words, ["atelier", "health"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(&words[1..]).arg("--help");
    let output = run(command).await;
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_files_and_the_page_ask_for_the_same_time_to_stop() {
    let seconds = MARGIN.as_secs();
    for file in ["deploy/atelier.service", "deploy/compose.yaml"] {
        let words = format!("At least {seconds} s longer than server.shutdown_grace.");
        assert!(read(file).contains(&words), "{file}");
    }
    let page = read("docs/operations.md")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(page.contains(&format!("at least {seconds} s longer")));
    assert!(MARGIN > CLOSING);
}

async fn compose() -> Json {
    let file = root().join("deploy/compose.yaml");
    let (read, printed) = python("tests/python/yaml_to_json.py", &[file.to_str().unwrap()]).await;
    assert!(read, "{printed}");
    serde_json::from_str(&printed).unwrap()
}

/// The variables of a service, with the passwords that its user has to give.
fn environment(service: &Json) -> Vec<(OsString, OsString)> {
    let variables = service["environment"].as_object().unwrap().iter();
    let variables = variables.map(|(name, value)| {
        let mut value = value.as_str().unwrap().to_owned();
        while let Some((before, rest)) = value.split_once("${") {
            let after = rest.split_once('}').unwrap().1;
            value = format!("{before}{PASSWORD}{after}");
        }
        (name.into(), value.into())
    });
    variables.collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
