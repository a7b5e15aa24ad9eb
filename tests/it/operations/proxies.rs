//! The proxies of docs/proxies.md, configured as it says: what browsers and clients of gRPC hear through them, and when.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use atelier::client::Client;
use atelier::rpc::proto::{ErrorReason, GetJobRequest, JobStatus, WatchJobRequest};
use reqwest::Certificate;
use tempfile::TempDir;
use tonic::Code;

use super::tls::Issuer;
use crate::api::grpc_web::{self, BINARY, TEXT, transition};
use crate::support::client::{USER, scripted_request};
use crate::support::database::{Backend, TestDatabase};
use crate::support::http::{self, browser};
use crate::support::python::python;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::uploads::{head, parts, picture_named};
use crate::support::watching::statuses;

const PAGE: &str = include_str!("../../../docs/proxies.md");
const CADDYFILE: &str = include_str!("../../../deploy/Caddyfile");
/// Where the configurations of the page find the server.
const SERVER: &str = "127.0.0.1:50051";
/// What of nginx is not the page's: it keeps no files but here, and ends with the test.
const NGINX: &str = "daemon off; master_process off; pid pid; error_log stderr; events {}\n\
    http { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n";
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_hears_a_watch_through_plain_nginx_as_it_happens() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    let proxy = Proxy::nginx(&server, 0, "listen 80;", "listen 127.0.0.1:PORT;", None).await;
    let feature = server.scripted_feature().await;
    let url = format!("http://{}", proxy.address);
    hears_a_watch((&server, feature), &browser(), &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_clients_of_grpc_go_through_one_nginx_with_tls() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    let issuer = Issuer::new();
    let pem = issuer.issue().pem;
    let listen = ("listen 443 ssl http2;", "listen 127.0.0.1:PORT ssl http2;");
    let proxy = Proxy::nginx(&server, 1, listen.0, listen.1, Some(&issuer)).await;
    let url = format!("https://localhost:{}", proxy.port());
    let trusting = http::client().no_proxy().http1_only();
    let trusting = trusting.tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]);
    let feature = server.scripted_feature().await;
    hears_a_watch((&server, feature), &trusting.build().unwrap(), &url).await;
    let client = Client::builder(&url).ca_certificate(pem);
    speaks_grpc((&server, feature), &client.connect().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_clients_of_grpc_go_through_caddy() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = TestServer::start(&db).await;
    let block = blocks("caddyfile").remove(0);
    assert!(CADDYFILE.ends_with(&block), "deploy/Caddyfile is another");
    let proxy = Proxy::caddy(&server, &block).await;
    let url = format!("http://{}", proxy.address);
    let feature = server.scripted_feature().await;
    hears_a_watch((&server, feature), &browser(), &url).await;
    speaks_grpc((&server, feature), &Client::connect(&url).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_says_of_envoy_is_yaml_and_leads_to_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("envoy.yaml");
    fs::write(&file, blocks("yaml").remove(0)).unwrap();
    let (read, printed) = python("tests/python/yaml_to_json.py", &[file.to_str().unwrap()]).await;
    assert!(read, "{printed}");
    let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let cluster = &read["static_resources"]["clusters"][0];
    let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let address = cluster.pointer(address).unwrap();
    let address = format!(
        "{}:{}",
        address["address"].as_str().unwrap(),
        address["port_value"]
    );
    assert_eq!(address, SERVER);
}

/// The first messages of a watch come while the job that is watched cannot end, whatever the kind of grpc-web.
async fn hears_a_watch(
    (server, feature): (&TestServer, i64),
    browser: &reqwest::Client,
    url: &str,
) {
    for format in [BINARY, TEXT] {
        let script = Script::new(&["succeed"]).gated();
        let job = server
            .create(scripted_request(feature, &script))
            .await
            .1
            .remove(0);
        let watch = WatchJobRequest {
            id: job.id,
            ..Default::default()
        };
        let call = (url, "JobService/WatchJob");
        let mut stream = grpc_web::call_by(browser, call, format, &[], &watch).await;
        let mut heard = Vec::new();
        for _ in 0..2 {
            heard.push(transition(&mut stream).await.unwrap());
        }
        assert_eq!(
            statuses(&heard),
            [JobStatus::Pending, JobStatus::Processing]
        );
        script.open_gate();
        while let Some(message) = transition(&mut stream).await {
            heard.push(message);
        }
        assert_eq!(
            heard.last().unwrap().job.as_ref().unwrap().status(),
            JobStatus::Completed
        );
        assert_eq!(stream.status().await, "0");
    }
}

/// Calls of every kind, and an error with its details.
async fn speaks_grpc((server, feature): (&TestServer, i64), client: &Client) {
    let script = Script::new(&["succeed"]).gated();
    let job = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    let watch = WatchJobRequest {
        id: job.id,
        ..Default::default()
    };
    let mut stream = within(client.jobs().watch_job(watch))
        .await
        .unwrap()
        .into_inner();
    let first = within(stream.message()).await.unwrap().unwrap();
    assert_eq!(first.job.unwrap().status(), JobStatus::Pending);
    script.open_gate();
    while within(stream.message()).await.unwrap().is_some() {}

    let file = picture_named("proxied");
    let sent = tokio_stream::iter(parts(head(USER), &file));
    let upload = within(client.media().upload_media(sent)).await.unwrap();
    assert_eq!(
        upload.into_inner().upload.unwrap().file_size,
        file.len() as i64
    );
    let missing = GetJobRequest {
        id: 404,
        ..Default::default()
    };
    let refused = within(client.jobs().get_job(missing)).await;
    refusal(refused).is(Code::NotFound, ErrorReason::JobNotFound);
}

/// The configurations of the page that are of this kind.
fn blocks(kind: &str) -> Vec<String> {
    let begin = format!("```{kind}\n");
    let blocks = PAGE.split(&begin).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// A running proxy, killed when this value is dropped.
struct Proxy {
    address: String,
    child: Child,
    folder: TempDir,
}

impl Proxy {
    /// The page's nginx of this number, which listens here instead, and shows this certificate.
    async fn nginx(
        server: &TestServer,
        number: usize,
        listens: &str,
        here: &str,
        issuer: Option<&Issuer>,
    ) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let block = blocks("nginx").remove(number);
        let block = replaced(&block, listens, &here.replace("PORT", &port.to_string()));
        let mut block = replaced(&block, SERVER, server.url().trim_start_matches("http://"));
        if let Some(issuer) = issuer {
            for (file, ours) in [
                ("chain.pem", issuer.certificate()),
                ("key.pem", issuer.key()),
            ] {
                let theirs = format!("/etc/ssl/atelier/{file}");
                block = replaced(&block, &theirs, ours.to_str().unwrap());
            }
        }
        // Workers of a server that was started by root would be another user.
        let user = if rustix::process::getuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let file = folder.path().join("nginx.conf");
        fs::write(&file, format!("{user} {NGINX}{block}}}\n")).unwrap();
        let mut command = program("nginx");
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"]);
        Self::start(command, port, folder).await
    }

    async fn caddy(server: &TestServer, block: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let block = replaced(block, ":8080 {", &format!("http://127.0.0.1:{port} {{"));
        let block = replaced(&block, SERVER, server.url().trim_start_matches("http://"));
        let file = folder.path().join("Caddyfile");
        fs::write(&file, block).unwrap();
        let mut command = program("caddy");
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file);
        command.env("HOME", folder.path());
        Self::start(command, port, folder).await
    }

    /// A port gives no signal, so it is looked at again and again.
    async fn start(mut command: Command, port: u16, folder: TempDir) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let child = command
            .spawn()
            .expect("it must be installed, see scripts/test");
        let address = format!("127.0.0.1:{port}");
        let mut proxy = Self {
            address,
            child,
            folder,
        };
        within(async {
            while TcpStream::connect(&proxy.address).is_err() {
                let ended = proxy.child.try_wait().unwrap();
                assert!(ended.is_none(), "it has ended: {}", proxy.log());
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        proxy
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the proxy:\n{}", self.log());
        }
    }
}

/// Programs that serve are where only administrators look for them.
fn program(name: &str) -> Command {
    let elsewhere = Path::new("/usr/sbin").join(name);
    match elsewhere.exists() {
        true => Command::new(elsewhere),
        false => Command::new(name),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The text with `new` in place of `old`, which stands in it.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} is not in {text}");
    text.replace(old, new)
}
