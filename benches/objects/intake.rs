//! Clients that ask for one thing after the other.

use std::time::{Duration, Instant};

use atelier::client::{Client, proto::CreateRequestRequest};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::service::USER;

/// How many ask at once, each on a connection of its own.
const CLIENTS: usize = 4;

/// The clients, who go on until this is dropped.
pub(crate) struct Intake {
    /// Seconds of each call that was answered.
    answered: UnboundedReceiver<f64>,
    clients: JoinSet<()>,
}

/// What was answered within a time.
pub(crate) struct Answered {
    /// Requests in a second.
    pub rate: f64,
    /// Seconds that all but one in a hundred took at most.
    pub p99: f64,
    /// Seconds that the longest took.
    pub longest: f64,
}

impl Intake {
    pub(crate) async fn start(url: &str, feature_id: i64) -> Self {
        let (answers, answered) = unbounded_channel();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let client = Client::connect(url).await.unwrap();
            clients.spawn(ask(client, feature_id, answers.clone()));
        }
        Self { answered, clients }
    }

    /// What is answered from now on within the window, or until anything is.
    pub(crate) async fn watch(&mut self, window: Duration) -> Answered {
        while self.answered.try_recv().is_ok() {}
        let begin = Instant::now();
        let mut times = Vec::new();
        while times.is_empty() || begin.elapsed() < window {
            times.push(self.answered.recv().await.unwrap());
        }
        let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
        let ended = self.clients.try_join_next();
        assert!(ended.is_none(), "a client was refused: {ended:?}");
        times.sort_by(f64::total_cmp);
        Answered {
            rate,
            p99: times[times.len() * 99 / 100],
            longest: times[times.len() - 1],
        }
    }
}

async fn ask(client: Client, feature_id: i64, answers: UnboundedSender<f64>) {
    loop {
        let asked = CreateRequestRequest {
            user_id: USER,
            feature_id,
            user_prompt: "Khai trương quán cà phê: giảm 50% cả tuần".to_owned(),
            ..Default::default()
        };
        let begin = Instant::now();
        client.requests().create_request(asked).await.unwrap();
        if answers.send(begin.elapsed().as_secs_f64()).is_err() {
            return;
        }
    }
}
