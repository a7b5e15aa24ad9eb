//! Files up and down over gRPC, by the client library, beside copying them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use atelier::client::Client;
use codec::Format;
use codec::sound::{Sound, encode};
use tokio::runtime::Runtime;

use crate::report::{Table, median, ratio};
use crate::scale::{Scale, timed};
use crate::service::{Service, USER};

const SAMPLE_RATE: u32 = 44_100;

/// Seconds that one and the other took, and bytes that came.
type Round = (f64, f64, u64);

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    let mut table = Table::new(&["Over gRPC", "file, MB", "MB/s", "copying it", "share"]);
    runtime.block_on(async {
        let client = Client::connect(&service.url()).await.unwrap();
        let mut up = Vec::new();
        let mut down = Vec::new();
        let stored = service.add_media(scale.large).await;
        let original = service.media_folder().join(&stored.key);
        for round in 0..scale.rounds {
            let folder = tempfile::tempdir().unwrap();
            up.push(upload(&client, folder.path(), sound(scale, round)).await);
            down.push(download(&client, folder.path(), (stored.id, &original)).await);
        }
        table.row(row("upload of a WAV file, kept on the disk", &up));
        table.row(row("download, checked against its digest", &down));
    });
    table.print();
}

/// The service has seen none of them before.
async fn upload(client: &Client, folder: &Path, content: Vec<u8>) -> Round {
    let (file, copy) = (folder.join("sound.wav"), folder.join("copy.wav"));
    fs::write(&file, content).unwrap();
    let (uploading, uploaded) = timed(client.upload(&file, USER)).await;
    // What the service has taken survives a crash, so the copy must.
    let copied = async {
        let bytes = fs::copy(&file, &copy)?;
        File::open(&copy)?.sync_all()?;
        io::Result::Ok(bytes)
    };
    let (copying, bytes) = timed(copied).await;
    let bytes = bytes.unwrap();
    assert_eq!(uploaded.unwrap().file_size, i64::try_from(bytes).unwrap());
    (uploading, copying, bytes)
}

async fn download(client: &Client, folder: &Path, (id, original): (i64, &Path)) -> Round {
    let (file, copy) = (folder.join("downloaded"), folder.join("copied"));
    let downloaded = async {
        let mut file = tokio::fs::File::create(&file).await.unwrap();
        client.download(id).await?.write_to(&mut file).await
    };
    let (downloading, media) = timed(downloaded).await;
    let (copying, bytes) = timed(async { fs::copy(original, &copy).unwrap() }).await;
    assert_eq!(media.unwrap().file_size, i64::try_from(bytes).unwrap());
    (downloading, copying, bytes)
}

/// A tone that is another in each round.
fn sound(scale: &Scale, round: usize) -> Vec<u8> {
    let step = 97 + round;
    let count = scale.sound * SAMPLE_RATE as usize * 2;
    let sample = |at: usize| i16::try_from(at * step % 20_000).unwrap() - 10_000;
    let sound = Sound {
        sample_rate: SAMPLE_RATE,
        channels: 2,
        samples: (0..count).map(sample).collect(),
    };
    encode(&sound, Format::Wav).unwrap().into()
}

fn row(name: &str, rounds: &[Round]) -> Vec<String> {
    let rates = |seconds: fn(&Round) -> f64| -> Vec<f64> {
        let rates = rounds.iter().map(|round| round.2 as f64 / seconds(round));
        rates.map(|rate| rate / 1e6).collect()
    };
    let rates = [rates(|round| round.0), rates(|round| round.1)];
    let [ours, copying] = rates.clone().map(median);
    vec![
        name.to_owned(),
        (rounds[0].2 / 1_000_000).to_string(),
        format!("{ours:.0}"),
        format!("{copying:.0}"),
        format!("{:.2}", ratio(&rates[0], &rates[1])),
    ]
}
