//! A client of HTTP/1.1 that does next to nothing, so that what is measured is the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// A connection on which one file is asked for after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// When what came.
pub(crate) struct Received {
    /// From the call to the first byte of the file.
    pub first_byte: Duration,
    /// Bytes of the file.
    pub length: usize,
}

impl Connection {
    /// To a server such as `127.0.0.1:80`.
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let buffer = vec![0; BUFFER];
        Self { stream, buffer }
    }

    /// Asks for a file, or a part of it, which must come, and passes it on.
    pub(crate) fn get(
        &mut self,
        path: &str,
        part: Option<&Range<usize>>,
        mut take: impl FnMut(&[u8]),
    ) -> Received {
        let range = part.map_or(String::new(), |part| {
            format!("Range: bytes={}-{}\r\n", part.start, part.end - 1)
        });
        let call = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{range}\r\n");
        let begin = Instant::now();
        self.stream.write_all(call.as_bytes()).unwrap();
        let (head, mut filled) = self.read_head();
        let expected = length(&self.buffer[..head], part.is_some());
        if filled == head {
            filled += self.read(head);
        }
        let first_byte = begin.elapsed();
        take(&self.buffer[head..filled]);
        let mut length = filled - head;
        while length < expected {
            let read = self.read(0);
            take(&self.buffer[..read]);
            length += read;
        }
        assert_eq!(length, expected, "{path}");
        Received { first_byte, length }
    }

    /// How long the head of the answer is, and how much has come.
    fn read_head(&mut self) -> (usize, usize) {
        let mut filled = 0;
        loop {
            filled += self.read(filled);
            let come = &self.buffer[..filled];
            if let Some(end) = come.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return (end + 4, filled);
            }
        }
    }

    fn read(&mut self, from: usize) -> usize {
        let read = self.stream.read(&mut self.buffer[from..]).unwrap();
        assert!(read > 0, "the server has closed the connection");
        read
    }
}

/// Bytes that follow the head of an answer that is no refusal.
fn length(head: &[u8], is_part: bool) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    let status = if is_part { " 206 " } else { " 200 " };
    assert!(head.lines().next().unwrap().contains(status), "{head}");
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.unwrap().1.parse().unwrap()
}
