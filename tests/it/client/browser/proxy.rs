//! A connection that breaks when a test wants it to.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Forwards connections to a server.
pub(super) struct Proxy {
    port: u16,
    line: Arc<Mutex<Line>>,
}

/// What becomes of the connections that were made since the last change.
#[derive(Clone, Default)]
struct Line {
    cut: CancellationToken,
    frozen: CancellationToken,
}

impl Proxy {
    pub(super) async fn start(server: &str) -> Self {
        let upstream = Url::parse(server).unwrap().socket_addrs(|| None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Mutex::new(Line::default()));
        let current = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let line = current.lock().unwrap().clone();
                let upstream = upstream[0];
                tokio::spawn(async move { line.forward(client, upstream).await });
            }
        });
        Self { port, line }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection, and each new one at once, until [`Self::mend`].
    pub(super) fn cut(&self) {
        self.line.lock().unwrap().cut.cancel();
    }

    pub(super) fn mend(&self) {
        *self.line.lock().unwrap() = Line::default();
    }

    /// Leaves the connections open without carrying anything over them any more; new ones work.
    pub(super) fn freeze(&self) {
        std::mem::take(&mut *self.line.lock().unwrap())
            .frozen
            .cancel();
    }
}

impl Line {
    async fn forward(self, mut client: TcpStream, upstream: std::net::SocketAddr) {
        let carry = async {
            if let Ok(mut server) = TcpStream::connect(upstream).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        };
        let carry = async {
            tokio::select! {
                biased;
                () = self.frozen.cancelled() => std::future::pending().await,
                () = carry => {}
            }
        };
        tokio::select! {
            biased;
            () = self.cut.cancelled() => {}
            () = carry => {}
        }
    }
}
