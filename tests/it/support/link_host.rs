//! A host that links lead to, with everything that such hosts do. On a port of loopback, which only an allow list lets through.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use codec::Format;
use image::{Rgb, RgbImage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// Between two bytes of what trickles.
const TRICKLE: Duration = Duration::from_millis(20);
/// Width and height of the picture.
pub(crate) const SIZE: (u32, u32) = (40, 30);

pub(crate) struct LinkHost {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl LinkHost {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = asked.clone();
        let serving = async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, heads.clone()));
            }
        };
        Self {
            port,
            asked,
            _task: AbortOnDropHandle::new(tokio::spawn(serving)),
        }
    }

    /// A link to something of the host, by any of its addresses or names.
    pub(crate) fn at(&self, host: &str, path: &str) -> Url {
        format!("http://{host}:{}/{path}", self.port)
            .parse()
            .unwrap()
    }

    pub(crate) fn link(&self, path: &str) -> Url {
        self.at("127.0.0.1", path)
    }

    /// The heads of the calls so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn picture() -> Vec<u8> {
    let picture = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([200, 60, 20]));
    codec::picture::encode(&picture, Format::Png)
        .unwrap()
        .to_vec()
}

async fn answer(mut connection: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let nth = {
        let mut asked = asked.lock().unwrap();
        asked.push(head);
        asked.len()
    };
    // A client that has seen enough closes the connection.
    let _ = respond(&mut connection, &path, nth).await;
}

async fn respond(connection: &mut TcpStream, path: &str, nth: usize) -> std::io::Result<()> {
    let whole = picture();
    let (name, rest) = path.split_once('?').unwrap_or((path, ""));
    let respond = async |connection: &mut TcpStream, head: &str, length: usize, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body).await
    };
    let page = b"<html>no picture</html>";
    match name {
        "/gone" => respond(connection, "410 Gone", 0, b"").await,
        "/busy" => respond(connection, "503 Service Unavailable", 0, b"").await,
        "/odd" => respond(connection, "418 I'm a teapot", 0, b"").await,
        "/to" => {
            respond(
                connection,
                &format!("302 Found\r\nLocation: {rest}"),
                0,
                b"",
            )
            .await
        }
        "/page" => {
            let head = "200 OK\r\nContent-Type: image/png";
            respond(connection, head, page.len(), page).await
        }
        "/empty" => respond(connection, "200 OK", 0, b"").await,
        "/huge" => respond(connection, "200 OK", 10_000_000_000, &whole).await,
        "/truncated" => respond(connection, "200 OK", whole.len() + 1, &whole).await,
        "/truncated-once" if nth == 1 => respond(connection, "200 OK", whole.len(), b"\x89").await,
        // One that says more than it has promised.
        "/overlong" => {
            let more = [&whole[..], b"<html>and more</html>"].concat();
            respond(connection, "200 OK", whole.len(), &more).await
        }
        // One that is never silent for long, and never done.
        "/trickling" => {
            respond(connection, "200 OK", whole.len(), b"").await?;
            for byte in whole {
                connection.write_all(&[byte]).await?;
                tokio::time::sleep(TRICKLE).await;
            }
            Ok(())
        }
        "/silent" => std::future::pending().await,
        "/stalling" => {
            respond(connection, "200 OK", whole.len(), &whole[..20]).await?;
            std::future::pending().await
        }
        "/endless" => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(&whole).await?;
            loop {
                connection.write_all(&[0; 4_096]).await?;
            }
        }
        _ => {
            let head = "200 OK\r\nContent-Type: text/html";
            respond(connection, head, whole.len(), &whole).await
        }
    }
}
