//! The time to the first byte, and the throughput, of links to files beside those of nginx, which sends the same files of the
//! same folder.

use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use tokio::runtime::Runtime;

use crate::http::{Connection, Received};
use crate::nginx::Nginx;
use crate::report::{Table, median, ratio};
use crate::scale::Scale;
use crate::service::{Service, StoredMedia};

/// Bytes of a small file, such as a thumbnail.
const SMALL: usize = 16 * 1024;
/// Bytes of a part, as players ask for them.
const PART: usize = 1 << 20;

/// What is asked for, by how many at once, and how often by each.
struct Work {
    name: &'static str,
    size: Size,
    in_parts: bool,
    connections: usize,
    calls: usize,
}

enum Size {
    Small,
    Large,
}

#[rustfmt::skip]
const WORKS: [Work; 6] = [
    Work { name: "small file", size: Size::Small, in_parts: false, connections: 1, calls: 2_000 },
    Work { name: "small file", size: Size::Small, in_parts: false, connections: 16, calls: 500 },
    Work { name: "large file", size: Size::Large, in_parts: false, connections: 1, calls: 4 },
    Work { name: "large file", size: Size::Large, in_parts: false, connections: 16, calls: 1 },
    Work { name: "parts of 1 MiB", size: Size::Large, in_parts: true, connections: 1, calls: 500 },
    Work { name: "parts of 1 MiB", size: Size::Large, in_parts: true, connections: 16, calls: 100 },
];

/// Where a file is had, and how large it is.
struct Source<'a> {
    address: &'a str,
    path: &'a str,
    size: usize,
}

/// What one round came to.
struct Round {
    /// Seconds, the median of all calls.
    first_byte: f64,
    /// Bytes in a second.
    rate: f64,
}

pub(crate) fn measure(scale: &Scale, runtime: &Runtime, service: &Service) {
    let small = runtime.block_on(service.add_media(SMALL));
    let large = runtime.block_on(service.add_media(scale.large));
    let nginx = Nginx::start(service.media_folder());
    let ours = service.address();
    let mut table = Table::new(&[
        "Links",
        "connections",
        "first byte, µs",
        "nginx",
        "times as long",
        "MB/s",
        "nginx",
        "share",
    ]);
    for work in &WORKS {
        let file = match work.size {
            Size::Small => &small,
            Size::Large => &large,
        };
        let theirs = format!("/{}", file.key);
        let size = file.content.len();
        let sources = [(&ours, &file.link), (&nginx.address, &theirs)];
        let sources = sources.map(|(address, path)| Source {
            address,
            path,
            size,
        });
        for source in &sources {
            assert_same(source, file);
        }
        let rounds = (0..scale.rounds).map(|_| sources.each_ref().map(|it| work.round(it, scale)));
        table.row(work.row(&rounds.collect::<Vec<_>>()));
    }
    table.print();
}

/// Both send the file as it is.
fn assert_same(source: &Source<'_>, file: &StoredMedia) {
    let mut content = Vec::new();
    let mut connection = Connection::open(source.address);
    connection.get(source.path, None, |bytes| content.extend_from_slice(bytes));
    assert!(content == file.content, "{} is another file", source.path);
}

impl Work {
    /// All connections begin at once.
    fn round(&self, source: &Source<'_>, scale: &Scale) -> Round {
        let calls = self.calls.div_ceil(scale.fewer);
        let ready = Barrier::new(self.connections + 1);
        let all = thread::scope(|threads| {
            let spawn = |number| {
                threads.spawn({
                    let ready = &ready;
                    move || self.call(source, calls, (number, ready))
                })
            };
            let threads: Vec<_> = (0..self.connections).map(spawn).collect();
            ready.wait();
            let begin = Instant::now();
            let received = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap());
            let received: Vec<_> = received.collect();
            (begin.elapsed().as_secs_f64(), received)
        });
        let (seconds, received) = all;
        let length: usize = received.iter().map(|received| received.length).sum();
        let first = received.iter().map(|it| it.first_byte.as_secs_f64());
        Round {
            first_byte: median(first.collect()),
            rate: length as f64 / seconds,
        }
    }

    fn call(
        &self,
        source: &Source<'_>,
        calls: usize,
        (number, ready): (usize, &Barrier),
    ) -> Vec<Received> {
        let mut connection = Connection::open(source.address);
        // The connection is there, and taken up, before the time begins.
        connection.get(source.path, Some(&(0..1)), |_| ());
        ready.wait();
        let parts = (0..calls).map(|call| self.part(source.size, number * calls + call));
        let received = parts.map(|part| connection.get(source.path, part.as_ref(), |_| ()));
        received.collect()
    }

    /// Parts that lie apart, so that none follows from the last.
    fn part(&self, size: usize, number: usize) -> Option<Range<usize>> {
        let begin = number * 7 * PART % (size - PART.min(size) + 1);
        self.in_parts.then_some(begin..begin + PART)
    }

    fn row(&self, rounds: &[[Round; 2]]) -> Vec<String> {
        let of = |server: usize, what: fn(&Round) -> f64| -> Vec<f64> {
            rounds.iter().map(|round| what(&round[server])).collect()
        };
        let first_bytes = [0, 1].map(|server| of(server, |round| round.first_byte * 1e6));
        let rates = [0, 1].map(|server| of(server, |round| round.rate / 1e6));
        let [first, their_first] = first_bytes.clone().map(median);
        let [rate, their_rate] = rates.clone().map(median);
        vec![
            self.name.to_owned(),
            self.connections.to_string(),
            format!("{first:.0}"),
            format!("{their_first:.0}"),
            format!("{:.1}", ratio(&first_bytes[0], &first_bytes[1])),
            format!("{rate:.0}"),
            format!("{their_rate:.0}"),
            format!("{:.2}", ratio(&rates[0], &rates[1])),
        ]
    }
}
