//! Clients that ask for one thing after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atelier::client::{Client, proto::CreateRequestRequest};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::service::USER;

/// How many ask at once, each on a connection of its own.
const CLIENTS: usize = 4;

/// The clients, who go on until this is dropped.
pub(crate) struct Intake {
    /// Seconds of each call that was answered.
    answered: Arc<Mutex<Vec<f64>>>,
    _clients: JoinSet<()>,
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
        let answered = Arc::<Mutex<Vec<f64>>>::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let client = Client::connect(url).await.unwrap();
            clients.spawn(ask(client, feature_id, answered.clone()));
        }
        Self {
            answered,
            _clients: clients,
        }
    }

    /// What is answered from now on within the window.
    pub(crate) async fn watch(&self, window: Duration) -> Answered {
        self.answered.lock().unwrap().clear();
        let begin = Instant::now();
        sleep(window).await;
        let mut times = std::mem::take(&mut *self.answered.lock().unwrap());
        let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        assert!(!times.is_empty(), "nobody was answered");
        Answered {
            rate,
            p99: times[times.len() * 99 / 100],
            longest: times[times.len() - 1],
        }
    }
}

async fn ask(client: Client, feature_id: i64, answered: Arc<Mutex<Vec<f64>>>) {
    loop {
        let asked = CreateRequestRequest {
            user_id: USER,
            feature_id,
            user_prompt: "Khai trương quán cà phê: giảm 50% cả tuần".to_owned(),
            ..Default::default()
        };
        let begin = Instant::now();
        client.requests().create_request(asked).await.unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        answered.lock().unwrap().push(seconds);
    }
}
